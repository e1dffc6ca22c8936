"""What a platform does that no document says: unknown words, responses that lag, odd ids and names, its own clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import ReceivedRequest, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient, SonarlyClient

HOUR = 3600.0


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
