"""Every fault over real sockets, once on each platform: what the platform receives, and what the user sees."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignError,
    CampaignNotFoundError,
    CampaignRequestError,
)
from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.faults import FAULT_KINDS, FRAMINGS, LOST_WAYS
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.kinds import KINDS, SILENT, SONARLY, Connect, Kind

TIMEOUT = 1.0  # seconds of real time after which a platform that does not respond is given up
PLATFORMS = [KINDS[0], SONARLY]

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


@pytest.mark.parametrize("platform", PLATFORMS, ids=name_of)
@pytest.mark.parametrize("fault", FAULTS, ids=name_of)
def test_a_stop_that_meets_a_fault_ends_as_it_should(
    sandbox: Sandbox, connect: Connect, platform: Kind, fault: Fault
) -> None:
    requests, error = STOPS[fault.kind] if platform is not SONARLY else {**STOPS, **ON_SONARLY}[fault.kind]
    is_silent = fault.kind in SILENT or fault.options.get("how") == "hang"
    connect(platform.connection(sandbox, timeout=TIMEOUT if is_silent else 30, retry_budget=120))
    campaign = platform.add_campaign(sandbox)
    sandbox.add_fault(Fault(fault.kind, action="stop", **fault.options))
    with pytest.raises(error, match="'campaign_default'") if error else nullcontext() as raised:
        platform.stop(campaign.id).execute({})
    assert raised is None or raised.type is error
    assert received(sandbox) == requests
    assert campaign.status == ("Active" if error else "Stopped")


@pytest.mark.parametrize("platform", PLATFORMS, ids=name_of)
def test_a_gateway_that_refuses_everything_for_a_while_leaves_nothing_live(
    sandbox: Sandbox, connect: Connect, platform: Kind
) -> None:
    connect(platform.connection(sandbox))
    campaigns = [platform.add_campaign(sandbox) for _ in range(6)]
    for action in ("list", "stop"):
        sandbox.add_fault(Fault("gateway", action=action, status=403, count=8))
    StopActiveCampaignsOperator(task_id="sweep").execute({})
    assert {campaign.status for campaign in campaigns} == {"Stopped"}


def test_a_campaign_that_completed_before_the_first_poll_was_started(
    sandbox: Sandbox, connect: Connect, clock: VirtualClock
) -> None:
    connect(sandbox.kore_connection())
    campaign = sandbox.add_campaign(status="Ready", start_delay=5.0)
    clock.advance(3600)
    sandbox.add_fault(Fault("lost", action="start"))
    sandbox.add_fault(Fault("error", action="status"))
    clock.at(3600.1, lambda: sandbox.set_status(campaign.id, "Completed"))
    assert KINDS[0].start(campaign.id).execute({})["status"] == "Completed"
    assert received(sandbox).split().count("start") == 1
