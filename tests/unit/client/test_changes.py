"""A stop, start or delete over all its attempts: what is sent, and what the responses mean together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import chain, product, repeat
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

BUDGET = 120  # seconds that an action may take with its retries
MAX_ATTEMPTS = 30  # in the budget: the jitter is full, so that more are possible, but not once in a billion runs

LOST = OutcomeUnknown("no response within the time-out")
UNREACHED = NotSent("the connection was refused")
ACTIVE, STOPPED, COMPLETED = shows("Active"), shows("Stopped"), shows("Completed")
BAD_REQUEST, NOT_FOUND, CONFLICT, TOO_MANY, BROKEN = map(refuses, (400, 404, 409, 429, 500))
PAGE_NOT_FOUND = response(body=b"<html>404 Not Found</html>", status=404)
REDIRECT = response(status=302, Location="https://elsewhere.test/")

BEFORE = {"stop": "Active", "start": "Stopped", "delete": "Stopped"}
AFTER = {"stop": "Stopped", "start": "Active"}
OVER = {"status": "Stopped", "already_stopped": True, "message": "Already over"}
IS_STOPPED, DONE = {"status": "Stopped"}, done("Stopped")
NOT_STARTED = r"it is Scheduled\..*No \[HTTP 409, code E-409, trace id"
OF_TYPE = r"which is Active\. Check whether it is of type 'sms'"


class Account:
    """A platform with one campaign, or none; steps are the responses that replace an action's first ones."""

    def __init__(self, status: str | None, steps: Mapping[str, Iterable[Step]]) -> None:
        self.status = status
        self.steps = {action: iter(responses) for action, responses in steps.items()}

    def __call__(self, sent: SentRequest) -> Step:
        fault = next(self.steps.get(sent.action, iter(())), None)
        if fault is not None:
            return fault
        status, self.status = self.status, AFTER.get(sent.action, self.status)
        if status is None:
            return NOT_FOUND
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
    "server-error": (BROKEN, "X status X", None),
    "not-json": (response(body=b"<html>Sign in</html>"), "X status X", None),
    "another-shape": (response([]), "X status X", None),
    "conflict": (CONFLICT, "X status X", None),
    "bad-request": (BAD_REQUEST, "X status", CampaignRequestError),
    "forbidden": (refuses(403), "X", CampaignAuthError),
    "not-found": (NOT_FOUND, "X status", CampaignNotFoundError),
    "no-such-path": (PAGE_NOT_FOUND, "X", CampaignRequestError),
    "redirect": (REDIRECT, "X", CampaignRequestError),
}
"""What comes back from a stop or start once; what the platform receives (``X``: the action); how it ends."""


ACTIONS = [*product([KORE_V1, SONARLY], AFTER), (KORE_V1, "delete")]


@pytest.mark.parametrize(("platform", "action"), ACTIONS, ids=lambda value: getattr(value, "name", value))
@pytest.mark.parametrize("fault", FAULTS)
def test_a_change_that_meets_a_fault_ends_as_it_should(platform: Platform, action: str, fault: str) -> None:
    step, sent, error = FAULTS[fault]
    if action == "delete":  # which the status explains only if nothing is found
        error = CampaignConflictError if fault == "conflict" else error
        sent = f"status X{' X' if error is None else ' status' if fault == 'not-found' else ''}"
    account = Account(BEFORE[action], {action: [step]})
    transport = ScriptedTransport(account)
    client = client_for(transport, platform)
    if error is None:
        campaign = act(client, action)
        assert campaign is not None
        assert action == "delete" or campaign.status == account.status
        assert account.status == AFTER.get(action)
        assert not campaign.already_stopped
    else:
        with pytest.raises(error, match="'a_connection'") as caught:
            act(client, action)
        assert type(caught.value) is error
        assert account.status == BEFORE[action]
    assert transport.actions == sent.replace("X", action).split()


@pytest.mark.parametrize("action", AFTER)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_is_reported_within_the_budget_and_after_few_requests(action: str, fault: str) -> None:
    step, sent, error = FAULTS[fault]
    account = Account(BEFORE[action], {action: repeat(step)})
    transport, clock = ScriptedTransport(account), VirtualClock()
    began = clock.now
    with pytest.raises(error or CampaignUnavailableError) as caught:
        act(client_of(KORE_V1, transport, clock, retry_budget=BUDGET), action)
    assert ("Its status does not explain the refusal" in str(caught.value)) == (fault == "conflict")
    assert account.status == BEFORE[action]
    assert clock.now <= began + BUDGET
    attempts = len(clock.slept) + 1
    assert transport.actions.count(action) <= attempts <= (3 if fault == "too-many" else MAX_ATTEMPTS)
    expected = sent.replace("X", action).split()
    assert transport.actions[: len(expected)] == expected
    assert len(transport.requests) <= 2 * attempts


End = dict[str, Any] | type[CampaignError] | None
STORIES: dict[str, tuple[str, list[Step], str, End, str]] = {
    "a lost stop took effect": ("stop", [LOST, STOPPED], "X status", {"status": "Stopped"}, ""),
    "a lost start took effect": ("start", [LOST, ACTIVE], "X status", {"status": "Active"}, ""),
    "an unreadable status": ("stop", [LOST, LOST, BROKEN, ACTIVE, DONE], "X status status status X", IS_STOPPED, ""),
    # A refusal is a success if the status shows that nothing is left to do.
    "stopped": ("stop", [refuses(409, "Already over"), STOPPED], "X status", OVER, ""),
    "completed": ("stop", [refuses(400, "Already over"), COMPLETED], "X status", {**OVER, "status": "Completed"}, ""),
    "under way": ("start", [CONFLICT, shows("Preparing")], "X status", {"status": "Preparing"}, ""),
    "not started": ("stop", [CONFLICT, shows("Scheduled")], "X status", CampaignConflictError, NOT_STARTED),
    "completed before": ("start", [CONFLICT, COMPLETED], "X status", CampaignConflictError, "Completed"),
    "not started, by the stop itself": ("stop", [done("Scheduled")], "X", CampaignConflictError, "it is Scheduled"),
    "another server's 404": ("stop", [PAGE_NOT_FOUND], "X", CampaignRequestError, "Host"),
    # A retry of the task reads the status before it sends anything.
    "a retried stop": ("stop", [STOPPED], "status", {"status": "Stopped", "already_stopped": True}, ""),
    "a retried start": ("start", [ACTIVE], "status", {"status": "Active"}, ""),
    "a status that is not there": ("stop", [NOT_FOUND, DONE], "status X", IS_STOPPED, ""),
    # A 404 of the action alone is of another type; only that of the status, too, confirms it.
    "a stop of another type": ("stop", [NOT_FOUND, ACTIVE], "X status", CampaignNotFoundError, OF_TYPE),
    "not there": ("stop", [NOT_FOUND, NOT_FOUND], "X status", CampaignNotFoundError, "HTTP 404"),
    "perhaps not there": ("stop", [NOT_FOUND, LOST], "X status", CampaignNotFoundError, "HTTP 404"),
    # Deleting: only what the delete itself says counts.
    "done by a lost delete": ("delete", [STOPPED, LOST, NOT_FOUND, NOT_FOUND], "status X X status", None, ""),
    "another type": ("delete", [ACTIVE, LOST, NOT_FOUND, ACTIVE], "status X X status", CampaignNotFoundError, OF_TYPE),
    "never there": ("delete", [NOT_FOUND, LOST, NOT_FOUND], "status X X", CampaignNotFoundError, "HTTP 404"),
    "gone before": ("delete", [STOPPED, NOT_FOUND, NOT_FOUND], "status X status", CampaignNotFoundError, "HTTP 404"),
    "unreadable before": ("delete", [BROKEN, STOPPED], "status X", IS_STOPPED, ""),
    "unknown before": ("delete", [NOT_FOUND, STOPPED], "status X", IS_STOPPED, ""),
    "live": ("delete", [ACTIVE, ACTIVE], "status X", {}, "Campaign c-1 is Active while it is deleted"),
}
"""The action; what comes back; what is received (``X``: the action); what the campaign is, or the error; a text."""


@pytest.mark.parametrize("name", STORIES)
def test_a_change_is_what_all_responses_mean_together(name: str, caplog: pytest.LogCaptureFixture) -> None:
    action, script, sent, end, text = STORIES[name]
    transport = ScriptedTransport(script)
    client, is_retry = client_for(transport), action != "delete" and sent.startswith("status")
    if isinstance(end, type):
        with pytest.raises(end, match=text) as caught:
            act(client, action, check_first=is_retry)
        if isinstance(caught.value, CampaignNotFoundError):
            told = ("Active" if text == OF_TYPE else None, name in ("not there", "gone before"))
            assert (caught.value.shown_status, caught.value.is_confirmed) == told
    else:
        campaign = act(client, action, check_first=is_retry)
        expected = end and {"already_stopped": False, **end}
        assert (campaign and {key: getattr(campaign, key) for key in expected or ()}) == expected
        assert text in caplog.text
    assert transport.actions == sent.replace("X", action).split()


@pytest.mark.parametrize("ahead", [0.5, -3600.0, 200.0], ids=lambda seconds: f"clock {seconds}")
@pytest.mark.parametrize("changed", [0, -5, -300])  # seconds: older ones are as a status that lags behind shows them
@pytest.mark.parametrize(("action", "shown"), [("stop", "Stopped"), ("start", "Active"), ("start", "Completed")])
def test_a_lost_action_is_sent_again_only_if_the_status_is_older(
    action: str, shown: str, changed: float, ahead: float
) -> None:
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
    if shown == "Completed" and changed:
        with pytest.raises(CampaignConflictError, match=r"it is Completed\..*Already over"):
            act(client, action)
    else:
        campaign = act(client, action)
        assert campaign is not None
        assert campaign.status == shown
    assert transport.actions.count(action) == (2 if changed else 1)


@pytest.mark.parametrize("action", BEFORE)
def test_an_error_says_that_an_earlier_attempt_may_have_reached_the_platform(action: str) -> None:
    account = Account(BEFORE[action], {action: chain([LOST], repeat(TOO_MANY))})
    with pytest.raises(CampaignRateLimitError) as caught:
        act(client_for(ScriptedTransport(account)), action)
    assert caught.value.outcome_unknown


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+05:30", "2026-01-01T00:00:00", "1767225600000", "yesterday", "", None]
)
def test_a_time_that_is_no_moment_is_none(text: str | None) -> None:
    assert seconds_of(text) is None
