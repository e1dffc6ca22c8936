"""The one way in which a call is made: signed, sent, judged, tried again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

import requests

from airflow_provider_campaign.exceptions import (
    CampaignConfigError,
    CampaignError,
    CampaignNotFoundError,
    CampaignRateLimitError,
    CampaignRequestError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.hooks import calls
from airflow_provider_campaign.hooks.account import AccountHook
from airflow_provider_campaign.hooks.calls import Target, Unreadable, Verdict
from airflow_provider_campaign.hooks.retry import RETRY_BUDGET, Clock, Deadline, SystemClock, retrying
from airflow_provider_campaign.hooks.transport import (
    Answer,
    MaybeHeard,
    NotHeard,
    Request,
    Untrusted,
    exchange,
)

Result = TypeVar("Result")

SHORTEST_EXCHANGE = 1.0
"""Seconds that even the last exchange before a deadline is given."""

STALE_PAGES = 3
"""Pages of a list that may show nothing new before one that does: rows move while it is read."""


class CallingHook(AccountHook, ABC):
    """Send requests as a platform wants them, and make of every answer a document or the right error."""

    rate_window: ClassVar[float | None] = None
    """Seconds of the window that the platform counts requests in, where its documentation tells."""

    rate_limit: ClassVar[int | None] = None
    """Requests in that window."""

    rate_limit_text: ClassVar[str | None] = None
    """The text of a refusal for the rate, where it may come under any HTTP status."""

    signs_tokens: ClassVar[bool] = False
    """Whether each request carries a fresh token, so that one 401 is worth a second try."""

    advice: ClassVar[Mapping[int, str]] = {}
    """What to look at for an HTTP status."""

    clock: Clock = SystemClock()

    request_slot: Callable[[Target], AbstractContextManager[object]] = staticmethod(lambda target: nullcontext())
    """What each request is made in; whoever shares out an account's budget holds it back in there."""

    @abstractmethod
    def request_for(self, target: Target) -> Request:
        """
        Return a call as it goes over the wire.

        :raises CampaignConfigError: When the platform has no such call, or needs to be told more.
        """

    @abstractmethod
    def auth(self) -> requests.auth.AuthBase:
        """
        Return what signs a request.

        :raises CampaignConfigError: When the connection lacks what it takes.
        """

    @abstractmethod
    def verdict(self, document: Mapping[str, Any]) -> Verdict:
        """Return what an answer says about the call itself."""

    def fetch(
        self,
        target: Target,
        request: Request,
        deadline: Deadline,
        read: Callable[[Mapping[str, Any]], Result],
    ) -> Result:
        """Send a read until it is answered in a form that can be read."""
        return self.retrying(
            lambda deadline: self.reading(target, self.send(target, request, deadline), read),
            deadline,
        )

    def check_progress(self, target: Target, stale: int) -> None:
        """
        Give up on a list that goes in circles.

        :param stale: Pages in a row that showed nothing new and said that there is more.
        :raises CampaignUnavailableError: When they are too many.
        """
        if stale > STALE_PAGES:
            circles = "the answers say that there is more, and show nothing new"
            raise CampaignUnavailableError(f"{self.subject(target)}: {circles}. {self.next_step(500)}")

    def send(self, target: Target, request: Request, deadline: Deadline) -> Mapping[str, Any]:
        """
        Send a request once and return the JSON object that it is answered with.

        :raises CampaignError: For every answer but a success.
        """
        answer = self._exchange(target, request, deadline)
        if answer.status == 401 and self.signs_tokens:
            answer = self._exchange(target, request, deadline)
        document = calls.parse_json(answer, self.secrets)
        verdict = self.verdict(document) if document is not None else Verdict()
        kind = calls.error_class(answer)
        if document is not None and kind is None and not verdict.failed:
            return document
        raise self._refusal(target, answer, kind, document, verdict)

    def reading(
        self, target: Target, document: Mapping[str, Any], read: Callable[[Mapping[str, Any]], Result]
    ) -> Result:
        """Read an answer; one that can't be read may have been acted on all the same."""
        try:
            return read(document)
        except Unreadable as error:
            raise CampaignUnavailableError(
                f"{self.subject(target)}: {calls.readable(error, ())}, so that it can't be relied on. "
                f"{self.next_step(500)}",
                maybe_heard=True,
                trace_id=self.verdict(document).trace_id,
            ) from error

    def retrying(self, attempt: Callable[[Deadline], Result], deadline: Deadline | None) -> Result:
        """Make attempts until one succeeds, fails for good, or the budget is spent."""
        own = self.default_deadline() if deadline is None else deadline.sooner(self.settings.retry_budget)

        def tell(error: BaseException, seconds: float) -> None:
            self.log.warning("Trying again in %.1f s: %s", seconds, error)

        return retrying(lambda: attempt(own), own, rate_window=self.rate_window, on_retry=tell)

    def default_deadline(self) -> Deadline:
        """Return the deadline of a call whose caller named none."""
        return Deadline.after(self.settings.retry_budget or RETRY_BUDGET, self.clock)

    def _exchange(self, target: Target, request: Request, deadline: Deadline) -> Answer:
        try:
            with self.request_slot(target):
                seconds = min(self.settings.timeout, max(SHORTEST_EXCHANGE, deadline.remaining))
                return exchange(self.session, self.settings.base_url, request, self.auth(), seconds)
        except Untrusted as error:
            raise CampaignConfigError(
                f"{self.subject(target)}: {error}. Nothing was sent. If the host's CA is a private one, put the "
                "path of its certificate into the connection's field CA Bundle (ca_bundle)."
            ) from error
        except (NotHeard, MaybeHeard) as error:
            raise CampaignUnavailableError(
                f"{self.subject(target)}: {error} ({self.settings.base_url}). {self.next_step(503)}",
                maybe_heard=isinstance(error, MaybeHeard),
            ) from error

    def _refusal(
        self,
        target: Target,
        answer: Answer,
        kind: type[CampaignError] | None,
        document: Mapping[str, Any] | None,
        verdict: Verdict,
    ) -> CampaignError:
        """Return the error for an answer that is not a success."""
        if kind is CampaignNotFoundError and document is None and answer.body.lstrip().startswith(b"{"):
            kind = None  # cut short: whether it is the campaign or the path that was not found is in what is missing
        said = calls.readable(verdict.message, self.secrets)
        problem, advice = said, self.next_step(answer.status)
        if self.rate_limit_text and self.rate_limit_text.encode() in answer.body:
            kind, advice = CampaignRateLimitError, self.next_step(429)
        elif 300 <= answer.status < 400:
            origin = calls.readable(_origin(answer.headers.get("Location", "")), self.secrets)
            problem = f"it redirects to {origin}, which is not followed"
            advice = "Put the address of the API itself into the connection's field Host."
        elif kind is CampaignNotFoundError and document is None and answer.body.strip():
            kind, problem = CampaignRequestError, "no such path, and the answer is not the platform's"
            advice = "Check the connection's Host, and its Endpoints where there are any."
        elif kind is None and document is None:
            problem, advice = "the answer is not a JSON object", self.next_step(200)
        elif kind is None:
            problem, advice = said or "the answer says that the call failed", self.next_step(500)
        code, trace_id = (calls.readable(mark, self.secrets) for mark in (verdict.code, verdict.trace_id))
        marks = ", ".join(filter(None, (code and f"code {code}", trace_id and f"trace id {trace_id}")))
        text = f"{self.subject(target)}: HTTP {answer.status}"
        text += f", {problem.rstrip('.')}" if problem else ""
        text += f" [{marks}]" if marks else ""
        return calls.build_error(
            kind or CampaignUnavailableError,
            f"{text}. {advice}",
            answer,
            code=code,
            trace_id=trace_id,
            platform_text=said,
        )

    def subject(self, target: Target) -> str:
        """Return how a message begins: the call, the campaign, the connection."""
        return f"{target} ({self.where})"

    def next_step(self, status: int) -> str:
        """Return what to do about an HTTP status."""
        return self.advice.get(status) or _NEXT_STEPS.get(status) or _NEXT_STEPS[500 if status >= 500 else 400]


def _origin(location: str) -> str:
    """Return scheme and host of an address; what follows them may hold secrets."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "an address that can't be read"
    if not parts.hostname:
        return "another path of the same host"
    return f"{parts.scheme}://{parts.hostname}" if parts.scheme else parts.hostname


_NEXT_STEPS: Mapping[int, str] = {
    200: "If it keeps happening, something else than the platform may be answering at the connection's Host.",
    400: "The request itself was refused: check the campaign's type and the connection's fields.",
    401: "Check the connection's credentials.",
    403: "The credentials are valid but lack the permission: ask the platform's administrator for it.",
    404: "Check the id in the platform's console; it may have been deleted, or belong to another account.",
    409: "It has not started or can't be changed now: look at it, and at its schedule, in the platform's console.",
    429: "The account's request budget is used up: wait for the next window, and see who else spends it.",
    500: "The platform has a problem: check its status page, and the campaign in its console.",
    503: "Check that the platform is up and reachable from the worker, and the connection's Host.",
}
