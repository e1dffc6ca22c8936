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

from traceback import clear_frames

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
    :param details: What is known of the attributes below.
    """

    http_status: int | None = None  # of the platform's response
    code: str | None = None  # the platform's own error code
    trace_id: str | None = None  # the platform's
    platform_text: str | None = None  # the platform's own words
    shown_status: str | None = None  # the campaign's, if the platform showed it

    def __init__(self, message: str = "", **details: bool | float | str | None) -> None:
        super().__init__(message)
        vars(self).update(details)


class CampaignConfigError(CampaignError, AirflowFailException):
    """The connection or an argument is wrong; the message says so where nothing was sent."""


class CampaignAuthError(CampaignError, AirflowFailException):
    """The platform refused the credentials (401) or the permission (403)."""


class CampaignNotFoundError(CampaignError, AirflowFailException):
    """The platform does not know the campaign (404); a status request may show it all the same (``shown_status``)."""

    is_confirmed: bool = False  # whether a request for its status does not find the campaign either


class CampaignConflictError(CampaignError, AirflowFailException):
    """The campaign's state does not allow the action (409)."""


class CampaignRequestError(CampaignError, AirflowFailException):
    """The platform refused the request as such (any other 4xx, or a redirect)."""


class CampaignStateError(CampaignError, AirflowFailException):
    """The campaign is in a status from which the awaited one can't come any more."""


class CampaignUnavailableError(CampaignError):
    """The platform could not be reached, failed (5xx), or gave an unreadable response."""

    outcome_unknown: bool = False  # whether it may have acted on the request although its response is missing
    retry_after: float | None = None  # seconds: what it asks for, or else the window of a rate limit that is reached

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


def forget_variables(error: BaseException | None) -> None:
    """Clear the variables of the functions that an error has left: consoles show them, and they may hold secrets."""
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
