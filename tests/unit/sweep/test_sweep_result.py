"""How a sweep ends that leaves campaigns: whether another try may mend it."""

from __future__ import annotations

import pytest

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignError,
    CampaignNotFoundError,
    CampaignSweepError,
    CampaignSweepFinalError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.sweep.entry import SweepEntry
from airflow_provider_campaign.sweep.result import SweepResult

FORBIDDEN, AWAY = CampaignAuthError("HTTP 403"), CampaignUnavailableError("HTTP 503")


@pytest.mark.parametrize(
    ("errors", "problem", "kind"),
    [
        ([FORBIDDEN, FORBIDDEN], None, CampaignSweepFinalError),
        ([FORBIDDEN, AWAY], None, CampaignSweepError),
        ([FORBIDDEN, None], None, CampaignSweepError),  # winds down
        ([None], AWAY, CampaignSweepError),
        ([AWAY], FORBIDDEN, CampaignSweepFinalError),
    ],
)
def test_airflow_tries_again_only_if_that_may_stop_one_of_them(
    errors: list[CampaignError | None], problem: CampaignError | None, kind: type[CampaignError]
) -> None:
    entries = [SweepEntry(Campaign(f"c-{number}", "Active"), error=error) for number, error in enumerate(errors)]
    with pytest.raises(CampaignSweepError) as raised:
        SweepResult(entries, {}, problem, "campaign_default", requests=2, seconds=1.0).raise_for_failure()
    assert type(raised.value) is kind


@pytest.mark.parametrize(("said", "message"), [("no such campaign", "no such campaign"), (None, "deleted meanwhile")])
def test_a_campaign_that_is_gone_keeps_what_the_platform_said_of_it(said: str | None, message: str) -> None:
    entry = SweepEntry(Campaign("c-1", "Active"))
    entry.note_deleted(CampaignNotFoundError("HTTP 404", platform_text=said), 1.0)
    assert entry.campaign.message == message
