"""Every fault over real sockets, once on each platform: what the platform receives, and what the user sees."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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
from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.faults import FAULT_KINDS, FRAMINGS, LOST_WAYS
from tests.clock import VirtualClock
from tests.kinds import KINDS, KORE_KINDS, SILENT, SONARLY, Connect, Kind

BUDGET = 120
"""Seconds of virtual time that an action may take with its retries."""

TIMEOUT = 1.0
"""Seconds of real time after which a platform that does not respond is given up."""

V1_SMS = KORE_KINDS[0]
PLATFORMS = [kind for kind in KINDS if kind.label in ("v1-sms", "v2-voice", "sonarly")]

Outcome = tuple[str, type[CampaignError] | None]
"""What the platform receives, and how it ends; None for a success."""

_AGAIN: Outcome = ("stop status stop", None)
STOPS: dict[str, Outcome] = {
    **dict.fromkeys((*SILENT, "error", "html", "gateway", "html_ok", "broken_json", "empty", "failure"), _AGAIN),
    **dict.fromkeys(("wrong_shape", "reset", "huge", "conflict"), _AGAIN),
    "lost": ("stop status status", None),  # the second for the date
    "rate_limit": ("stop stop", None),
    "rate_limit_text": ("stop stop", None),
    "slow": ("stop", None),
    "framing": ("stop", None),
    "bad_request": ("stop status", CampaignRequestError),
    "unauthorized": ("stop stop", None),  # a fresh token mends it
    "forbidden": ("stop", CampaignAuthError),
    "not_found": ("stop status", CampaignNotFoundError),
    "redirect": ("stop", CampaignRequestError),
}
ON_SONARLY: dict[str, Outcome] = {
    "lost": ("stop status", None),
    "unauthorized": ("stop", CampaignAuthError),  # an API key stays what it is
    "rate_limit_text": _AGAIN,  # the text is Kore's
}
VARIANTS: dict[str, list[Fault]] = {
    **{kind: [Fault(kind)] for kind in FAULT_KINDS},
    "error": [Fault("error"), Fault("error", status=503, json=False)],
    "gateway": [Fault("gateway", status=status) for status in (400, 403)],
    "slow": [Fault("slow", seconds=0.01)],
    "lost": [Fault("lost", how=how) for how in LOST_WAYS],
    "framing": [Fault("framing", how=how) for how in FRAMINGS],
}
FAULTS = [fault for kind in FAULT_KINDS for fault in VARIANTS[kind]]


def name_of(value: object) -> str:
    if isinstance(value, Fault):
        return "-".join([value.kind, *map(str, value.options.values())])
    return value.label if isinstance(value, Kind) else str(value)


def received(sandbox: Sandbox) -> str:
    """Return the actions that arrived; Sonarly reads a status by the request that reads the whole campaign."""
    return " ".join("status" if request.action == "get" else str(request.action) for request in sandbox.requests)


def settings_for(fault: Fault, budget: float = BUDGET) -> dict[str, float]:
    """Return a connection's time-out and budget: short for a platform that says nothing, else out of the way."""
    silent = fault.kind in SILENT or fault.options.get("how") == "hang"
    return {"timeout": TIMEOUT if silent else 30, "retry_budget": budget}


def ends(act: Callable[[], object], error: type[CampaignError] | None) -> None:
    """Act, and see that it ends like this."""
    if error is None:
        act()
        return
    with pytest.raises(error, match="'campaign_default'") as raised:
        act()
    assert raised.type is error


@pytest.mark.parametrize("platform", PLATFORMS, ids=name_of)
@pytest.mark.parametrize("fault", FAULTS, ids=name_of)
def test_a_stop_that_meets_a_fault_ends_as_it_should(
    sandbox: Sandbox, connect: Connect, platform: Kind, fault: Fault
) -> None:
    requests, error = STOPS[fault.kind] if platform is not SONARLY else {**STOPS, **ON_SONARLY}[fault.kind]
    connect(platform.connection(sandbox, **settings_for(fault)))
    campaign = platform.add_campaign(sandbox)
    sandbox.add_fault(Fault(fault.kind, action="stop", **fault.options))
    ends(lambda: platform.stop(campaign.id).execute({}), error)
    assert received(sandbox) == requests
    assert campaign.status == ("Active" if error else "Stopped")


@pytest.mark.parametrize("platform", PLATFORMS, ids=name_of)
@pytest.mark.parametrize("status", [401, 403])
def test_a_gateway_that_refuses_everything_for_a_while_leaves_nothing_live(
    sandbox: Sandbox, connect: Connect, platform: Kind, status: int
) -> None:
    connect(platform.connection(sandbox))
    campaigns = [platform.add_campaign(sandbox) for _ in range(6)]
    for action in ("list", "stop"):
        sandbox.add_fault(Fault("gateway", action=action, status=status, count=8))
    StopActiveCampaignsOperator(task_id="sweep").execute({})
    assert {campaign.status for campaign in campaigns} == {"Stopped"}


DELETES: dict[str, Outcome] = {
    "reset": ("status delete delete", None),
    "lost": ("status delete delete status", None),
    "rate_limit": ("status delete delete", None),
    "conflict": ("status delete", CampaignConflictError),
    "not_found": ("status delete status", CampaignNotFoundError),
}


@pytest.mark.parametrize("platform", [platform for platform in PLATFORMS if platform.delete_operator], ids=name_of)
@pytest.mark.parametrize("fault", DELETES)
def test_a_delete_that_meets_a_fault_ends_as_it_should(
    sandbox: Sandbox, connect: Connect, platform: Kind, fault: str
) -> None:
    requests, error = DELETES[fault]
    connect(platform.connection(sandbox, retry_budget=BUDGET))
    campaign = platform.add_campaign(sandbox, status="Stopped")
    sandbox.add_fault(Fault(fault, action="delete"))
    ends(lambda: platform.delete(campaign.id).execute({}), error)
    assert received(sandbox) == requests
    assert sandbox.campaigns() == ([campaign] if error else [])


READS: dict[str, Outcome] = {
    "reset": ("X X", None),
    "broken_json": ("X X", None),
    "rate_limit": ("X X", None),
    "not_found": ("X", CampaignNotFoundError),
}


@pytest.mark.parametrize("platform", PLATFORMS, ids=name_of)
@pytest.mark.parametrize("action", ["status", "list"])
@pytest.mark.parametrize("fault", READS)
def test_a_read_that_meets_a_fault_is_repeated_where_that_may_help(
    sandbox: Sandbox, connect: Connect, platform: Kind, action: str, fault: str
) -> None:
    requests, error = READS[fault]
    connect(platform.connection(sandbox, retry_budget=BUDGET))
    campaign = platform.add_campaign(sandbox)
    sandbox.add_fault(Fault(fault))
    hook = CampaignHook.for_conn_id("campaign_default")
    types = platform.campaign_type and [platform.campaign_type]
    read: dict[str, Callable[[], object]] = {
        "status": lambda: hook.client.get_campaign_status(campaign.id),
        "list": lambda: list(hook.client.list_campaigns(types)),
    }
    ends(read[action], error)
    assert received(sandbox) == requests.replace("X", action)


@pytest.mark.parametrize(
    ("fault", "budget", "error"),
    [
        (Fault("error", count=None), BUDGET, CampaignUnavailableError),
        (Fault("rate_limit", count=None), BUDGET, CampaignRateLimitError),
        (Fault("hang", count=None), 3, CampaignUnavailableError),
        (Fault("unauthorized", count=None), BUDGET, CampaignAuthError),
    ],
    ids=name_of,
)
@pytest.mark.parametrize("platform", PLATFORMS, ids=name_of)
def test_a_fault_that_stays_is_reported_when_the_budget_is_used_up(
    sandbox: Sandbox,
    virtual_clock: VirtualClock,
    connect: Connect,
    platform: Kind,
    fault: Fault,
    budget: float,
    error: type[CampaignError],
) -> None:
    began = virtual_clock.now
    sandbox.add_fault(fault)
    connect(platform.connection(sandbox, **settings_for(fault, budget)))
    campaign = platform.add_campaign(sandbox)
    ends(lambda: platform.stop(campaign.id).execute({}), error)
    assert campaign.status == "Active"
    assert virtual_clock.now <= began + budget


def test_a_delete_of_the_wrong_type_is_not_reported_done_after_one_that_may_have_been_heard(
    sandbox: Sandbox, connect: Connect
) -> None:
    connect(sandbox.kore_connection())
    campaign = sandbox.add_campaign(campaign_type="voice", status="Stopped")
    sandbox.add_fault(Fault("html", action="delete"))
    with pytest.raises(CampaignNotFoundError, match="whether it is of type 'sms'"):
        V1_SMS.delete(campaign.id).execute({})
    assert sandbox.campaigns() == [campaign]
