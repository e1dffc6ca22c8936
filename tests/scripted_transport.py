"""A transport without sockets: a test says what comes back, and sees what was sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from requests.structures import CaseInsensitiveDict

from airflow_provider_campaign.client.transport import Transport
from airflow_provider_campaign.platforms.base import HttpRequest, HttpResponse


@dataclass(frozen=True)
class SentRequest:
    """A request as it was handed to the transport, and the seconds that its response might have taken."""

    http: HttpRequest
    headers: Mapping[str, str]
    seconds: float

    @property
    def action(self) -> str:
        """What it asks for, by its method and path; ``status`` for every request that reads one campaign."""
        path, _, query = self.http.path.partition("?")
        last = path.rpartition("/")[2]
        if self.http.method == "DELETE":
            return "delete"
        if last in ("campaigns", "getAllCampaignDetails"):
            return "list"
        if "trigger=" in query:
            return "stop" if "trigger=stop" in query else "start"
        return last if last in ("stop", "start") else "status"


Step = HttpResponse | Exception
Respond = Callable[[SentRequest], Step]


class ScriptedTransport(Transport):
    """Give or raise one response after the other, and expect no further request; or what a function makes of each."""

    base_url = "https://platform.test"

    def __init__(self, script: Iterable[Step] | Respond) -> None:
        super().__init__(self.base_url)
        self.requests: list[SentRequest] = []
        self._respond = script if callable(script) else _one_by_one(iter(script))

    @property
    def actions(self) -> list[str]:
        return [request.action for request in self.requests]

    def send_request(self, request: HttpRequest, sign: Callable[[], Mapping[str, str]], seconds: float) -> HttpResponse:
        sent = SentRequest(request, dict(sign()), seconds)
        self.requests.append(sent)
        step = self._respond(sent)
        if isinstance(step, Exception):
            raise type(step)(*step.args)  # a new one: an error that is raised twice is its own context
        return step


def _one_by_one(steps: Iterator[Step]) -> Respond:
    def respond(sent: SentRequest) -> Step:
        step = next(steps, None)
        assert step is not None, f"the script ends before {sent.http}"
        return step

    return respond


def response(document: Any = None, status: int = 200, *, body: bytes | None = None, **headers: str) -> HttpResponse:
    """Return a response of a JSON document, or of a body; the names of headers have ``_`` for ``-``."""
    named = CaseInsensitiveDict({name.replace("_", "-"): value for name, value in headers.items()})
    return HttpResponse(status, named, json.dumps(document).encode() if body is None else body)
