"""Which platform a request is for, and which row of its endpoint table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote

from airflow_provider_campaign.sandbox.faults import Fault
from airflow_provider_campaign.sandbox.request_log import ReceivedRequest
from airflow_provider_campaign.sandbox.responses import ApiError, HttpResponse


@dataclass(frozen=True)
class Endpoint:
    """
    One row of a platform's endpoint table.

    :param action: What the API does there; ``trigger`` stands for ``stop`` and ``start``, which share a path.
    :param path: A template such as ``/v1/{name}``; a parameter takes one segment.
    :param campaign_type: The only type that is accepted there; None for any.
    """

    platform: str
    action: str
    method: str
    path: str
    campaign_type: str | None = None

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """
        Return the path parameters, None if the request is for another endpoint.

        :param path: The path as it was sent, percent-encoded.
        """
        expected, given = self.path.split("/"), path.split("/")
        if method != self.method or len(expected) != len(given):
            return None
        parameters: dict[str, str] = {}
        for template, segment in zip(expected, given, strict=True):
            if template.startswith("{") and segment:
                parameters[template[1:-1]] = unquote(segment)
            elif template != segment:
                return None
        return parameters


@dataclass(frozen=True)
class RouteMatch:
    """
    A request that matched an endpoint.

    :param action: What is asked for; None if the query does not say.
    :param parameters: Path parameters.
    :param query: Query parameters.
    :param list_fault: The fault that alters the response to a list request.
    """

    platform: str
    action: str | None
    parameters: dict[str, str]
    query: dict[str, str]
    list_fault: Fault | None = None

    @property
    def contradiction(self) -> str | None:
        """One of ``CONTRADICTIONS`` if the response to a list request shall contradict itself, else None."""
        return None if self.list_fault is None else self.list_fault.options.get("how")

    @property
    def campaign_id(self) -> str | None:
        """The campaign in the path."""
        return self.parameters.get("campaign_id")


class Platform(Protocol):
    """What the gateway needs of a platform."""

    def route(self, method: str, path: str, query: dict[str, str]) -> RouteMatch | None:
        """
        Return the endpoint that a request is for, None if the platform has none at that path.

        :param path: The path as it was sent, percent-encoded.
        """

    def claims(self, headers: dict[str, str]) -> dict[str, Any] | None:
        """Return the claims of the request's token, None if there is no valid one."""

    def campaign_type(self, match: RouteMatch, body: bytes) -> str | None:
        """Return the campaign type that a request names or implies."""

    def handle(self, match: RouteMatch, request: ReceivedRequest) -> HttpResponse:
        """Execute a request and return the response."""

    def error_response(self, error: ApiError) -> HttpResponse:
        """Return an error in the platform's format."""

    def failure_response(self, message: str) -> HttpResponse:
        """Return HTTP 200 with a body that reports a failure."""

    def rate_limit_error(self, retry_after: str | None) -> ApiError:
        """
        Return the error of a request past the rate limit.

        :param retry_after: Value of the ``Retry-After`` header; None sends none.
        """


def parse_query(query: str) -> dict[str, str]:
    """Return the parameters of a query string, of a repeated one the last value."""
    return {key: values[-1] for key, values in parse_qs(query, keep_blank_values=True).items()}
