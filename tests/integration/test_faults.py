"""Every fault, in every action, on every platform, on the first, second and last attempt: outcome and cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from airflow_provider_campaign.client.retry import INITIAL_RETRY_DELAY, MAX_RETRY_DELAY
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignConflictError,
    CampaignError,
    CampaignNotFoundError,
    CampaignRateLimitError,
    CampaignRequestError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operators.campaign import DeleteSmsCampaignOperator
from airflow_provider_campaign.sandbox import Campaign, Fault, Sandbox
from airflow_provider_campaign.sandbox.faults import FAULT_KINDS, LOST_WAYS
from tests.clock import VirtualClock
from tests.kinds import KINDS, SONARLY, Connect, Kind

BUDGET = 120
"""Seconds of virtual time that a action may take with its retries."""

LEAD = 100
"""Seconds that a refusal before the fault asks for: attempts come at 0, 100 and, the last one, at 115."""

TIMEOUT = 0.5
"""Seconds of real time after which a platform that does not answer is given up."""

SILENT_BUDGET = 3
"""Seconds of virtual time for platforms that never answer, each attempt at which takes real time."""

MOST_ATTEMPTS = 30
"""Attempts in the budget: the jitter is full, so that more are possible, but not once in a billion runs."""

PLATFORMS = [kind for kind in KINDS if kind.label in ("v1-sms", "v2-voice", "sonarly")]
CALLS = ("stop", "start", "delete", "status", "list")
ATTEMPTS = {"first": 0, "second": 1, "last": 2}
"""Attempts that are refused before the one that the fault hits."""

SILENT = ("hang", "dribble", "dribble_headers")
HEARD = (*SILENT, "error", "html", "html_ok", "broken_json", "empty", "failure", "wrong_shape", "reset", "huge")
REFUSED_FOR_THE_RATE = ("rate_limit", "rate_limit_text")


@dataclass(frozen=True)
class Row:
    """
    What a fault leads to.

    :param faults: The kinds.
    :param requests: What the platform receives from the faulty request on; ``X`` stands for the action.
    :param error: How it ends; None for a success.
    :param last_requests: The same when the fault hits the last attempt.
    :param last_error: How it ends then.
    """

    faults: tuple[str, ...]
    requests: str
    error: type[CampaignError] | None
    last_requests: str
    last_error: type[CampaignError] | None


ACTING = (  # stop and start
    Row(HEARD, "X status X", None, "X", CampaignUnavailableError),
    Row(("lost",), "X status", None, "X", CampaignUnavailableError),
    Row(REFUSED_FOR_THE_RATE, "X X", None, "X", CampaignRateLimitError),
    Row(("slow",), "X", None, "X", None),
    Row(("conflict",), "X status X", None, "X status", CampaignUnavailableError),
    Row(("bad_request",), "X status", CampaignRequestError, "X status", CampaignRequestError),
    Row(("forbidden",), "X", CampaignAuthError, "X", CampaignAuthError),
    Row(("not_found",), "X", CampaignNotFoundError, "X", CampaignNotFoundError),
    Row(("redirect",), "X", CampaignRequestError, "X", CampaignRequestError),
)
READING = (  # status and list
    Row((*HEARD, "lost"), "X X", None, "X", CampaignUnavailableError),
    Row(REFUSED_FOR_THE_RATE, "X X", None, "X", CampaignRateLimitError),
    Row(("slow",), "X", None, "X", None),
    Row(("conflict",), "X", CampaignConflictError, "X", CampaignConflictError),
    Row(("bad_request",), "X", CampaignRequestError, "X", CampaignRequestError),
    Row(("forbidden",), "X", CampaignAuthError, "X", CampaignAuthError),
    Row(("not_found",), "X", CampaignNotFoundError, "X", CampaignNotFoundError),
    Row(("redirect",), "X", CampaignRequestError, "X", CampaignRequestError),
)
DELETING = (*ACTING[:4], *READING[3:])
UNAUTHORIZED = {
    True: Row(("unauthorized",), "X X", None, "X X", None),  # a fresh token mends it
    False: Row(("unauthorized",), "X", CampaignAuthError, "X", CampaignAuthError),  # an API key stays what it is
}
TABLES = {"stop": ACTING, "start": ACTING, "delete": DELETING, "status": READING, "list": READING}

VARIANTS: dict[str, list[Fault]] = {
    **{kind: [Fault(kind)] for kind in FAULT_KINDS},
    "error": [Fault("error"), Fault("error", status=503, json=False)],
    "slow": [Fault("slow", seconds=0.01)],
    "huge": [Fault("huge"), Fault("huge", chunked=True)],
    "wrong_shape": [
        Fault("wrong_shape", body=[]),
        Fault("wrong_shape", body={"status": 7, "success": True}),
        Fault("wrong_shape", body="Stopped"),
    ],
    "lost": [Fault("lost", how=how) for how in LOST_WAYS],
}
CASES = [
    (platform, action, fault)
    for platform in PLATFORMS
    for action in CALLS
    if action != "delete" or platform.delete_operator
    for kind in FAULT_KINDS
    for fault in VARIANTS[kind]
]
FAILING = [case for case in CASES if case[2].kind != "slow"]
BEFORE = {"start": "Stopped", "delete": "Stopped"}
AFTER = {"stop": "Stopped", "start": "Active"}


def name_of(value: object) -> str:
    if isinstance(value, Fault):
        return "-".join([value.kind, *map(str, value.options.values())])
    return value.label if isinstance(value, Kind) else str(value)


def row_for(platform: Kind, action: str, fault: Fault) -> Row:
    kore = platform.api_version is not None
    if fault.kind == "unauthorized":
        return UNAUTHORIZED[kore]
    kind = "bad_request" if fault.kind == "rate_limit_text" and not kore else fault.kind  # the text is Kore's
    [row] = [row for row in TABLES[action] if kind in row.faults]
    return row


def received(sandbox: Sandbox) -> list[str]:
    """Return the calls that arrived; Sonarly reads a status by the action that reads the whole campaign."""
    return ["status" if request.action == "get" else str(request.action) for request in sandbox.requests]


def is_silent(fault: Fault) -> bool:
    return fault.kind in SILENT or fault.options.get("how") == "hang"


def plan(sandbox: Sandbox, platform: Kind, fault: Fault, action: str, count: int | None) -> None:
    sandboxed = "get" if action == "status" and platform is SONARLY else action
    sandbox.add_fault(Fault(fault.kind, action=sandboxed, count=count, **fault.options))


def attempt_for(platform: Kind, action: str, campaign: Campaign) -> Callable[[], object]:
    """Return what makes the action as a user would: by an operator, or by the hook where there is none."""
    if action in ("stop", "start", "delete"):
        return lambda: getattr(platform, action)(campaign.id).execute({})
    hook = CampaignHook.for_conn_id("campaign_default")
    if action == "status":
        return lambda: hook.get_campaign_status(campaign.id).status
    types = platform.campaign_type and [platform.campaign_type]
    return lambda: [found.id for found in hook.list_campaigns(types)]


def settings_for(fault: Fault, budget: float) -> dict[str, float]:
    """Return a connection's time-out and budget: short for a platform that says nothing, else out of the way."""
    return {"timeout": TIMEOUT if is_silent(fault) else 30, "retry_budget": budget}


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize(("platform", "action", "fault"), CASES, ids=name_of)
def test_a_fault_leads_to_the_right_outcome_at_the_stated_cost(
    sandbox: Sandbox, connect: Connect, platform: Kind, action: str, fault: Fault, attempt: str
) -> None:
    connect(platform.connection(sandbox, **settings_for(fault, BUDGET)))
    campaign = platform.add_campaign(sandbox, status=BEFORE.get(action, "Active"))
    before, refused = campaign.status, ATTEMPTS[attempt]
    if refused:
        plan(sandbox, platform, Fault("rate_limit", retry_after=str(LEAD)), action, count=refused)
    plan(sandbox, platform, fault, action, count=1)
    row = row_for(platform, action, fault)
    requests, error = (row.last_requests, row.last_error) if attempt == "last" else (row.requests, row.error)

    act = attempt_for(platform, action, campaign)
    if error is None:
        act()
    else:
        with pytest.raises(error) as raised:
            act()
        assert raised.type is error
        assert "'campaign_default'" in str(raised.value)

    expected = [action] * refused + requests.replace("X", action).split()
    assert received(sandbox) == expected
    done = error is None or fault.kind == "lost"
    if action == "delete":
        assert [found.id for found in sandbox.campaigns()] == ([] if done else [campaign.id])
    else:
        assert campaign.status == (AFTER.get(action, before) if done else before)


@pytest.mark.parametrize(("platform", "action", "fault"), FAILING, ids=name_of)
def test_a_fault_that_stays_is_reported_after_no_more_than_the_stated_cost(
    sandbox: Sandbox,
    virtual_clock: VirtualClock,
    connect: Connect,
    platform: Kind,
    action: str,
    fault: Fault,
) -> None:
    budget = SILENT_BUDGET if is_silent(fault) else BUDGET
    connect(platform.connection(sandbox, **settings_for(fault, budget)))
    campaign = platform.add_campaign(sandbox, status=BEFORE.get(action, "Active"))
    before, began = campaign.status, virtual_clock.now
    plan(sandbox, platform, fault, action, count=None)
    row = row_for(platform, action, fault)

    act = attempt_for(platform, action, campaign)
    if fault.kind == "lost" and action in ("stop", "start", "delete"):
        act()
    else:
        error = CampaignAuthError if fault.kind == "unauthorized" else row.last_error
        with pytest.raises(CampaignError) as raised:
            act()
        assert raised.type is error
        assert campaign.status == before
    attempts = len(virtual_clock.slept) + 1
    calls = received(sandbox)
    assert calls.count(action) <= attempts * (2 if fault.kind == "unauthorized" else 1)
    assert len(calls) <= 2 * attempts
    assert attempts <= (3 if row.last_error is CampaignRateLimitError and platform.api_version else MOST_ATTEMPTS)
    assert virtual_clock.now <= began + budget
    if row.last_error is not CampaignRateLimitError:
        caps = [min(MAX_RETRY_DELAY, INITIAL_RETRY_DELAY * 2**number) for number in range(attempts)]
        assert all(slept <= cap for slept, cap in zip(virtual_clock.slept, caps, strict=False))


def test_a_delete_of_the_wrong_type_is_not_reported_done_after_one_that_may_have_been_heard(
    sandbox: Sandbox, connect: Connect
) -> None:
    connect(sandbox.kore_connection())
    campaign = sandbox.add_campaign(campaign_type="voice", status="Stopped")
    sandbox.add_fault(Fault("html", action="delete"))
    with pytest.raises(CampaignNotFoundError):
        DeleteSmsCampaignOperator(task_id="delete", campaign_id=campaign.id).execute({})
    assert sandbox.campaigns() == [campaign]
