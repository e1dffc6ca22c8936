"""How a wait in the triggerer ended, on its way to the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from airflow_provider_campaign import exceptions
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.exceptions import CampaignError


@dataclass(frozen=True)
class WaitOutcome:
    """
    The end of a wait: a value, or the error that the wait would have raised on a worker.

    :param value: What the task returns.
    :param error: The name of the error's class, None for a success.
    """

    value: Any = None
    error: str | None = None
    message: str = ""

    @classmethod
    def of_error(cls, error: CampaignError) -> Self:
        """Return the outcome that stands for an error."""
        return cls(error=type(error).__name__, message=str(error))

    @classmethod
    def from_event(cls, event: Any) -> Self:
        """
        Return the outcome that an event carries.

        :raises CampaignError: When it carries anything else: what is not known is not a success. A retry may help.
        """
        if isinstance(event, Mapping) and event.keys() == {"value", "error", "message"}:
            outcome = cls(**event)
            if isinstance(outcome.error, str | None) and isinstance(outcome.message, str):
                return outcome
        raise _unreadable(event)

    def status(self) -> str:
        """
        Return the status that a sensor has waited for.

        :raises CampaignError: What ended the wait, or when there is no status.
        """
        value = self._value_or_raise()
        if not isinstance(value, str):
            raise _unreadable(value)
        return value

    def result(self) -> dict[str, Any]:
        """
        Return the result of a stop or start.

        :raises CampaignError: What ended the wait, or when there is no result.
        """
        value = self._value_or_raise()
        if not isinstance(value, Mapping) or not value.keys() >= Campaign("", "").as_dict().keys():
            raise _unreadable(value)
        return dict(value)

    def _value_or_raise(self) -> Any:
        if self.error is None:
            return self.value
        kind = getattr(exceptions, self.error, CampaignError) if self.error in exceptions.__all__ else CampaignError
        raise kind(self.message)


def _unreadable(event: object) -> CampaignError:
    return CampaignError(
        f"The wait ended with an event that can't be read: {event!r:.300}. Whether the campaign has reached its status "
        "is not known: look at it in the platform's console, or clear the task, which reads the status first."
    )
