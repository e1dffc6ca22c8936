"""What a saved contract check keeps of what it has seen, and what it replaces."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_campaign.check.report import UNKNOWN_ID, check_report
from airflow_provider_campaign.platforms.base import Action, ApiRequest, HttpRequest, HttpResponse
from tests.accounts import KORE_V2
from tests.scripted_transport import response

STATUS = ApiRequest(Action.STATUS, "spring-sale", "sms")


def reported(*responses: bytes | HttpResponse, about: ApiRequest = STATUS) -> list[dict[str, Any]]:
    """Return what a report says of responses, or of these bodies."""
    answers = [response(body=each) if isinstance(each, bytes) else each for each in responses]
    exchanges = [(about, HttpRequest("GET", "/spring-sale"), each, 0.0) for each in answers]
    described: list[dict[str, Any]] = check_report(KORE_V2, {}, exchanges)["exchanges"]
    return described


def test_an_id_or_name_is_the_same_wherever_it_stands() -> None:
    rows = {"data": {"results": [{"id": "autumn", "name": "Sale"}, {"id": "spring-sale", "name": "Sale"}]}}
    [listed] = reported(json.dumps(rows).encode())
    assert listed["campaign"] == "campaign-1"
    assert listed["json"]["data"]["results"] == [
        {"id": "campaign-2", "name": "name-1"},
        {"id": "campaign-1", "name": "name-1"},
    ]
    [unknown] = reported(b"", about=ApiRequest(Action.STATUS, UNKNOWN_ID))
    assert unknown["campaign"] == UNKNOWN_ID


@pytest.mark.parametrize(
    ("field", "kept"),
    [
        ({"status": "stopped"}, {"status": "stopped"}),
        ({"status": "Ann Smith"}, {"status": "text-1"}),
        ({"message": "call +4915112345678"}, {"message": "text-1"}),
        ({"totalResults": 1200}, {"totalResults": 1200}),
        ({"totalResults": 4915112345678}, {"totalResults": 0}),
        ({"priority": 5, "id": 7, "code": 4001}, {"priority": 5, "id": "campaign-2", "code": "code-1"}),
        ({"limit": 0.4915112345678}, {"limit": 0}),
        ({"updatedAt": "2026-03-02T18:00:00.000Z"}, {"updatedAt": "2026-03-02T18:00:00.000Z"}),
        ({"updatedAt": "yesterday"}, {"updatedAt": "text-1"}),
        ({"timezone": "Asia/Kolkata", "start": "9:00 AM"}, {"timezone": "Asia/Kolkata", "start": "9:00 AM"}),
        ({"timezone": "Ann", "start": "+4915112345678"}, {"timezone": "text-1", "start": "text-2"}),
        ({"+4915112345678": 1, "ann@example.com": {"status": "Active"}}, {}),
        ({"hasMore": True, "data": None, "results": [[[]]]}, {"hasMore": True, "data": None, "results": [[[]]]}),
    ],
    ids=range(13),
)
def test_of_a_document_what_is_documented_is_kept(field: dict[str, Any], kept: dict[str, Any]) -> None:
    assert reported(json.dumps(field).encode())[0]["json"] == kept


KEPT = {
    "Content-Type": ["application/json; charset=utf-8"],
    "Date": ["Sat, 21 Nov 2026 21:34:48 GMT"],
    "Retry-After": ["30"],
}
DATES = ("Fri, 31 Dec 9999 23:59:59 -1400", "Fri, 31 Dec 99999999999999999999 23:59:59 GMT", "Ann")
LEFT_OUT = {
    "Content-Type": ["application/ann+json"],
    "Date": [*DATES, "Sat, 21 Nov 2026 21:34:48 GMT (Ann)"],
    "Retry-After": ["4915112345678"],
    "Server": ["nginx"],
    "X-Generated-By": ["Ann"],
}


def test_of_the_headers_what_is_documented_is_kept() -> None:
    for headers, is_kept in ((KEPT, True), (LEFT_OUT, False)):
        for name, value in ((name, value) for name, values in headers.items() for value in values):
            [exchange] = reported(HttpResponse(200, {name: value}, b"{}"))
            assert exchange["headers"] == ({name.lower(): value} if is_kept else {})


def test_of_a_body_that_is_no_json_object_its_length_is_kept() -> None:
    pages = reported(b" <p>+4915112345678</p>", b'["+4915112345678"]', b"")
    texts = ["(22 bytes that are no JSON object)", "(18 bytes that are no JSON object)", ""]
    assert [page["text"] for page in pages] == texts
