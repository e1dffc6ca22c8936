"""How a connection's fields are read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Connection

from airflow_provider_campaign.client.client import DEFAULT_REQUEST_TIMEOUT
from airflow_provider_campaign.client.requester import DEFAULT_RETRY_BUDGET
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.hooks.connection_fields import ConnectionFields

DOCUMENTATION = (Path(__file__).parents[3] / "docs/connections.md").read_text()


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


def test_an_address_without_encryption_is_refused() -> None:
    with pytest.raises(CampaignConfigError, match="Use https://"):
        fields(host="platform.example", schema="http").base_url()


OPTIONAL = ("timeout", "retry_budget", "ca_bundle", "api_version", "jwt_algorithm", "jwt_subject", "endpoints")


@pytest.mark.parametrize("extra", [{}, *(dict.fromkeys(OPTIONAL, value) for value in (None, "", " "))], ids=str)
def test_null_empty_and_absent_are_one_and_the_same(extra: dict[str, Any]) -> None:
    read = fields(extra=extra)
    assert (read.text("ca_bundle"), read.seconds("timeout"), read.seconds("retry_budget")) == ("", None, None)
    assert (read.choice("api_version"), read.choice("jwt_algorithm")) == ("v1", "HS256")
    assert (read.text("jwt_subject", "airflow"), read.mapping("endpoints")) == ("airflow", {})


@pytest.mark.parametrize("value", [45, 45.0, "45", " 45.0 "])
def test_seconds_may_be_a_number_or_its_text(value: Any) -> None:
    assert fields(extra={"timeout": value}).seconds("timeout") == 45.0


@pytest.mark.parametrize("value", [{"get": "/x/{campaign_id}"}, '{"get": "/x/{campaign_id}"}'])
def test_an_object_may_be_its_text_as_older_forms_store_it(value: Any) -> None:
    assert fields(extra={"endpoints": value}).mapping("endpoints") == {"get": "/x/{campaign_id}"}


def test_blanks_around_a_credential_are_not_part_of_it() -> None:
    read = fields(login=" cs-1 ", password="secret\n", extra={"iid": "\tst-1"})
    assert (read.required("login"), read.required("password"), read.required("iid")) == ("cs-1", "secret", "st-1")


def test_an_error_names_connection_label_field_and_fix() -> None:
    with pytest.raises(CampaignConfigError) as caught:
        fields().required("iid")
    assert str(caught.value) == (
        "Connection 'a_connection': the field Application ID (iid) is missing. Nothing was sent. "
        "Fill it in: The app's id, st-…, sent as the header iid."
    )


def test_the_documented_defaults_are_those_that_count() -> None:
    for label, default in (("Request Timeout", DEFAULT_REQUEST_TIMEOUT), ("Retry Budget", DEFAULT_RETRY_BUDGET)):
        assert re.findall(rf"^\| {label} .*Default: (\d+)", DOCUMENTATION, re.MULTILINE) == [f"{default:g}"]
