"""A stop, start or delete over all its attempts: what is sent, and what the responses mean together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import chain, repeat
from typing import Any

import pytest

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.changes import seconds_of
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.transport import NotSent, OutcomeUnknown
from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignConflictError,
    CampaignError,
    CampaignNotFoundError,
    CampaignRateLimitError,
    CampaignRequestError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.platforms.base import Platform
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.accounts import KORE_V1, SONARLY, client_of, done, refuses, shows, type_on
from tests.scripted_transport import ScriptedTransport, SentRequest, Step, response

BUDGET = 120
"""Seconds that an action may take with its retries."""

MAX_ATTEMPTS = 30
"""Attempts in the budget: the jitter is full, so that more are possible, but not once in a billion runs."""

LOST = OutcomeUnknown("no response within the time-out")
UNREACHED = NotSent("the connection was refused")
TOO_MANY = refuses(429)
PAGE_NOT_FOUND = response(body=b"<html>404 Not Found</html>", status=404)
REDIRECT = response(status=302, Location="https://elsewhere.test/")

BEFORE = {"stop": "Active", "start": "Stopped", "delete": "Stopped"}
AFTER = {"stop": "Stopped", "start": "Active"}
COMPLETED = {"status": "Completed"}
OVER = {"status": "Stopped", "already_stopped": True, "message": "Already over"}
OF_TYPE = r"which is Active\. Check whether it is of type 'sms'"


class Account:
    """
    A platform with one campaign.

    :param status: What it is in; None when there is no such campaign.
    :param steps: By action, the responses that replace the first ones.
    """

    def __init__(self, status: str | None, steps: Mapping[str, Iterable[Step]]) -> None:
        self.status = status
        self.steps = {action: iter(responses) for action, responses in steps.items()}

    def __call__(self, sent: SentRequest) -> Step:
        fault = next(self.steps.get(sent.action, iter(())), None)
        if fault is not None:
            return fault
        status, self.status = self.status, AFTER.get(sent.action, self.status)
        if status is None:
            return refuses(404)
        if sent.action == "delete":
            self.status = None
        return done(AFTER[sent.action]) if sent.action in AFTER else shows(status)


def act(client: CampaignClient, action: str, *, check_first: bool = False) -> Campaign | None:
    options = {"check_first": True} if check_first else {}
    result: Campaign | None = getattr(client, f"{action}_campaign")("c-1", type_on(client.platform), **options)
    return result


def client_for(transport: ScriptedTransport, platform: Platform = KORE_V1) -> CampaignClient:
    return client_of(platform, transport, retry_budget=BUDGET)


FAULTS: dict[str, tuple[Step, str, type[CampaignError] | None]] = {
    "lost": (LOST, "X status X", None),
    "unreached": (UNREACHED, "X X", None),
    "too-many": (TOO_MANY, "X X", None),
    "server-error": (refuses(500), "X status X", None),
    "not-json": (response(body=b"<html>Sign in</html>"), "X status X", None),
    "another-shape": (response([]), "X status X", None),
    "conflict": (refuses(409), "X status X", None),
    "bad-request": (refuses(400), "X status", CampaignRequestError),
    "forbidden": (refuses(403), "X", CampaignAuthError),
    "not-found": (refuses(404), "X status", CampaignNotFoundError),
    "no-such-path": (PAGE_NOT_FOUND, "X", CampaignRequestError),
    "redirect": (REDIRECT, "X", CampaignRequestError),
}
"""What comes back from a stop or start once; what the platform receives (``X``: the action); how it ends."""


@pytest.mark.parametrize("action", AFTER)
@pytest.mark.parametrize("platform", [KORE_V1, SONARLY], ids=["kore", "sonarly"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_stop_or_start_that_meets_a_fault_ends_as_it_should(platform: Platform, action: str, fault: str) -> None:
    step, expected, error = FAULTS[fault]
    account = Account(BEFORE[action], {action: [step]})
    transport = ScriptedTransport(account)
    client = client_for(transport, platform)
    if error is None:
        campaign = act(client, action)
        assert campaign is not None
        assert campaign.status == account.status == AFTER[action]
        assert not campaign.already_stopped
    else:
        with pytest.raises(error, match="'a_connection'") as caught:
            act(client, action)
        assert type(caught.value) is error
        assert account.status == BEFORE[action]
    assert transport.actions == expected.replace("X", action).split()


@pytest.mark.parametrize("action", AFTER)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_is_reported_within_the_budget_and_after_few_requests(action: str, fault: str) -> None:
    step, _, error = FAULTS[fault]
    account = Account(BEFORE[action], {action: repeat(step)})
    transport, clock = ScriptedTransport(account), VirtualClock()
    began = clock.now
    with pytest.raises(error or CampaignUnavailableError):
        act(client_of(KORE_V1, transport, clock, retry_budget=BUDGET), action)
    assert account.status == BEFORE[action]
    assert clock.now <= began + BUDGET
    attempts = len(clock.slept) + 1
    assert transport.actions.count(action) <= attempts <= (3 if fault == "too-many" else MAX_ATTEMPTS)
    assert len(transport.requests) <= 2 * attempts


End = dict[str, Any] | type[CampaignError] | None
STORIES: dict[str, tuple[str, list[Step], str, End, str]] = {
    "a lost stop took effect": ("stop", [LOST, shows("Stopped")], "X status", {"status": "Stopped"}, ""),
    "a lost start took effect": ("start", [LOST, shows("Active")], "X status", {"status": "Active"}, ""),
    "the status after a lost stop is unreadable": (
        "stop",
        [LOST, LOST, refuses(500), shows("Active"), done("Stopped")],
        "X status status status X",
        {"status": "Stopped"},
        "",
    ),
    # A refusal is a success if the status shows that nothing is left to do.
    "stopped": ("stop", [refuses(409, "Already over"), shows("Stopped")], "X status", OVER, ""),
    "completed": ("stop", [refuses(400, "Already over"), shows("Completed")], "X status", {**OVER, **COMPLETED}, ""),
    "under way": ("start", [refuses(409), shows("Preparing")], "X status", {"status": "Preparing"}, ""),
    "not started": (
        "stop",
        [refuses(409, "Not running"), shows("Scheduled")],
        "X status",
        CampaignConflictError,
        r"it is Scheduled\..*Not running \[HTTP 409, code E-409, trace id",
    ),
    "completed before": ("start", [refuses(409), shows("Completed")], "X status", CampaignConflictError, "Completed"),
    "not started, by the stop itself": ("stop", [done("Scheduled")], "X", CampaignConflictError, "it is Scheduled"),
    "another server's 404": ("stop", [PAGE_NOT_FOUND], "X", CampaignRequestError, "Host"),
    # A retry of the task reads the status before it sends anything.
    "a retried stop": ("stop", [shows("Stopped")], "status", {"status": "Stopped", "already_stopped": True}, ""),
    "a retried start": ("start", [shows("Active")], "status", {"status": "Active"}, ""),
    "a status that is not there": ("stop", [refuses(404), done("Stopped")], "status X", {"status": "Stopped"}, ""),
    # A 404 of the action alone is of another type; only that of the status, too, confirms it.
    "a stop of another type": ("stop", [refuses(404), shows("Active")], "X status", CampaignNotFoundError, OF_TYPE),
    "not there": ("stop", [refuses(404), refuses(404)], "X status", CampaignNotFoundError, "HTTP 404"),
    "perhaps not there": ("stop", [refuses(404), LOST], "X status", CampaignNotFoundError, "HTTP 404"),
    # Deleting: only what the delete itself says counts.
    "a lost delete is done by its 404": (
        "delete",
        [shows("Stopped"), LOST, refuses(404), refuses(404)],
        "status X X status",
        None,
        "",
    ),
    "a lost delete of another type": (
        "delete",
        [shows("Active"), LOST, refuses(404), shows("Active")],
        "status X X status",
        CampaignNotFoundError,
        OF_TYPE,
    ),
    "never there": ("delete", [refuses(404), LOST, refuses(404)], "status X X", CampaignNotFoundError, "HTTP 404"),
    "gone before it was sent": (
        "delete",
        [shows("Stopped"), refuses(404), refuses(404)],
        "status X status",
        CampaignNotFoundError,
        "HTTP 404",
    ),
    "unreadable before": ("delete", [refuses(500), shows("Stopped")], "status X", {"status": "Stopped"}, ""),
    "unknown before": ("delete", [refuses(404), shows("Stopped")], "status X", {"status": "Stopped"}, ""),
}
"""The action; what comes back; what the platform receives (``X``: the action); what the campaign is, or the error."""


@pytest.mark.parametrize("name", STORIES)
def test_a_change_is_what_all_responses_mean_together(name: str) -> None:
    action, script, sent, end, text = STORIES[name]
    transport = ScriptedTransport(script)
    client, is_retry = client_for(transport), action != "delete" and sent.startswith("status")
    if isinstance(end, type):
        with pytest.raises(end, match=text) as caught:
            act(client, action, check_first=is_retry)
        if isinstance(caught.value, CampaignNotFoundError):
            told = ("Active" if text == OF_TYPE else None, name in ("not there", "gone before it was sent"))
            assert (caught.value.shown_status, caught.value.is_confirmed) == told
    else:
        campaign = act(client, action, check_first=is_retry)
        expected = end and {"already_stopped": False, **end}
        assert (campaign and {key: getattr(campaign, key) for key in expected or ()}) == expected
    assert transport.actions == sent.replace("X", action).split()


def test_a_conflict_that_the_status_does_not_explain_is_tried_again_and_reported_as_such() -> None:
    def respond(sent: SentRequest) -> Step:
        return shows("Active") if sent.action == "status" else refuses(409)

    transport = ScriptedTransport(respond)
    with pytest.raises(CampaignUnavailableError, match="does not explain the refusal"):
        act(client_for(transport), "stop")
    assert transport.actions[:4] == ["stop", "status", "stop", "status"]


@pytest.mark.parametrize("ahead", [0.5, -3600.0, 200.0], ids=lambda seconds: f"clock {seconds}")
@pytest.mark.parametrize(
    ("action", "shown", "changed", "sent"),
    [
        ("stop", "Stopped", 0, 1),
        ("stop", "Stopped", -300, 2),  # as a status that lags behind shows it
        ("start", "Active", 0, 1),
        ("start", "Active", -300, 2),
        ("start", "Completed", 0, 1),
        ("start", "Completed", -5, 2),
        ("start", "Completed", -300, 2),
    ],
)
def test_a_lost_action_is_sent_again_only_if_the_status_is_from_before_it(
    action: str, shown: str, changed: float, sent: int, ahead: float
) -> None:
    """By the platform's clock, which is ahead of ours; the status has changed at the begin, or before."""
    clock = VirtualClock()
    updated_at = datetime.fromtimestamp(clock.time() + changed + ahead, UTC).isoformat()

    def respond(request: SentRequest) -> Step:
        if request.action == "status":
            date = format_datetime(datetime.fromtimestamp(clock.time() + ahead, UTC), usegmt=True)
            return dataclasses.replace(shows(shown, updatedAt=updated_at), headers={"Date": date})
        if transport.actions.count(action) == 1:
            return LOST
        return refuses(409, "Already over") if shown == "Completed" else done(shown)

    transport = ScriptedTransport(respond)
    client = client_of(KORE_V1, transport, clock)
    if (shown, sent) == ("Completed", 2):
        with pytest.raises(CampaignConflictError, match=r"it is Completed\..*Already over"):
            act(client, action)
    else:
        campaign = act(client, action)
        assert campaign is not None
        assert campaign.status == shown
    assert transport.actions.count(action) == sent


@pytest.mark.parametrize("fault", FAULTS)
def test_a_delete_that_meets_a_fault_ends_as_it_should(fault: str) -> None:
    step, _, error = FAULTS[fault]
    error = CampaignConflictError if fault == "conflict" else error
    account = Account("Stopped", {"delete": [step]})
    transport = ScriptedTransport(account)
    if error is None:
        assert act(client_for(transport), "delete") is not None
        assert account.status is None
        assert transport.actions == ["status", "delete", "delete"]
    else:
        with pytest.raises(error, match="'a_connection'") as caught:
            act(client_for(transport), "delete")
        assert type(caught.value) is error
        assert account.status == "Stopped"
        assert transport.actions == ["status", "delete", *(["status"] if fault == "not-found" else [])]


@pytest.mark.parametrize("action", BEFORE)
def test_an_error_says_that_an_earlier_attempt_may_have_reached_the_platform(action: str) -> None:
    account = Account(BEFORE[action], {action: chain([LOST], repeat(TOO_MANY))})
    with pytest.raises(CampaignRateLimitError) as caught:
        act(client_for(ScriptedTransport(account)), action)
    assert caught.value.outcome_unknown


def test_a_campaign_that_is_deleted_while_it_is_live_gets_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    transport = ScriptedTransport([shows("Active"), shows("Active")])
    act(client_for(transport), "delete")
    assert "Campaign c-1 is Active while it is deleted" in caplog.text


@pytest.mark.parametrize("fault", FAULTS)
def test_a_read_that_meets_a_fault_is_repeated_where_that_may_help(fault: str) -> None:
    step, _, error = FAULTS[fault]
    error = CampaignConflictError if fault == "conflict" else error
    transport = ScriptedTransport([step, shows("Active")])
    with pytest.raises(error) if error else nullcontext() as caught:
        client_for(transport).get_campaign_status("c-1")
    assert caught is None or caught.type is error
    assert transport.actions == ["status"] * (1 if error else 2)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+05:30", "2026-01-01T00:00:00", "1767225600000", "yesterday", "", None]
)
def test_a_time_that_is_no_moment_is_none(text: str | None) -> None:
    assert seconds_of(text) is None
