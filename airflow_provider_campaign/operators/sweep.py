"""The end of the window: an operator that stops everything that is live in an account."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator, Context

from airflow_provider_campaign.campaign import LIVE_STATUSES, STOP_CONDITION, CampaignType
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operations.sweep import Sweep, SweepScope
from airflow_provider_campaign.operations.sweep_entry import SweepEntry


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
    :raises CampaignSweepError: When a campaign is not verified stopped; its subclass
        :class:`CampaignSweepFinalError` when no retry can mend it.
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
        self._cancellation = Cancellation()

    @cached_property
    def hook(self) -> CampaignHook:
        """The hook that the connection's type stands for."""
        return CampaignHook.for_conn_id(self.campaign_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Sweep, and return the result; fail, with the result in XCom, if a campaign is not verified stopped."""
        deadline = Deadline(self.timeout, self.hook.clock, cancellation=self._cancellation)
        sweep = Sweep(self.hook.client, self._scope(), deadline)
        if self.list_only:
            live = [{**SweepEntry(campaign).as_dict(), "message": None} for campaign in sweep.live()]
            self.log.info("Would stop %s campaigns: %s", len(live), ", ".join(row["campaign_id"] for row in live))
            return {**sweep.result().as_dict(), "live": live, "total": len(live)}
        outcome = sweep.run()
        result = outcome.as_dict()
        self.log.info("%s of %s live campaigns are stopped", result["total"] - len(result["failed"]), result["total"])
        if context and (outcome.problem or outcome.left):
            context["ti"].xcom_push(key="return_value", value=result)
        outcome.raise_for_failure()
        return result

    def on_kill(self) -> None:
        """Send nothing more."""
        self._cancellation.request()

    def _scope(self) -> SweepScope:
        """
        Return what is to be stopped.

        :raises CampaignConfigError: When nothing could match, so that it would end well and stop nothing.
        """
        types, statuses = _words(self.campaign_types), _words(self.statuses)
        ended = [word for word in statuses if STOP_CONDITION.is_met_by(word)]
        problem = (
            ("campaign_types is empty" if not types else None)
            or ("statuses is empty" if not statuses else None)
            or (f"statuses has {ended[0]!r}, which is not live" if ended else None)
            or ("name_pattern is blank" if self.name_pattern is not None and not self.name_pattern.strip() else None)
        )
        if problem:
            raise CampaignConfigError(f"{problem}. Nothing was sent. Leave the argument out, or say what to stop.")
        return SweepScope(types, statuses, self.name_pattern)


def _words(value: str | Collection[str]) -> tuple[str, ...]:
    """Return a single word as a collection of one; its letters are not meant."""
    return (value,) if isinstance(value, str) else tuple(value)
