"""How campaigns come to a stop, and what a platform does that no document says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import ReceivedRequest, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient, SonarlyClient

HOUR = 3600.0


def status_of(kore: KoreClient, campaign_id: str) -> str:
    return str(kore.status(campaign_id).json()["data"]["status"])


def test_a_delayed_stop_takes_effect_in_time(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    sandbox.config.stop_delay = 30
    campaign = sandbox.add_campaign()
    started = campaign.updated_at
    response = kore.stop(campaign.id).json()
    assert (response["status"], response["message"]) == ("Active", "Campaign stop requested")
    assert response["updatedAt"] == started
    clock.advance(29.9)
    assert kore.stop(campaign.id).status_code == 200  # does not begin the delay again
    assert status_of(kore, campaign.id) == "Active"
    clock.advance(100)
    assert status_of(kore, campaign.id) == "Stopped"
    assert campaign.history == [(1000.0, "Active"), (1030.0, "Stopped")]
    assert campaign.updated_at > started


def test_a_campaign_that_runs_can_be_stopped_and_no_other(sandbox: Sandbox, kore: KoreClient) -> None:
    for status in ("Active", "Preparing", "Paused"):
        assert kore.stop(sandbox.add_campaign(status=status).id).json()["status"] == "Stopped"
    for status in ("Ready", "Scheduled", "Rescheduled"):
        campaign = sandbox.add_campaign(status=status)
        assert kore.stop(campaign.id).status_code == 409
        assert campaign.status == status


@pytest.mark.parametrize("status", ["Stopped", "Completed"])
@pytest.mark.parametrize(("setting", "code"), [("conflict", 409), ("bad_request", 400), ("ok", 200)])
def test_a_stop_of_an_ended_campaign_is_answered_as_configured(
    sandbox: Sandbox, kore: KoreClient, status: str, setting: str, code: int
) -> None:
    sandbox.config.stop_when_stopped = setting  # type: ignore[assignment]
    response = kore.stop(sandbox.add_campaign(status=status).id)
    assert response.status_code == code
    assert code != 200 or response.json()["status"] == status


def test_a_status_can_be_set_now_or_later_and_be_any_word(
    sandbox: Sandbox, kore: KoreClient, clock: VirtualClock
) -> None:
    campaign = sandbox.add_campaign(stop_delay=10)
    kore.stop(campaign.id)
    sandbox.set_status(campaign.id, "paused")
    clock.advance(60)
    assert campaign.status == "Paused"  # the stop that was pending is canceled
    sandbox.set_status(campaign.id, "on fire", delay=5, documented=False)
    assert status_of(kore, campaign.id) == "Paused"
    clock.advance(5)
    assert status_of(kore, campaign.id) == "on fire"


def test_waiting_sees_a_delayed_stop_on_the_real_clock() -> None:
    with Sandbox(stop_delay=0.05) as sandbox:
        campaign = sandbox.add_campaign()
        KoreClient(sandbox).stop(campaign.id)
        sandbox.wait_for(lambda sandbox: sandbox.campaign(campaign.id).status == "Stopped")
        [(_, _), (stopped_at, _)] = campaign.history
        assert stopped_at >= sandbox.requests[0].at + 0.05


def test_a_campaign_may_start_again_each_time_it_is_stopped(
    sandbox: Sandbox, kore: KoreClient, clock: VirtualClock
) -> None:
    campaign = sandbox.add_campaign(restarts=2, restart_delay=5, stop_delay=1)
    for _ in range(3):
        kore.stop(campaign.id)
        clock.advance(1)
        assert status_of(kore, campaign.id) == "Stopped"
        clock.advance(5)
    assert [status for _, status in campaign.history] == ["Active", "Stopped"] * 3
    assert campaign.history[2] == (1006.0, "Active")
    at_once = sandbox.add_campaign(restarts=1)
    assert [kore.stop(at_once.id).json()["status"] for _ in range(2)] == ["Active", "Stopped"]
    added = sandbox.add_campaign(status="Stopped", restarts=1, restart_delay=5)
    clock.advance(5)
    assert added.status == "Active"


def listed(kore: KoreClient, **body: Any) -> dict[str, str]:
    rows = kore.list(**body).json()["data"]["results"]
    return {row["id"]: row["status"] for row in rows}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_filtered_list_hides_a_word_that_no_document_has(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign("c-1", status="Rerun")
    sandbox.add_campaign("c-2")
    sandbox.set_status("c-2", "Redialing", documented=False)
    words = ["Ready", "Scheduled", "Rescheduled", "Preparing", "Active", "Paused", "Stopped", "Completed"]
    assert listed(kore, filters={"status": words}) == {}
    assert listed(kore) == {"c-1": "Rerun", "c-2": "Redialing"}
    assert kore.list(filters={"status": ["Rerun"]}).status_code == 400
    assert campaign.live
    assert kore.stop("c-1").json()["status"] == "Stopped"


def test_something_may_happen_with_each_request(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    sandbox.add_campaign("c-1")
    seen: list[tuple[str | None, str | None]] = []

    def stop_before_the_list_is_read(request: ReceivedRequest) -> None:
        seen.append((request.action, request.campaign_id))
        clock.advance(1)
        if request.action == "list":
            sandbox.set_status("c-1", "Stopped")

    sandbox.on_request(stop_before_the_list_is_read)
    assert kore.status("c-1").json()["data"]["status"] == "Active"
    assert listed(kore) == {"c-1": "Stopped"}
    assert seen == [("status", "c-1"), ("list", None)]
    assert [request.at for request in sandbox.requests] == [1000.0, 1001.0]


# The platform's own clock, which need not show our time.


def test_a_clock_that_knows_the_date_says_what_date_it_is() -> None:
    clock = VirtualClock(datetime(2027, 2, 1, 9, tzinfo=UTC))
    with Sandbox(clock=clock) as sandbox:
        clock.advance(60)
        assert sandbox.add_campaign("c-1").created_at == "2027-02-01T09:01:00.000Z"


@pytest.mark.parametrize("offset", [HOUR, -HOUR])
def test_changes_are_dated_by_the_platforms_clock(
    sandbox: Sandbox, kore: KoreClient, sonarly: SonarlyClient, clock: VirtualClock, offset: float
) -> None:
    campaign = sandbox.add_campaign("c-1")
    draft = sandbox.add_campaign("c-2", campaign_type="sonarly", status="Draft")
    before = moment(campaign.created_at)
    sandbox.config.clock_offset = offset
    clock.advance(10)
    response = kore.stop("c-1")
    [row] = kore.list().json()["data"]["results"]
    assert moment(row["createdAt"]) == before
    assert moment(row["updatedAt"]) - before == timedelta(seconds=offset + 10)
    assert campaign.history[-1] == (1010.0, "Stopped")
    assert parsedate_to_datetime(response.headers["Date"]) == moment(row["updatedAt"]).replace(microsecond=0)
    started = sonarly.start(draft.id).json()["data"]["campaign"]
    assert moment(started["startedAt"]) == moment(started["updatedAt"]) == moment(row["updatedAt"])
    assert moment(sandbox.add_campaign("c-3").created_at) == moment(row["updatedAt"])


def test_a_list_that_lags_shows_what_was(sandbox: Sandbox, kore: KoreClient, clock: VirtualClock) -> None:
    sandbox.config.list_lag = 3.0
    for number in (1, 2):
        sandbox.add_campaign(f"c-{number}")
    assert listed(kore) == {}
    clock.advance(10)
    before = kore.list().json()["data"]["results"]
    kore.stop("c-1")
    sandbox.remove_campaign("c-2")
    sandbox.add_campaign("c-3")
    clock.advance(2)
    assert kore.list().json()["data"]["results"] == before
    assert kore.status("c-1").json()["data"]["status"] == "Stopped"
    assert kore.status("c-2").status_code == 404
    clock.advance(1)
    assert listed(kore) == {"c-1": "Stopped", "c-3": "Active"}


def test_a_status_that_lags_shows_what_was(
    sandbox: Sandbox, kore: KoreClient, sonarly: SonarlyClient, clock: VirtualClock
) -> None:
    sandbox.config.status_lag = 3.0
    sandbox.add_campaign("c-1")
    sandbox.add_campaign("c-2", "sonarly")
    clock.advance(10)
    kore.stop("c-1")
    sonarly.stop("c-2")
    assert kore.status("c-1").json()["data"]["status"] == kore.get("c-1").json()["data"]["status"] == "Active"
    assert sonarly.get("c-2").json()["data"]["status"] == "active"
    assert listed(kore) == {"c-1": "Stopped"}
    assert [item["status"] for item in sonarly.list().json()["data"]["items"]] == ["stopped"]
    clock.advance(3)
    assert kore.status("c-1").json()["data"]["status"] == "Stopped"


def test_a_conflict_may_be_a_400(sandbox: Sandbox, kore: KoreClient) -> None:
    sandbox.add_campaign("c-1", status="Scheduled")
    assert kore.stop("c-1").status_code == 409
    sandbox.config.conflict_status = 400
    response = kore.stop("c-1")
    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "CAMPAIGN_NOT_ACTIVE")


def test_an_id_may_be_a_number(sandbox: Sandbox, sonarly: SonarlyClient) -> None:
    sandbox.config.numeric_ids = True
    for campaign_id in ("17", "c-1"):
        sandbox.add_campaign(campaign_id, "sonarly")
    assert [item["id"] for item in sonarly.list().json()["data"]["items"]] == [17, "c-1"]
    assert sonarly.stop("17").json()["data"]["campaign"]["id"] == 17
    assert sonarly.get("17").json()["data"]["id"] == 17


def test_a_response_may_have_a_status_of_its_own(sandbox: Sandbox, sonarly: SonarlyClient) -> None:
    sandbox.config.start_status_word, sandbox.config.stop_status_word = "queued", "stopping"
    campaign = sandbox.add_campaign(campaign_type="sonarly", status="Draft")
    for act, word, status in ((sonarly.start, "queued", "active"), (sonarly.stop, "stopping", "stopped")):
        assert act(campaign.id).json()["data"]["campaign"]["status"] == word
        assert sonarly.get(campaign.id).json()["data"]["status"] == status
