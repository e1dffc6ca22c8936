"""The one way in which a request is made: signed, sent, classified, tried again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_provider_campaign.client.clock import Clock, Deadline, PlatformClock
from airflow_provider_campaign.client.credentials import Credentials, Renewal
from airflow_provider_campaign.client.errors import error_class, remediation, response_error
from airflow_provider_campaign.client.rate_limiter import RateLimiter
from airflow_provider_campaign.client.response import parse_json, sanitize
from airflow_provider_campaign.client.retry import DEFAULT_RETRY_BUDGET, retry_until
from airflow_provider_campaign.client.transport import CertificateError, NotSent, OutcomeUnknown, Transport
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignRateLimitError, CampaignUnavailableError
from airflow_provider_campaign.platforms.base import (
    ApiRequest,
    ApiStatus,
    HttpRequest,
    HttpResponse,
    InvalidResponseError,
    Platform,
)

Result = TypeVar("Result")

MIN_REQUEST_TIMEOUT = 1.0
"""Seconds that even the last request before a deadline is given."""


@dataclass(frozen=True)
class Requester:
    """
    Send requests as a platform wants them, and make of every response a document or the right error.

    :param on_request: Called with each request when it leaves.
    :param on_refusal: Called with each request that is rate-limited (429).
    :param on_unsent: Called with each request that did not leave after all, because no connection could be made.
    """

    credentials: Credentials
    transport: Transport
    rate_limiter: RateLimiter
    clock: Clock
    description: str
    timeout: float
    retry_budget: float | None = None
    on_request: Callable[[ApiRequest], None] | None = None
    on_refusal: Callable[[ApiRequest], None] | None = None
    on_unsent: Callable[[ApiRequest], None] | None = None
    platform_clock: PlatformClock = field(default_factory=PlatformClock)

    @property
    def platform(self) -> Platform:
        """The account, with the credentials that are known last."""
        return self.credentials.platform

    def send_and_read(
        self,
        request: ApiRequest,
        http_request: HttpRequest,
        deadline: Deadline,
        read: Callable[[Mapping[str, Any]], Result],
    ) -> Result:
        """Send a request once and read the response; raise for all but a success that can be read."""
        document = self._send(request, http_request, deadline)
        try:
            return read(document)
        except InvalidResponseError as error:
            raise CampaignUnavailableError(
                f"{self.subject(request)}: {sanitize(error, ())}, so that it can't be relied on. "
                f"{remediation(self.platform, 500)}",
                outcome_unknown=True,
                trace_id=self.platform.api_status(document).trace_id,
            ) from error

    def retry(self, attempt: Callable[[Deadline], Result], deadline: Deadline | None) -> Result:
        """Make attempts until one succeeds, fails for good, or the time is up."""
        part = self.default_deadline() if deadline is None else deadline.sooner(self.retry_budget)
        return retry_until(part, lambda: attempt(part), rate_window=self.platform.rate_window)

    def default_deadline(self) -> Deadline:
        """Return the deadline of a caller who named none."""
        return Deadline(self.retry_budget or DEFAULT_RETRY_BUDGET, self.clock, limit=math.inf)

    def subject(self, request: ApiRequest) -> str:
        """Return how a message begins: the action, the campaign, the connection."""
        return f"{request} ({self.description})"

    def _send(self, request: ApiRequest, http_request: HttpRequest, deadline: Deadline) -> Mapping[str, Any]:
        """Send a request once and return the JSON object of a success."""
        platform = self.platform
        response = self._exchange(platform, request, http_request, deadline)
        if response.status == 401 and platform.retries_unauthorized:
            platform = self.platform
            response = self._exchange(platform, request, http_request, deadline)
        renewal = self.credentials.renew(platform) if response.status == 401 else None
        if renewal is Renewal.CHANGED:
            platform = self.platform
            response = self._exchange(platform, request, http_request, deadline)
        document = parse_json(response, platform.secrets)
        api_status = ApiStatus() if document is None else platform.api_status(document)
        if document is not None and error_class(response.status) is None and not api_status.failed:
            return document
        error = response_error(
            platform, self.subject(request), response, document, api_status, self.platform_clock.error
        )
        if self.on_refusal and isinstance(error, CampaignRateLimitError):
            self.on_refusal(request)
        raise self.credentials.explained(error, renewal)

    def _send_once(
        self, request: ApiRequest, http_request: HttpRequest, headers: Mapping[str, str], seconds: float
    ) -> HttpResponse:
        try:
            return self.transport.send_request(http_request, headers, seconds)
        except (NotSent, CertificateError):
            if self.on_unsent:
                self.on_unsent(request)
            raise

    def _exchange(
        self, platform: Platform, request: ApiRequest, http_request: HttpRequest, deadline: Deadline
    ) -> HttpResponse:
        try:
            with self.rate_limiter.slot(deadline):
                if self.on_request:
                    self.on_request(request)
                # By the platform's time, which the token is checked by: its first response shows how wrong ours is.
                headers = platform.signed_headers(self.clock.time() + self.platform_clock.error)
                seconds = min(self.timeout, max(MIN_REQUEST_TIMEOUT, deadline.remaining))
                response = self._send_once(request, http_request, headers, seconds)
                self.platform_clock.note(response.headers.get("Date"), self.clock.time())
                return response
        except CampaignRateLimitError as error:  # of our own limiter
            raise CampaignRateLimitError(
                f"{self.subject(request)}: {error}. {remediation(self.platform, 429)}"
            ) from error
        except CertificateError as error:
            raise CampaignConfigError(
                f"{self.subject(request)}: {error}. Nothing was sent. If the host's CA is a private one, put the "
                "path of its certificate into the connection's field CA Bundle (ca_bundle)."
            ) from error
        except (NotSent, OutcomeUnknown) as error:
            raise CampaignUnavailableError(
                f"{self.subject(request)}: {error} ({self.transport.base_url}). {remediation(self.platform, 503)}",
                outcome_unknown=isinstance(error, OutcomeUnknown),
            ) from error
