"""The end of the window: an operator that stops everything that is live in an account."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_campaign.campaign import LIVE_STATUSES, STOP_GOAL, CampaignType, Outlook
from airflow_provider_campaign.exceptions import (
    CampaignConfigError,
    CampaignError,
    CampaignRequestError,
    CampaignTimeoutError,
)
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.retry import Deadline
from airflow_provider_campaign.hooks.sweeping import Entry, Sweep, mendable


class StopActiveCampaignsOperator(BaseOperator):
    """
    Stop every live campaign of an account, and make sure that they are stopped.

    What is live is listed, stopped all at once with the highest priority first, and listed again until a listing shows
    none. Every campaign is attempted, whatever happens to the others. A retry sees only what is still live.

    :param campaign_conn_id: The connection id; its type says which platform it is. (templated)
    :param campaign_types: The types to stop, where the platform tells types apart (Kore.ai).
    :param statuses: The statuses that count as live, compared without regard to case. Sonarly does not document its
        words: by default one that is not known counts as live there; name those that are to end that.
    :param name_pattern: Only campaigns whose name matches, with ``*``, ``?`` and ``[…]``. (templated)
    :param dry_run: Whether to list only, and stop nothing.
    :param timeout: Seconds for the whole sweep.
    :returns: ``stopped``, ``already_stopped``, ``failed`` and, for a dry run, ``live``: lists with, per campaign,
        ``campaign_id``, ``name``, ``campaign_type``, ``asked_at`` and ``confirmed_at`` (UTC, ISO 8601), ``status``
        and ``message``; ``total`` (campaigns found), ``requests`` and ``seconds``.
    :raises CampaignConfigError: When an argument leaves nothing to stop: empty types, statuses or pattern.
    :raises CampaignTimeoutError: When a campaign is not verified stopped, and a retry may mend it.
    :raises CampaignRequestError: When a campaign is not verified stopped, and a retry can't mend it.
    """

    template_fields: Sequence[str] = ("campaign_conn_id", "name_pattern")
    ui_color = "#f6cdb4"

    def __init__(
        self,
        *,
        campaign_conn_id: str = CampaignHook.default_conn_name,
        campaign_types: Collection[str] = (CampaignType.SMS.value, CampaignType.VOICE.value),
        statuses: Collection[str] = LIVE_STATUSES,
        name_pattern: str | None = None,
        dry_run: bool = False,
        timeout: float = 900.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign_conn_id = campaign_conn_id
        self.campaign_types = campaign_types
        self.statuses = statuses
        self.name_pattern = name_pattern
        self.list_only = dry_run  # ``dry_run`` is a method of every operator
        self.timeout = timeout

    @cached_property
    def hook(self) -> CampaignHook:
        """The hook that the connection's type stands for."""
        return CampaignHook.for_conn_id(self.campaign_conn_id)

    def execute(self, context: Any) -> dict[str, Any]:
        """Sweep, and return the record; fail, with the record in XCom, if a campaign is not verified stopped."""
        sweep = self._sweep()
        if self.list_only:
            live = [{**Entry(campaign).as_dict(), "message": None} for campaign in sweep.live()]
            self.log.info("Would stop %s campaigns: %s", len(live), ", ".join(row["campaign_id"] for row in live))
            return {**_record(sweep), "live": live, "total": len(live)}
        problem = None
        try:
            sweep.run()
        except CampaignError as error:
            problem = error
        record = _record(sweep)
        self.log.info("%s of %s live campaigns are stopped", record["total"] - len(record["failed"]), record["total"])
        if problem or record["failed"]:
            if context:
                context["ti"].xcom_push(key="return_value", value=record)
            raise self._failure(sweep, problem)
        return record

    def _sweep(self) -> Sweep:
        """
        Return the sweep to run.

        :raises CampaignConfigError: When nothing could match, so that it would end well and stop nothing.
        """
        types, statuses = _words(self.campaign_types), _words(self.statuses)
        ended = [word for word in statuses if STOP_GOAL.outlook(word) is Outlook.REACHED]
        problem = (
            ("campaign_types is empty" if not types else None)
            or ("statuses is empty" if not statuses else None)
            or (f"statuses has {ended[0]!r}, which is not live" if ended else None)
            or ("name_pattern is blank" if self.name_pattern is not None and not self.name_pattern.strip() else None)
        )
        if problem:
            raise CampaignConfigError(f"{problem}. Nothing was sent. Leave the argument out, or say what to stop.")
        deadline = Deadline.after(self.timeout, self.hook.clock)
        return Sweep(self.hook, deadline, types, statuses, self.name_pattern)

    def _failure(self, sweep: Sweep, problem: CampaignError | None) -> CampaignError:
        """Return the error that names each campaign left, and why."""
        left = [entry for entry in sweep.entries.values() if not entry.confirmed_at]
        if problem and not sweep.entries:
            return problem
        names = "; ".join(f"{entry.campaign.id} ({entry.campaign.name}): {entry.why()}" for entry in left)
        text = f"{len(left)} of {len(sweep.entries)} campaigns ({self.hook.where}) are not verified stopped: "
        text += names or "each was seen stopped, but others may be live"
        text += f". What is live can't be listed: {problem}" if problem else ""
        may_go_well = mendable(problem) if problem else not all(entry.given_up for entry in left)
        return (CampaignTimeoutError if may_go_well else CampaignRequestError)(text)


def _words(value: str | Collection[str]) -> tuple[str, ...]:
    """Return a single word as a collection of one; its letters are not meant."""
    return (value,) if isinstance(value, str) else tuple(value)


def _record(sweep: Sweep) -> dict[str, Any]:
    """Return the record of a sweep, as an auditor wants it."""
    confirmed = [entry for entry in sweep.entries.values() if entry.confirmed_at]
    return {
        "stopped": [entry.as_dict() for entry in confirmed if not entry.campaign.already_stopped],
        "already_stopped": [entry.as_dict() for entry in confirmed if entry.campaign.already_stopped],
        "failed": [entry.as_dict() for entry in sweep.entries.values() if not entry.confirmed_at],
        "total": len(sweep.entries),
        "requests": sweep.budget.requests,
        "seconds": round(sweep.deadline.seconds - sweep.deadline.remaining, 1),
    }
