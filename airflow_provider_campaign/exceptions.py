"""
What can go wrong with a campaign, as one tree.

.. code-block:: text

    CampaignError
    ├── CampaignConfigError       the connection or an argument is wrong     ends the task at once
    ├── CampaignAuthError         401, 403                                   ends the task at once
    ├── CampaignNotFoundError     404                                        ends the task at once
    ├── CampaignConflictError     409, or a state that can't be stopped      ends the task at once
    ├── CampaignRequestError      other 4xx, a redirect                      ends the task at once
    ├── CampaignStateError        the awaited status can't come any more     ends the task at once
    ├── CampaignUnavailableError  network, 5xx, unreadable response          Airflow may retry
    │   └── CampaignRateLimitError    429                                    Airflow may retry
    ├── CampaignTimeoutError      the wait ran out                           Airflow may retry
    ├── CampaignRecordError       the record can't be written or read        Airflow may retry
    └── CampaignSweepError        a campaign is not verified stopped         Airflow may retry
        └── CampaignSweepFinalError   and no retry can help                  ends the task at once

If no retry can help, the error is also an ``AirflowFailException``: it fails the task without using up its retries.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

__all__ = [
    "CampaignAuthError",
    "CampaignConfigError",
    "CampaignConflictError",
    "CampaignError",
    "CampaignNotFoundError",
    "CampaignRateLimitError",
    "CampaignRecordError",
    "CampaignRequestError",
    "CampaignStateError",
    "CampaignSweepError",
    "CampaignSweepFinalError",
    "CampaignTimeoutError",
    "CampaignUnavailableError",
]


class CampaignError(AirflowException):
    """
    Anything this provider raises on purpose; the message is made for the person on call.

    :param message: Which campaign, which connection, what the platform said, what to do.
    :param http_status: The HTTP status of the platform's response, if there was one.
    :param code: The platform's own error code, if it gave one.
    :param trace_id: The platform's trace id, if it gave one.
    :param platform_text: The platform's own words, if it gave any.
    :param shown_status: The campaign's status, if the platform showed it.
    """

    def __init__(
        self,
        message: str = "",
        *,
        http_status: int | None = None,
        code: str | None = None,
        trace_id: str | None = None,
        platform_text: str | None = None,
        shown_status: str | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.trace_id = trace_id
        self.platform_text = platform_text
        self.shown_status = shown_status


class CampaignConfigError(CampaignError, AirflowFailException):
    """The connection or an argument is wrong; the message says so where nothing was sent."""


class CampaignAuthError(CampaignError, AirflowFailException):
    """The platform refused the credentials (401) or the permission (403)."""


class CampaignNotFoundError(CampaignError, AirflowFailException):
    """
    The platform does not know the campaign (404).

    :param is_confirmed: Whether a request for its status does not find the campaign either; if that shows it all the
        same, ``shown_status`` says how.
    """

    def __init__(self, message: str = "", *, is_confirmed: bool = False, **details: Any) -> None:
        super().__init__(message, **details)
        self.is_confirmed = is_confirmed


class CampaignConflictError(CampaignError, AirflowFailException):
    """The campaign's state does not allow the action (409)."""


class CampaignRequestError(CampaignError, AirflowFailException):
    """The platform refused the request as such (any other 4xx, or a redirect)."""


class CampaignStateError(CampaignError, AirflowFailException):
    """The campaign is in a status from which the awaited one can't come any more."""


class CampaignUnavailableError(CampaignError):
    """
    The platform could not be reached, failed (5xx), or gave an unreadable response.

    :param outcome_unknown: Whether the platform may have acted on the request although its response is missing.
    :param retry_after: Seconds to wait: what the platform asks for, else the window of its rate limit where that is
        reached and documented; None if unknown.
    """

    def __init__(
        self, message: str = "", *, outcome_unknown: bool = False, retry_after: float | None = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.outcome_unknown = outcome_unknown
        self.retry_after = retry_after

    def note_unknown_outcome(self) -> None:
        """Note that the platform may have acted on this request, or on one before it."""
        self.outcome_unknown = True


class CampaignRateLimitError(CampaignUnavailableError):
    """The account's rate limit is reached (429); the request was not carried out."""


class CampaignTimeoutError(CampaignError):
    """The time given for the operation ran out before the campaign reached the awaited status."""


class CampaignRecordError(CampaignError):
    """The record of what was done can't be written, or existing ones are unreadable."""


class CampaignSweepError(CampaignError):
    """Campaigns are not verified stopped; a retry may help."""


class CampaignSweepFinalError(CampaignSweepError, AirflowFailException):
    """Campaigns are not verified stopped, and no retry can help."""
