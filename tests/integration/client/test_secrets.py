"""Secrets and tokens stay where they belong, even when the platform shows them around."""

from __future__ import annotations

import json
import logging
import pickle
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operators.campaign import (
    DeleteCampaignOperator,
    StartCampaignOperator,
    StopActiveCampaignsOperator,
    StopCampaignOperator,
)
from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from airflow_provider_campaign.triggers.campaign import CampaignStatusTrigger
from tests.kinds import Connect
from tests.secrets_guard import leak_in
from tests.servers import Echo, LocalServer, Reply, Sent

ANN = "id-of-Ann"
API_KEY = "sk_live_another-key+with/marks"
CLIENT_SECRET = "another-client-secret/with+marks=" * 2
TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+")


PEM = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
IDS = {"iid": "st-1", "account_id": "acc-1"}


@dataclass(frozen=True)
class Account:
    """A connection with its own secrets."""

    conn_type: str
    password: str | None
    extra: dict[str, Any]

    @property
    def campaign_type(self) -> str | None:
        return "sms" if self.conn_type == "kore" else None

    def connection(self, host: str) -> dict[str, Any]:
        extra = {"timeout": 30, "retry_budget": 0.2, **self.extra}
        return {**vars(self), "login": "cs-1", "host": host, "extra": extra}

    @property
    def secrets(self) -> list[str]:
        return [secret for secret in (self.password, self.extra.get("private_key")) if secret]


ACCOUNTS = {
    "kore": Account("kore", CLIENT_SECRET, IDS),
    "kore-private-key": Account("kore", None, {**IDS, "jwt_algorithm": "ES256", "private_key": PEM.strip()}),
    "sonarly": Account("sonarly", API_KEY, {"account_group_id": "ag-1"}),
}


USES: dict[str, Callable[[str | None], object]] = {
    "stop": lambda kind: StopCampaignOperator(task_id="t", campaign_id=ANN, campaign_type=kind).execute({}),
    "start": lambda kind: StartCampaignOperator(
        task_id="t", campaign_id=ANN, campaign_type=kind, timeout=1, poll_interval=1
    ).execute({}),
    "delete": lambda kind: DeleteCampaignOperator(task_id="t", campaign_id=ANN, campaign_type=kind).execute({}),
    "sweep": lambda kind: StopActiveCampaignsOperator(task_id="t", timeout=1).execute({}),
    "sensor": lambda kind: CampaignStatusSensor(task_id="t", campaign_id=ANN, poke_interval=1, timeout=1).execute({}),
    "check": lambda kind: CampaignHook.for_conn_id("campaign_default").test_connection(),
    "read": lambda kind: CampaignHook.for_conn_id("campaign_default").client.get_campaign(ANN),
    "list": lambda kind: list(CampaignHook.for_conn_id("campaign_default").client.list_campaigns()),
}


@pytest.mark.parametrize(
    ("name", "use", "status"),
    [
        *(("kore", use, status) for use in USES for status in (200, 500)),
        *(("sonarly", use, status) for use in ("stop", "list") for status in (200, 400, 500)),
        *(("kore-private-key", "stop", status) for status in (302, 400, 401, 403, 404, 409, 429)),
    ],
)
@pytest.mark.usefixtures("clock")
def test_what_a_platform_echoes_is_not_passed_on(
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    name: str,
    use: str,
    status: int,
) -> None:
    caplog.set_level(logging.DEBUG)
    for library in ("urllib3", "requests", "airflow", "airflow.task", "airflow_provider_campaign"):
        caplog.set_level(logging.DEBUG, library)
    account = ACCOUNTS[name]
    echo = Echo(account.secrets, status)
    shown = []
    with LocalServer(echo) as server:
        connect(account.connection(server.url))
        try:
            shown.append(repr(USES[use](account.campaign_type)))
        except Exception as error:  # noqa: BLE001
            shown += [*traceback.format_exception(error), repr(error), str(vars(error))]
    shown += [caplog.text, *capfd.readouterr()]
    assert echo.tokens
    text = "\n".join(shown)
    for secret in (*account.secrets, *echo.tokens):
        assert secret not in text
        assert json.dumps(secret)[1:-1] not in text
    assert not TOKEN.search(text)


@pytest.mark.parametrize("name", ACCOUNTS)
def test_what_a_task_is_made_of_shows_no_secret(sandbox: Sandbox, connect: Connect, name: str) -> None:
    account = ACCOUNTS[name]
    connect(account.connection(sandbox.url))
    hook = CampaignHook.for_conn_id("campaign_default")
    operator = StopCampaignOperator(task_id="t", campaign_id=ANN, campaign_type=account.campaign_type)
    sensor = CampaignStatusSensor(task_id="t", campaign_id=ANN)
    trigger = CampaignStatusTrigger(ANN)
    client = hook.client
    things = [hook, client, client.requester, client.platform, client.transport, hook.get_conn()]
    things += [operator, sensor, trigger, trigger.serialize()]
    things += [getattr(task, field) for task in (operator, sensor) for field in task.template_fields]
    shown = "\n".join(f"{thing} {thing!r}" for thing in things)
    assert not any(secret in shown for secret in account.secrets)


def test_an_error_can_be_sent_to_another_process_and_still_shows_no_secret(sandbox: Sandbox, connect: Connect) -> None:
    connect({**sandbox.sonarly_connection(), "password": API_KEY})
    with pytest.raises(CampaignError) as raised:
        StopCampaignOperator(task_id="t", campaign_id=ANN).execute({})
    sent = pickle.dumps(raised.value)
    assert API_KEY.encode() not in sent
    assert str(pickle.loads(sent)) == str(raised.value)


def test_the_watch_over_the_suite_notices_what_it_is_for() -> None:
    assert leak_in(f"password={Sandbox().config.client_secret};") == "the Client Secret"
    assert leak_in(f"Bearer {Sandbox().config.api_key}") == "the API key"
    assert leak_in(jwt.encode({"appId": "cs-1"}, "k" * 64)) == "a token"
    assert leak_in("Campaign c1 is Stopped") is None


# Consoles (Airflow's own, too) and error trackers show the variables of each function in a traceback.


def assert_no_variable_holds(account: Account, error: BaseException | None) -> None:
    shown = ""
    while error is not None:
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        shown += "".join(repr(frame.f_locals) for frame in frames if frame.f_code.co_filename != __file__)
        error = error.__cause__ or error.__context__
    assert shown
    assert TOKEN.search(shown) is None
    assert [secret for secret in account.secrets if repr(secret)[1:-1] in shown] == []


@pytest.mark.parametrize("account", ACCOUNTS.values(), ids=ACCOUNTS)
@pytest.mark.parametrize("status", [200, 403, 500, "no response", "no connection"], ids=str)
def test_no_variable_in_a_traceback_of_a_request_holds_a_secret(
    connect: Connect, account: Account, status: int | str
) -> None:
    def respond(sent: Sent) -> Reply:
        if isinstance(status, str):
            raise ConnectionError
        return Echo(account.secrets, status)(sent)

    with LocalServer(respond) as server:
        connect(account.connection("http://127.0.0.1:1" if status == "no connection" else server.url))
        with pytest.raises(CampaignError) as caught:
            CampaignHook.for_conn_id("campaign_default").client.get_campaign("another")
    assert_no_variable_holds(account, caught.value)


@pytest.mark.parametrize(
    ("name", "typed"), [("kore", "'{}'"), ("kore-private-key", ""), ("sonarly", "'{}'"), ("sonarly", "{}✓")]
)
def test_neither_the_error_of_a_wrong_field_nor_its_traceback_holds_it(connect: Connect, name: str, typed: str) -> None:
    account = ACCOUNTS[name]
    extra = {field: value[:-40] if field == "private_key" else value for field, value in account.extra.items()}
    connect({**account.connection("http://127.0.0.1:1"), "password": typed.format(account.password), "extra": extra})
    with pytest.raises(CampaignError, match="in quotes" if "'" in typed else None) as caught:
        CampaignHook.for_conn_id("campaign_default").client  # noqa: B018
    error = caught.value
    shown = "\n".join([*traceback.format_exception(error), repr(error), str(vars(error))])
    assert not any(secret[:20] in shown for secret in account.secrets)
    assert_no_variable_holds(account, error)
