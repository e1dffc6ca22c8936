"""Reading a response's body, and quoting what a platform says."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from airflow_provider_campaign.client.response import parse_json, sanitize
from airflow_provider_campaign.text import MAX_LINE_LENGTH
from tests.scripted_transport import response

SECRET = "a-secret-of-some-length"


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"Stopped"', b"{'a': 1}", b"[" * 100_000, b"1" * 10_000, b"\xff\xfe"],
    ids=range(8),
)
def test_what_is_no_json_object_counts_as_nothing(body: bytes) -> None:
    assert parse_json(response(body=body)) is None


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b'{"a": NaN, "b": -Infinity, "c": 1e999, "d": 1.5}', {"a": None, "b": None, "c": None, "d": 1.5}),
        (b'{"a": 9223372036854775807, "b": -9223372036854775808}', {"a": 2**63 - 1, "b": -(2**63)}),
        (b'{"a": 9223372036854775808, "b": 99999999999999999999}', {"a": str(2**63), "b": "9" * 20}),
        (b'{"a": ' + b"9" * 5000 + b"}", {"a": "9" * 4095 + "…"}),
        (b'{"a": "caf\xe9", "b": "x"}', {"a": "caf\ufffd", "b": "x"}),
        (b'{"a": "two\nlines\x00"}', {"a": "two\nlines\ufffd"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": "half of it: \\ud83d", "b": "\\ud83d\\ude00"}', {"a": "half of it: \ufffd", "b": "😀"}),
    ],
    ids=range(8),
)
def test_what_one_field_holds_that_can_not_be_kept_hides_no_other(body: bytes, document: dict[str, Any]) -> None:
    assert parse_json(response(body=body)) == document


def test_a_secret_is_masked_wherever_it_stands_in_a_document() -> None:
    token = jwt.encode({"appId": "cs-1"}, "k" * 64)
    document = {"a": f"x{SECRET}y", "b": [{"c": f"Bearer {token}"}], "d": 7, "e": None}
    assert parse_json(response(document), [SECRET]) == {"a": "x***y", "b": [{"c": "Bearer ***"}], "d": 7, "e": None}


def test_a_secret_too_short_to_be_told_from_a_word_is_left_in_a_document_but_not_in_a_message() -> None:
    assert parse_json(response({"status": "Stopped"}), ["Stop"]) == {"status": "Stopped"}
    assert sanitize("Stopped", ["Stop"]) == "***ped"


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        (None, None),
        ({"a": 1}, None),
        ([1], None),
        ("", None),
        (" \n ", None),
        (7, "7"),
        ("two\nlines\tand a \x07bell", "two lines and a \ufffdbell"),
        (f"key={SECRET}", "key=***"),
    ],
)
def test_a_text_is_quoted_as_one_line_without_secrets(text: object, quoted: str | None) -> None:
    assert sanitize(text, [SECRET]) == quoted


def test_a_long_text_is_cut() -> None:
    quoted = sanitize("x" * 10_000, [])
    assert quoted == "x" * (MAX_LINE_LENGTH - 1) + "…"


def test_a_response_shows_no_body_where_it_is_logged() -> None:
    assert "evening" not in repr(response(body=b'{"name": "evening"}'))
