"""Whatever a platform answers and whatever a connection holds: a result, or a CampaignError that can be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import cycle, repeat
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from airflow.providers.common.compat.sdk import Connection
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_campaign.campaign import Campaign, status_condition, validate_campaign_id
from airflow_provider_campaign.client.response import MAX_QUOTED_LENGTH
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignError
from airflow_provider_campaign.hooks import calls
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.sandbox.config import SandboxConfig
from tests.clock import VirtualClock
from tests.local_server import LocalServer, Reply
from tests.raw_server import RawServer

CONFIG = SandboxConfig()
MESSAGE_MAX = 3 * MAX_QUOTED_LENGTH + 600
"""Characters of a message: what it quotes of the platform, and its own words."""

KEYS = (
    *("status", "data", "success", "error", "errors", "campaign", "id", "_id", "message", "msg", "code", "traceId"),
    *("results", "items", "hasMore", "nextCursor", "triggered", "instancesStopped", "updatedAt", "totalResults"),
)
WORDS = ("Stopped", "stopped", "Active", "Preparing", "Ready", "Completed", "success", "failure", "c1", "", "\ud800")

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
campaigns = st.fixed_dictionaries({"id": words, "status": words}, optional={"_id": values, "message": values})
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
headers = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("Location", "Retry-After", "Content-Type", "Content-Encoding"), header_values)
)
replies = st.builds(Reply, bodies, statuses, headers)


class Platform:
    """A server that gives one reply after the other to everything, and a hook for each kind of connection to it."""

    def __init__(self) -> None:
        self.replies: Iterator[Reply] = iter(())
        self.server = LocalServer(lambda _: next(self.replies))
        self.hooks = {conn_id: hook_for(conn_id, self.server.url) for conn_id in CONNECTIONS}


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    platform = Platform()
    with pytest.MonkeyPatch.context() as patch, platform.server:
        patch.setattr(CampaignHook, "clock", VirtualClock())
        yield platform


HEADER_LINES = (
    b"Content-Length: 21",
    b"Content-Length: -1",
    b"Content-Length: 7, 8",
    b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Content-Encoding: gzip",
    b"Content-Encoding: br, zstd",
    b"Location: http://[::1",
    b"Retry-After: \xff",
    b"Connection: close",
    b"Set-Cookie: a=b; domain=;",
)
QUICK = {"timeout": 20, "retry_budget": 0.01}
CONNECTIONS: dict[str, dict[str, Any]] = {
    "v1": {
        "conn_type": "kore",
        "login": CONFIG.client_id,
        "password": CONFIG.client_secret,
        "extra": {"iid": CONFIG.iid, "account_id": CONFIG.account_id, **QUICK},
    },
    "v2": {
        "conn_type": "kore",
        "login": CONFIG.client_id,
        "password": CONFIG.client_secret,
        "extra": {"iid": CONFIG.iid, "account_id": CONFIG.account_id, "api_version": "v2", **QUICK},
    },
    "sonarly": {
        "conn_type": "sonarly",
        "password": CONFIG.api_key,
        "extra": {"account_group_id": CONFIG.account_group_id, **QUICK},
    },
}
CALLS: dict[str, Callable[[CampaignHook, str | None], object]] = {
    "stop": lambda hook, kind: hook.stop_campaign("c1", kind),
    "start": lambda hook, kind: hook.start_campaign("c1", kind),
    "delete": lambda hook, kind: hook.delete_campaign("c1", kind),
    "get": lambda hook, kind: hook.get_campaign("c1"),
    "status": lambda hook, kind: hook.get_campaign_status("c1"),
    "list": lambda hook, kind: list(hook.list_campaigns()),
}


def hook_for(conn_id: str, host: str) -> CampaignHook:
    connection = CONNECTIONS[conn_id]
    return CampaignHook.for_connection(
        Connection(conn_id=conn_id, host=host, **{**connection, "extra": json.dumps(connection["extra"])})
    )


def check_message(error: CampaignError) -> None:
    text = str(error)
    assert text.isprintable(), text
    assert len(text) <= MESSAGE_MAX, text
    text.encode()


def check_result(result: object) -> None:
    for campaign in result if isinstance(result, list) else [result]:
        assert campaign is None or isinstance(campaign, Campaign)
        if campaign is not None:
            assert campaign.id.isprintable()
            assert campaign.status
            assert campaign.status.isprintable()
            json.dumps(campaign.as_dict(), allow_nan=False)


@pytest.mark.parametrize("conn_id", CONNECTIONS)
@pytest.mark.parametrize("action", CALLS)
@settings(deadline=None, max_examples=150)
@given(reply=replies)
@example(reply=Reply(b'{"status": "Stopped"', 200))
@example(reply=Reply(b'{"status": NaN, "data": {"id": "c1", "status": "Stopped", "x": Infinity}, "success": true}'))
@example(reply=Reply(b'{"errors": [{"msg": "a\\nb\\u0007", "code": {"a": 1}}]}', 400))
@example(reply=Reply(b"[" * 100_000))
@example(reply=Reply(b'{"status": ' + b"9" * 10_000 + b"}"))
@example(reply=Reply(json.dumps({"status": "x" * 10_000, "data": {"id": "y" * 10_000, "status": "z" * 9999}}).encode()))
@example(reply=Reply(b"x" * 1000, 500, {"Retry-After": "9" * 500}))
@example(reply=Reply(b"x", 302, {"Location": "http://" + "h" * 5000}))
@example(reply=Reply(b"not packed", 200, {"Content-Encoding": "gzip"}))
def test_any_answer_is_a_result_or_an_error_that_can_be_read(
    platform: Platform, conn_id: str, action: str, reply: Reply
) -> None:
    platform.replies = repeat(reply)
    hook = platform.hooks[conn_id]
    try:
        result = CALLS[action](hook, next(iter(hook.campaign_types), None))
    except CampaignError as error:
        check_message(error)
    else:
        check_result(result)


@pytest.fixture(scope="module")
def raw_hook() -> Iterator[tuple[list[bytes], CampaignHook]]:
    """A server that sends the bytes in a list, whatever they are, and closes; and a hook for it."""
    said = [b""]
    with pytest.MonkeyPatch.context() as patch, RawServer(lambda connection: connection.sendall(said[0])) as server:
        patch.setattr(CampaignHook, "clock", VirtualClock())
        yield said, hook_for("v1", server.url)


@settings(deadline=None, max_examples=300)
@given(
    st.binary(max_size=100)
    | st.builds(
        lambda status, lines, body: b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"", body]),
        st.sampled_from([b"200 OK", b"200", b"204 No", b"302 Found", b"404", b"099 X", b"1000 X", b"\xff"]),
        st.lists(st.sampled_from(HEADER_LINES) | st.binary(max_size=20), max_size=4),
        st.binary(max_size=40) | st.just(b'{"status": "Stopped"}'),
    )
)
def test_any_bytes_are_an_answer_or_an_error_that_can_be_read(
    raw_hook: tuple[list[bytes], CampaignHook], said: bytes
) -> None:
    raw_hook[0][0] = said
    try:
        check_result(raw_hook[1].stop_campaign("c1", "sms"))
    except CampaignError as error:
        check_message(error)


@pytest.mark.parametrize("conn_id", CONNECTIONS)
@settings(deadline=None, max_examples=150)
@given(reply=replies)
def test_the_connection_check_always_says_something(platform: Platform, conn_id: str, reply: Reply) -> None:
    platform.replies = repeat(reply)
    working, text = platform.hooks[conn_id].test_connection()
    assert isinstance(working, bool)
    assert text.isprintable()
    assert 0 < len(text) <= MESSAGE_MAX


@pytest.mark.parametrize("conn_id", CONNECTIONS)
@settings(deadline=None, max_examples=100)
@given(
    rows=st.lists(campaigns, min_size=1, max_size=3),
    more=st.sampled_from([True, None]),
    cursors=st.lists(st.text(max_size=3), min_size=1, max_size=3),
)
def test_a_list_that_goes_in_circles_ends(
    platform: Platform, conn_id: str, rows: list[Any], more: bool | None, cursors: list[str]
) -> None:
    def page(cursor: str) -> Reply:
        data = {"results": rows, "items": rows, "hasMore": more, "nextCursor": cursor}
        return Reply(json.dumps({"status": "success", "success": True, "data": data}).encode())

    platform.replies = map(page, cycle(cursors))
    before = len(platform.server.requests)
    try:
        list(platform.hooks[conn_id].list_campaigns())
    except CampaignError as error:
        check_message(error)
    assert len(platform.server.requests) - before < 50


@given(st.binary() | bodies)
@example(b"\xff\xfe\x00")
@example(b"[" * 100_000)
@example(b"1" * 10_000)
def test_parse_json_returns_an_object_or_nothing(body: bytes) -> None:
    document = calls.parse_json(Answer(200, {}, body))
    assert document is None or isinstance(document, dict)


@given(text=scalars | documents | st.text(), secrets=st.lists(st.text(max_size=8), max_size=3))
@example(text="a secret word", secrets=["secret"])
@example(text="x" * 10_000, secrets=[])
def test_readable_text_is_one_short_line_without_secrets(text: object, secrets: list[str]) -> None:
    shown = calls.readable(text, secrets)
    if shown is not None:
        assert 0 < len(shown) <= MAX_QUOTED_LENGTH
        assert shown.isprintable()
        assert not any(secret in shown.replace("***", "") for secret in secrets if secret)


@given(values | st.text())
def test_any_campaign_id_is_taken_as_it_is_or_refused(campaign_id: object) -> None:
    try:
        assert validate_campaign_id(campaign_id) == campaign_id
    except CampaignConfigError as error:
        check_message(error)


@given(values | st.lists(words) | words)
def test_any_target_statuses_are_a_goal_or_refused(targets: Any) -> None:
    try:
        assert status_condition(targets).success
    except CampaignConfigError as error:
        check_message(error)


def arbitrary(**known: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return some of these fields, each with a sensible value or anything at all."""
    return st.fixed_dictionaries({}, optional={name: strategy | values for name, strategy in known.items()})


seconds = st.sampled_from([0, -1, 1e-320, 1e300, 10**400, "30", "inf", "nan", True])
paths = st.sampled_from(
    [
        "/a/{campaign_id}",
        "/{iid!r}/{campaign_id}",
        "/{campaign_id:>9}",
        "/{campaign_id!x}",
        "/{campaign_id.x}",
        "/{",
        "//",
    ]
) | st.text(max_size=20).map("/{{campaign_id}}{}".format)
extras = arbitrary(
    iid=st.sampled_from(["st-1", "st-✓", "st 1", "st/1"]),
    account_id=st.sampled_from(["acc-1", "acc-✓"]),
    account_group_id=st.sampled_from(["ag-1", "ag-✓", ".."]),
    api_version=st.sampled_from(["v1", "v2", "v3"]),
    jwt_algorithm=st.sampled_from(["HS256", "HS512", "RS256", "ES256", "none"]),
    jwt_subject=st.text(max_size=5),
    private_key=st.sampled_from(["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "pem"]),
    timeout=st.just(20),
    retry_budget=st.just(0.01),
    ca_bundle=st.sampled_from(["/", "/dev/null", "/nowhere"]),
    endpoints=st.dictionaries(st.sampled_from(["stop_sms", "status", "nothing"]), paths | values, max_size=3),
)
credentials = st.none() | st.text(max_size=20) | st.sampled_from(["sk_✓", "-----BEGIN\nX", "ü" * 40])


@settings(deadline=None, max_examples=500)
@given(extra=extras, login=credentials, password=credentials, kore=st.booleans(), complete=st.booleans())
def test_any_connection_works_or_is_refused_by_an_error_that_can_be_read(
    platform: Platform, extra: dict[str, Any], login: str | None, password: str | None, kore: bool, complete: bool
) -> None:
    platform.replies = repeat(Reply(b'{"status": "Stopped", "success": true}'))
    if complete:
        extra = {"iid": "st-1", "account_id": "acc-1", "account_group_id": "ag-1", **extra}
        login, password = login or "cs-1", password or "secret"
    connection = Connection(
        conn_id="any",
        conn_type="kore" if kore else "sonarly",
        host=platform.server.url,
        login=login,
        password=password,
        extra=json.dumps({"timeout": 20, "retry_budget": 0.01, **extra}),
    )
    try:
        check_result(CampaignHook.for_connection(connection).stop_campaign("c1", "sms" if kore else None))
    except CampaignError as error:
        check_message(error)


@given(extra=st.fixed_dictionaries({}, optional={"timeout": seconds, "retry_budget": seconds}))
def test_any_number_of_seconds_is_one_that_can_be_waited_or_refused(extra: dict[str, Any]) -> None:
    connection = Connection(conn_id="any", conn_type="sonarly", host="localhost", extra=json.dumps(extra))
    try:
        found = CampaignHook.for_connection(connection).settings
    except CampaignConfigError as error:
        check_message(error)
    else:
        for value in (found.timeout, found.retry_budget):
            assert value is None or 0 < value <= 86_400


hosts = (
    st.text(max_size=20)
    | st.builds("{}{}{}".format, st.sampled_from(["", "http://", "https://", "ftp://"]), st.text(max_size=10), words)
    | st.sampled_from(["https://a..b", "https://☃.example", "https://[::1", "localhost:99999", "https://" + "a" * 70])
)


@settings(max_examples=500)
@given(host=hosts, port=st.none() | st.integers())
def test_any_host_is_an_address_or_refused(host: str, port: int | None) -> None:
    connection = Connection(conn_id="any", conn_type="sonarly", host=host, port=port)
    try:
        url = CampaignHook.for_connection(connection).settings.base_url
    except CampaignConfigError as error:
        check_message(error)
    else:
        prepared = requests.Request("GET", f"{url}/v1").prepare()
        assert prepared.url is not None
        assert urlsplit(prepared.url).scheme in ("http", "https")
