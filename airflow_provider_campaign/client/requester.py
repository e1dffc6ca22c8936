"""The one way in which a request is made: signed, sent, classified, tried again."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, TypeVar

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.clock import Clock, Deadline, retrying
from airflow_provider_campaign.client.errors import remediation, response_error
from airflow_provider_campaign.client.rate_limiter import RateLimiter
from airflow_provider_campaign.client.transport import CertificateError, NotSent, OutcomeUnknown, Transport
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
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

LookUp = Callable[[], tuple[Platform, str]]
"""Returns an account as it is configured now: its platform, and the address (scheme, host, and port) of that."""

MIN_REQUEST_TIMEOUT = 1.0  # seconds that even the last request before a deadline is given
DEFAULT_RETRY_BUDGET = 120.0  # seconds that a client method may take with its retries, unless someone says


def ignore(*_: object) -> None:
    """Do nothing, as a callback that is not given."""


class Account:
    """
    What all clients of one account share, from any number of threads: its credentials, and its platform's clock.

    :param base_url: The address that requests go to.
    :param look_up: None if the caller looks the credentials up again.
    """

    def __init__(self, platform: Platform, base_url: str, look_up: LookUp | None = None) -> None:
        self.platform = platform  # the account, with the credentials that are known last
        self.clock_offset: float | None = None  # seconds that the platform's clock is ahead of ours by, if known
        self._base_url = base_url
        self._look_up = look_up
        self._lock = threading.Lock()

    def note_date(self, date: str | None, now: float) -> None:
        """Note the ``Date`` of a response that has just come; one that is missing or unreadable changes nothing."""
        if (moment := read_date(date)) is not None:
            self.clock_offset = moment - now

    def renew(self, refused: Platform, subject: str) -> bool:
        """Return whether there are other credentials by now: look them up, unless another thread has."""
        with self._lock:
            if self.platform is not refused or self._look_up is None:
                return self.platform is not refused
            try:
                platform, base_url = self._look_up()
            except Exception as error:  # noqa: BLE001 whatever a secrets backend raises may pass; its text may be secret
                reason = str(error) if isinstance(error, CampaignError) else type(error).__name__
                text = f"whether the credentials have changed is not known, because they can't be looked up: {reason}"
                raise CampaignUnavailableError(f"{subject}: HTTP 401, and {text}", http_status=401) from None
            if (platform.name, platform.account, base_url) != (refused.name, refused.account, self._base_url):
                text = "By now the connection is one to another account, to which nothing was sent."
                raise CampaignAuthError(f"{subject}: HTTP 401. {text}", http_status=401)
            if platform != refused:
                log.warning("The credentials were refused; the connection has new ones by now, and they are used")
                self.platform = platform
            return self.platform is not refused


@dataclass(frozen=True)
class Requester:
    """
    Send requests as a platform wants them, and make of every response a document or the right error.

    :param on_count: Called with each request, and what it adds to the numbers of requests and of 429 responses: (1, 0)
        when it leaves, (0, 1) when it is rate-limited, (-1, 0) when it has not left after all.
    :param on_response: Called with each request, as it went over the wire, its response, and when it left.
    """

    account: Account
    transport: Transport
    rate_limiter: RateLimiter
    clock: Clock
    description: str
    timeout: float
    retry_budget: float | None = None
    on_count: Callable[[ApiRequest, int, int], None] = ignore
    on_response: Callable[[ApiRequest, HttpRequest, HttpResponse, float], None] = ignore

    @property
    def platform(self) -> Platform:
        """The account, with the credentials that are known last."""
        return self.account.platform

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
        part = deadline or self.default_deadline()
        if part.retries:
            part = part.sooner(self.retry_budget or math.inf)
        return partial(retrying(part), deadline=part)

    def perform(self, request: ApiRequest, deadline: Deadline) -> Campaign:
        """Make a request about one campaign once, and read the response."""

        def read(document: Mapping[str, Any]) -> Campaign:
            return replace(self.platform.read_campaign(request, document), raw=fitted(document))

        return self.send(request, self.http_request(request), deadline, read)

    def read_status(self, request: ApiRequest, deadline: Deadline) -> Campaign:
        """Read once the status of the campaign that a request is about."""
        return self.perform(replace(request, action=Action.STATUS), deadline)

    def dated(self, campaign: Campaign, deadline: Deadline) -> Campaign:
        """Return a campaign with the platform's time of its last change, which Kore.ai's status request leaves out."""
        if campaign.updated_at is not None:
            return campaign
        try:
            details = self.perform(ApiRequest(Action.GET, campaign.id), deadline)
        except CampaignError as error:
            if isinstance(error, CampaignUnavailableError):
                raise
            return campaign
        return replace(campaign, updated_at=details.updated_at) if details.status == campaign.status else campaign

    def send(
        self,
        request: ApiRequest,
        http_request: HttpRequest,
        deadline: Deadline,
        read: Callable[[Mapping[str, Any]], Result],
    ) -> Result:
        """Send a request, once more if its credentials are refused, and read the response, or raise what it says."""
        for is_repeated in (False, True):
            platform = self.platform
            with self._explained(request), self.rate_limiter.slot(deadline):
                self.on_count(request, 1, 0)
                sent_at = self.clock.time()
                seconds = min(self.timeout, max(MIN_REQUEST_TIMEOUT, deadline.remaining))
                sign = partial(platform.signed_headers, sent_at)
                response = self.transport.send_request(http_request, sign, seconds)
                self.account.note_date(response.headers.get("Date"), self.clock.time())
            self.on_response(request, http_request, response, sent_at)
            if response.status != 401 or is_repeated:
                break
            # With other credentials, or with a token of its own, another signature may be accepted.
            if not (self.account.renew(platform, self.subject(request)) or platform.retries_unauthorized):
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
        document = parse_json(response.body, platform.secrets)
        said = ApiStatus(failed=True, is_own=False) if document is None else platform.api_status(document)
        if document is None or said.failed or not 200 <= response.status < 300:
            error = response_error(platform, self.subject(request), response, document, said)
            if isinstance(error, CampaignRateLimitError):
                self.on_count(request, 0, 1)
            raise error
        try:
            return read(document)
        except InvalidResponseError as invalid:
            problem = f"{sanitize(invalid, ())}. The response's format is unexpected. {remediation(platform, 500)}"
            raise CampaignUnavailableError(
                f"{self.subject(request)}: {problem}", outcome_unknown=True, trace_id=said.trace_id
            ) from invalid

    @contextmanager
    def _explained(self, request: ApiRequest) -> Iterator[None]:
        """Make of what keeps a request from being sent, or a response from coming, the error that says what to do."""
        try:
            yield
        except CampaignRateLimitError as error:  # of our own limiter
            text = f"{self.subject(request)}: {error}. {remediation(self.platform, 429)}"
            raise CampaignRateLimitError(text, retry_after=self.platform.rate_window) from error
        except (NotSent, OutcomeUnknown) as error:
            if isinstance(error, NotSent):
                self.on_count(request, -1, 0)
            if isinstance(error, CertificateError):
                raise CampaignConfigError(
                    f"{self.subject(request)}: {error}. Nothing was sent. If the host's CA is a private one, put the "
                    "path of its certificate into the connection's field CA Bundle (ca_bundle)."
                ) from error
            raise CampaignUnavailableError(
                f"{self.subject(request)}: {error} ({self.transport.base_url}). {remediation(self.platform, 503)}",
                outcome_unknown=isinstance(error, OutcomeUnknown),
            ) from error


def read_date(text: str | None) -> float | None:
    """Return the header ``Date`` as seconds since the epoch; None if it is missing or unreadable."""
    try:
        return parsedate_to_datetime(text or "").astimezone(UTC).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
