"""A platform call and its answer, as plain data: what the gateway and the platforms hand each other."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote

from airflow_provider_campaign.sandbox.faults import Fault
from airflow_provider_campaign.sandbox.requestlog import ReceivedRequest

NOT_FOUND_PAGE = (
    "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n"
    "<center><h1>404 Not Found</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
BAD_GATEWAY_PAGE = NOT_FOUND_PAGE.replace("404 Not Found", "502 Bad Gateway")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes = b""
    content_type: str | None = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(status: int, document: Any, headers: dict[str, str] | None = None) -> Answer:
    """
    Return an answer with a JSON body.

    :param status: HTTP status
    :param document: what the body says
    :param headers: further headers
    """
    return Answer(status, json.dumps(document, ensure_ascii=False).encode(), headers=headers or {})


def html_answer(status: int, page: str) -> Answer:
    """
    Return an answer as a gateway in front of the platform would give it.

    :param status: HTTP status
    :param page: the HTML
    """
    return Answer(status, page.encode(), "text/html")


@dataclass(frozen=True)
class Endpoint:
    """One row of a platform's endpoint table; `trigger` stands for `stop` and `start`, which share a path."""

    platform: str
    call: str
    method: str
    path: str
    campaign_type: str | None = None

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """
        Return the values of the path's parameters, None when this row is not meant.

        :param method: HTTP method
        :param path: the path as it was sent, percent-encoded
        """
        expected, given = self.path.split("/"), path.split("/")
        if method != self.method or len(expected) != len(given):
            return None
        values: dict[str, str] = {}
        for want, got in zip(expected, given, strict=True):
            if want.startswith("{") and got:
                values[want[1:-1]] = unquote(got)
            elif want != got:
                return None
        return values


@dataclass(frozen=True)
class PlatformCall:
    """
    A request that met a row of an endpoint table.

    :param list_fault: the fault that alters the answer to a list call
    """

    platform: str
    call: str | None
    parameters: dict[str, str]
    query: dict[str, str]
    list_fault: Fault | None = None

    @property
    def campaign_id(self) -> str | None:
        """The campaign that the path names."""
        return self.parameters.get("campaign_id")


def parse_query(query: str) -> dict[str, str]:
    """
    Return the parameters of a query string; of a repeated one the last value.

    :param query: the query string as it was sent
    """
    return {key: values[-1] for key, values in parse_qs(query, keep_blank_values=True).items()}


class Refusal(Exception):
    """
    A platform's reason not to do what was asked.

    :param status: HTTP status
    :param message: what the platform says
    :param code: the platform's error code
    :param retry_after: seconds for a `Retry-After` header
    """

    def __init__(self, status: int, message: str, code: str | int, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = {} if retry_after is None else {"Retry-After": retry_after}


class Platform(Protocol):
    """What the gateway needs of a platform."""

    def route(self, method: str, path: str, query: dict[str, str]) -> PlatformCall | None:
        """Return which call a request is, None when the platform has no such path."""

    def claims(self, headers: dict[str, str]) -> dict[str, Any] | None:
        """Return the claims of the request's token when it verifies."""

    def campaign_type(self, call: PlatformCall, body: bytes) -> str | None:
        """Return the campaign type that a request names or implies."""

    def perform(self, call: PlatformCall, request: ReceivedRequest) -> Answer:
        """Do what was asked, and return the answer."""

    def refuse(self, refusal: Refusal) -> Answer:
        """Return a refusal in the platform's form."""

    def failure(self, message: str) -> Answer:
        """Return HTTP 200 with a body that says that the call failed."""

    def rate_limited(self, retry_after: str | None) -> Refusal:
        """Return the refusal of a request that is one too many."""
