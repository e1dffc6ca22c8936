"""What a campaign is on every platform: its fields, its statuses, and what a status means to a wait."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Self
from urllib.parse import unquote

from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.text import shown


class CampaignType(StrEnum):
    """The kinds of campaign that Kore.ai distinguishes (``campaignType``)."""

    SMS = "sms"
    VOICE = "voice"


class CampaignStatus(StrEnum):
    """
    The platforms' words for a campaign's status.

    Kore.ai documents all but ``Draft``, which is the one that Sonarly's examples show; ``Rerun`` on its page about the
    console only, so that its list can't be filtered by it.
    """

    DRAFT = "Draft"
    READY = "Ready"
    SCHEDULED = "Scheduled"
    RESCHEDULED = "Rescheduled"
    PREPARING = "Preparing"
    ACTIVE = "Active"
    RERUN = "Rerun"
    PAUSED = "Paused"
    STOPPED = "Stopped"
    COMPLETED = "Completed"


DELETED = "Deleted"  # stands for the status of a campaign that the platform no longer knows

# Campaigns that send messages, or are about to; that send none unless they are started again; and that may start later.
LIVE_STATUSES = (CampaignStatus.ACTIVE.value, CampaignStatus.PREPARING.value, CampaignStatus.RERUN.value)
ENDED_STATUSES = (CampaignStatus.STOPPED.value, CampaignStatus.COMPLETED.value)
NOT_STARTED_STATUSES = tuple(
    status.value
    for status in (CampaignStatus.DRAFT, CampaignStatus.READY, CampaignStatus.SCHEDULED, CampaignStatus.RESCHEDULED)
)
_CANONICAL = {status.casefold(): status.value for status in CampaignStatus}


def canonical_status(word: str) -> str:
    """Spell a platform's status word as :class:`.CampaignStatus` does; an unknown word stays as it is."""
    return _CANONICAL.get(word.strip().casefold(), word.strip())


def is_live(status: str) -> bool:
    """Return whether a status is one of a campaign that sends messages, or is about to."""
    return _contains(LIVE_STATUSES, status)


def may_be_live(status: str) -> bool:
    """Return whether a campaign may be sending: it is live, or in a status that no documentation explains."""
    return not _contains((*ENDED_STATUSES, *NOT_STARTED_STATUSES, CampaignStatus.PAUSED), status)


def _contains(statuses: Iterable[str], status: str) -> bool:
    return status.casefold() in map(str.casefold, statuses)


@dataclass(frozen=True)
class Campaign:
    """A campaign as its platform describes it, the same for every platform."""

    id: str
    status: str  #: Spelled as :class:`.CampaignStatus` does if the word is known.
    name: str | None = None
    campaign_type: str | None = None  #: ``sms`` or ``voice`` on Kore.ai.
    priority: str | None = None  #: Kore.ai: 1 is the lowest.
    message: str | None = None  #: What the platform said.
    updated_at: str | None = None  #: When the platform last changed the campaign (ISO 8601).
    already_stopped: bool = False  #: Whether a stop found the campaign stopped or completed before it acted.
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)  #: The platform's own response.

    def as_dict(self) -> dict[str, Any]:
        """Return what operators put into XCom: the same keys on every platform."""
        return {
            "campaign_id": self.id,
            "status": self.status,
            "message": self.message,
            "updated_at": self.updated_at,
            "already_stopped": self.already_stopped,
            "raw": dict(self.raw),
        }

    def completing(self, result: Mapping[str, Any]) -> Self:
        """Return the campaign as a wait read it last, with what :meth:`as_dict` gave of the action's response."""
        return replace(
            self,
            message=self.message or result["message"],
            updated_at=self.updated_at or result["updated_at"],
            already_stopped=result["already_stopped"],
        )

    def summary(self) -> dict[str, Any]:
        return {"campaign_id": self.id, "name": self.name, "campaign_type": self.campaign_type, "status": self.status}


@dataclass(frozen=True)
class WaitCondition:
    """The statuses that end a wait; every other one is waited on. All are compared without regard to case."""

    success: tuple[str, ...]
    failure: tuple[str, ...] = ()  # from these the awaited status can no longer come
    in_progress: tuple[str, ...] = ()  # these show that the platform is at it already: there is nothing to ask for

    def is_met_by(self, status: str) -> bool:
        return _contains(self.success, status)

    def is_ruled_out_by(self, status: str) -> bool:
        """Return whether the awaited status can no longer come."""
        return _contains(self.failure, status)

    def is_final(self, status: str) -> bool:
        """Return whether a status ends the wait, well or not."""
        return self.is_met_by(status) or self.is_ruled_out_by(status)

    def is_in_progress(self, status: str) -> bool:
        return _contains(self.in_progress, status)

    def __str__(self) -> str:
        return " or ".join(self.success)


STOP_CONDITION = WaitCondition(success=ENDED_STATUSES, failure=NOT_STARTED_STATUSES)
START_CONDITION = WaitCondition(
    (CampaignStatus.ACTIVE.value,), (CampaignStatus.COMPLETED.value,), in_progress=(CampaignStatus.PREPARING.value,)
)


def status_condition(target_statuses: Iterable[str]) -> WaitCondition:
    """Return the condition of a sensor: from Completed, unless that is a target, none can come any more."""
    targets, completed = tuple(target_statuses), CampaignStatus.COMPLETED.value
    return WaitCondition(success=targets, failure=() if completed in targets else (completed,))


@lru_cache(maxsize=4096)
def plain_text(text: str) -> str:
    """Return a text in the form in which texts that look alike are equal: NFKC, no invisible characters, one blank."""
    visible = "".join(character for character in text if unicodedata.category(character) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", visible).split())


_SET = re.compile(r"\[!?+]?+[^]]*]")  # a set of characters in a pattern, such as [ab], [!a], or []]


def matches_pattern(name: str | None, patterns: Iterable[str], *, ignore_case: bool = False) -> bool:
    """Return whether a campaign's whole name matches a pattern (``*``, ``?``, ``[…]``), both as plain texts."""
    fold = str.casefold if ignore_case else str
    text = fold(plain_text(name or ""))
    return any(fnmatchcase(text, fold(plain_text(pattern))) for pattern in patterns)


def pattern_problem(pattern: str) -> tuple[str, str] | None:
    """Return what is wrong with a pattern, and the fix; None if nothing is."""
    is_open = pattern.rfind("[") > pattern.rfind("]")  # where none is, the expression above takes linear time
    rest = pattern if is_open else _SET.sub("", pattern)
    if "[" in rest:
        return "which has a [ that is not closed", "Close it, or write [[] for a [ in the name."
    for mark in filter(rest.__contains__, ",|"):
        return f"which has a {mark} in it", f"Give a list of patterns, or write [{mark}] for a {mark} in the name."
    return None


def is_path_segment(text: str) -> bool:
    """Return whether a text stays one segment of a path, also if a server decodes it more than once."""
    while (decoded := unquote(text)) != text:
        text = decoded
    return text != "." and ".." not in text and not any(mark in text for mark in "/\\?#")


def is_template_text(text: str) -> bool:
    return "{{" in text or "{%" in text


def text_problem(text: str) -> str | None:
    """Return why a text is none that someone has given; None if it may be one."""
    if not text.strip():
        return "is empty"
    if text.strip().casefold() in ("none", "null", "undefined"):
        return "looks like an unset value"
    return "is a template that was not rendered" if is_template_text(text) else None


def validate_campaign_id(campaign_id: object) -> str:
    """
    Return the id, a text or a whole number, if it can stand in a path as one segment.

    :raises CampaignConfigError: When it is empty, blank, ``None``, or would change the path it is put into.
    """
    if isinstance(campaign_id, int) and not isinstance(campaign_id, bool):
        return str(campaign_id)
    if not isinstance(campaign_id, str):
        problem: str | None = "is not a string"
    elif not (problem := text_problem(campaign_id)):
        if campaign_id != campaign_id.strip():
            problem = "has blanks around it"
        elif not is_path_segment(campaign_id):
            problem = "looks like a path: it holds one of / \\ ? # .."
        elif not campaign_id.isprintable():
            problem = "holds a control character"
    if problem:
        raise CampaignConfigError(
            f"campaign_id {shown(campaign_id)} {problem}. Nothing was sent. Give the id that the platform shows for "
            "the campaign; if it comes from a template or an upstream task, check what that rendered to."
        )
    return str(campaign_id)
