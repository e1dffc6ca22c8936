"""
Operators against a platform that misbehaves at random: no false success, no false alarm, nothing done twice.

A plan says what the campaign is like, which requests go wrong and how, when the platform recovers, when the account's
key is rotated, and which responses the platform's module has a bug with. Time is virtual; it passes in the operator's
own waits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import event, example, given
from hypothesis import strategies as st

from airflow_provider_campaign.client.clock import FINAL_ATTEMPT_RESERVE, MAX_RETRY_DELAY
from airflow_provider_campaign.exceptions import (
    CampaignConflictError,
    CampaignError,
    CampaignTimeoutError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.sandbox import Campaign, Fault, ReceivedRequest, Sandbox
from airflow_provider_campaign.sandbox.config import API_KEY, CLIENT_SECRET
from airflow_provider_campaign.sandbox.faults import FRAMINGS, LOST_WAYS
from airflow_provider_campaign.sandbox.task_runs import StateStore
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.testing import use_clock
from tests.fragile import fragile, unforeseen_id
from tests.kinds import KINDS, KORE_KINDS, SONARLY, Kind
from tests.odd_texts import NAMES, check_readable, check_storable
from tests.profiles import examples

RETRY_AFTER = 40
"""Seconds: the most that a platform in these plans asks to be left alone for."""

LONGEST_PAUSE = max(60, RETRY_AFTER, MAX_RETRY_DELAY) + 1
"""Seconds after which something is sent again, whatever went wrong before."""

RETRY_DELAY = 120.0
"""Seconds between two tries of the task."""

TIMEOUT = 0.3
"""Seconds of real time after which a silent platform is given up."""

UNFORESEEN = (*[()] * 8, ("stop", "start", "delete"), ("status",), ("stop", "start", "delete", "status"), ("get",))
STOPPABLE = ("Active", "Preparing", "Paused")
ENDED = ("Stopped", "Completed")
NOT_STARTED = ("Ready", "Scheduled", "Rescheduled")


class RecoveringClock(VirtualClock):
    """A clock by which the platform is in order again at some moment, and which sees each request that it gets."""

    sandbox: Sandbox
    recovers_at = 0.0
    note_request: Callable[[ReceivedRequest], object]
    framing: str | None = None

    def frame_responses(self) -> None:
        """Have all responses framed in an odd way, which is no fault."""
        if self.framing:
            self.sandbox.add_fault(Fault("framing", count=None, how=self.framing))

    def sleep(self, seconds: float, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        super().sleep(seconds, is_cancelled)
        if self.now >= self.recovers_at:
            self.sandbox.clear_faults()
            self.frame_responses()


@dataclass(frozen=True)
class Plan:
    """
    What happens.

    :param status: What the campaign is in.
    :param delay: Seconds that it takes to wind down, or to start.
    :param faults: What goes wrong, until the platform recovers.
    :param recovery: Seconds after the beginning when that is.
    :param timeout: Seconds that the operator is given.
    :param tries: How often Airflow runs the task.
    :param name: The campaign's.
    :param rotation: Before which request the account's key is replaced, in the connection too; None for never.
    :param unforeseen: The actions whose responses the platform's module has a bug with (one of Kore.ai's).
    :param has_state_store: Whether Airflow keeps what a task hands on to its next try.
    :param framing: How each response is framed, where no fault is in its way.
    """

    status: str
    delay: float
    completes: bool
    stop_when_stopped: str
    faults: tuple[Fault, ...]
    recovery: float
    timeout: float
    poll_interval: float
    tries: int
    stoppable: bool = True
    name: str = "Sale"
    rotation: int | None = None
    unforeseen: tuple[str, ...] = ()
    has_state_store: bool = True
    framing: str | None = None

    @property
    def silent(self) -> bool:
        return any(fault.kind in ("hang", "dribble") or fault.options.get("how") == "hang" for fault in self.faults)


def fault(kind: str, **options: st.SearchStrategy[Any]) -> st.SearchStrategy[Fault]:
    return st.builds(
        Fault,
        st.just(kind),
        action=st.sampled_from([None, "stop", "start", "delete", "status", "get"]),
        skip=st.integers(0, 2),
        count=st.integers(1, 4) | st.none(),
        **options,
    )


silent = st.builds(
    Fault,
    st.sampled_from(["hang", "dribble"]),
    action=st.sampled_from([None, "stop", "start", "delete", "status", "get"]),
    skip=st.integers(0, 2),
)
passing = st.one_of(
    *(fault(kind) for kind in ("html", "html_ok", "broken_json", "empty", "failure", "reset")),
    fault("error", status=st.sampled_from([500, 502, 503]), json=st.booleans()),
    fault("rate_limit", retry_after=st.sampled_from([None, "0", str(RETRY_AFTER)])),
    fault("wrong_shape", body=st.sampled_from([[], {}, {"status": 7}, {"data": None}, "Stopped"])),
    fault("lost", how=st.sampled_from([how for how in LOST_WAYS if how != "hang"])),
    fault("lost", how=st.sampled_from([how for how in LOST_WAYS if how != "hang"])),
    fault("slow", seconds=st.just(0.001)),
)
lasting = st.one_of(
    *(fault(kind) for kind in ("unauthorized", "forbidden", "conflict", "bad_request", "not_found")),
    fault("html", status=st.just(404)),
)
mixed = st.builds(lambda first, then: [*first, *then], st.lists(lasting, min_size=1, max_size=2), st.lists(passing))


def unnoticed(operation: str) -> Plan:
    """Return the plan in which the platform acts on the first try, which ends without knowing it."""
    broken = [Fault("error", action=action, count=None) for action in ("status", "get")]
    return Plan("Active", 0.0, False, "conflict", (Fault("lost", action=operation), *broken), 70.0, 60.0, 5.0, 2)


def plans(statuses: tuple[str, ...], faults: st.SearchStrategy[list[Fault]]) -> st.SearchStrategy[Plan]:
    return st.builds(
        Plan,
        status=st.sampled_from(statuses),
        delay=st.just(0.0) | st.sampled_from([1.0, 45.0, 200.0]),
        completes=st.booleans(),
        stop_when_stopped=st.sampled_from(["conflict", "bad_request", "ok"]),
        faults=faults.map(tuple),
        recovery=st.floats(0, 1200),
        timeout=st.sampled_from([60.0, 300.0, 900.0]),
        poll_interval=st.sampled_from([5.0, 30.0, 120.0]),
        tries=st.integers(1, 3),
        name=st.just("Sale") | NAMES,
        rotation=st.none() | st.integers(1, 5),
        unforeseen=st.sampled_from(UNFORESEEN),
        has_state_store=st.booleans(),
        framing=st.sampled_from([None, None, *FRAMINGS]),
    )


@dataclass
class Run:
    """A task on its way through a plan."""

    sandbox: Sandbox
    clock: RecoveringClock
    kind: Kind
    plan: Plan
    campaign: Campaign = field(init=False)
    error: CampaignError | None = None
    number: int = 0
    began: float = 0.0
    sent_before: int = 0

    def __post_init__(self) -> None:
        if self.kind is SONARLY:
            self.plan = replace(self.plan, unforeseen=())
        self.sandbox.reset()
        config = self.sandbox.config
        config.stop_when_stopped = self.plan.stop_when_stopped  # type: ignore[assignment]
        config.client_secret, config.api_key = CLIENT_SECRET, API_KEY
        self.clock.recovers_at = self.clock.now + self.plan.recovery
        self.clock.note_request = self._rotate_key
        self.campaign = self.kind.add_campaign(
            self.sandbox,
            campaign_id=unforeseen_id(self.plan.unforeseen) if self.plan.unforeseen else None,
            name=self.plan.name,
            status=self.plan.status,
            stop_delay=self.plan.delay,
            start_delay=self.plan.delay,
            stoppable=self.plan.stoppable,
            completes=self.plan.completes,
        )
        for fault in self.plan.faults:
            self.sandbox.add_fault(fault)
        self.clock.framing = self.plan.framing
        self.clock.frame_responses()

    def tries(self, operation: str) -> Iterator[dict[str, Any] | None]:
        """Run the task as Airflow does, and yield after each try what it returned, or None where it failed."""
        store = {"task_state_store": StateStore()} if self.plan.has_state_store else {}
        with pytest.MonkeyPatch.context() as patch:
            self._connect(patch)
            for number in range(1, self.plan.tries + 1):
                self.number, self.began, self.sent_before = number, self.clock.now, len(self.sandbox.requests)
                result = self._try(operation, {"ti": SimpleNamespace(try_number=number), **store})
                assert self.clock.now <= self.began + self.plan.timeout + 0.01
                self.check_nothing_is_repeated(operation)
                yield result
                if result is not None or isinstance(self.error, AirflowFailException):
                    return
                self.clock.sleep(RETRY_DELAY)

    def _connect(self, patch: pytest.MonkeyPatch) -> None:
        connection = self.kind.connection(self.sandbox, timeout=TIMEOUT if self.plan.silent else 30)
        if self.plan.unforeseen:
            connection = fragile(connection)
        patch.setenv("AIRFLOW_CONN_CAMPAIGN_DEFAULT", json.dumps(connection))
        self._patch = patch

    def _rotate_key(self, _: ReceivedRequest) -> None:
        if len(self.sandbox.requests) == self.plan.rotation:
            self.sandbox.config.client_secret, self.sandbox.config.api_key = "a-new-secret-" * 8, "sk_live_a_new_key"
            self._connect(self._patch)

    def _try(self, operation: str, context: Any) -> dict[str, Any] | None:
        arguments = {"timeout": self.plan.timeout}
        if operation != "delete":
            arguments["poll_interval"] = self.plan.poll_interval
        operator = getattr(self.kind, operation)(self.campaign.id, **arguments)
        self.error = None
        try:
            result = dict(operator.execute(context))
        except CampaignError as error:
            self.error = error
            self.check_message(str(error))
            return None
        check_storable(result)
        return result

    def check_message(self, message: str) -> None:
        """Check that a failure names the campaign and the connection."""
        assert f"campaign {self.campaign.id!r}" in message.lower()
        assert "connection 'campaign_default'" in message.lower()
        check_readable(message)

    @property
    def recovers_in_time(self) -> bool:
        """Whether the present try has to succeed if nothing but the faults is in its way."""
        if self.plan.unforeseen:
            return False
        ends = self.began + self.plan.timeout
        kept_back = min(FINAL_ATTEMPT_RESERVE, self.plan.timeout / 10)
        recovers_at = max(self.began, self.clock.recovers_at)
        if self.plan.delay <= kept_back:
            return recovers_at <= ends - kept_back - 0.01
        return recovers_at + LONGEST_PAUSE + self.plan.delay <= ends

    def check_nothing_is_repeated(self, operation: str) -> None:
        """Check that the present try sent nothing again that had been done and answered."""
        sent = [request for request in self.sandbox.requests[self.sent_before :] if request.action == operation]
        answered = [request.status_code == 200 and request.fault in (None, "slow", "framing") for request in sent]
        assert True not in answered[:-1], f"the {operation} was heard and sent again"


@pytest.fixture(scope="module")
def platform() -> Iterator[tuple[Sandbox, RecoveringClock]]:
    clock = RecoveringClock()
    with pytest.MonkeyPatch.context() as patch, Sandbox(clock=clock) as sandbox:
        use_clock(clock, patch)
        clock.sandbox = sandbox
        sandbox.on_request(lambda request: clock.note_request(request))
        yield sandbox, clock


Platform = tuple[Sandbox, RecoveringClock]
thorough = examples(full=750, exhaustive=2250)
moderate = examples(full=160, exhaustive=500)
slow = examples(full=40, brief=10, exhaustive=100)  # each example uses up its time with retries
any_kind = st.sampled_from(KINDS)
any_kore_kind = st.sampled_from(KORE_KINDS)


def fitting(kind: Kind, plan: Plan) -> Plan:
    """Return the plan as a platform can play it: Sonarly stops what is active, and says so when it is done."""
    if kind is not SONARLY:
        return plan
    return replace(plan, delay=0.0, status="Active" if plan.status in STOPPABLE else plan.status)


def check_stop(run: Run) -> None:
    """Run a stop to its end, and check what holds whatever goes wrong."""
    for result in run.tries("stop"):
        if result is not None:
            assert run.campaign.status in ENDED, "a false success"
            assert result["status"] in ENDED
    if not run.plan.delay and run.plan.status in STOPPABLE:
        assert run.campaign.stop_requests <= 1, "stopped again what was stopped"


@thorough
@given(kind=any_kind, plan=plans(STOPPABLE + ENDED, st.lists(passing | silent, max_size=4)))
@example(kind=KORE_KINDS[0], plan=unnoticed("stop"))
@example(kind=SONARLY, plan=unnoticed("stop"))
def test_a_stop_succeeds_when_the_platform_recovers_in_time_and_only_when_the_campaign_is_stopped(
    platform: Platform, kind: Kind, plan: Plan
) -> None:
    run = Run(*platform, kind, fitting(kind, plan))
    check_stop(run)
    event(f"{'failed' if run.error else 'succeeded'}, {'in time' if run.recovers_in_time else 'late'}")
    if run.recovers_in_time:
        assert run.error is None, f"a false alarm: {run.error}"


@moderate
@given(kind=any_kind, plan=plans(STOPPABLE + ENDED + NOT_STARTED, mixed))
def test_a_stop_never_succeeds_falsely_when_the_platform_refuses_at_random(
    platform: Platform, kind: Kind, plan: Plan
) -> None:
    check_stop(Run(*platform, kind, fitting(kind, plan)))


@slow
@given(kind=any_kore_kind, plan=plans(STOPPABLE, st.lists(passing, max_size=4)))
def test_a_campaign_that_can_not_be_stopped_is_never_reported_stopped(
    platform: Platform, kind: Kind, plan: Plan
) -> None:
    run = Run(*platform, kind, replace(plan, stoppable=False))
    assert list(run.tries("stop")) == [None] * plan.tries
    assert isinstance(run.error, CampaignTimeoutError | CampaignUnavailableError)


@moderate
@given(kind=any_kind, plan=plans(NOT_STARTED, st.lists(passing, max_size=4)))
def test_a_campaign_that_has_not_started_is_a_conflict_once_the_platform_has_recovered(
    platform: Platform, kind: Kind, plan: Plan
) -> None:
    run = Run(*platform, kind, replace(plan, delay=0.0))
    assert set(run.tries("stop")) == {None}
    if run.recovers_in_time:
        assert isinstance(run.error, CampaignConflictError)


@moderate
@given(kind=any_kind, plan=plans((*NOT_STARTED, "Stopped", "Paused", "Active"), st.lists(passing, max_size=4)))
def test_a_start_succeeds_when_the_platform_recovers_in_time_and_only_when_the_campaign_is_active(
    platform: Platform, kind: Kind, plan: Plan
) -> None:
    run = Run(*platform, kind, fitting(kind, plan))
    for result in run.tries("start"):
        assert result is None or result["status"] == run.campaign.status == "Active"
    if run.recovers_in_time:
        assert run.error is None, f"a false alarm: {run.error}"
    assert [status for _, status in run.campaign.history].count("Active") <= 1, "started twice"


@moderate
@given(kind=any_kore_kind, plan=plans(STOPPABLE + ENDED, st.lists(passing, max_size=4)))
@example(kind=KORE_KINDS[3], plan=unnoticed("delete"))
def test_a_delete_succeeds_when_the_platform_recovers_in_time_and_only_when_the_campaign_is_gone(
    platform: Platform, kind: Kind, plan: Plan
) -> None:
    run = Run(*platform, kind, replace(plan, delay=0.0))
    for result in run.tries("delete"):
        assert result is None or run.sandbox.campaigns() == []
    if run.recovers_in_time and (plan.has_state_store or run.number == 1):  # without it no try knows of those before
        assert run.error is None, f"a false alarm: {run.error}"
