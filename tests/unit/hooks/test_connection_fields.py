"""How a connection's fields are read; what is wrong is named by its label, with the fix, and without any secret."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Connection
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from airflow_provider_campaign.client.client import DEFAULT_REQUEST_TIMEOUT
from airflow_provider_campaign.client.requester import DEFAULT_RETRY_BUDGET
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.connection_fields import ConnectionFields

DOCUMENTATION = (Path(__file__).parents[3] / "docs/connections.md").read_text()
SECRET = "a-client-secret" * 4
CONNECTIONS: dict[str, dict[str, Any]] = {
    "kore": {"conn_type": "kore", "login": "cs-1", "password": SECRET, "extra": {"iid": "st-1", "account_id": "acc-1"}},
    "sonarly": {"conn_type": "sonarly", "password": "sk_live_key", "extra": {"account_group_id": "ag-1"}},
}
STANDARD_FIELDS = ("conn_type", "host", "login", "password", "port", "schema")


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


RSA_KEY = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
EC_KEY = pem(ec.generate_private_key(ec.SECP256R1()))


def changed(connection: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    standard = {name: value for name, value in changes.items() if name in STANDARD_FIELDS}
    extra = {name: value for name, value in changes.items() if name not in STANDARD_FIELDS}
    return {**connection, **standard, "extra": {**connection["extra"], **extra}}


def client_of(connection: dict[str, Any]) -> object:
    extra = json.dumps(connection["extra"])
    return CampaignHook.for_connection(Connection(**{**connection, "conn_id": "a_connection", "extra": extra})).client


def refusal(connection: dict[str, Any]) -> str:
    with pytest.raises(CampaignConfigError) as caught:
        client_of(connection)
    message = str(caught.value)
    assert message.startswith("Connection 'a_connection'")
    assert "Nothing was sent" in message
    return message


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


LABELS = {"timeout": "Request Timeout (seconds) (timeout)", "retry_budget": "Retry Budget (seconds) (retry_budget)"}
ODD_SECONDS = (0, -1, "soon", True, "nan", "inf", [30])
WRONG_IN_ALL = [
    ({"host": "http://platform.example"}, "Host (host)", "Use https://"),
    ({"host": "platform.example", "schema": "http"}, "Host (host)", "Use https://"),
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
    *(({name: value}, LABELS[name], "Give a positive number of seconds") for name in LABELS for value in ODD_SECONDS),
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


PATH = "/{campaign_id}"
PLACEHOLDERS = "Known placeholders: {iid}, {campaign_id}, {account_id}"
ELSEWHERE = ("/../all", "/%252e%252e/all", "%2f..%2fall", "\\..\\all", "#/stop", "?x=1#y")
PATHS = [
    *((path, "not a path beginning with one /", "Known end") for path in (PATH[1:], f"/{PATH}", f"{PATH}\r\nx: y", 7)),
    *((f"{PATH}{end}", "gives stop_sms a path that leads elsewhere", PLACEHOLDERS) for end in ELSEWHERE),
    (f"/.{PATH}", "gives stop_sms a path that leads elsewhere", PLACEHOLDERS),
    *((f"{PATH}/{end}", "unknown placeholder", PLACEHOLDERS) for end in ("{bot_id}", "{", "{iid.__class__}")),
    *((path, "placeholder", PLACEHOLDERS) for path in ("/{campaign_id!r}/{campaign_id}", PATH + "/{iid:>9}")),
    ("/campaign/{iid}", "stop_sms a path without {campaign_id}", PLACEHOLDERS),
]
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
    ({"endpoints": {"stop": PATH}}, "replaces 'stop', which is not an endpoint", "Known endpoints: stop_sms"),
    *(({"endpoints": {"stop_sms": path}}, problem, fix) for path, problem, fix in PATHS),
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


def fields(conn_type: str = "kore", extra: dict[str, Any] | None = None, **standard: Any) -> ConnectionFields:
    return ConnectionFields(
        Connection(conn_id="a_connection", conn_type=conn_type, extra=json.dumps(extra or {}), **standard)
    )


@pytest.mark.parametrize(
    ("standard", "url"),
    [
        ({"host": "https://platform.example"}, "https://platform.example"),
        ({"host": "HTTPS://platform.example/"}, "https://platform.example"),
        ({"host": " platform.example "}, "https://platform.example"),
        ({"host": "platform.example:8443"}, "https://platform.example:8443"),
        ({"host": "10.0.0.1"}, "https://10.0.0.1"),
        ({"host": "https://[2001:db8::1]:8443"}, "https://[2001:db8::1]:8443"),
        ({"host": "http://127.3.2.1:8765"}, "http://127.3.2.1:8765"),
        ({"host": "http://localhost"}, "http://localhost"),
        ({"host": "http://[::1]:8765"}, "http://[::1]:8765"),
        ({"host": "platform.example", "port": 8443}, "https://platform.example:8443"),
        ({"host": "platform.example:9443", "port": 8443}, "https://platform.example:9443"),
        ({"host": "127.0.0.1", "schema": "http", "port": 8765}, "http://127.0.0.1:8765"),
        *(({"host": host}, "https://platform.kore.ai") for host in (None, "", "  ")),
        ({"conn_type": "sonarly"}, "https://api.sonarly.io"),
    ],
)
def test_an_address_is_a_host_with_or_without_scheme_and_port(standard: dict[str, Any], url: str) -> None:
    assert fields(**standard).base_url() == url


OPTIONAL = ("timeout", "retry_budget", "ca_bundle", "api_version", "jwt_algorithm", "jwt_subject", "endpoints")


@pytest.mark.parametrize("extra", [{}, *(dict.fromkeys(OPTIONAL, value) for value in (None, "", " "))], ids=str)
def test_null_empty_and_absent_are_one_and_the_same(extra: dict[str, Any]) -> None:
    read = fields(extra=extra)
    assert (read.text("ca_bundle"), read.seconds("timeout"), read.seconds("retry_budget")) == ("", None, None)
    assert (read.choice("api_version"), read.choice("jwt_algorithm")) == ("v1", "HS256")
    assert (read.text("jwt_subject", "airflow"), read.mapping("endpoints")) == ("airflow", {})


def test_seconds_and_objects_may_be_their_texts_as_older_forms_store_them() -> None:
    for value in (45, 45.0, "45", " 45.0 "):
        assert fields(extra={"timeout": value}).seconds("timeout") == 45.0
    for paths in ({"get": "/x/{campaign_id}"}, '{"get": "/x/{campaign_id}"}'):
        assert fields(extra={"endpoints": paths}).mapping("endpoints") == {"get": "/x/{campaign_id}"}


def test_blanks_around_a_credential_are_not_part_of_it() -> None:
    read = fields(login=" cs-1 ", password="secret\n", extra={"iid": "\tst-1"})
    assert (read.required("login"), read.required("password"), read.required("iid")) == ("cs-1", "secret", "st-1")


def test_the_documented_defaults_are_those_that_count() -> None:
    for label, default in (("Request Timeout", DEFAULT_REQUEST_TIMEOUT), ("Retry Budget", DEFAULT_RETRY_BUDGET)):
        assert re.findall(rf"^\| {label} .*Default: (\d+)", DOCUMENTATION, re.MULTILINE) == [f"{default:g}"]
