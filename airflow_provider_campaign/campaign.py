"""What a campaign is, on every platform: its record, its statuses, and what a status means to a wait."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any

from airflow_provider_campaign.exceptions import CampaignConfigError


class CampaignType(StrEnum):
    """The kinds of campaign that Kore.ai tells apart (``campaignType``)."""

    SMS = "sms"
    VOICE = "voice"


class CampaignStatus(StrEnum):
    """
    The platforms' words for a campaign's status.

    Kore.ai documents all but ``Draft``, which is the one that Sonarly's examples show.
    """

    DRAFT = "Draft"
    READY = "Ready"
    SCHEDULED = "Scheduled"
    RESCHEDULED = "Rescheduled"
    PREPARING = "Preparing"
    ACTIVE = "Active"
    PAUSED = "Paused"
    STOPPED = "Stopped"
    COMPLETED = "Completed"


_CANONICAL = {status.casefold(): status.value for status in CampaignStatus}


def canonical_status(word: str) -> str:
    """Spell a platform's status word as :class:`CampaignStatus` does; an unknown word stays as it is."""
    return _CANONICAL.get(word.strip().casefold(), word.strip())


LIVE_STATUSES = (CampaignStatus.ACTIVE.value, CampaignStatus.PREPARING.value)
"""A campaign in one of these sends messages, or is about to."""

ENDED_STATUSES = (CampaignStatus.STOPPED.value, CampaignStatus.COMPLETED.value)
"""A campaign in one of these sends nothing more unless somebody starts it again."""

WAITING_STATUSES = (
    CampaignStatus.DRAFT.value,
    CampaignStatus.READY.value,
    CampaignStatus.SCHEDULED.value,
    CampaignStatus.RESCHEDULED.value,
)
"""A campaign in one of these has not started, so that there is nothing to stop, but it may start later."""


_AT_REST = tuple(status.casefold() for status in (*ENDED_STATUSES, *WAITING_STATUSES, CampaignStatus.PAUSED.value))


def may_be_live(status: str) -> bool:
    """Tell whether a campaign may be sending: it is live, or in a status that no documentation explains."""
    return status.casefold() not in _AT_REST


@dataclass(frozen=True)
class Campaign:
    """
    A campaign as its platform answered, the same for every platform.

    :param id: The campaign's id on the platform.
    :param status: Its status, spelled as :class:`CampaignStatus` does where the word is known.
    :param name: Its display name, where the answer has one.
    :param campaign_type: ``sms`` or ``voice`` on Kore.ai, None on Sonarly.
    :param priority: The platform's priority, where the answer has one (Kore.ai: 1 is the lowest).
    :param message: What the platform said about the call.
    :param updated_at: When the platform last changed the campaign (ISO 8601), where the answer tells.
    :param already_stopped: True where a stop found the campaign stopped or completed before it acted.
    :param raw: The platform's own answer.
    """

    id: str
    status: str
    name: str | None = None
    campaign_type: str | None = None
    priority: str | None = None
    message: str | None = None
    updated_at: str | None = None
    already_stopped: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the record that operators put into XCom: the same keys on every platform."""
        return {
            "campaign_id": self.id,
            "status": self.status,
            "message": self.message,
            "updated_at": self.updated_at,
            "already_stopped": self.already_stopped,
            "raw": dict(self.raw),
        }


def confirmed(record: Mapping[str, Any], seen: Campaign) -> dict[str, Any]:
    """
    Return the record of a call, completed by what was seen at the end of the wait for its effect.

    :param record: What :meth:`Campaign.as_dict` gave of the answer to the call.
    :param seen: The campaign, as it was read.
    """
    return {
        **seen.as_dict(),
        "message": seen.message or record["message"],
        "updated_at": seen.updated_at or record["updated_at"],
        "already_stopped": record["already_stopped"],
    }


class Outlook(Enum):
    """What a campaign's present status means to whoever waits for another."""

    REACHED = "reached"
    KEEP_WAITING = "keep waiting"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True)
class Goal:
    """
    The statuses a wait is for, and those from which they can no longer come.

    :param reached: Any of these ends the wait well.
    :param impossible: Any of these ends it badly; every other status is waited on.
    :param under_way: Those which show that the platform is at it already, so that there is nothing to ask for.
    """

    reached: tuple[str, ...]
    impossible: tuple[str, ...] = ()
    under_way: tuple[str, ...] = ()

    def outlook(self, status: str) -> Outlook:
        """Say what a status means to this wait, without regard to case."""
        word = status.casefold()
        if word in map(str.casefold, self.reached):
            return Outlook.REACHED
        return Outlook.IMPOSSIBLE if word in map(str.casefold, self.impossible) else Outlook.KEEP_WAITING

    def is_under_way(self, status: str) -> bool:
        """Tell whether the platform is at it already, without regard to case."""
        return status.casefold() in map(str.casefold, self.under_way)

    def __str__(self) -> str:
        return " or ".join(self.reached)


STOP_GOAL = Goal(reached=ENDED_STATUSES, impossible=WAITING_STATUSES)
START_GOAL = Goal(
    reached=(CampaignStatus.ACTIVE.value,),
    impossible=(CampaignStatus.COMPLETED.value,),
    under_way=(CampaignStatus.PREPARING.value,),
)


def status_goal(target_statuses: Iterable[str]) -> Goal:
    """
    Return the goal of a sensor: one of the targets; never, once Completed is not among them.

    :param target_statuses: Status words, in any case.
    :raises CampaignConfigError: When there is none, or one is empty.
    """
    words = (target_statuses,) if isinstance(target_statuses, str) else target_statuses
    words = tuple(words) if isinstance(words, Iterable) else (words,)
    if not all(isinstance(word, str) for word in words):
        raise CampaignConfigError("target_statuses is not a list of words: give, for instance, ('Stopped',)")
    targets = tuple(map(canonical_status, words))
    if not targets or not all(targets):
        raise CampaignConfigError("target_statuses is empty: name the statuses to wait for, for instance ('Stopped',)")
    completed = CampaignStatus.COMPLETED.value
    return Goal(reached=targets, impossible=() if completed in targets else (completed,))


def check_campaign_id(campaign_id: object) -> str:
    """
    Return the id if it can stand in a path as one segment.

    :raises CampaignConfigError: When it is empty, blank, ``None``, or would change the path it is put into.
    """

    def refuse(problem: str) -> CampaignConfigError:
        return CampaignConfigError(
            f"campaign_id {campaign_id!r} {problem}. Nothing was sent. Give the id that the platform shows for "
            "the campaign; if it comes from a template or an upstream task, check what that rendered to."
        )

    if not isinstance(campaign_id, str):
        raise refuse(f"is not a string but {type(campaign_id).__name__}")
    if not campaign_id.strip():
        raise refuse("is empty")
    if campaign_id.strip().casefold() in ("none", "null"):
        raise refuse("stands for a missing value")
    if campaign_id != campaign_id.strip():
        raise refuse("has blanks around it")
    if campaign_id == "." or ".." in campaign_id or any(mark in campaign_id for mark in "/\\?#"):
        raise refuse("looks like a path: it holds one of / \\ ? # ..")
    if not campaign_id.isprintable():
        raise refuse("holds a control character")
    return campaign_id
