"""
Operators against a platform that misbehaves at random: no false success, no false alarm, nothing done twice.

A plan says what the campaign is like, which requests go wrong and how, when the platform recovers, when the account's
key is rotated, and which responses the platform's module has a bug with. Time is virtual; it passes in the operator's
own waits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import example, given
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


class Plan(SimpleNamespace):
    """
    What happens: what ``plans`` draws.

    :param delay: Seconds that the campaign takes to stop, or to start.
    :param recovery: Seconds after the beginning when the platform recovers.
    :param rotation: Before which request the account's key is replaced, in the connection too.
    :param unforeseen: The actions whose responses the platform's module has a bug with (one of Kore.ai's).
    :param framing: How each response is framed, where no fault is in its way.
    """

    @property
    def lasts(self) -> bool:
        """Whether the platform may say what no retry can fix."""
        kinds = [fault.kind for fault in self.faults if fault.kind != "html" or fault.options.get("status") == 404]
        return not {*kinds}.isdisjoint({"unauthorized", "forbidden", "conflict", "bad_request", "not_found", "html"})

    @property
    def silent(self) -> bool:
        return any(fault.kind in ("hang", "dribble") or fault.options.get("how") == "hang" for fault in self.faults)


ANY_ACTION, A_FEW = st.sampled_from([None, "stop", "start", "delete", "status", "get"]), st.integers(0, 2)


def fault(kind: str, **options: st.SearchStrategy[Any]) -> st.SearchStrategy[Fault]:
    count = st.integers(1, 4) | st.none()
    return st.builds(Fault, st.just(kind), action=ANY_ACTION, skip=A_FEW, count=count, **options)


lost = fault("lost", how=st.sampled_from([how for how in LOST_WAYS if how != "hang"]))
silent = st.builds(Fault, st.sampled_from(["hang", "dribble"]), action=ANY_ACTION, skip=A_FEW)
passing = st.one_of(
    *(fault(kind) for kind in ("html", "html_ok", "broken_json", "empty", "failure", "reset")),
    fault("error", status=st.sampled_from([500, 502, 503]), json=st.booleans()),
    fault("rate_limit", retry_after=st.sampled_from([None, "0", str(RETRY_AFTER)])),
    fault("wrong_shape", body=st.sampled_from([[], {}, {"status": 7}, {"data": None}, "Stopped"])),
    lost,
    lost,
    fault("slow", seconds=st.just(0.001)),
)
lasting = st.one_of(
    *(fault(kind) for kind in ("unauthorized", "forbidden", "conflict", "bad_request", "not_found")),
    fault("html", status=st.just(404)),
)
STATUSES = {
    "stop": (*STOPPABLE, *ENDED) * 2 + NOT_STARTED,
    "start": (*NOT_STARTED, "Stopped", "Paused", "Active"),
    "delete": (*STOPPABLE, *ENDED),
}
FAULTS = {
    "stop": st.lists(passing | silent, max_size=4) | st.lists(passing | lasting, min_size=1, max_size=3),
    "start": st.lists(passing, max_size=4),
    "delete": st.lists(passing, max_size=4),
}


def unnoticed(operation: str) -> Plan:
    """Return the plan in which the platform acts on the first try, which ends without knowing it."""
    broken = [Fault("error", action=action, count=None) for action in ("status", "get")]
    return Plan(
        **{"status": "Active", "delay": 0.0, "completes": False, "stoppable": True, "stop_when_stopped": "conflict"},
        **{"faults": (Fault("lost", action=operation), *broken), "recovery": 70.0, "timeout": 60.0, "tries": 2},
        **{"poll_interval": 5.0, "operation": operation, "name": "Sale", "rotation": None, "unforeseen": ()},
        **{"has_state_store": True, "framing": None},
    )


def plans(operation: str) -> st.SearchStrategy[Plan]:
    return st.builds(
        Plan,
        status=st.sampled_from(STATUSES[operation]),
        delay=st.just(0.0) | st.sampled_from([0.0] if operation == "delete" else [1.0, 45.0, 200.0]),
        completes=st.booleans(),
        stop_when_stopped=st.sampled_from(["conflict", "bad_request", "ok"]),
        faults=FAULTS[operation].map(tuple),
        recovery=st.floats(0, 1200),
        timeout=st.sampled_from([60.0, 300.0, 900.0]),
        poll_interval=st.sampled_from([5.0, 30.0, 120.0]),
        tries=st.integers(1, 3),
        operation=st.just(operation),
        stoppable=st.sampled_from([True] * 9 + [False]),
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
        if self.kind is SONARLY:  # it stops what is active, and says so when it is done
            status = "Active" if self.plan.status in STOPPABLE else self.plan.status
            fitting = {"unforeseen": (), "delay": 0.0, "stoppable": True, "status": status}
            self.plan = Plan(**{**vars(self.plan), **fitting})
        self.sandbox.reset()
        config = self.sandbox.config
        config.stop_when_stopped = self.plan.stop_when_stopped
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

    def tries(self) -> Iterator[dict[str, Any] | None]:
        """Run the task as Airflow does, and yield after each try what it returned, or None where it failed."""
        store = {"task_state_store": StateStore()} if self.plan.has_state_store else {}
        with pytest.MonkeyPatch.context() as patch:
            self._connect(patch)
            for number in range(1, self.plan.tries + 1):
                self.number, self.began, self.sent_before = number, self.clock.now, len(self.sandbox.requests)
                result = self._try({"ti": SimpleNamespace(try_number=number), **store})
                assert self.clock.now <= self.began + self.plan.timeout + 0.01
                self.check_nothing_is_repeated()
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

    def _try(self, context: Any) -> dict[str, Any] | None:
        arguments = {"timeout": self.plan.timeout}
        if self.plan.operation != "delete":
            arguments["poll_interval"] = self.plan.poll_interval
        operator = getattr(self.kind, self.plan.operation)(self.campaign.id, **arguments)
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
            return bool(recovers_at <= ends - kept_back - 0.01)
        return bool(recovers_at + LONGEST_PAUSE + self.plan.delay <= ends)

    def check_nothing_is_repeated(self) -> None:
        """Check that the present try sent nothing again that had been done and answered."""
        operation = self.plan.operation
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


def check_stop(run: Run) -> None:
    """A stop succeeds only when the campaign is stopped, and in time if it can be."""
    plan = run.plan
    for result in run.tries():
        if result is not None:
            assert run.campaign.status in ENDED, "a false success"
            assert result["status"] in ENDED
    if not plan.delay and plan.status in STOPPABLE and plan.stoppable:
        assert run.campaign.stop_requests <= 1, "stopped again what was stopped"
    if plan.lasts or not run.recovers_in_time:
        return
    if plan.status in NOT_STARTED:
        assert isinstance(run.error, CampaignConflictError)
    elif plan.status in STOPPABLE and not plan.stoppable:
        assert isinstance(run.error, CampaignTimeoutError | CampaignUnavailableError)
    else:
        assert run.error is None, f"a false alarm: {run.error}"


def check_start(run: Run) -> None:
    for result in run.tries():
        assert result is None or result["status"] == run.campaign.status == "Active"
    if run.recovers_in_time:
        assert run.error is None, f"a false alarm: {run.error}"
    assert [status for _, status in run.campaign.history].count("Active") <= 1, "started twice"


def check_delete(run: Run) -> None:
    for result in run.tries():
        assert result is None or run.sandbox.campaigns() == []
    if run.recovers_in_time and (run.plan.has_state_store or run.number == 1):  # without it no try knows of others
        assert run.error is None, f"a false alarm: {run.error}"


@examples(full=1000, brief=60, exhaustive=3000)
@given(kind=st.sampled_from(KINDS), plan=plans("stop"))
@example(kind=KORE_KINDS[0], plan=unnoticed("stop"))
@example(kind=SONARLY, plan=unnoticed("stop"))
def test_a_stop_ends_by_what_the_platform_says_whatever_goes_wrong(platform: Platform, kind: Kind, plan: Plan) -> None:
    check_stop(Run(*platform, kind, plan))


@examples(full=160, brief=15, exhaustive=500)
@given(kind=st.sampled_from(KINDS), plan=plans("start"))
def test_a_start_ends_by_what_the_platform_says_whatever_goes_wrong(platform: Platform, kind: Kind, plan: Plan) -> None:
    check_start(Run(*platform, kind, plan))


@examples(full=160, brief=15, exhaustive=500)
@given(kind=st.sampled_from(KORE_KINDS), plan=plans("delete"))
@example(kind=KORE_KINDS[3], plan=unnoticed("delete"))
def test_a_delete_ends_by_what_the_platform_says_whatever_goes_wrong(
    platform: Platform, kind: Kind, plan: Plan
) -> None:
    check_delete(Run(*platform, kind, plan))
