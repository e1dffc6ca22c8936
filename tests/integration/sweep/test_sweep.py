"""The sweep stops all that is live in an account, proves it, and names what it could not stop."""

from __future__ import annotations

import itertools
import logging
import re
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignConfigError,
    CampaignError,
    CampaignSweepError,
    CampaignSweepFinalError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operators.sweep import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.sweep.entry import REFUSAL_DELAYS
from airflow_provider_campaign.sweep.workers import CONCURRENCY
from tests.kinds import Connect
from tests.profiles import examples

KEYS = {
    *("campaign_id", "name", "campaign_type", "status_before", "asked_at", "confirmed_at", "status", "message"),
    *("already_stopped", "is_incident", "unanswered", "rule", "end", "try_number"),
}
WINDOW = 60.0
EMPTY: Any = {}


class RecordingTaskInstance:
    def __init__(self) -> None:
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


@pytest.fixture
def sandbox(clock: VirtualClock, connect: Connect) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as sandbox:
        connect(sandbox.kore_connection("v2"))
        yield sandbox


@pytest.fixture(params=["v1", "v2", "sonarly"])
def account(request: pytest.FixtureRequest, sandbox: Sandbox, connect: Connect) -> tuple[str, ...]:
    """The campaign types of each platform in turn, with the connection made."""
    if request.param == "sonarly":
        connect(sandbox.sonarly_connection())
        return ("sonarly",)
    connect(sandbox.kore_connection(request.param))
    return ("sms", "voice")


def add(sandbox: Sandbox, count: int, types: tuple[str, ...] = ("sms",), **details: Any) -> None:
    for number in range(count):
        sandbox.add_campaign(f"c-{number}", types[number % len(types)], **details)


def sweep(context: Any = None, **arguments: Any) -> dict[str, Any]:
    result: dict[str, Any] = StopActiveCampaignsOperator(task_id="sweep", **arguments).execute(context or EMPTY)
    return result


def calls(sandbox: Sandbox) -> Counter[tuple[str | None, int | None]]:
    return Counter((request.action, request.status_code) for request in sandbox.requests)


def stops(sandbox: Sandbox) -> list[str | None]:
    return [request.campaign_id for request in sandbox.requests if request.action == "stop"]


def live(sandbox: Sandbox) -> set[str]:
    return {campaign.id for campaign in sandbox.campaigns() if campaign.live}


def asked_more_than_once(sandbox: Sandbox) -> list[str]:
    return [campaign.id for campaign in sandbox.campaigns() if campaign.stop_requests > 1]


# What it costs.


def test_fifty_campaigns_cost_one_listing_before_one_after_and_a_stop_each(sandbox: Sandbox) -> None:
    add(sandbox, 50)
    record = sweep(campaign_types=("sms",))
    assert calls(sandbox) == {("list", 200): 5, ("stop", 200): 50}  # one is of the type that is left out, two count
    assert live(sandbox) == set()
    assert record["requests"] == 55


@pytest.mark.parametrize(("count", "windows"), [(100, 1), (300, 5)])
def test_past_the_budget_it_waits_for_the_window_and_is_refused_nothing(
    sandbox: Sandbox, clock: VirtualClock, caplog: pytest.LogCaptureFixture, count: int, windows: int
) -> None:
    caplog.set_level(logging.INFO)
    add(sandbox, count)
    sweep(campaign_types=("sms",))
    assert "Rate limit reached; resuming in 60 s" in caplog.text
    assert live(sandbox) == set()
    assert asked_more_than_once(sandbox) == []
    assert calls(sandbox)["stop", 200] == count
    assert {status for _, status in calls(sandbox)} == {200}
    assert len(sandbox.requests) <= count + 5 + 3 * windows  # it lists what is left after each wait, a page a hundred
    assert clock.passed <= windows * WINDOW * 1.01


def test_ten_thousand_stopped_campaigns_cost_nothing(sandbox: Sandbox, clock: VirtualClock) -> None:
    add(sandbox, 20, ("sms", "voice"))
    sweep()
    alone, seconds = calls(sandbox), clock.passed
    sandbox.reset()
    for number in range(10_000):
        sandbox.add_campaign(f"old-{number}", ("sms", "voice")[number % 2], "Stopped")
    add(sandbox, 20, ("sms", "voice"))
    clock.advance(WINDOW)
    before = clock.passed
    sweep()
    assert calls(sandbox) == alone
    assert clock.passed - before == seconds
    assert live(sandbox) == set()


def test_what_somebody_else_has_spent_costs_a_few_refusals_and_a_wait(sandbox: Sandbox) -> None:
    add(sandbox, 50)
    another = CampaignHook.for_conn_id("campaign_default")
    for _ in range(40):
        another.client.get_campaign_status("c-0")
    sandbox.clear_requests()
    sweep(campaign_types=("sms",))
    assert live(sandbox) == set()
    assert asked_more_than_once(sandbox) == []
    assert 0 < calls(sandbox)["stop", 429] <= CONCURRENCY


def test_nothing_live_costs_a_listing_and_two_counts_a_type(sandbox: Sandbox) -> None:
    add(sandbox, 5, status="Stopped")
    record = sweep()
    assert calls(sandbox) == {("list", 200): 6}
    assert (record["total"], record["stopped"], record["failed"]) == (0, [], [])


def test_many_that_wind_down_are_watched_together(sandbox: Sandbox, clock: VirtualClock) -> None:
    sandbox.config.stop_delay = 45.0
    add(sandbox, 50)
    record = sweep(campaign_types=("sms",))
    assert len(record["stopped"]) == 50
    assert asked_more_than_once(sandbox) == []
    assert len(sandbox.requests) <= 50 + 15
    assert clock.passed <= 45 + WINDOW


# What it stops.


def test_all_that_is_live_is_stopped_on_every_platform(sandbox: Sandbox, account: tuple[str, ...]) -> None:
    add(sandbox, 12, account)
    for status in ("Stopped", "Completed", "Paused", "Scheduled"):
        sandbox.add_campaign(status, account[0], status)
    record = sweep()
    assert live(sandbox) == set()
    assert sandbox.campaign("Paused").status == "Paused"
    assert sandbox.campaign("Scheduled").status == "Scheduled"
    assert {row["campaign_id"] for row in record["stopped"]} == {f"c-{number}" for number in range(12)}
    assert set(stops(sandbox)) == {row["campaign_id"] for row in record["stopped"]}


def test_only_the_types_asked_for_are_stopped(sandbox: Sandbox) -> None:
    add(sandbox, 4, ("sms", "voice"))
    sweep(campaign_types="voice")
    assert live(sandbox) == {"c-0", "c-2"}


def test_a_campaign_that_prepares_is_live_too(sandbox: Sandbox, clock: VirtualClock, account: tuple[str, ...]) -> None:
    sandbox.add_campaign("preparing", account[0], "Preparing")
    clock.at(10, lambda: sandbox.set_status("preparing", "Active"))  # Sonarly refuses the stop until then
    sweep()
    assert live(sandbox) == set()


def test_only_the_statuses_asked_for_are_stopped_in_any_case(sandbox: Sandbox) -> None:
    sandbox.add_campaign("active")
    sandbox.add_campaign("paused", status="Paused")
    sweep(statuses="pAUSED")
    assert stops(sandbox) == ["paused"]
    assert sandbox.campaign("paused").status == "Stopped"


def test_a_status_that_sonarly_does_not_document_counts_as_live_unless_the_live_ones_are_named(
    sandbox: Sandbox, connect: Connect
) -> None:
    connect(sandbox.sonarly_connection())
    sandbox.add_campaign("s-1", "sonarly")
    sandbox.add_campaign("s-2", "sonarly").settled_status = "Delivering"
    with pytest.raises(CampaignSweepError, match="s-2"):
        sweep(timeout=30)
    assert sandbox.campaign("s-1").status == "Stopped"
    assert sweep(statuses=("active",), timeout=30)["total"] == 0


def test_only_names_that_match_are_stopped(sandbox: Sandbox, account: tuple[str, ...]) -> None:
    for name in ("Spring sale", "spring sale", "Spring", "Autumn sale"):
        sandbox.add_campaign(name.replace(" ", "-"), account[0], name=name)
    record = sweep(name_pattern="S* sale")
    assert stops(sandbox) == ["Spring-sale"]
    assert record["total"] == 1


def test_those_of_the_highest_priority_are_asked_before_the_budget_is_spent(
    sandbox: Sandbox, clock: VirtualClock
) -> None:
    for number in range(100):
        sandbox.add_campaign(f"c-{number}", priority="5" if number >= 60 else "2")
    sandbox.add_campaign("without", priority="none")
    sweep(campaign_types=("sms",))
    received = [(request.campaign_id or "", request.at) for request in sandbox.requests if request.action == "stop"]
    in_first_window = {campaign_id for campaign_id, at in received if at < clock.began + WINDOW}
    assert {f"c-{number}" for number in range(60, 100)} < in_first_window
    assert "without" not in in_first_window


def test_a_campaign_that_starts_meanwhile_is_stopped_too(sandbox: Sandbox, clock: VirtualClock) -> None:
    sandbox.add_campaign("first", stop_delay=30.0)
    clock.at(5, lambda: sandbox.add_campaign("late"))
    clock.at(25, lambda: sandbox.add_campaign("later", "voice"))
    record = sweep()
    assert live(sandbox) == set()
    assert {row["campaign_id"] for row in record["stopped"]} == {"first", "late", "later"}


def test_a_campaign_that_is_started_again_is_stopped_again(
    sandbox: Sandbox, clock: VirtualClock, account: tuple[str, ...]
) -> None:
    add(sandbox, 5, account)
    sandbox.add_fault(Fault("error", action="stop", campaign_id="c-4", count=3))
    clock.at(1, lambda: sandbox.set_status("c-0", "Active"))
    record = sweep()
    assert live(sandbox) == set()
    assert Counter(stops(sandbox))["c-0"] == 2
    assert len(record["stopped"]) == record["total"] == 5


def test_whoever_starts_a_campaign_again_and_again_is_not_followed_at_full_speed(
    sandbox: Sandbox, clock: VirtualClock, connect: Connect
) -> None:
    connect(sandbox.sonarly_connection())
    add(sandbox, 2, ("sonarly",))
    sandbox.add_fault(Fault("error", action="stop", campaign_id="c-1"))
    for second in range(1, 1000):
        clock.at(second, lambda: sandbox.set_status("c-0", "Active"))
    with pytest.raises(CampaignSweepError, match=r"(?s)^c-0 .*is live again, Active\n1 of 2 campaigns"):
        sweep(timeout=300)
    assert len(stops(sandbox)) < 30


def test_campaigns_that_are_deleted_meanwhile_are_not_a_failure(sandbox: Sandbox, clock: VirtualClock) -> None:
    add(sandbox, 100, stop_delay=70.0)
    clock.at(30, lambda: sandbox.remove_campaign("c-0"))  # asked, and winding down
    clock.at(30, lambda: sandbox.remove_campaign("c-99"))  # not asked yet
    record = sweep(campaign_types=("sms",))
    rows = {row["campaign_id"]: row for row in [*record["stopped"], *record["already_stopped"]]}
    assert (rows["c-0"]["status"], rows["c-99"]["status"]) == ("Deleted", "Deleted")
    assert len(rows) == 100
    assert live(sandbox) == set()


def test_a_stop_that_somebody_else_was_faster_with_is_told_apart(sandbox: Sandbox, clock: VirtualClock) -> None:
    add(sandbox, 100)
    clock.at(30, lambda: sandbox.set_status("c-99", "Stopped"))
    record = sweep(campaign_types=("sms",))
    assert [row["campaign_id"] for row in record["already_stopped"]] == ["c-99"]
    assert len(record["stopped"]) == 99


@pytest.mark.parametrize("how", ["reset", "error", "broken_json", "empty"])
def test_a_stop_whose_answer_was_lost_is_not_sent_again(sandbox: Sandbox, account: tuple[str, ...], how: str) -> None:
    add(sandbox, 10, account)
    sandbox.add_fault(Fault("lost", action="stop", count=4, how=how))
    record = sweep()
    assert sorted(stops(sandbox), key=str) == sorted(f"c-{number}" for number in range(10))
    assert len(record["stopped"]) == 10


def test_what_winds_down_is_confirmed_without_a_second_stop(sandbox: Sandbox, clock: VirtualClock) -> None:
    add(sandbox, 10, ("sms", "voice"), stop_delay=200.0)
    sandbox.campaign("c-3").completes = True
    record = sweep()
    assert asked_more_than_once(sandbox) == []
    assert Counter(row["status"] for row in record["stopped"]) == {"Stopped": 9, "Completed": 1}
    assert clock.passed < 200 + 30


# What it can not stop.


def test_a_campaign_that_can_not_be_stopped_is_named_and_the_others_are_stopped(sandbox: Sandbox) -> None:
    add(sandbox, 20)
    sandbox.campaign("c-3").stoppable = False
    with pytest.raises(CampaignSweepError) as caught:
        sweep(campaign_types=("sms",), timeout=300)
    assert live(sandbox) == {"c-3"}
    assert "1 of 20 campaigns" in str(caught.value)
    assert "c-3 (Sms campaign c-3): was asked to stop, and was last seen Active" in str(caught.value)
    assert "c-4" not in str(caught.value)
    assert len(sandbox.requests) < 100


@pytest.mark.parametrize("kind", ["forbidden", "bad_request", "redirect"])
def test_a_refusal_of_one_campaign_is_asked_again_for_two_minutes_and_keeps_the_retries(
    sandbox: Sandbox, clock: VirtualClock, account: tuple[str, ...], kind: str
) -> None:
    add(sandbox, 6, account)
    sandbox.add_fault(Fault(kind, action="stop", campaign_id="c-2", count=None))
    with pytest.raises(CampaignSweepError, match=r"(?s)^c-2 \(.*1 of 6 campaigns") as raised:
        sweep()
    assert not isinstance(raised.value, CampaignSweepFinalError)
    assert live(sandbox) == {"c-2"}
    assert clock.passed == pytest.approx(sum(REFUSAL_DELAYS), abs=30)


def test_one_that_a_retry_may_mend_keeps_the_retries(sandbox: Sandbox) -> None:
    add(sandbox, 3)
    sandbox.add_fault(Fault("forbidden", action="stop", campaign_id="c-0", count=None))
    sandbox.add_fault(Fault("error", action="stop", campaign_id="c-1", count=None))
    with pytest.raises(CampaignSweepError, match=r"(?s)^c-0.*HTTP 403.*\nc-1.*HTTP 500.*\n2 of 3 campaigns"):
        sweep(timeout=100)
    assert live(sandbox) == {"c-0", "c-1"}


def test_a_campaign_that_the_stop_does_not_find_but_the_list_shows_is_not_taken_for_stopped(
    sandbox: Sandbox, account: tuple[str, ...]
) -> None:
    add(sandbox, 3, account)
    sandbox.add_fault(Fault("not_found", action="stop", campaign_id="c-1", count=None))
    with pytest.raises(CampaignSweepError, match=r"(?s)^c-1 .*\n1 of 3 campaigns"):
        sweep(timeout=100)
    assert live(sandbox) == {"c-1"}


def test_a_status_that_can_not_be_read_does_not_keep_the_others_from_being_stopped(sandbox: Sandbox) -> None:
    add(sandbox, 100, stop_delay=1.0)
    sandbox.add_fault(Fault("forbidden", action="status", count=None))
    sandbox.add_fault(Fault("lost", action="stop", campaign_id="c-1", how="error"))
    record = sweep(campaign_types=("sms",))
    assert live(sandbox) == set()
    assert len(record["stopped"]) == 100


def test_a_time_that_is_too_short_names_those_that_were_not_reached(sandbox: Sandbox, clock: VirtualClock) -> None:
    add(sandbox, 100)
    with pytest.raises(CampaignSweepError, match=r"(?s)waiting for the rate limit.*\n41 of 100 campaigns"):
        sweep(campaign_types=("sms",), timeout=30)
    assert len(live(sandbox)) == 41
    assert clock.passed <= 30


def test_stopped_without_a_listing_that_shows_it_is_a_failure(sandbox: Sandbox) -> None:
    add(sandbox, 3)
    sandbox.add_fault(Fault("error", action="list", skip=1, count=None))
    with pytest.raises(CampaignSweepError, match=r"(?s)the list was incomplete.*can't be listed.*HTTP 500"):
        sweep(campaign_types=("sms",), timeout=100)


def test_a_listing_that_is_forbidden_later_fails_for_good(sandbox: Sandbox) -> None:
    add(sandbox, 3)
    sandbox.campaign("c-1").stoppable = False
    sandbox.add_fault(Fault("forbidden", action="list", skip=1, count=None))
    with pytest.raises(CampaignSweepFinalError, match=r"(?s)c-1.*can't be listed.*HTTP 403"):
        sweep(campaign_types=("sms",))


def test_an_account_that_can_not_be_listed_is_the_failure_itself(sandbox: Sandbox) -> None:
    add(sandbox, 3)
    sandbox.add_fault(Fault("unauthorized", count=None))
    with pytest.raises(CampaignAuthError):
        sweep()
    sandbox.clear_faults()
    sandbox.add_fault(Fault("html", count=None))
    with pytest.raises(CampaignUnavailableError):
        sweep(timeout=60)
    assert len(live(sandbox)) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        {"campaign_types": ()},
        {"campaign_types": ("sms", "email")},
        {"statuses": []},
        {"statuses": ("Active", "stopped")},
        {"name_pattern": ""},
        {"name_pattern": "  "},
    ],
    ids=str,
)
def test_arguments_by_which_nothing_could_be_stopped_are_refused(sandbox: Sandbox, arguments: dict[str, Any]) -> None:
    add(sandbox, 3)
    with pytest.raises(CampaignConfigError, match="Nothing was sent"):
        sweep(**arguments)
    assert sandbox.requests == []


# A second try.


def test_a_retry_sees_only_what_is_still_live(sandbox: Sandbox) -> None:
    add(sandbox, 10)
    sandbox.add_fault(Fault("error", action="stop", campaign_id="c-4", count=None))
    with pytest.raises(CampaignSweepError):
        sweep(timeout=60)
    sandbox.clear_faults()
    sandbox.clear_requests()
    record = sweep()
    assert stops(sandbox) == ["c-4"]
    assert record["total"] == 1


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no SIGALRM here")
def test_a_task_that_is_timed_out_by_airflow_asks_no_more(
    sandbox: Sandbox, clock: VirtualClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TaskTimeout(BaseException):
        pass

    def time_out(*_: object) -> None:
        raise TaskTimeout

    class AtFirstProgress(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            signal.raise_signal(signal.SIGALRM)
            return True

    add(sandbox, 300)
    caplog.set_level(logging.INFO, "airflow_provider_campaign.sweep.account")
    logger, handler = logging.getLogger("airflow_provider_campaign.sweep.account"), AtFirstProgress()
    before = signal.signal(signal.SIGALRM, time_out)
    logger.addHandler(handler)
    try:
        with pytest.raises(TaskTimeout):
            sweep()
    finally:
        logger.removeHandler(handler)
        signal.signal(signal.SIGALRM, before)
    assert 0 < len(stops(sandbox)) < 300


# What it tells.


def test_the_record_says_what_an_auditor_wants_to_know(
    sandbox: Sandbox, clock: VirtualClock, account: tuple[str, ...]
) -> None:
    add(sandbox, 4, account)
    began = datetime.fromtimestamp(clock.time(), UTC)
    record = sweep()
    assert set(record) == {
        *("stopped", "already_stopped", "failed", "excluded", "total", "requests", "refused", "seconds", "reason"),
        *("open_until", "closings", "missed_closings"),
        *("outcome", "connection_id", "platform", "window_end", "began_at", "ended_at", "incidents", "may_start"),
        *("earlier_tries", "error", "record"),
    }
    assert (record["total"], record["requests"]) == (4, len(sandbox.requests))
    assert record["seconds"] == clock.passed == 0
    for row in record["stopped"]:
        assert set(row) == KEYS
        campaign = sandbox.campaign(row["campaign_id"])
        assert row["name"] == campaign.name
        assert row["campaign_type"] == (campaign.campaign_type if len(account) == 2 else None)
        asked, confirmed = (datetime.fromisoformat(row[key]) for key in ("asked_at", "confirmed_at"))
        assert asked.utcoffset() == confirmed.utcoffset() == timedelta(0)
        assert began <= asked <= confirmed
        assert row["status"] == "Stopped"
        assert row["message"]


def test_a_request_that_waits_for_the_budget_was_not_asked_before_it_left(sandbox: Sandbox) -> None:
    add(sandbox, 70)
    record = sweep(campaign_types=("sms",))
    asked = {row["campaign_id"]: datetime.fromisoformat(row["asked_at"]) for row in record["stopped"]}
    timeline = sandbox.state.timeline
    received = {
        request.campaign_id: timeline.date(request.at + 0.1) for request in sandbox.requests if request.action == "stop"
    }
    order = sorted(asked, key=asked.__getitem__)
    last_of_first_window, first_of_second = order[58], order[59]
    assert asked[first_of_second] >= received[order[0]]
    assert asked[last_of_first_window] <= asked[first_of_second]
    assert all(asked[campaign_id] <= received[campaign_id] for campaign_id in asked)


def test_the_record_is_kept_when_the_sweep_fails(sandbox: Sandbox) -> None:
    add(sandbox, 5)
    sandbox.add_fault(Fault("forbidden", action="stop", campaign_id="c-2", count=None))
    task_instance = RecordingTaskInstance()
    with pytest.raises(CampaignError):
        sweep({"ti": task_instance})
    record = task_instance.xcoms["return_value"]
    assert len(record["stopped"]) == 4
    [left] = record["failed"]
    assert set(left) == KEYS
    assert left["campaign_id"] == "c-2"
    assert left["asked_at"] is not None
    assert left["confirmed_at"] is None
    assert "HTTP 403" in left["message"]


def test_a_dry_run_lists_and_stops_nothing(
    sandbox: Sandbox, account: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    add(sandbox, 4, account, name="Spring sale")
    sandbox.add_campaign("other", account[0], name="Autumn sale")
    record = sweep(dry_run=True, name_pattern="Spring*")
    assert {request.action for request in sandbox.requests} == {"list"}
    assert len(live(sandbox)) == 5
    assert sorted(row["campaign_id"] for row in record["live"]) == ["c-0", "c-1", "c-2", "c-3"]
    assert all(set(row) == KEYS and row["asked_at"] is None for row in record["live"])
    assert record["total"] == 4
    assert re.search(r"Would stop 4 campaigns: (c-\d \(Spring sale\)(, )?){4}", caplog.text)


def test_progress_is_logged_at_most_once_a_second(sandbox: Sandbox, clock: VirtualClock) -> None:
    lines: list[tuple[float, str]] = []

    class Recording(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append((clock.passed, record.getMessage()))

    add(sandbox, 200, stop_delay=20.0)
    logger, handler = logging.getLogger("airflow_provider_campaign.sweep.account"), Recording()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        sweep(campaign_types=("sms",))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    progress = [(at, text) for at, text in lines if text.startswith("Stopped ")]
    assert len(progress) > 3
    assert all(later - earlier >= 1 for (earlier, _), (later, _) in itertools.pairwise(progress))
    assert progress[-1][1] == "Stopped 200 of 200, 0 stopping, 0 with a problem"


# Whatever goes wrong.

TRANSIENT = st.one_of(
    st.builds(Fault, st.just("rate_limit_text"), platform=st.just("kore"), count=st.integers(1, 8)),
    st.builds(
        Fault,
        st.sampled_from(["rate_limit", "html", "html_ok", "broken_json", "empty", "failure", "reset"]),
        action=st.sampled_from(["stop", "list", "status", None]),
        skip=st.integers(0, 10),
        count=st.integers(1, 8),
    ),
    st.builds(
        Fault,
        st.just("error"),
        action=st.sampled_from(["stop", "list", "status", None]),
        skip=st.integers(0, 10),
        count=st.integers(1, 8),
        status=st.sampled_from([500, 502, 503, 504]),
        json=st.booleans(),
    ),
    st.builds(
        Fault,
        st.just("lost"),
        action=st.sampled_from(["stop", "list", "status", None]),
        skip=st.integers(0, 10),
        count=st.integers(1, 8),
        how=st.sampled_from(["reset", "error", "broken_json", "empty"]),
    ),
    st.builds(
        Fault,
        st.just("conflict"),
        action=st.just("stop"),
        skip=st.integers(0, 10),
        count=st.integers(1, 3),
    ),
)
ANY_FAULT = st.one_of(
    TRANSIENT,
    st.builds(
        Fault,
        st.sampled_from(
            ["unauthorized", "forbidden", "conflict", "bad_request", "not_found", "redirect", "error", "wrong_shape"]
        ),
        action=st.sampled_from(["stop", "list", "status", None]),
        campaign_id=st.sampled_from([None, "c-0", "c-3"]),
        skip=st.integers(0, 5),
        count=st.sampled_from([1, 2, None]),
    ),
)
PLATFORMS = st.sampled_from(["v1", "v2", "sonarly"])
RUNS = examples(full=100, brief=20)


def prepare(sandbox: Sandbox, connect: Connect, platform: str, stop_delay: float, faults: list[Fault]) -> None:
    """Put six live campaigns into an account that was emptied."""
    sandbox.reset()
    sandbox.config.stop_delay = stop_delay
    if platform == "sonarly":
        connect(sandbox.sonarly_connection())
        add(sandbox, 6, ("sonarly",))
    else:
        connect(sandbox.kore_connection(platform))
        add(sandbox, 6, ("sms", "voice"))
    for fault in faults:
        sandbox.add_fault(fault)


@RUNS
@given(platform=PLATFORMS, stop_delay=st.sampled_from([0.0, 20.0]), faults=st.lists(TRANSIENT, max_size=4))
def test_any_mix_of_faults_in_which_the_platform_recovers_ends_clean(
    sandbox: Sandbox, connect: Connect, platform: str, stop_delay: float, faults: list[Fault]
) -> None:
    prepare(sandbox, connect, platform, stop_delay, faults)
    record = sweep(timeout=100_000)
    assert live(sandbox) == set()
    assert record["failed"] == []
    assert len(record["stopped"]) + len(record["already_stopped"]) == record["total"] == 6


@RUNS
@given(platform=PLATFORMS, stop_delay=st.sampled_from([0.0, 20.0]), faults=st.lists(ANY_FAULT, max_size=4))
def test_nothing_that_is_live_is_ever_reported_stopped_and_all_that_is_is_named(
    sandbox: Sandbox, connect: Connect, platform: str, stop_delay: float, faults: list[Fault]
) -> None:
    prepare(sandbox, connect, platform, stop_delay, faults)
    task_instance, failure = RecordingTaskInstance(), None
    try:
        record = sweep({"ti": task_instance}, timeout=300)
    except CampaignError as error:
        record, failure = task_instance.xcoms["return_value"], str(error)
    named = {row["campaign_id"] for row in record["failed"]}
    if failure is None:
        assert live(sandbox) == named == set()
    else:
        assert all(f"{campaign_id} (" in failure for campaign_id in named)
        assert named or "List of" in failure
        assert live(sandbox) <= named or "List of" in failure
    seen_stopped = {row["campaign_id"] for row in record["stopped"] if row["status"] != "Deleted"}
    assert seen_stopped.isdisjoint(live(sandbox))
