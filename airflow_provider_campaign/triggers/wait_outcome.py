"""How a wait in the triggerer ended, on its way to the worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from airflow_provider_campaign import exceptions
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

        :raises CampaignError: When it carries anything else: what is not known is not a success.
        """
        try:
            return cls(**event)
        except TypeError:
            raise CampaignError(f"The wait ended with an event that can't be read: {event!r}") from None

    def value_or_raise(self) -> Any:
        """Return the value, or raise the error that ended the wait."""
        if self.error is None:
            return self.value
        kind = getattr(exceptions, self.error, CampaignError) if self.error in exceptions.__all__ else CampaignError
        raise kind(self.message)
