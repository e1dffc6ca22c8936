from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignNotFoundError
from airflow_provider_campaign.hooks.kore import KoreHook
from airflow_provider_campaign.platforms.kore import KorePlatform
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sweep.startable import is_off, switch_schedules_off


def test_a_campaigns_own_schedule_is_switched_off_by_its_name(sandbox: Sandbox, connect: Any) -> None:
    connect(sandbox.kore_connection("v2"))
    campaign = sandbox.add_campaign("cd-1", status="Scheduled", name="Evening & night")
    seen = KoreHook().switch_schedule_off("Evening & night")
    (request,) = sandbox.requests
    assert (request.method, request.path) == ("POST", f"/campaign/api/v2/public/{sandbox.config.iid}/campaign/schedule")
    assert request.query == "enableSchedule=false&campaignName=Evening%20%26%20night"
    assert request.body == b"{}"
    assert (seen.id, seen.status) == (campaign.id, "Ready")
    assert campaign.schedule["isSchedulingEnabled"] is False


def test_a_name_that_no_campaign_has_is_not_found(sandbox: Sandbox, connect: Any) -> None:
    connect(sandbox.kore_connection("v2"))
    with pytest.raises(CampaignNotFoundError, match="nobody"):
        KoreHook().switch_schedule_off("nobody")


@pytest.mark.parametrize(("version", "name"), [("v1", "Evening"), ("v2", " ")])
def test_without_v2_and_a_name_nothing_is_sent(sandbox: Sandbox, connect: Any, version: str, name: str) -> None:
    connect(sandbox.kore_connection(version))
    with pytest.raises(CampaignConfigError, match="api_version"):
        KoreHook().switch_schedule_off(name)
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"status": "Ready", "schedule": {"isSchedulingEnabled": False}}, True),
        ({"status": "Scheduled", "schedule": {"isSchedulingEnabled": False}}, True),
        ({"status": "Ready", "schedule": {"isSchedulingEnabled": True}}, False),
        ({"status": "Scheduled", "schedule": {"isSchedulingEnabled": True}}, False),
        ({"status": "Ready", "schedule": {"isSchedulingEnabled": "no"}}, False),
        ({"status": "Ready", "schedule": {}}, True),
        ({"status": "Ready", "schedule": None}, True),
        ({"status": "Ready"}, True),
        ({"status": "Scheduled", "schedule": {}}, False),
        ({"status": "Rescheduled"}, False),
    ],
)
def test_a_schedule_is_off_if_the_campaign_says_so_or_does_not_wait_for_its_start(
    data: dict[str, Any], expected: bool
) -> None:
    assert is_off(Campaign("cd-1", data["status"], raw={"data": data})) is expected


def test_a_campaign_without_a_record_is_judged_by_its_status() -> None:
    assert is_off(Campaign("cd-1", "Ready"))
    assert not is_off(Campaign("cd-1", "Scheduled", raw={"data": "nothing"}))


def switch_off(
    sandbox: Sandbox, connect: Any, is_due: Callable[[Campaign], bool] = lambda campaign: True
) -> tuple[list[Campaign], list[str]]:
    sandbox.config.rate_limit = None
    connect(sandbox.kore_connection("v2"))
    client = KoreHook().client
    return switch_schedules_off(client, client.platform.campaign_types, client.deadline(900), is_due)


def add_scheduled(sandbox: Sandbox, campaign_id: str, campaign_type: str = "sms", **details: Any) -> None:
    details = {"status": "Scheduled", "name": campaign_id, "schedule": {"isSchedulingEnabled": True}, **details}
    sandbox.add_campaign(campaign_id, campaign_type, **details)


def still_on(sandbox: Sandbox) -> list[str]:
    return [campaign.id for campaign in sandbox.campaigns() if campaign.schedule["isSchedulingEnabled"]]


def test_more_schedules_than_a_page_shows_are_all_switched_off(sandbox: Sandbox, connect: Any) -> None:
    for number in range(150):
        add_scheduled(sandbox, f"sms-{number}", status=("Scheduled", "Rescheduled")[number % 2])
        sandbox.add_campaign(f"ready-{number}", status="Ready")
    add_scheduled(sandbox, "voice-1", "voice")
    seen, problems = switch_off(sandbox, connect)
    assert problems == []
    assert {campaign.status for campaign in seen} == {"Ready"}
    assert still_on(sandbox) == []
    actions = Counter(request.action for request in sandbox.requests)
    assert actions == {"list": 2 + 1, "schedule": 151, "get": 151}


def test_a_schedule_that_does_not_concern_the_caller_stays_on(sandbox: Sandbox, connect: Any) -> None:
    add_scheduled(sandbox, "by-day")
    add_scheduled(sandbox, "at-night")
    seen, _ = switch_off(sandbox, connect, lambda campaign: campaign.id == "at-night")
    assert [campaign.id for campaign in seen] == ["at-night"]
    assert still_on(sandbox) == ["by-day"]


def test_each_schedule_that_is_not_verified_off_is_named_and_keeps_no_other_on(sandbox: Sandbox, connect: Any) -> None:
    add_scheduled(sandbox, "twin-1", name="Twin")
    add_scheduled(sandbox, "twin-2", name="Twin")
    add_scheduled(sandbox, "gone", "voice")
    add_scheduled(sandbox, "last", "voice")
    sandbox.add_fault(Fault("not_found", action="get", campaign_id="gone"))
    seen, problems = switch_off(sandbox, connect)
    assert [campaign.id for campaign in seen] == ["twin-1", "last"]
    assert [problem.partition(": its schedule is not verified")[0] for problem in problems] == [
        "twin-2 (Twin)",
        "gone (gone)",
    ]


def test_a_list_that_can_not_be_read_to_its_end_is_named_and_what_it_shows_is_switched_off(
    sandbox: Sandbox, connect: Any
) -> None:
    for number in range(150):
        add_scheduled(sandbox, f"sms-{number}")
    add_scheduled(sandbox, "voice-1", "voice")
    sandbox.add_fault(Fault("forbidden", action="list", skip=1))
    seen, [problem] = switch_off(sandbox, connect)
    assert (len(seen), len(still_on(sandbox))) == (101, 50)
    assert problem.startswith("Other campaigns may start by themselves: List of SMS campaigns")


@pytest.mark.parametrize("name", ["Sale\x00", "Sale\u200b", " Sale", "Sale\ud83d", "Sale" * 100])
def test_a_name_that_can_not_be_sent_as_it_is_switches_no_other_campaigns_schedule_off(
    sandbox: Sandbox, connect: Any, name: str
) -> None:
    add_scheduled(sandbox, "odd", name=name)
    for like in ("Sale", "Sale\ufffd", f"{'Sale' * 100:.299}…"):
        sandbox.add_campaign(like, "sms", "Ready", like, schedule={"isSchedulingEnabled": True})
    seen, [problem] = switch_off(sandbox, connect)
    assert seen == []
    assert len(still_on(sandbox)) == 4
    assert "nothing was sent: the request goes by the campaign's name, and the response's name is not a word" in problem
    assert problem.isprintable()


def test_a_name_goes_out_as_the_platform_has_it(sandbox: Sandbox, connect: Any) -> None:
    add_scheduled(sandbox, "two", name="Two  blanks")
    add_scheduled(sandbox, "one", name="Two blanks")
    switch_off(sandbox, connect, lambda campaign: campaign.id == "two")
    assert still_on(sandbox) == ["one"]


def test_what_nobody_foresaw_about_one_schedule_keeps_no_other_on(
    sandbox: Sandbox, connect: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read = KorePlatform.read_campaign

    def read_with_a_bug(platform: KorePlatform, *given: Any) -> Campaign:
        campaign = read(platform, *given)
        if campaign.id == "odd":
            raise KeyError("schedule")
        return campaign

    for campaign_id in ("first", "odd", "last"):
        add_scheduled(sandbox, campaign_id)
    monkeypatch.setattr(KorePlatform, "read_campaign", read_with_a_bug)
    seen, [problem] = switch_off(sandbox, connect)
    assert [campaign.id for campaign in seen] == ["first", "last"]
    assert "odd (odd): its schedule is not verified switched off" in problem
    assert "unexpected KeyError" in problem
    assert "Traceback" in caplog.text
