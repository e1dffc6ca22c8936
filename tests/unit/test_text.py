"""Texts and documents from outside: whatever they hold, what is kept of them can be shown, stored and sent."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from typing import Any
from urllib.parse import quote, quote_plus

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_campaign.platforms.base import InvalidResponseError
from airflow_provider_campaign.platforms.reading import optional_text, optional_word
from airflow_provider_campaign.text import (
    MAX_DEPTH,
    MAX_DOCUMENT_BYTES,
    MAX_LINE_LENGTH,
    MAX_TEXT_LENGTH,
    clean,
    fitted,
    one_line,
    parse_json,
    sanitize,
)
from tests.profiles import examples

SECRET = "sk_live_a+secret/with\"marks\"&'quotes'<ü>"
SPACED = "a secret of several words, 100 % + a bit"
PEM_LINE = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+/ab"
PEM = f"-----BEGIN PRIVATE KEY-----\n{PEM_LINE}\n{PEM_LINE}\n-----END PRIVATE KEY-----"
SECRETS = [SECRET, SPACED, PEM]
UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def in_base64(secret: str, before: int = 0) -> str:
    return base64.b64encode(b"x" * before + secret.encode() + b":x").decode()


ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a URL": lambda secret: quote(secret, safe=""),
    "in a URL in lower case": lambda secret: re.sub("%..", lambda code: code[0].lower(), quote(secret, safe="")),
    "in a URL in a URL": lambda secret: quote(quote(secret)),
    "in a form": quote_plus,
    "byte by byte": lambda secret: "".join(f"%{byte:02X}" for byte in secret.encode()),
    "in JSON": lambda secret: json.dumps(secret),
    "in JSON, character by character": lambda secret: "".join(f"\\u{ord(mark):04x}" for mark in secret),
    "in JavaScript": lambda secret: json.dumps(secret).replace("/", "\\/"),
    "in HTML": html.escape,
    "in base64": in_base64,
    "in base64 after one byte": lambda secret: in_base64(secret, 1),
    "in base64 after two bytes": lambda secret: in_base64(secret, 2),
    "in base64 for URLs": lambda secret: in_base64(secret, 1).translate(str.maketrans("+/", "-_")),
    "among invisible characters": lambda secret: "\u200b".join(secret),
    "among halves of emojis": lambda secret: "\ud83d".join(secret),
}
FORMS = [encode(secret) for encode in ENCODINGS.values() for secret in (SECRET, SPACED, PEM_LINE)]
TOKEN = jwt.encode({"appId": "cs-1"}, "k" * 64)

# Documents: texts of any characters, some that are too long, some that give something away.
marks = st.text(st.characters(), max_size=20)
leaks = st.sampled_from(FORMS)
parts = marks | leaks | st.sampled_from(["eyJ", "\\", "%", "&amp;"])
texts = (
    marks
    | st.builds("{}{}{}".format, marks, leaks | st.sampled_from([TOKEN, PEM]), marks)
    | st.builds(lambda part, times: part * times, parts, st.integers(0, 999))
)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | texts
keys = st.sampled_from(["status", "status\x00", "\ud83dstatus", "name", "id"]) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)
documents = st.dictionaries(keys, values, max_size=6)


def texts_in(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield all texts of a document, keys too; check that nothing in it is too deep or too large."""
    assert depth <= MAX_DEPTH
    if isinstance(value, dict):
        for key, item in value.items():
            assert len(key) <= MAX_LINE_LENGTH
            yield key
            yield from texts_in(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item, depth + 1)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int):
        assert -(2**63) <= value < 2**63


def check_harmless(text: str) -> None:
    """Check that a text can be kept, and gives away no secret in any form."""
    assert len(text) <= MAX_TEXT_LENGTH
    assert not UNSTORABLE.search(text)
    text.encode()
    visible = "".join(mark for mark in text if mark.isprintable() or mark.isspace())
    for form in (TOKEN, *PEM.split("\n"), *FORMS):
        assert form not in text
        assert form not in visible


def check_line(text: str) -> None:
    assert 0 < len(text) <= MAX_LINE_LENGTH
    assert text.isprintable()
    assert one_line(text) == text
    check_harmless(text)


@examples(full=1000, brief=100, exhaustive=3000)
@given(documents)
@example({"status": "Active", "status\x00": "Stopped", "\ud83dstatus": "Stopped"})
@example({"eyJ" * 30_000: ["eyJ" * 30_000]})
@example({"a": [[[[[[[[[[[[[[[[[[[[[[["deep"]]]]]]]]]]]]]]]]]]]]]]]})
@example({"a": "x" * 4090 + SECRET, "b": " " * 4090 + quote(SECRET), "c": "x" * 4090 + PEM})
def test_whatever_a_platform_says_can_be_logged_stored_and_sent(document: dict[str, Any]) -> None:
    cleaned = parse_json(json.dumps(document).encode(), SECRETS)
    assert cleaned is not None
    assert json.loads(json.dumps(cleaned, allow_nan=False)) == cleaned
    for text in texts_in(cleaned):
        check_harmless(text)
    assert clean(cleaned, SECRETS) == cleaned
    assert {key: cleaned[key] for key in cleaned if key not in document} == {}
    kept = fitted(cleaned)
    assert len(json.dumps(kept)) <= MAX_DOCUMENT_BYTES
    for shown in (optional_text(cleaned, key) for key in cleaned):
        if shown is not None:
            check_line(shown)


@examples(full=500, brief=100, exhaustive=1500)
@given(texts | scalars)
@example("c\x001")
@example(2**64)
@example(1e20)
@example(SECRET * 200)
def test_a_text_is_quoted_as_one_harmless_line_and_sent_back_as_it_was_or_not_at_all(value: Any) -> None:
    shown = sanitize(value, SECRETS)
    if shown is not None:
        check_line(shown)
        assert sanitize(shown, SECRETS) == shown
    document = parse_json(json.dumps({"id": value}).encode(), SECRETS)
    assert document is not None
    with suppress(InvalidResponseError):
        word = optional_word(document, "id")
        assert word is None or (word == str(value) and isinstance(value, str | int))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("part", ["eyJ", "eyJ.", "%41", "&amp;", "\\u0041", "+", "\ud83d", SECRET[:-1]])
def test_a_text_of_megabytes_is_read_in_time(part: str) -> None:
    """Something quadratic would take hours."""
    text = part * (2_000_000 // len(part))
    document = parse_json(json.dumps({"a": text, "b": [part * 100] * 1000}).encode(), SECRETS)
    assert document is not None
    assert len(document["a"]) <= MAX_TEXT_LENGTH
    assert len(sanitize(text, SECRETS) or "") <= MAX_LINE_LENGTH


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_secret_is_masked_in_every_encoding(name: str) -> None:
    form = ENCODINGS[name](SECRET)
    document = parse_json(json.dumps({"a": f"before {form} after", form: 1, "b": [{"c": form}]}).encode(), SECRETS)
    assert document is not None
    assert form not in document
    for text in texts_in(document):
        check_harmless(text)
    assert "***" in document["a"]


@pytest.mark.parametrize("length", range(4040, 4100, 7))
def test_no_part_of_a_secret_is_left_where_a_text_is_cut(length: int) -> None:
    beginnings = ("x" * length, " " * length, "x" * (length % 50) + SECRET * 200)  # masking shortens the last one
    for beginning, secret in product(beginnings, (SECRET, quote(SECRET))):
        text = clean({"a": beginning + secret + "y" * 100_000}, SECRETS)["a"]
        assert not any(secret[:size] in text for size in range(8, len(secret)))
        assert SECRET[:8] not in (sanitize(beginning + secret + "y" * 100_000, SECRETS) or "")


@pytest.mark.parametrize(
    ("text", "secrets", "kept"),
    [
        (f"Bearer {TOKEN}", [], "Bearer ***"),
        (f"x{TOKEN}y.z, and {TOKEN.partition('.')[0]}.", [], "x***, and ***"),
        (f"heyJoe.eyJ.{TOKEN}", [], "heyJoe.eyJ.***"),
        ("eyJhbGciOiJub25lIn0.e30.", [], "***"),
        ("eyJ2.a eyJabcdefgh.a eyJabcdefghi.a", [], "eyJ2.a eyJabcdefgh.a ***"),
        ("heyJude.v2 eyJ eyJ.. eyJhbGciOiJub25lIn0", [], "heyJude.v2 eyJ eyJ.. eyJhbGciOiJub25lIn0"),
        ("***aaaaaaaaaa", ["***aaaaa"], "***"),  # a secret that the mask itself completes
        (f"line 2 is {PEM_LINE}, {PEM_LINE}", [PEM], "line 2 is ***, ***"),
        ("eight: secret-8, seven: secret7", ["secret-8", "secret7"], "eight: ***, seven: secret7"),
    ],
)
def test_tokens_and_secrets_are_masked_and_what_looks_like_one_is_not(text: str, secrets: list[str], kept: str) -> None:
    assert clean(text, secrets) == kept


def test_a_document_that_is_too_large_loses_its_largest_parts() -> None:
    hours = {"frequency": "DAILY", "start": "9:00 AM"}
    data = {"contactLists": [{"id": "cl-1"}] * 10_000, "hours": hours, "description": "x" * 4000, "id": "c-1"}
    kept = fitted({"data": data, "status": "success"})
    assert kept == {"status": "success", "data": {**data, "contactLists": "…"}}
    many = {f"key-{number}": {"a": "x" * number} for number in range(2000)}
    assert MAX_DOCUMENT_BYTES * 0.9 < len(json.dumps(fitted(many))) <= MAX_DOCUMENT_BYTES
    assert fitted({"a": "é" * 10_000}) == {"a": "…"}


def test_small_documents_are_kept_as_they_are() -> None:
    looks_encoded = "50 % off & more: a\\b, c+d, &lt;5, eyJ \n second line 👩\u200d💻"
    document = {"a": [1, -1.5, True, None, "two\r\nlines\t", looks_encoded], "b": {"c": "ü 😀 \u202e \u00a0"}}
    assert clean(document, SECRETS) == document
    assert fitted(document) is document


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Promo\n18:00:00 INFO Campaign c-2 is Stopped", "Promo 18:00:00 INFO Campaign c-2 is Stopped"),
        ("\x1b[2J\x9b1mred\x07", "\ufffd[2J\ufffd1mred\ufffd"),
        ("sms\u202eecilop", "smsecilop"),
        ("half \ud83d", "half \ufffd"),
        ("  two\u00a0 words\u2028 ", "two words"),
        ("x" * 1_000_000, "x" * 299 + "…"),
        (f"key={SECRET}", "key=***"),
        (7, "7"),
        *((nothing, None) for nothing in ("\u200b", None, {"a": 1}, [1], "", " \n ")),
    ],
    ids=range(14),
)
def test_a_text_is_quoted_as_one_line_that_steers_nothing(text: object, quoted: str | None) -> None:
    assert sanitize(text, SECRETS) == quoted
    if isinstance(text, str) and text != f"key={SECRET}":
        assert optional_text(clean({"name": text}), "name") == quoted


@pytest.mark.parametrize(
    ("body", "document"),
    [
        *((body, None) for body in (b"", b"null", b"[]", b'"Stopped"', b"{'a': 1}", b"[" * 100_000, b"\xff\xfe")),
        (b'{"a": ' + b"9" * 5000 + b"}", None),
        (b'{"a": NaN, "b": -Infinity, "c": 1e999, "d": 1.5}', {"a": None, "b": None, "c": None, "d": 1.5}),
        (b'{"a": 9223372036854775807, "b": -9223372036854775808}', {"a": 2**63 - 1, "b": -(2**63)}),
        (b'{"a": 9223372036854775808, "b": 99999999999999999999}', {"a": str(2**63), "b": "9" * 20}),
        (b'{"a": "caf\xe9", "b": "x"}', {"a": "caf\ufffd", "b": "x"}),
        (b'{"a": "two\nlines\x00"}', {"a": "two\nlines\ufffd"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": "half of it: \\ud83d", "b": "\\ud83d\\ude00"}', {"a": "half of it: \ufffd", "b": "😀"}),
    ],
    ids=range(15),
)
def test_one_field_that_can_not_be_kept_hides_no_other(body: bytes, document: dict[str, Any] | None) -> None:
    assert parse_json(body) == document


def test_a_secret_as_short_as_a_word_is_masked_in_messages_only() -> None:
    assert parse_json(b'{"status": "Stopped"}', ["Stop"]) == {"status": "Stopped"}
    assert sanitize("Stopped", ["Stop"]) == "***ped"
