"""
Operators against a platform that misbehaves at random: no false success, no false alarm, nothing done twice.

A plan says what the campaign is like, which requests go wrong and how, when the platform recovers, when the account's
key is rotated, and which responses the platform's module has a bug with. Time is virtual; it passes in the operator's
own waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_campaign import exceptions
from airflow_provider_campaign.client.clock import FINAL_ATTEMPT_RESERVE, MAX_RETRY_DELAY
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.config import API_KEY, CLIENT_SECRET
from airflow_provider_campaign.sandbox.faults import FRAMINGS, LOST_WAYS
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.fragile import fragile, unforeseen_id
from tests.kinds import KINDS, KORE_KINDS, SONARLY, Connect, Kind
from tests.odd_texts import NAMES, check_readable, check_storable
from tests.profiles import examples

RETRY_AFTER = 40  # seconds: the most that a platform in these plans asks to be left alone for
LONGEST_PAUSE = max(60, RETRY_AFTER, MAX_RETRY_DELAY) + 1  # seconds until something is sent again, whatever went wrong
LATEST_RECOVERY = 1200.0
RETRY_DELAY = 120.0  # seconds between two tries of the task
SILENT = ("hang", "dribble")
TIMEOUT = 0.3  # seconds of real time after which a silent platform is given up
UNFORESEEN = (*[()] * 8, ("stop", "start", "delete"), ("status",), ("stop", "start", "delete", "status"), ("get",))
STOPPABLE = ("Active", "Preparing", "Paused")
ENDED = ("Stopped", "Completed")
NOT_STARTED = ("Ready", "Scheduled", "Rescheduled")


def fault(kind: str, **options: st.SearchStrategy[Any]) -> st.SearchStrategy[Fault]:
    action = st.sampled_from([None, "stop", "start", "delete", "status", "get"])
    options = {"count": st.integers(1, 4) | st.none(), **options}
    return st.builds(Fault, st.just(kind), action=action, skip=st.integers(0, 2), **options)


lost = fault("lost", how=st.sampled_from([how for how in LOST_WAYS if how != "hang"]))
passing = st.one_of(
    *(fault(kind) for kind in ("html", "html_ok", "broken_json", "empty", "failure", "reset")),
    fault("error", status=st.sampled_from([500, 502, 503]), json=st.booleans()),
    fault("rate_limit", retry_after=st.sampled_from([None, "0", str(RETRY_AFTER)])),
    fault("wrong_shape", body=st.sampled_from([[], {}, {"status": 7}, {"data": None}, "Stopped"])),
    lost,
    lost,
    fault("slow", seconds=st.just(0.001)),
)
silent = st.one_of(*(fault(kind, count=st.just(1)) for kind in SILENT))
LASTING = ("unauthorized", "forbidden", "conflict", "bad_request", "not_found")
lasting = st.one_of(*map(fault, LASTING), fault("html", status=st.just(404)))
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


def plans(operation: str) -> st.SearchStrategy[SimpleNamespace]:
    """
    Draw what happens.

    Of what is drawn, ``delay`` are the seconds that the campaign takes to stop or to start, ``recovery`` those after
    which no request goes wrong any more; ``rotation`` is the request before which the account's key is replaced, in
    the connection, too; ``framing`` is how each response is framed that no fault is in the way of.
    """
    return st.builds(
        SimpleNamespace,
        status=st.sampled_from(STATUSES[operation]),
        delay=st.just(0.0) | st.sampled_from([0.0] if operation == "delete" else [1.0, 45.0, 200.0]),
        completes=st.booleans(),
        stop_when_stopped=st.sampled_from(["conflict", "bad_request", "ok"]),
        faults=FAULTS[operation],
        recovery=st.floats(0, LATEST_RECOVERY),
        timeout=st.sampled_from([60.0, 300.0, 900.0]),
        poll_interval=st.sampled_from([5.0, 30.0, 120.0]),
        tries=st.integers(1, 3),
        operation=st.just(operation),
        stoppable=st.sampled_from([True] * 9 + [False]),
        name=st.just("Sale") | NAMES,
        rotation=st.none() | st.integers(1, 5),
        unforeseen=st.sampled_from(UNFORESEEN),
        framing=st.sampled_from([None, None, *FRAMINGS]),
    )


def unnoticed(operation: str) -> SimpleNamespace:
    """Return the plan in which the platform acts on the first try, which ends without knowing it."""
    broken = [Fault("error", action=action, count=None) for action in ("status", "get")]
    return SimpleNamespace(
        **{"status": "Active", "delay": 0.0, "completes": False, "stoppable": True, "stop_when_stopped": "conflict"},
        **{"faults": [Fault("lost", action=operation), *broken], "recovery": 70.0, "timeout": 60.0, "tries": 2},
        **{"poll_interval": 5.0, "operation": operation, "name": "Sale", "rotation": None, "unforeseen": ()},
        framing=None,
    )


class Run:
    def __init__(self, sandbox: Sandbox, clock: VirtualClock, connect: Connect, kind: Kind, plan: Any) -> None:
        self.sandbox, self.clock, self._connect_to = sandbox, clock, connect
        self.kind, self.plan = kind, (plan := copy(plan))
        if kind is SONARLY:  # it stops what is active, and says so when it is done
            plan.status = "Active" if plan.status in STOPPABLE else plan.status
            plan.unforeseen, plan.delay, plan.stoppable = (), 0.0, True
        self.clock.advance(LATEST_RECOVERY)  # of the plan before
        self.sandbox.reset()
        self.sandbox.state.listeners.clear()
        self.sandbox.on_request(self._note_request)
        config = self.sandbox.config
        config.stop_when_stopped = plan.stop_when_stopped
        config.client_secret, config.api_key = CLIENT_SECRET, API_KEY
        self.campaign = kind.add_campaign(
            self.sandbox,
            campaign_id=unforeseen_id(plan.unforeseen) if plan.unforeseen else None,
            name=plan.name,
            status=plan.status,
            stop_delay=plan.delay,
            start_delay=plan.delay,
            stoppable=plan.stoppable,
            completes=plan.completes,
        )
        self.recovers_at = self.clock.now + plan.recovery
        self._use_faults(plan.faults)
        self.clock.at(self.clock.passed + plan.recovery, lambda: self._use_faults([]))
        self._connect()

    def _use_faults(self, faults: list[Fault]) -> None:
        self.sandbox.clear_faults()
        for each in [*faults, *([Fault("framing", count=None, how=self.plan.framing)] if self.plan.framing else [])]:
            self.sandbox.add_fault(each)

    def _connect(self) -> None:
        is_silent = any(each.kind in SILENT for each in self.plan.faults)
        connection = self.kind.connection(self.sandbox, timeout=TIMEOUT if is_silent else 30)
        self._connect_to(fragile(connection) if self.plan.unforeseen else connection)

    def _note_request(self, _: object) -> None:
        if len(self.sandbox.requests) == self.plan.rotation:
            self.sandbox.config.client_secret, self.sandbox.config.api_key = "a-new-secret-" * 8, "sk_live_a_new_key"
            self._connect()

    def tries(self) -> Iterator[dict[str, Any] | None]:
        """Run the task as Airflow does, and yield after each try what it returned, or None where it failed."""
        for number in range(1, self.plan.tries + 1):
            self.number, self.began, self.sent_before = number, self.clock.now, len(self.sandbox.requests)
            result = self._try({"ti": SimpleNamespace(try_number=number)})
            assert self.clock.now <= self.began + self.plan.timeout + 0.01
            self.check_nothing_is_repeated()
            yield result
            if result is not None or isinstance(self.error, AirflowFailException):
                return
            self.clock.sleep(RETRY_DELAY)

    def _try(self, context: Any) -> dict[str, Any] | None:
        arguments = {"timeout": self.plan.timeout}
        if self.plan.operation != "delete":
            arguments["poll_interval"] = self.plan.poll_interval
        operator = getattr(self.kind, self.plan.operation)(self.campaign.id, **arguments)
        self.error: exceptions.CampaignError | None = None
        try:
            result = dict(operator.execute(context))
        except exceptions.CampaignError as error:
            self.error, message = error, str(error)
            assert f"campaign {self.campaign.id!r}" in message.lower()
            assert "connection 'campaign_default'" in message.lower()
            check_readable(message)
            return None
        check_storable(result)
        return result

    @property
    def may_fail_for_good(self) -> bool:
        """Whether the platform may say what no retry can fix."""
        return any(each.kind in LASTING or each.options.get("status") == 404 for each in self.plan.faults)

    @property
    def recovers_in_time(self) -> bool:
        """Whether the present try has to succeed if nothing but the faults is in its way."""
        if self.plan.unforeseen:
            return False
        ends, recovers_at = self.began + self.plan.timeout, max(self.began, self.recovers_at)
        kept_back = min(FINAL_ATTEMPT_RESERVE, self.plan.timeout / 10)
        if self.plan.delay <= kept_back:
            return bool(recovers_at <= ends - kept_back - 0.01)
        return bool(recovers_at + LONGEST_PAUSE + self.plan.delay <= ends)

    def check_nothing_is_repeated(self) -> None:
        """Check that the present try sent nothing again that had been done and answered."""
        operation = self.plan.operation
        sent = [request for request in self.sandbox.requests[self.sent_before :] if request.action == operation]
        answered = [request.status_code == 200 and request.fault in (None, "slow", "framing") for request in sent]
        assert True not in answered[:-1], f"the {operation} was heard and sent again"


def check_stop(run: Run) -> None:
    """A stop succeeds only when the campaign is stopped, and in time if it can be."""
    plan = run.plan
    for result in run.tries():
        if result is not None:
            assert run.campaign.status in ENDED, "a false success"
            assert result["status"] in ENDED
    if not plan.delay and plan.status in STOPPABLE and plan.stoppable:
        assert run.campaign.stop_requests <= 1, "stopped again what was stopped"
    if run.may_fail_for_good or not run.recovers_in_time:
        return
    if plan.status in NOT_STARTED:
        assert isinstance(run.error, exceptions.CampaignConflictError)
    elif plan.status in STOPPABLE and not plan.stoppable:
        assert isinstance(run.error, exceptions.CampaignTimeoutError | exceptions.CampaignUnavailableError)
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
    if run.recovers_in_time and run.number == 1:  # no try knows of others
        assert run.error is None, f"a false alarm: {run.error}"


@examples(full=1000, brief=60, exhaustive=3000)
@given(kind=st.sampled_from(KINDS), plan=plans("stop"))
@example(kind=KORE_KINDS[0], plan=unnoticed("stop"))
@example(kind=SONARLY, plan=unnoticed("stop"))
def test_a_stop_ends_by_what_the_platform_says_whatever_goes_wrong(
    sandbox: Sandbox, clock: VirtualClock, connect: Connect, kind: Kind, plan: SimpleNamespace
) -> None:
    check_stop(Run(sandbox, clock, connect, kind, plan))


@examples(full=320, brief=30, exhaustive=1000)
@given(kind=st.sampled_from(KORE_KINDS), plan=plans("start") | plans("delete"))
@example(kind=KORE_KINDS[3], plan=unnoticed("delete"))
def test_a_start_or_delete_ends_by_what_the_platform_says_whatever_goes_wrong(
    sandbox: Sandbox, clock: VirtualClock, connect: Connect, kind: Kind, plan: SimpleNamespace
) -> None:
    run = Run(sandbox, clock, connect, kind, plan)
    check_start(run) if plan.operation == "start" else check_delete(run)
