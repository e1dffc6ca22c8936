"""Whatever is wrong with a connection or an argument is said before anything is sent."""

from __future__ import annotations

import re
from typing import Any

import airflow
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from packaging.version import Version

from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from tests.kinds import KORE_KINDS, SONARLY, Connect, Kind

STANDARD_FIELDS = ("conn_type", "host", "login", "password", "port")


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


RSA_KEY = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
EC_KEY = pem(ec.generate_private_key(ec.SECP256R1()))


def changed(connection: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a connection with other standard fields or fields of its extra."""
    standard = {name: value for name, value in changes.items() if name in STANDARD_FIELDS}
    extra = {name: value for name, value in changes.items() if name not in STANDARD_FIELDS}
    return {**connection, **standard, "extra": {**connection["extra"], **extra}}


def refusal(sandbox: Sandbox, kind: Kind) -> str:
    """Return the one message that stop, status sensor and hook have for what is wrong."""
    campaign = kind.add_campaign(sandbox)
    messages = set()
    for operator in (kind.stop(campaign.id), CampaignStatusSensor(task_id="wait", campaign_id=campaign.id)):
        with pytest.raises(CampaignConfigError) as caught:
            operator.execute({})
        assert isinstance(caught.value, AirflowFailException)
        messages.add(str(caught.value))
    assert sandbox.requests == []
    assert campaign.status == "Active"
    [message] = messages
    assert "campaign_default" in message
    assert "Nothing was sent" in message
    return message


MISSING = [
    ("iid", "Application ID (iid)", "Fill it in: The app's id"),
    ("account_id", "Account ID (account_id)", "Fill it in: The account's id"),
    ("login", "Client ID (login)", "Fill it in"),
    ("password", "Client Secret (password)", "Fill it in"),
]


@pytest.mark.parametrize("value", [None, "", "  "])
@pytest.mark.parametrize(("field", "label", "fix"), MISSING)
def test_a_missing_field_of_kores_is_named_with_its_label(
    sandbox: Sandbox, connect: Connect, kore_kind: Kind, field: str, label: str, fix: str, value: str | None
) -> None:
    connect(changed(kore_kind.connection(sandbox), {field: value}))
    message = refusal(sandbox, kore_kind)
    assert f"the field {label} is missing" in message
    assert fix in message


@pytest.mark.parametrize("value", [None, "", "  "])
@pytest.mark.parametrize(
    ("field", "label"),
    [("account_group_id", "Account Group ID (account_group_id)"), ("password", "API Key (password)")],
)
def test_a_missing_field_of_sonarlys_is_named_with_its_label(
    sandbox: Sandbox, connect: Connect, field: str, label: str, value: str | None
) -> None:
    connect(changed(sandbox.sonarly_connection(), {field: value}))
    message = refusal(sandbox, SONARLY)
    assert f"the field {label} is missing" in message
    assert "Fill it in" in message


WRONG_IN_ALL = [
    ({"host": "http://platform.example"}, "Host (host)", "Use https://"),
    ({"host": "http://10.0.0.1"}, "Host (host)", "Use https://"),
    ({"host": "http://127.0.0.1.example"}, "Host (host)", "Use https://"),
    ({"host": "http://localhost.example"}, "Host (host)", "Use https://"),
    ({"host": "ftp://platform.example"}, "Host (host)", "Give a host such as https://"),
    ({"host": "https://"}, "Host (host)", "Give a host such as https://"),
    ({"host": "platform example"}, "Host (host)", "Give a host such as https://"),
    ({"host": "https://platform.example:port"}, "Host (host)", "Give a host such as https://"),
    ({"host": "https://[::1"}, "Host (host)", "Give a host such as https://"),
    ({"host": "https://platform.example/campaign"}, "Host (host)", "Give a host such as https://"),
    ({"host": "https://platform.example?x=1"}, "Host (host)", "Give a host such as https://"),
    ({"host": "https://user:secret@platform.example"}, "Host (host)", "Give a host such as https://"),
    ({"host": "https://platform.example\nHost: other"}, "Host (host)", "on one line"),
    *(
        ({field: value}, label, "Give a positive number of seconds")
        for field, label in (
            ("timeout", "Request Timeout (seconds) (timeout)"),
            ("retry_budget", "Retry Budget (seconds) (retry_budget)"),
        )
        for value in (0, -1, "soon", True, "nan", "inf", [30])
    ),
    ({"ca_bundle": "nowhere/ca.pem"}, "CA Bundle (ca_bundle)", "Give the path of a PEM file"),
    ({"ca_bundle": 7}, "CA Bundle (ca_bundle)", "Put it in quotes"),
]


@pytest.mark.parametrize("kind", [KORE_KINDS[0], SONARLY], ids=lambda kind: kind.label)
@pytest.mark.parametrize(("changes", "label", "fix"), WRONG_IN_ALL)
def test_a_wrong_field_of_any_platform_is_named_with_its_fix(
    sandbox: Sandbox, connect: Connect, kind: Kind, changes: dict[str, Any], label: str, fix: str
) -> None:
    connect(changed(kind.connection(sandbox), changes))
    message = refusal(sandbox, kind)
    assert f"the field {label} " in message
    assert fix in message
    assert "secret" not in message


STOP_PATH = "/campaign/{iid}/{campaign_id}"
WRONG_IN_KORE = [
    ({"api_version": "v3"}, "API Version (api_version) is 'v3'", "Use one of v1, v2"),
    ({"api_version": 2}, "API Version (api_version) is not text", "Put it in quotes"),
    ({"iid": 17}, "Application ID (iid) is not text", "Put it in quotes"),
    ({"iid": "st-1\nx: y"}, "Application ID (iid) holds a line break", "on one line"),
    ({"jwt_algorithm": "none"}, "JWT Algorithm (jwt_algorithm) is 'none'", "Use one of HS256, HS384, HS512, RS256"),
    ({"jwt_algorithm": "RS256"}, "Private Key (private_key) is missing", "Fill it in: The PEM private key"),
    (
        {"jwt_algorithm": "RS256", "private_key": "not a key"},
        "Private Key (private_key) is not a key for RS256",
        "PEM private key",
    ),
    (
        {"jwt_algorithm": "RS256", "private_key": EC_KEY},
        "Private Key (private_key) is not a key for RS256",
        "or choose another JWT Algorithm",
    ),
    (
        {"jwt_algorithm": "ES256", "private_key": RSA_KEY},
        "Private Key (private_key) is not a key for ES256",
        "or choose another JWT Algorithm",
    ),
    (
        {"password": RSA_KEY},
        "Client Secret (password) is not a key for HS256",
        "Give the Client Secret, or choose another JWT Algorithm",
    ),
    ({"endpoints": "/somewhere"}, "Endpoints (endpoints) is not a JSON object", "Write it as"),
    ({"endpoints": ["/somewhere"]}, "Endpoints (endpoints) is not a JSON object", "Write it as"),
    ({"endpoints": {"stop": STOP_PATH}}, "replaces 'stop', which is not an endpoint", "Known endpoints: stop_sms, stop_voice"),
    (
        {"endpoints": {"stop_sms": STOP_PATH + "/{bot_id}"}},
        "unknown placeholder {bot_id}",
        "Known placeholders: {iid}, {campaign_id}, {account_id}",
    ),
    ({"endpoints": {"stop_sms": "/campaign/{iid}"}}, "stop_sms a path without {campaign_id}", "Known placeholders"),
    ({"endpoints": {"stop_sms": "campaign/{campaign_id}"}}, "not a path beginning with one /", "Known endpoints"),
    ({"endpoints": {"stop_sms": "//other.example/{campaign_id}"}}, "not a path beginning with one /", "Known endpoints"),
    ({"endpoints": {"get": "https://other.example/{campaign_id}"}}, "not a path beginning with one /", "Known endpoints"),
    ({"endpoints": {"stop_sms": "/{campaign_id}\r\nx: y"}}, "not a path beginning with one /", "Known endpoints"),
    ({"endpoints": {"stop_sms": 7}}, "not a path beginning with one /", "Known endpoints"),
    ({"endpoints": {"stop_sms": "/{campaign_id}/{"}}, "a path with a single brace", "Known placeholders"),
    ({"endpoints": {"stop_sms": "/{campaign_id.__class__}"}}, "unknown placeholder", "Known placeholders"),
    ({"endpoints": {"stop_sms": "/{campaign_id!r}/{campaign_id}"}}, "placeholder", "Known placeholders"),
    ({"endpoints": {"stop_sms": "/{campaign_id:>9}"}}, "placeholder", "Known placeholders"),
]


@pytest.mark.parametrize("kore_kind", [KORE_KINDS[0], KORE_KINDS[2]], ids=lambda kind: kind.label)
@pytest.mark.parametrize(("changes", "problem", "fix"), WRONG_IN_KORE)
def test_a_wrong_field_of_kores_is_named_with_its_fix(
    sandbox: Sandbox, connect: Connect, kore_kind: Kind, changes: dict[str, Any], problem: str, fix: str
) -> None:
    connect(changed(kore_kind.connection(sandbox), changes))
    message = refusal(sandbox, kore_kind)
    assert problem in message
    assert fix in message
    assert "PRIVATE KEY-----" not in message


@pytest.mark.parametrize("conn_type", ["http", "generic", "nothing_known"])
def test_a_connection_of_another_type_is_refused(
    sandbox: Sandbox, connect: Connect, kind: Kind, conn_type: str
) -> None:
    connect(changed(kind.connection(sandbox), {"conn_type": conn_type}))
    message = refusal(sandbox, kind)
    assert f"is of type '{conn_type}', which is not a campaign platform" in message
    assert "'Kore.ai Campaigns' (kore) or 'Sonarly Campaigns' (sonarly)" in message


@pytest.mark.parametrize("extra", ["no JSON", '["iid"]', '"text"', "7"])
def test_an_extra_that_is_no_object_is_refused(sandbox: Sandbox, connect: Connect, kind: Kind, extra: str) -> None:
    connect({**kind.connection(sandbox), "extra": extra})
    if Version("3.0") <= Version(airflow.__version__) < Version("3.2"):  # for these it is no connection at all
        with pytest.raises(AirflowNotFoundException, match="campaign_default"):
            kind.stop("cd-1").execute({})
        assert not sandbox.requests
        return
    assert re.search(r"extra is not a JSON object|ID \(\w+\) is missing", refusal(sandbox, kind))


UNUSABLE_IDS = [
    ("", "is empty"),
    (" \t ", "is empty"),
    ("None", "stands for a missing value"),
    ("none", "stands for a missing value"),
    ("null", "stands for a missing value"),
    (None, "is not a string but NoneType"),
    (17, "is not a string but int"),
    (["cd-1"], "is not a string but list"),
    (" cd-1", "has blanks around it"),
    ("cd-1\n", "has blanks around it"),
    ("a/b", "looks like a path"),
    ("a\\b", "looks like a path"),
    ("a?trigger=play", "looks like a path"),
    ("a#b", "looks like a path"),
    (".", "looks like a path"),
    ("..", "looks like a path"),
    ("a..b", "looks like a path"),
    ("a\nb", "holds a control character"),
    ("a\x00b", "holds a control character"),
    ("a\u200bb", "holds a control character"),
]


@pytest.mark.parametrize(("campaign_id", "problem"), UNUSABLE_IDS)
def test_an_id_that_can_be_no_campaigns_is_refused(
    sandbox: Sandbox, connect: Connect, kind: Kind, campaign_id: Any, problem: str
) -> None:
    connect(kind.connection(sandbox))
    deletes = [kind.delete(campaign_id)] if kind.delete_operator else []
    sensor = CampaignStatusSensor(task_id="wait", campaign_id=campaign_id)
    for operator in (kind.stop(campaign_id), kind.start(campaign_id), sensor, *deletes):
        with pytest.raises(CampaignConfigError) as caught:
            operator.execute({})
        assert f"campaign_id {campaign_id!r} {problem}" in str(caught.value)
        assert "Nothing was sent" in str(caught.value)
    assert sandbox.requests == []


def test_a_list_of_a_type_that_there_is_not_is_refused(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.kore_connection())
    hook = CampaignHook.for_conn_id("campaign_default")
    with pytest.raises(CampaignConfigError, match=r"no campaigns of type 'email'.*'sms' or 'voice'"):
        list(hook.list_campaigns(["sms", "email"]))
    assert sandbox.requests == []
