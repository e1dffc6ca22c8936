"""How a sweep ends that leaves campaigns: whether a retry may fix it."""

from __future__ import annotations

import pytest

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignError,
    CampaignSweepError,
    CampaignSweepFinalError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.sweep.account import SweptAccount
from airflow_provider_campaign.sweep.plan import SweepScope
from airflow_provider_campaign.sweep.result import SweepResult
from tests.accounts import SONARLY, client_of
from tests.scripted_transport import ScriptedTransport

FORBIDDEN, AWAY = CampaignAuthError("HTTP 403"), CampaignUnavailableError("HTTP 503")


@pytest.mark.parametrize(
    ("errors", "problem", "kind"),
    [
        ([FORBIDDEN, FORBIDDEN], None, CampaignSweepFinalError),
        ([FORBIDDEN, AWAY], None, CampaignSweepError),
        ([FORBIDDEN, None], None, CampaignSweepError),  # is stopping
        ([None], AWAY, CampaignSweepError),
        ([AWAY], FORBIDDEN, CampaignSweepFinalError),
    ],
)
def test_airflow_tries_again_only_if_that_may_stop_one_of_them(
    errors: list[CampaignError | None], problem: CampaignError | None, kind: type[CampaignError]
) -> None:
    clock = VirtualClock()
    account = SweptAccount(client_of(SONARLY, ScriptedTransport(()), clock), SweepScope(()), Deadline(900, clock))
    account.add_unlisted([Campaign(f"c-{number}", "Active") for number in range(len(errors))], are_given=False)
    for entry, error in zip(account.entries, errors, strict=True):
        entry.error = error
    with pytest.raises(CampaignSweepError) as raised:
        SweepResult(account, problem).raise_for_failure()
    assert type(raised.value) is kind
