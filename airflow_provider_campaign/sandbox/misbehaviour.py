"""What each kind of fault does to a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from airflow_provider_campaign.sandbox.answers import (
    BAD_GATEWAY_PAGE,
    Answer,
    Platform,
    Refusal,
    html_answer,
    json_answer,
)
from airflow_provider_campaign.sandbox.faults import Fault
from airflow_provider_campaign.sandbox.kore import RATE_LIMIT_TEXT
from airflow_provider_campaign.sandbox.wire import Wire

REFUSALS = {
    "unauthorized": (401, "Unauthorized"),
    "forbidden": (403, "Forbidden"),
    "conflict": (409, "The campaign's state prevents this"),
    "bad_request": (400, "Bad request"),
    "not_found": (404, "Not found"),
}
SIGN_IN_PAGE = "<!doctype html>\n<title>Sign in</title>\n<h1>Sign in to continue</h1>\n"


def false_answer(fault: Fault, platform: Platform) -> Answer | None:
    """
    Return what a fault puts in the place of the platform's answer, None for faults that need the connection.

    :param fault: the fault
    :param platform: whose form a refusal takes
    """
    options = fault.options
    if fault.kind in REFUSALS:
        status, message = REFUSALS[fault.kind]
        return platform.refuse(Refusal(status, message, fault.kind.upper()))
    makers: dict[str, Callable[[], Answer]] = {
        "rate_limit": lambda: platform.refuse(platform.rate_limited(options["retry_after"])),
        "rate_limit_text": lambda: Answer(400, RATE_LIMIT_TEXT.encode(), "text/plain; charset=utf-8"),
        "error": lambda: _error(platform, options),
        "html": lambda: html_answer(options["status"], BAD_GATEWAY_PAGE),
        "html_ok": lambda: html_answer(200, SIGN_IN_PAGE),
        "broken_json": lambda: Answer(200, b'{"status": "Stopped", "mess'),
        "empty": lambda: Answer(200),
        "failure": lambda: platform.failure(options["message"]),
        "wrong_shape": lambda: json_answer(200, options["body"]),
        "redirect": lambda: Answer(options["status"], headers={"Location": options["location"]}),
    }
    maker = makers.get(fault.kind)
    return None if maker is None else maker()


def _error(platform: Platform, options: dict[str, Any]) -> Answer:
    if not options["json"]:
        return Answer(options["status"], content_type=None)
    return platform.refuse(Refusal(options["status"], "Internal error", "INTERNAL_ERROR"))


def damaged_answer(fault: Fault, answer: Answer, platform: Platform) -> Answer | None:
    """
    Return what is left of the answer to a call that was done, None when it is nothing at all.

    :param fault: a fault of the kind `lost`
    :param answer: the platform's answer
    :param platform: whose form an error takes
    """
    damages: dict[str, Callable[[], Answer]] = {
        "error": lambda: platform.refuse(Refusal(502, "Bad gateway", "BAD_GATEWAY")),
        "broken_json": lambda: Answer(answer.status, answer.body[: len(answer.body) // 2]),
        "empty": lambda: Answer(answer.status),
    }
    damage = damages.get(fault.options["how"])
    return None if damage is None else damage()


async def misbehave(kind: str, options: dict[str, Any], wire: Wire) -> None:
    """
    Do to the connection what a fault says.

    :param kind: the kind of fault
    :param options: its options
    :param wire: the connection
    """
    deeds: dict[str, Callable[[], Awaitable[None]]] = {
        "reset": wire.reset,
        "hang": lambda: wire.hang(options.get("seconds")),
        "dribble": lambda: wire.dribble(options["interval"]),
        "dribble_headers": lambda: wire.dribble_headers(options["interval"]),
        "huge": lambda: wire.huge(options["size"], options["chunked"]),
    }
    await deeds[kind]()
