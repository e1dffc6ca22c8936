"""What went over the wire, kept as it was: the material of a contract check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_campaign.client.clock import Clock
from airflow_provider_campaign.client.transport import Transport
from airflow_provider_campaign.platforms.base import Action, ApiRequest, HttpRequest, HttpResponse


@dataclass(frozen=True)
class Exchange:
    """
    One request and its response.

    :param about: What was asked for.
    :param sent_at: Seconds since the epoch.
    :param seconds: From the request to the end of the response.
    """

    about: ApiRequest
    request: HttpRequest
    response: HttpResponse
    sent_at: float
    seconds: float


class RecordingTransport:
    """A transport that keeps every exchange; what signs a request is not kept."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self.base_url = transport.base_url
        self.exchanges: list[Exchange] = []
        self._transport = transport
        self._clock = clock
        self._about = ApiRequest(Action.LIST)

    def note_request(self, request: ApiRequest) -> None:
        """Note what the next request asks for."""
        self._about = request

    def send_request(self, request: HttpRequest, headers: Mapping[str, str], seconds: float) -> HttpResponse:
        """Send a request once, and keep it with its response."""
        sent_at, began = self._clock.time(), self._clock.monotonic()
        response = self._transport.send_request(request, headers, seconds)
        self.exchanges.append(Exchange(self._about, request, response, sent_at, self._clock.monotonic() - began))
        return response
