"""A list that filters hides the statuses that it does not know: they are counted after the stops, and named."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import ReceivedRequest, Sandbox
from airflow_provider_campaign.sandbox.statuses import KORE_STATUSES
from tests.integration.sweep.runs import (
    A_MINUTE,
    END,
    HOURS,
    Dag,
    add,
    asked_filters,
    ids,
    live,
    received,
    stops,
)
from tests.kinds import Connect

BOTH = ("sms", "voice")


def add_unknown(sandbox: Sandbox, campaign_id: str, word: str, campaign_type: str = "sms") -> None:
    sandbox.add_campaign(campaign_id, campaign_type)
    sandbox.set_status(campaign_id, word, documented=False)


def counts(sandbox: Sandbox) -> list[ReceivedRequest]:
    """Return the requests for lists that show more than a sweep can stop: ended campaigns too, or all."""
    return [request for request, words in asked_filters(sandbox) if not words or {"Stopped", "Completed"} & words]


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("word", ["Redialing", "ACTIVE_2", "\u00e9mission"])
def test_a_status_that_is_not_documented_is_named_and_no_proof(
    sandbox: Sandbox, connect: Connect, dag: Dag, version: str, word: str
) -> None:
    connect(sandbox.kore_connection(version))
    for number in range(250):
        sandbox.add_campaign(f"old-{number}", status=("Stopped", "Completed")[number % 2])
    add(sandbox, 4, BOTH)
    add(sandbox, 3, ("voice",), prefix="rerun", status="Rerun")
    for campaign_type in BOTH:
        add_unknown(sandbox, f"odd-{campaign_type}", word, campaign_type)
    outcome = dag.sweep()
    assert live(sandbox) == set()
    assert outcome.names("odd-sms")
    assert outcome.names("odd-voice")
    assert word in outcome.message
    assert outcome.ids("stopped") == [*ids(4), *ids(3, "rerun")]


@pytest.mark.parametrize("scope", [{"name_pattern": "Sale*"}, {"campaign_types": ("sms",)}], ids=str)
def test_an_undocumented_status_out_of_scope_fails_nothing(sandbox: Sandbox, dag: Dag, scope: dict[str, Any]) -> None:
    sandbox.add_campaign("c-1", name="Sale 1")
    add_unknown(sandbox, "odd", "Redialing", "voice")
    outcome = dag.sweep(**scope)
    assert outcome.error is None
    assert stops(sandbox) == outcome.ids("stopped") == ["c-1"]


def test_without_one_two_requests_a_type_count_after_the_stops(sandbox: Sandbox, dag: Dag) -> None:
    for number in range(300):
        sandbox.add_campaign(f"old-{number}", BOTH[number % 2], status=KORE_STATUSES[number % 2 - 2])
    add(sandbox, 20, BOTH)
    assert dag.sweep().error is None
    assert len(counts(sandbox)) <= 4
    assert len(received(sandbox, "list")) <= 4 + 4
    last_stop = max(number for number, request in enumerate(sandbox.requests) if request.action == "stop")
    assert min(map(sandbox.requests.index, counts(sandbox))) > last_stop
    assert {request.status_code for request in sandbox.requests} == {200}  # a filter takes documented words only


@pytest.mark.parametrize("deferrable", [False, True])
def test_with_calling_hours_they_are_counted_at_the_end_and_fail_the_run(
    sandbox: Sandbox, dag: Dag, deferrable: bool
) -> None:
    add(sandbox, 12, BOTH)
    sandbox.add_campaign("rerun", "voice", status="Rerun")
    add_unknown(sandbox, "odd", "Redialing")
    outcome = dag.guard(END - 10 * A_MINUTE, calling_hours=HOURS, deferrable=deferrable)
    assert outcome.names("odd")
    assert outcome.ids("stopped") == [*ids(12), "rerun"]
    assert counts(sandbox)
    assert all(request.at >= dag.clock.reading(END) for request in counts(sandbox))
    sandbox.remove_campaign("odd")
    sandbox.set_status("rerun", "Rerun")
    again = dag.guard(END + timedelta(hours=1), calling_hours=HOURS)  # where nothing else is live
    assert again.error is None
    assert live(sandbox) == set()


def test_an_undocumented_status_on_sonarly_counts_as_live(sandbox: Sandbox, connect: Connect, dag: Dag) -> None:
    connect(sandbox.sonarly_connection())
    add(sandbox, 2, ("sonarly",))
    sandbox.campaign("c-1").settled_status = "delivering"
    sandbox.set_status("c-1", "delivering", documented=False)
    outcome = dag.sweep(timeout=60)
    assert outcome.ids("stopped") == ["c-0"]
    assert outcome.names("c-1")
    assert dag.sweep(statuses=("active",)).result["total"] == 0
