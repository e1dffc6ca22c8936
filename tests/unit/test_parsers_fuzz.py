"""Whatever a platform says and whatever a connection holds: a result, or a CampaignError that can be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from airflow.providers.common.compat.sdk import Connection
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.connection_fields import ConnectionFields
from airflow_provider_campaign.platforms.base import HttpResponse
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.testing import use_clock
from airflow_provider_campaign.text import MAX_DOCUMENT_BYTES, MAX_LINE_LENGTH
from tests.accounts import PLATFORMS, client_of, type_on
from tests.odd_texts import check_storable
from tests.profiles import examples
from tests.scripted_transport import ScriptedTransport, response
from tests.servers import LocalServer, Reply

MESSAGE_MAX = 3 * MAX_LINE_LENGTH + 600  # characters of a message: what it quotes of the platform, and its own words

KEYS = (
    *("status", "data", "success", "error", "errors", "campaign", "id", "_id", "message", "msg", "code", "traceId"),
    *("results", "items", "hasMore", "nextCursor", "triggered", "instancesStopped", "updatedAt", "totalResults"),
)
WORDS = (
    *("Stopped", "stopped", "Active", "Preparing", "Ready", "Completed", "success", "failure", "c1", ""),
    *("\ud800", "c1\x00", " c1", "c1\u200b", "two\nlines", "\x1b[2K", "x" * 5000),
)

words = st.sampled_from(WORDS) | st.text(max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | words
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=12,
)
documents = st.dictionaries(st.sampled_from(KEYS), values, max_size=8)
# Documents that are almost right reach deeper than arbitrary ones.
campaigns = st.fixed_dictionaries(
    {"id": words, "status": words}, optional={"_id": values, "message": values, "name": values}
)
envelopes = st.fixed_dictionaries(
    {"status": words, "success": st.just(True), "data": campaigns | documents},
    optional={"message": values, "errors": values, "error": values},
) | st.fixed_dictionaries(
    {
        "status": st.just("success"),
        "success": st.just(True),
        "data": st.fixed_dictionaries(
            {"results": st.lists(campaigns, max_size=3), "items": st.lists(campaigns, max_size=3)},
            optional={"hasMore": scalars, "nextCursor": scalars, "totalResults": values, "campaign": campaigns},
        ),
    }
)
bodies = (
    st.binary(max_size=60)
    | (values | documents | envelopes).map(lambda value: json.dumps(value).encode())
    | st.text(max_size=60).map(lambda text: text.encode(errors="surrogatepass"))
)
statuses = st.sampled_from([200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 408, 409, 418, 425, 429, 500, 503, 599])
header_values = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30)
headers = st.fixed_dictionaries({}, optional=dict.fromkeys(("Location", "Retry_After"), header_values))
replies = st.builds(
    lambda body, status, headers: response(body=body, status=status, **headers), bodies, statuses, headers
)


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """A platform that stops whatever it is asked to."""
    with pytest.MonkeyPatch.context() as patch, LocalServer(lambda _: Reply(b'{"status": "Stopped"}')) as server:
        use_clock(VirtualClock(), patch)
        yield server


ACTIONS: dict[str, Callable[[CampaignClient, str | None], object]] = {
    "stop": lambda client, kind: client.stop_campaign("c1", kind),
    "start": lambda client, kind: client.start_campaign("c1", kind),
    "delete": lambda client, kind: client.delete_campaign("c1", kind),
    "get": lambda client, kind: client.get_campaign("c1"),
    "status": lambda client, kind: client.get_campaign_status("c1"),
    "list": lambda client, kind: list(client.list_campaigns()),
    "probe": lambda client, kind: client.probe(),
}


def check(act: Callable[[], object]) -> None:
    """Act, and check that a result can be kept, or that an error can be read."""
    try:
        result = act()
    except CampaignError as error:
        result = str(error)
    for campaign in result if isinstance(result, list) else [result]:
        texts = [campaign]
        if isinstance(campaign, Campaign):
            assert campaign.id
            assert campaign.status
            check_storable(campaign.as_dict())
            assert len(json.dumps(campaign.as_dict())) <= 2 * MAX_DOCUMENT_BYTES
            texts = [campaign.id, campaign.status, campaign.name, campaign.message]
        for text in texts:
            assert text is None or (isinstance(text, str) and text.isprintable() and len(text) <= MESSAGE_MAX)


@examples(full=230, brief=80, exhaustive=700)
@given(platform=st.sampled_from(list(PLATFORMS)), action=st.sampled_from(list(ACTIONS)), reply=replies)
def test_any_response_is_a_result_or_an_error_that_can_be_read(platform: str, action: str, reply: HttpResponse) -> None:
    client = client_of(PLATFORMS[platform], ScriptedTransport(repeat(reply)), retry_budget=0.01)
    check(lambda: ACTIONS[action](client, type_on(client.platform)))


PATHS = ("/a/{campaign_id}", "/{iid!r}/{campaign_id}", "/{campaign_id:>9}", "/{", "//", "/{campaign_id}✓")
FIELDS: dict[str, tuple[Any, ...]] = {
    "iid": ("st-1", "st-✓", "st 1", "st/1"),
    "account_id": ("acc-1", "acc-✓"),
    "account_group_id": ("ag-1", "ag-✓", ".."),
    "api_version": ("v1", "v2", "v3"),
    "jwt_algorithm": ("HS256", "HS512", "RS256", "ES256", "none"),
    "jwt_subject": ("", "me", "✓"),
    "private_key": ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "pem"),
    "timeout": (20,),
    "retry_budget": (0.01,),
    "ca_bundle": ("/", "/dev/null", "/nowhere"),
    "endpoints": tuple({name: path} for name in ("stop_sms", "status", "nothing") for path in PATHS),
}
extras = st.fixed_dictionaries({}, optional={name: st.sampled_from(some) | values for name, some in FIELDS.items()})
hosts = (
    st.text(max_size=20)
    | st.builds("{}{}{}".format, st.sampled_from(["", "http://", "https://", "ftp://"]), st.text(max_size=10), words)
    | st.sampled_from(["https://a..b", "https://☃.example", "https://[::1", "localhost:99999", "https://" + "a" * 70])
)
credentials = st.none() | st.text(max_size=20) | st.sampled_from(["sk_✓", "-----BEGIN\nX", "ü" * 40])


@examples(full=100, brief=40, exhaustive=170)
@given(extras, st.tuples(credentials, credentials), hosts, st.none() | st.integers(), st.booleans())
def test_any_connection_works_or_is_refused_by_an_error_that_can_be_read(
    server: LocalServer, extra: Any, keys: tuple[str | None, str | None], host: str, port: int | None, kore: bool
) -> None:
    complete = {"timeout": 20, "retry_budget": 0.01, "iid": "st-1", "account_id": "acc-1", "account_group_id": "ag-1"}
    fields: dict[str, Any] = {"conn_id": "any", "conn_type": "kore" if kore else "sonarly"}
    fields |= {"login": keys[0], "password": keys[1]}
    connection = Connection(**fields, host=server.url, extra=json.dumps({**complete, **extra}))
    check(lambda: CampaignHook.for_connection(connection).client.stop_campaign("c1", "sms" if kore else None))

    def request_to_host() -> None:
        url = ConnectionFields(Connection(**fields, host=host, port=port)).base_url()
        prepared = requests.Request("GET", f"{url}/v1").prepare()
        assert urlsplit(prepared.url or "").scheme in ("http", "https")

    check(request_to_host)
