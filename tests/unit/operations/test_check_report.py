"""What a saved contract check keeps of what it has seen, and what it replaces."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_campaign.operations.check_report import check_report
from airflow_provider_campaign.operations.exchanges import Exchange
from airflow_provider_campaign.platforms.base import HttpRequest
from tests.accounts import KORE_V2
from tests.scripted_transport import response


def reported(*bodies: bytes) -> list[dict[str, Any]]:
    """Return what a report says of responses with these bodies."""
    exchanges = [Exchange(HttpRequest("GET", "/"), response(body=body), 0.0, 0.1) for body in bodies]
    described: list[dict[str, Any]] = check_report(KORE_V2, [], exchanges)["exchanges"]
    return described


def test_what_a_later_list_shows_to_be_an_id_or_a_name_is_replaced_in_every_text() -> None:
    message = {"message": "spring-sale is taken by Evening offer"}
    rows = {"data": {"results": [{"id": "spring-sale", "name": "Evening offer", "status": "Active"}]}}
    texts, listed = reported(json.dumps(message).encode(), json.dumps(rows).encode())
    [row] = listed["json"]["data"]["results"]
    assert row == {"id": "campaign-1", "name": "name-1", "status": "Active"}
    assert texts["json"] == {"message": "campaign-1 is taken by name-1"}


def test_of_a_body_that_is_no_json_one_character_and_its_length_are_kept() -> None:
    [page] = reported(b" <p>+4915112345678</p>")
    assert page["text"] == "<… (22 bytes that are no JSON)"
