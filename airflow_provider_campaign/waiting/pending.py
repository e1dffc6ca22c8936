"""What is waited for, what a poll shows, and when that ends the wait."""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_provider_campaign.campaign import Campaign, WaitCondition
from airflow_provider_campaign.client.changes import seconds_of
from airflow_provider_campaign.exceptions import CampaignError, CampaignStateError, CampaignTimeoutError

# Seconds by which a status without a date may lag behind: half as much again as the minute that lists were seen to lag.
# Longer would hold up each stop on a platform that dates nothing.
MAX_READ_LAG = 90.0


@dataclass(frozen=True)
class Snapshot:
    """What one poll has shown, of one campaign or of many."""

    began: float = 0.0  # seconds since the epoch
    campaigns: dict[str, Campaign] = field(default_factory=dict)  # that were read; nothing new is known of any other
    failed: dict[str, CampaignError] = field(default_factory=dict)  # campaigns that the platform refuses to show
    error: CampaignError | None = None  # what keeps everybody from reading anything
    problem: str | None = None  # what kept something from being read this time
    delay: float = 0.0  # seconds for which the platform asks to be left alone


@dataclass(eq=False)
class PendingWait:
    """
    A wait for a campaign's status, and what has been seen of it.

    :param deadline: When the wait ends (seconds since the epoch); None for never.
    :param acted_at: When the platform acknowledged the stop or start that is waited for (seconds since the epoch, by
        our clock): only what is newer counts. None for a sensor.
    :param changed_at: The campaign's last change by then, by the platform's clock; None if unknown.
    """

    campaign_id: str
    condition: WaitCondition
    campaign_type: str | None = None
    deadline: float | None = None
    acted_at: float | None = None
    changed_at: float | None = None
    last_status: str | None = None  # as it was seen last
    problem: str | None = None  # what kept it from being seen in the last poll
    was_refused: bool = False  # whether the platform has refused to show it since it was seen last

    def accepts(self, campaign: Campaign, read_at: float) -> bool:
        """
        Return whether a reading counts: one that would end the wait must be newer than the stop or start.

        The platform's own dates decide. One without a date, or with the same, counts once nothing lags any more.
        """
        if self.acted_at is None or not self.condition.is_final(campaign.status):
            return True
        changed_at = seconds_of(campaign.updated_at)
        if changed_at is None or self.changed_at is None or changed_at == self.changed_at:
            return read_at >= self.acted_at + MAX_READ_LAG
        return changed_at > self.changed_at

    def reached(self, snapshot: Snapshot, description: str) -> Campaign | None:
        """
        Return the campaign if a poll shows that it has met the condition; note what the poll shows if not.

        :raises CampaignError: When it can't be read, for an acknowledged stop twice in a row, or not end well any more.
        """
        self.problem = snapshot.problem
        if error := snapshot.error or snapshot.failed.get(self.campaign_id):
            if self.acted_at is None or self.was_refused:
                raise error
            self.problem, self.was_refused = str(error), True
        campaign = snapshot.campaigns.get(self.campaign_id)
        if campaign is None:
            return None
        self.was_refused = False
        if not self.accepts(campaign, snapshot.began):
            self.problem = f"it was read as {campaign.status}, but that status may be older than the action."
            return None
        self.last_status = campaign.status
        if self.condition.is_ruled_out_by(campaign.status):
            raise CampaignStateError(
                f"Campaign {campaign.id!r} ({description}) is {campaign.status}: it will not become {self.condition} "
                "any more. Look at it in the platform's console; another user may have changed it."
            )
        return campaign if self.condition.is_met_by(campaign.status) else None

    def timed_out(self, seconds: float, description: str) -> CampaignTimeoutError:
        """Return the error for a wait that ran out of time."""
        return CampaignTimeoutError(
            f"Campaign {self.campaign_id!r} ({description}) is not {self.condition} after {seconds:g} s; "
            f"last seen: {self.last_status or 'unknown'}. "
            + (f"The last problem: {self.problem} " if self.problem else "")
            + "It may still be sending: look at it in the platform's console, and give the task a longer timeout "
            "if campaigns take longer to stop."
        )
