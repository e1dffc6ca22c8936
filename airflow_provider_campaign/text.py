"""Texts and documents from outside, cleaned where they enter: what is inside can be logged, stored, and sent."""

from __future__ import annotations

import base64
import html
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any
from urllib.parse import unquote

MAX_TEXT_LENGTH = 4096  # characters of a text in a document; a text message has 1,600 at the most
MAX_LINE_LENGTH = 300  # characters of a name, a status, or a quotation; a database's column for names usually has 255
MAX_SHOWN = 200  # characters of a value that an error shows
MAX_DEPTH = 20  # levels of a document; documented ones have eight, and Airflow fails at some hundreds

INTEGERS = range(-(2**63), 2**63)  # those of 64 bits; another one is kept as text, as it may be an id

MAX_DOCUMENT_BYTES = 32 * 1024
"""Bytes of a campaign's ``raw`` as JSON: on MySQL, Airflow keeps a trigger's arguments, encrypted, in 64 KiB."""

MIN_SECRET_LENGTH = 8  # characters of a secret that is masked wherever it stands; a shorter one may be part of any word
MAX_ENCODINGS = 3  # how often a text is decoded in search of a secret: a URL in JSON within JSON, for example

MASK, CUT, REPLACEMENT = "***", "…", "\ufffd"

_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of surrogate pairs: PostgreSQL refuses NUL, a half ends the triggerer's process."""

_TOKEN = re.compile(r"(?<![\w-])((?:(?!eyJ)[\w-])*+)eyJ[\w-]{9,}+\.[\w.-]*+")
"""A JSON Web Token: its header is a JSON object, ``{"`` in base64 is ``eyJ``, and a dot follows. In linear time."""

_CODE_POINT = re.compile(r"\\u([0-9a-fA-F]{4})")
_URL_SAFE = str.maketrans("+/", "-_")


def clean(value: Any, secrets: Iterable[str] = ()) -> Any:
    """
    Return a JSON value from outside as logs, XCom, and every database can take it.

    Tokens are masked, and secrets, in all of the usual encodings. What can't be stored is replaced by U+FFFD, never
    removed, so that no text turns into another that means something; an entry whose key would change is dropped.
    """
    clean_text = cache(partial(_clean_text, hidden=_forms(secrets)))  # the same words stand in row after row
    return _cleaned(value, clean_text, MAX_DEPTH)


def parse_json(body: bytes, secrets: Iterable[str] = ()) -> Mapping[str, Any] | None:
    """
    Return the JSON object of a response's body, cleaned; None if the body is anything else.

    A byte that is not UTF-8 and a bare control character harm the text that they are in, and nothing else.
    """
    try:
        document = json.loads(body.decode(json.detect_encoding(body), "replace"), strict=False)
    except (ValueError, RecursionError):
        return None
    return clean(document, secrets) if isinstance(document, dict) else None


def sanitize(text: object, secrets: Iterable[str], max_length: int = MAX_LINE_LENGTH) -> str | None:
    """Return a text as a message may quote it: one line, not long, without tokens or secrets, even short ones."""
    if text is None or isinstance(text, Mapping | list):
        return None
    secrets = [secret for secret in secrets if secret]
    cleaned: str = clean(str(text), secrets)
    for secret in secrets:
        cleaned = cleaned.replace(secret, MASK)
    return one_line(cleaned, max_length) or None


def one_line(text: str, max_length: int = MAX_LINE_LENGTH) -> str:
    """Return a text as one printable line: it forges no line of a log, and steers no terminal."""
    return _cut(" ".join(_visible(text).split()), max_length)


def shown(value: object) -> str:
    """Return an argument's or a field's value as an error shows it: as Python writes it, and not long."""
    return _cut(repr(value), MAX_SHOWN)


def fitted(value: Any, max_bytes: int = MAX_DOCUMENT_BYTES) -> Any:
    """Return a document that has at most this number of bytes as JSON; if it has more, without its largest parts."""
    if _size(value) <= max_bytes:
        return value
    if not isinstance(value, Mapping):
        return CUT
    kept: dict[str, Any] = {}
    room = max_bytes - len("{}")
    for key, item in sorted(value.items(), key=lambda entry: _size(entry[1])):
        room_for_item = room - _size(key) - len(": , ")
        if room_for_item >= _size(CUT):
            kept[key] = fitted(item, room_for_item)
            room = room_for_item - _size(kept[key])
    return kept


def _size(value: Any) -> int:
    return len(json.dumps(value))


def _cleaned(value: Any, clean_text: Callable[[str], str], levels: int) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping | list) and not levels:
        return CUT
    if isinstance(value, list):
        return [_cleaned(item, clean_text, levels - 1) for item in value]
    if isinstance(value, Mapping):
        kept = (key for key in value if len(key) <= MAX_LINE_LENGTH and key == clean_text(key))
        return {key: _cleaned(value[key], clean_text, levels - 1) for key in kept}
    if isinstance(value, int) and value not in INTEGERS:
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _clean_text(text: str, hidden: Sequence[str]) -> str:
    """Return a text masked and storable. It is cut before it is searched; what the cut may have divided goes, too."""
    margin = 6 * len(hidden[0]) if hidden else 0
    beginning = text[: MAX_TEXT_LENGTH + margin]
    visible = _visible(beginning)
    masked = _masked(visible, hidden)
    cleaned = _UNSTORABLE.sub(REPLACEMENT, beginning if masked == visible else masked)
    if len(text) > len(beginning):
        cleaned = cleaned[: max(0, len(cleaned) - margin)] + CUT
    return _cut(cleaned, MAX_TEXT_LENGTH)


def _visible(text: str) -> str:
    """Return a text without invisible characters, which may stand between those of a secret."""
    return text if text.isprintable() else "".join(mark for mark in text if mark.isprintable() or mark.isspace())


def _cut(text: str, max_length: int) -> str:
    return text if len(text) <= max_length else text[: max_length - len(CUT)] + CUT


def _masked(text: str, hidden: Sequence[str]) -> str:
    """Return a text without secrets and tokens; one that holds a secret in another encoding is masked whole."""
    if "eyJ" in text:
        text = _TOKEN.sub(rf"\1{MASK}", text)
    for secret in hidden:
        while secret in text:
            text = text.replace(secret, MASK)
    return MASK if hidden and _encodes(text, hidden) else text


def _encodes(text: str, hidden: Sequence[str]) -> bool:
    """Return whether a text holds a secret as it stands in URLs, forms, HTML, or JSON within JSON."""
    forms = {text, text.replace("+", " ")} if any(mark in text for mark in "\\%&+") else set()
    for _ in range(MAX_ENCODINGS):
        forms = {_decoded(form) for form in forms} - forms
        if any(secret in form for form in forms for secret in hidden):
            return True
    return False


def _decoded(text: str) -> str:
    text = text.replace("\\/", "/").replace('\\"', '"').replace("\\\\", "\\")
    text = _CODE_POINT.sub(lambda code: chr(int(code[1], 16)), text)
    return _visible(html.unescape(unquote(text)))


def _forms(secrets: Iterable[str]) -> list[str]:
    """Return what to look for, the longest first: each line of a secret, and its base64 wherever that begins."""
    lines = [line for secret in secrets for line in secret.splitlines() if len(line) >= MIN_SECRET_LENGTH]
    forms = [_base64(line, offset) for line in lines for offset in range(3)]
    return sorted({*lines, *forms, *(form.translate(_URL_SAFE) for form in forms)}, key=len, reverse=True)


def _base64(secret: str, offset: int) -> str:
    """Return the base64 of a secret that stands after others' bytes, without what depends on its neighbors."""
    data = bytes(offset) + secret.encode(errors="surrogatepass")
    return base64.b64encode(data)[math.ceil(offset * 4 / 3) : len(data) * 4 // 3].decode()
