"""A list that filters hides the words that it does not know: they are counted after the stops, and named."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.statuses import KORE_STATUSES
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily
from tests.integration.sweep.runs import Dag, asked_filters, live, on_monday, received, stops
from tests.kinds import Connect

END = on_monday("21:00")
HOURS = daily("UTC", ("09:00", "21:00"))


@pytest.fixture
def dag(clock: VirtualClock) -> Dag:
    return Dag(clock, timeout=300)


@pytest.fixture(params=["v1", "v2"])
def version(request: pytest.FixtureRequest, sandbox: Sandbox, connect: Connect) -> str:
    connect(sandbox.kore_connection(request.param))
    return str(request.param)


def add(sandbox: Sandbox, count: int = 4) -> None:
    for number in range(count):
        sandbox.add_campaign(f"c-{number}", ("sms", "voice")[number % 2])


def add_unknown(sandbox: Sandbox, campaign_id: str, word: str, campaign_type: str = "sms") -> None:
    sandbox.add_campaign(campaign_id, campaign_type, name=f"Campaign {campaign_id}")
    sandbox.set_status(campaign_id, word, documented=False)


def counts(sandbox: Sandbox) -> list[float]:
    """Return when lists were requested that show more than a sweep can stop: ended campaigns too, or all."""
    return [request.at for request, words in asked_filters(sandbox) if not words or {"Stopped", "Completed"} & words]


@pytest.mark.usefixtures("version")
def test_campaigns_that_run_once_more_are_live_and_stopped(sandbox: Sandbox, dag: Dag) -> None:
    add(sandbox)
    for number in range(3):
        sandbox.add_campaign(f"rerun-{number}", "voice", status="Rerun")
    outcome = dag.triggered().attempt()
    assert live(sandbox) == set()
    assert {f"rerun-{number}" for number in range(3)} <= set(outcome.ids("stopped"))


@pytest.mark.usefixtures("version")
def test_at_the_end_of_the_hours_they_are_found_even_where_nothing_else_is_live(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag
) -> None:
    for number in range(3):
        sandbox.add_campaign(f"rerun-{number}", "voice", status="Rerun")
    outcome = dag.scheduled(END).attempt(at=END, calling_hours=HOURS)
    assert live(sandbox) == set() or all(outcome.names(f"rerun-{number}") for number in range(3))


@pytest.mark.usefixtures("version")
@pytest.mark.parametrize("word", ["Redialing", "Queued For Dialing", "ACTIVE_2", "\u00e9mission"])
def test_any_other_word_is_named_and_no_proof(sandbox: Sandbox, dag: Dag, word: str) -> None:
    add(sandbox)
    for campaign_type in ("sms", "voice"):
        add_unknown(sandbox, f"odd-{campaign_type}", word, campaign_type)
    outcome = dag.triggered().attempt()
    assert live(sandbox) == set()
    for campaign_type in ("sms", "voice"):
        assert outcome.names(f"odd-{campaign_type}")
    assert word in outcome.message
    assert {f"c-{number}" for number in range(4)} <= set(outcome.ids("stopped"))


def test_a_word_among_many_stopped_campaigns_is_named(sandbox: Sandbox, dag: Dag) -> None:
    for number in range(250):
        sandbox.add_campaign(f"old-{number}", status="Stopped")
    add(sandbox)
    add_unknown(sandbox, "odd", "Redialing")
    for number in range(250, 400):
        sandbox.add_campaign(f"old-{number}", status="Completed")
    outcome = dag.triggered().attempt()
    assert outcome.names("odd")
    assert sandbox.campaign("odd").status == "Redialing" or "odd" in stops(sandbox)


@pytest.mark.parametrize("scope", [{"name_pattern": "Sale*"}, {"campaign_types": ("sms",)}], ids=str)
def test_a_word_outside_the_scope_fails_nothing(sandbox: Sandbox, dag: Dag, scope: dict[str, Any]) -> None:
    sandbox.add_campaign("c-1", name="Sale 1")
    add_unknown(sandbox, "odd", "Redialing", "voice")
    outcome = dag.triggered().attempt(**scope)
    assert outcome.error is None
    assert outcome.ids("stopped") == ["c-1"]
    assert "odd" not in stops(sandbox)


def test_a_sweep_that_finds_no_odd_word_counts_by_two_requests_a_type(sandbox: Sandbox, dag: Dag) -> None:
    for number in range(300):
        sandbox.add_campaign(f"old-{number}", ("sms", "voice")[number % 2], status=KORE_STATUSES[number % 2 - 2])
    add(sandbox)
    outcome = dag.triggered().attempt()
    assert outcome.error is None
    assert len(counts(sandbox)) <= 4
    assert len(received(sandbox, "list")) <= 4 + 4
    last_stop = max(request.at for request in received(sandbox, "stop"))
    assert all(at >= last_stop for at in counts(sandbox))
    assert {request.status_code for request in sandbox.requests} == {200}  # a filter takes documented words only


def test_the_counts_come_after_the_stops(sandbox: Sandbox, dag: Dag) -> None:
    add(sandbox, 20)
    dag.triggered().attempt()
    order = [request.action for request in sandbox.requests if not _is_narrow_list(request.body)]
    assert "list" not in order[: 1 + max(number for number, action in enumerate(order) if action == "stop")]


def _is_narrow_list(body: bytes) -> bool:
    """Return whether a request lists by words that leave ended campaigns out."""
    words = set((json.loads(body or b"{}").get("filters") or {}).get("status") or ())
    return bool(words) and not {"Stopped", "Completed"} & words


@pytest.mark.parametrize("deferrable", [False, True])
def test_no_count_is_taken_before_the_end_of_the_hours(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag, deferrable: bool
) -> None:
    add(sandbox, 12)
    begins = END - timedelta(minutes=10)
    outcome = dag.scheduled(begins).attempt(at=begins, calling_hours=HOURS, deferrable=deferrable)
    assert outcome.error is None
    assert len(stops(sandbox)) == 12
    assert all(at >= clock.reading(END) for at in counts(sandbox))


def test_a_word_that_is_found_after_the_end_fails_a_run_that_began_before_it(
    sandbox: Sandbox, clock: VirtualClock, dag: Dag
) -> None:
    add(sandbox, 2)
    add_unknown(sandbox, "odd", "Redialing")
    sandbox.add_campaign("rerun", "voice", status="Rerun")
    begins = END - timedelta(minutes=10)
    outcome = dag.scheduled(begins).attempt(at=begins, calling_hours=HOURS)
    assert outcome.names("odd")
    assert sandbox.campaign("rerun").status == "Stopped" or outcome.names("rerun")


def test_a_word_on_sonarly_counts_as_live(sandbox: Sandbox, connect: Connect, dag: Dag) -> None:
    connect(sandbox.sonarly_connection())
    sandbox.add_campaign("s-1", "sonarly")
    sandbox.add_campaign("s-2", "sonarly")
    sandbox.set_status("s-2", "delivering", documented=False)
    outcome = dag.triggered().attempt(timeout=60)
    assert sandbox.campaign("s-1").status == "Stopped"
    assert outcome.names("s-2")
