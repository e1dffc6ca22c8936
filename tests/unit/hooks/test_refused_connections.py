"""What is wrong with a connection is named by its field's label, with the fix, and without any secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Connection
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.hooks.base import CampaignHook

SECRET = "a-client-secret" * 4
CONNECTIONS: dict[str, dict[str, Any]] = {
    "kore": {
        "conn_type": "kore",
        "login": "cs-1",
        "password": SECRET,
        "extra": {"iid": "st-1", "account_id": "acc-1"},
    },
    "sonarly": {"conn_type": "sonarly", "password": "sk_live_key", "extra": {"account_group_id": "ag-1"}},
}
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


def client_of(connection: dict[str, Any]) -> object:
    """Return what the operators and the sensor begin with."""
    extra = json.dumps(connection["extra"])
    return CampaignHook.for_connection(Connection(**{**connection, "conn_id": "a_connection", "extra": extra})).client


def refusal(connection: dict[str, Any]) -> str:
    """Return the message of what is wrong."""
    with pytest.raises(CampaignConfigError) as caught:
        client_of(connection)
    message = str(caught.value)
    assert message.startswith("Connection 'a_connection'")
    assert "Nothing was sent" in message
    return message


@pytest.mark.parametrize("conn_type", CONNECTIONS)
def test_a_complete_connection_is_taken(conn_type: str) -> None:
    assert client_of(CONNECTIONS[conn_type])


MISSING = [
    ("kore", "iid", "Application ID (iid)", "Fill it in: The app's id"),
    ("kore", "account_id", "Account ID (account_id)", "Fill it in: The account's id"),
    ("kore", "login", "Client ID (login)", "Fill it in"),
    ("kore", "password", "Client Secret (password)", "Fill it in"),
    ("sonarly", "account_group_id", "Account Group ID (account_group_id)", "Fill it in"),
    ("sonarly", "password", "API Key (password)", "Fill it in"),
]


@pytest.mark.parametrize(("conn_type", "field", "label", "fix"), MISSING)
def test_a_missing_field_is_named_with_its_label(conn_type: str, field: str, label: str, fix: str) -> None:
    for value in (None, "", "  "):
        message = refusal(changed(CONNECTIONS[conn_type], {field: value}))
        assert f"the field {label} is missing" in message
        assert fix in message


WRONG_IN_ALL = [
    ({"host": "http://platform.example"}, "Host (host)", "Use https://"),
    ({"host": "http://localhost.example"}, "Host (host)", "Use https://"),
    ({"host": "ftp://platform.example"}, "Host (host)", "Give a host such as https://"),
    ({"host": "https://"}, "Host (host)", "Give a host such as https://"),
    ({"host": "platform example"}, "Host (host)", "Give a host such as https://"),
    ({"host": "https://[::1"}, "Host (host)", "Give a host such as https://"),
    ({"host": "https://x.example/campaign"}, "Host (host) is 'https://x.example/campaign',", "Give a host"),
    ({"host": "https://user:secret@platform.example:99999"}, "Host (host)", "Give a host such as https://"),
    ({"host": "https://platform.example\nHost: other"}, "Host (host)", "on one line"),
    ({"host": "https://platform.example?key=secret"}, "Host (host) is a text that may hold credentials,", "Give a"),
    ({"port": 99999}, "(port 99999), which is not an address", "Give a host such as https://"),
    ({"host": "'https://platform.example'"}, "Host (host) stands in quotes.", "without them"),
    ({"password": '"a-secret"'}, "(password) stands in quotes.", "without them"),
    *(
        ({field: value}, label, "Give a positive number of seconds")
        for field, label in (
            ("timeout", "Request Timeout (seconds) (timeout)"),
            ("retry_budget", "Retry Budget (seconds) (retry_budget)"),
        )
        for value in (0, -1, "soon", True, "nan", "inf", [30])
    ),
    ({"ca_bundle": 7}, "CA Bundle (ca_bundle)", "Put it in quotes"),
]


@pytest.mark.parametrize(("changes", "label", "fix"), WRONG_IN_ALL)
def test_a_wrong_field_of_any_platform_is_named_with_its_fix(changes: dict[str, Any], label: str, fix: str) -> None:
    for connection in CONNECTIONS.values():
        message = refusal(changed(connection, changes))
        assert label in message
        assert fix in message
        assert "secret" not in message


PATH_LIKE = ["..", "st-1/st-2", "st-1\\st-2", "st-1?x=1", "st-1#x", "%252e%252E", "st-1%2fst-2"]
IDENTIFIERS = [("kore", "iid"), ("kore", "account_id"), ("sonarly", "account_group_id")]


@pytest.mark.parametrize("value", PATH_LIKE)
def test_an_id_that_would_change_the_path_it_is_put_into_is_refused(value: str) -> None:
    for conn_type, field in IDENTIFIERS:
        assert f"({field}) looks like a path" in refusal(changed(CONNECTIONS[conn_type], {field: value}))


STOP_PATH = "/campaign/{iid}/{campaign_id}"
WRONG_IN_KORE = [
    ({"api_version": "v3"}, "API Version (api_version) is 'v3'", "Use one of v1, v2"),
    ({"api_version": 2}, "API Version (api_version) is not text", "Put it in quotes"),
    ({"iid": 17}, "Application ID (iid) is not text", "Put it in quotes"),
    ({"iid": "st 1"}, "Application ID (iid) holds a blank", "Copy it"),
    ({"iid": "st-1\nx: y"}, "Application ID (iid) holds a line break", "on one line"),
    ({"jwt_algorithm": "none"}, "JWT Algorithm (jwt_algorithm) is 'none'", "Use one of HS256, HS384, HS512, RS256"),
    ({"jwt_algorithm": "RS256"}, "Private Key (private_key) is missing", "Fill it in: The PEM private key"),
    ({"jwt_algorithm": "RS256", "private_key": "no key"}, "(private_key) is not a key for RS256", "PEM private key"),
    ({"jwt_algorithm": "RS256", "private_key": EC_KEY}, "is not a key for RS256", "or choose another JWT Algorithm"),
    ({"jwt_algorithm": "ES256", "private_key": RSA_KEY}, "is not a key for ES256", "or choose another JWT Algorithm"),
    ({"login": SECRET, "password": "cs-1"}, "(password) holds a Client ID", "swap Client ID and Client Secret"),
    ({"password": RSA_KEY}, "Client Secret (password) is not a key for HS256", "Give the Client Secret, or choose"),
    ({"endpoints": "/somewhere"}, "Endpoints (endpoints) is not a JSON object", "Write it as"),
    ({"endpoints": ["/somewhere"]}, "Endpoints (endpoints) is not a JSON object", "Write it as"),
    ({"endpoints": {"stop": STOP_PATH}}, "replaces 'stop', which is not an endpoint", "Known endpoints: stop_sms"),
    (
        {"endpoints": {"stop_sms": STOP_PATH + "/{bot_id}"}},
        "unknown placeholder",
        "Known placeholders: {iid}, {campaign_id}, {account_id}",
    ),
    ({"endpoints": {"stop_sms": "/campaign/{iid}"}}, "stop_sms a path without {campaign_id}", "Known placeholders"),
    ({"endpoints": {"stop_sms": "campaign/{campaign_id}"}}, "not a path beginning with one /", "Known end"),
    ({"endpoints": {"stop_sms": "//other.example/{campaign_id}"}}, "not a path beginning with one /", "Known end"),
    ({"endpoints": {"stop_sms": "/{campaign_id}\r\nx: y"}}, "not a path beginning with one /", "Known end"),
    *(
        ({"endpoints": {"stop_sms": path}}, "gives stop_sms a path that leads elsewhere", "Known placeholders")
        for path in (
            *(
                "/{campaign_id}/../all",
                "/./{campaign_id}",
                "/{campaign_id}/%252e%252e/all",
                "/{campaign_id}%2f..%2fall",
            ),
            *("/{campaign_id}\\..\\all", "/{campaign_id}#/stop", "/{campaign_id}?x=1#y"),
        )
    ),
    ({"endpoints": {"stop_sms": 7}}, "not a path beginning with one /", "Known end"),
    ({"endpoints": {"stop_sms": "/{campaign_id}/{"}}, "unknown placeholder", "Known placeholders"),
    ({"endpoints": {"stop_sms": "/{campaign_id}/{iid.__class__}"}}, "unknown placeholder", "Known placeholders"),
    ({"endpoints": {"stop_sms": "/{campaign_id!r}/{campaign_id}"}}, "placeholder", "Known placeholders"),
    ({"endpoints": {"stop_sms": "/{campaign_id}/{iid:>9}"}}, "placeholder", "Known placeholders"),
]


@pytest.mark.parametrize(("changes", "problem", "fix"), WRONG_IN_KORE)
def test_a_wrong_field_of_kores_is_named_with_its_fix(changes: dict[str, Any], problem: str, fix: str) -> None:
    message = refusal(changed(CONNECTIONS["kore"], changes))
    assert problem in message
    assert fix in message
    assert "PRIVATE KEY-----" not in message
    assert SECRET not in message


@pytest.mark.parametrize("conn_type", ["http", "generic", "nothing_known"])
def test_a_connection_of_another_type_is_refused(conn_type: str) -> None:
    message = refusal(changed(CONNECTIONS["kore"], {"conn_type": conn_type}))
    assert f"is of type '{conn_type}', which is not a campaign platform" in message
    assert "'Kore.ai Campaigns' (kore) or 'Sonarly Campaigns' (sonarly)" in message


@pytest.mark.parametrize("extra", ["iid=st-1", '["iid"]', '"text"', "7"])
def test_an_extra_that_is_no_object_is_named_and_not_what_it_lacks(extra: str) -> None:
    connection = Connection(conn_id="a_connection", conn_type="kore", login="cs-1", password="p", extra=extra)
    with pytest.raises(CampaignConfigError, match="the field extra is not a JSON object"):
        CampaignHook.for_connection(connection).client  # noqa: B018 it is made as it is read


def test_a_name_in_extra_that_nothing_reads_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    client_of(changed(CONNECTIONS["kore"], {"apiVersion": "v2"}))
    assert "extra has apiVersion, which nothing reads. Its fields: iid, account_id, api_version" in caplog.text
    caplog.clear()
    client_of(CONNECTIONS["sonarly"])
    assert not caplog.text
