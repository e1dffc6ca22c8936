"""Servers that are not our sandbox at its best: what they do was seen to be taken for success, or for failure."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.kinds import KINDS, Connect

SMS = KINDS[0]


@pytest.fixture
def sandbox(sandbox: Sandbox, connect: Connect) -> Sandbox:
    connect(sandbox.kore_connection("v2"))
    return sandbox


def add(sandbox: Sandbox, count: int, types: tuple[str, ...] = ("sms",), **details: Any) -> None:
    for number in range(count):
        sandbox.add_campaign(f"c-{number}", types[number % len(types)], **details)


def sweep(**arguments: Any) -> dict[str, Any]:
    result: dict[str, Any] = StopActiveCampaignsOperator(task_id="sweep", **arguments).execute({})
    return result


def sent(sandbox: Sandbox, action: str) -> int:
    return sum(request.action == action for request in sandbox.requests)


def live(sandbox: Sandbox) -> set[str]:
    return {campaign.id for campaign in sandbox.campaigns() if campaign.live}


# A start of a short campaign.


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "answer lost"])
def test_a_campaign_that_completed_before_the_first_poll_was_started(
    sandbox: Sandbox, clock: VirtualClock, lost: bool
) -> None:
    campaign = SMS.add_campaign(sandbox, status="Ready", start_delay=5.0)
    clock.advance(3600)
    if lost:
        sandbox.add_fault(Fault("lost", action="start"))
        sandbox.add_fault(Fault("error", action="status"))
    clock.at(3600.1, lambda: sandbox.set_status(campaign.id, "Completed"))
    assert SMS.start(campaign.id).execute({})["status"] == "Completed"
    assert sent(sandbox, "start") == 1


# The listing on which a sweep's success rests.


@pytest.mark.parametrize("how", ["no_rows", "short"])
def test_a_list_that_contradicts_itself_is_no_proof_that_nothing_is_live(sandbox: Sandbox, how: str) -> None:
    add(sandbox, 70)
    sandbox.add_fault(Fault("contradiction", how=how, count=None))
    with pytest.raises(CampaignError, match="contradicts itself"):
        sweep(campaign_types=("sms",))
    assert how == "no_rows" or len(live(sandbox)) < 70, "what is listed is stopped all the same"


def test_a_list_that_ignores_filter_and_order_is_read_for_what_it_shows(sandbox: Sandbox) -> None:
    sandbox.config.ignore_filters = sandbox.config.ignore_sort = True
    add(sandbox, 12, ("sms", "voice"))
    for number in range(150):
        sandbox.add_campaign(f"old-{number}", "sms", "Stopped")
    assert sweep()["total"] == 12
    assert live(sandbox) == set()


def test_a_list_that_ignores_the_type_names_campaigns_of_the_other(sandbox: Sandbox) -> None:
    sandbox.config.ignore_type = True
    add(sandbox, 2, ("sms", "voice"))
    with pytest.raises(CampaignError, match=r"c-1 .*Check whether it is of type 'sms'"):
        sweep()
    assert live(sandbox) == {"c-1"}


def test_one_type_is_stopped_although_the_other_can_not_be_listed(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.kore_connection("v1"))
    add(sandbox, 4, ("sms", "voice"))
    sandbox.add_fault(Fault("forbidden", action="list", skip=1, count=None))
    with pytest.raises(CampaignError, match="HTTP 403"):
        sweep()
    assert live(sandbox) == {"c-1", "c-3"}


def test_a_listed_campaign_that_no_request_finds_is_not_taken_for_deleted(sandbox: Sandbox) -> None:
    add(sandbox, 3)
    for action in ("stop", "status"):
        sandbox.add_fault(Fault("not_found", action=action, campaign_id="c-1", count=None))
    with pytest.raises(CampaignError, match=r"(?s)^c-1 .*listed as Active.*1 of 3 campaigns"):
        sweep()
    assert live(sandbox) == {"c-1"}
