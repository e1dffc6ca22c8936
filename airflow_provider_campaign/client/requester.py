"""The one way in which a request is made: signed, sent, classified, tried again."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.clock import Clock, Deadline, PlatformClock
from airflow_provider_campaign.client.credentials import Credentials
from airflow_provider_campaign.client.errors import error_class, remediation, response_error
from airflow_provider_campaign.client.rate_limiter import RateLimiter
from airflow_provider_campaign.client.retry import DEFAULT_RETRY_BUDGET, retrying
from airflow_provider_campaign.client.transport import CertificateError, NotSent, OutcomeUnknown, Transport
from airflow_provider_campaign.exceptions import (
    CampaignConfigError,
    CampaignError,
    CampaignRateLimitError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.platforms.base import (
    Action,
    ApiRequest,
    ApiStatus,
    HttpRequest,
    HttpResponse,
    InvalidResponseError,
    Platform,
)
from airflow_provider_campaign.text import fitted, parse_json, sanitize

log = logging.getLogger(__name__)

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

    def subject(self, request: ApiRequest) -> str:
        """Return how a message begins: the action, the campaign, the connection."""
        return f"{request} ({self.description})"

    def http_request(self, request: ApiRequest) -> HttpRequest:
        """Return a request as it goes over the wire; raise a :class:`CampaignConfigError` if the platform has none."""
        try:
            self.platform.check_type(request.campaign_type)
            return self.platform.http_request(request)
        except CampaignConfigError as error:
            raise CampaignConfigError(f"{self.subject(request)}: {error}") from None

    def default_deadline(self) -> Deadline:
        """Return the deadline of a caller who named none."""
        return Deadline(self.retry_budget or DEFAULT_RETRY_BUDGET, self.clock, limit=math.inf)

    def retrying(self, deadline: Deadline | None) -> Callable[[Callable[[Deadline], Result]], Result]:
        """Return what makes attempts until one succeeds, fails for good, or times out."""
        part = self.default_deadline() if deadline is None else deadline.sooner(self.retry_budget)
        return partial(retrying(part), deadline=part)

    def perform(self, request: ApiRequest, deadline: Deadline) -> Campaign:
        """Make a request about one campaign once, and read the response."""

        def read(document: Mapping[str, Any]) -> Campaign:
            return replace(self.platform.read_campaign(request, document), raw=fitted(document))

        return self.send(request, self.http_request(request), deadline, read)

    def dated(self, campaign: Campaign, deadline: Deadline) -> Campaign:
        """
        Return a campaign that was read, with the platform's time of its last change; as it is if that is unknown.

        Kore.ai's response to a status request has no date, so that one more request has to ask for it, once.

        :raises CampaignUnavailableError: When that request fails for a passing reason.
        """
        if campaign.updated_at is not None:
            return campaign
        try:
            details = self.perform(ApiRequest(Action.GET, campaign.id), deadline)
        except CampaignUnavailableError:
            raise
        except CampaignError as error:
            log.warning("The time of the last change of campaign %s can't be read: %s", campaign.id, error)
            return campaign
        is_same = details.status == campaign.status
        return replace(campaign, updated_at=details.updated_at) if is_same else campaign

    def send(
        self,
        request: ApiRequest,
        http_request: HttpRequest,
        deadline: Deadline,
        read: Callable[[Mapping[str, Any]], Result],
    ) -> Result:
        """
        Send a request once and read the response; raise for all but a success that can be read.

        One whose credentials are refused is signed anew: once if each is signed with a token of its own, and once more
        if by now the connection has other credentials.
        """
        refused, is_renewed = 0, False
        while True:
            platform = self.platform
            with self._explained(request), self.rate_limiter.slot(deadline):
                if self.on_request:
                    self.on_request(request)
                # By the platform's time, which the token is checked by: its first response shows how wrong ours is.
                headers = platform.signed_headers(self.clock.time() + self.platform_clock.error)
                seconds = min(self.timeout, max(MIN_REQUEST_TIMEOUT, deadline.remaining))
                response = self.transport.send_request(http_request, headers, seconds)
                self.platform_clock.note(response.headers.get("Date"), self.clock.time())
            if response.status != 401 or is_renewed:
                break
            refused += 1
            if refused > int(platform.retries_unauthorized):
                is_renewed = self.credentials.renew(platform)
                if not is_renewed:
                    break
        return self._read(platform, request, response, read)

    def _read(
        self,
        platform: Platform,
        request: ApiRequest,
        response: HttpResponse,
        read: Callable[[Mapping[str, Any]], Result],
    ) -> Result:
        """Return what a response is read as; raise for all but a success that can be read."""
        subject = self.subject(request)
        document = parse_json(response.body, platform.secrets)
        api_status = ApiStatus() if document is None else platform.api_status(document)
        if document is None or error_class(response.status) is not None or api_status.failed:
            error = response_error(platform, subject, response, document, api_status, self.platform_clock.error)
            if self.on_refusal and isinstance(error, CampaignRateLimitError):
                self.on_refusal(request)
            raise self.credentials.explained(error)
        try:
            return read(document)
        except InvalidResponseError as invalid:
            problem = f"{sanitize(invalid, ())}. The response's format is unexpected. {remediation(platform, 500)}"
            raise CampaignUnavailableError(
                f"{subject}: {problem}", outcome_unknown=True, trace_id=api_status.trace_id
            ) from invalid

    @contextmanager
    def _explained(self, request: ApiRequest) -> Iterator[None]:
        """Make of what keeps a request from being sent, or a response from coming, the error that says what to do."""
        try:
            yield
        except CampaignRateLimitError as error:  # of our own limiter
            text = f"{self.subject(request)}: {error}. {remediation(self.platform, 429)}"
            raise CampaignRateLimitError(text, retry_after=self.platform.rate_window) from error
        except (NotSent, CertificateError, OutcomeUnknown) as error:
            may_be_sent = isinstance(error, OutcomeUnknown)
            if self.on_unsent and not may_be_sent:
                self.on_unsent(request)
            if isinstance(error, CertificateError):
                raise CampaignConfigError(
                    f"{self.subject(request)}: {error}. Nothing was sent. If the host's CA is a private one, put the "
                    "path of its certificate into the connection's field CA Bundle (ca_bundle)."
                ) from error
            raise CampaignUnavailableError(
                f"{self.subject(request)}: {error} ({self.transport.base_url}). {remediation(self.platform, 503)}",
                outcome_unknown=may_be_sent,
            ) from error
