"""A sweep of an account that is slow, or whose lists, status words, and limits are not as documented."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest

from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.rate_limiter import WINDOW_MARGIN
from airflow_provider_campaign.exceptions import CampaignSweepError, CampaignUnavailableError
from airflow_provider_campaign.platforms.base import HttpResponse
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.sweep.account import SweptAccount
from airflow_provider_campaign.sweep.loop import Sweep
from airflow_provider_campaign.sweep.plan import SweepScope
from airflow_provider_campaign.sweep.result import SweepResult
from tests.accounts import KORE_V2, SONARLY, client_of
from tests.scripted_transport import ScriptedTransport, SentRequest, response

Row = tuple[str | None, str]


class OddAccount:
    """
    An account whose list ignores the filter.

    :param rows: Of the SMS campaigns: id, or None for a row without one, and status.
    :param hidden: The status that its list does not show all the same.
    :param seconds: ``winding_down`` from a stop until Stopped, ``lag`` until the list shows that, and those that a
        ``list`` or a ``stop`` takes.
    """

    def __init__(self, *rows: Row, hidden: str = "", **seconds: float) -> None:
        self.clock = VirtualClock()
        self.transport = ScriptedTransport(self._respond)
        self.voice: list[HttpResponse] = []
        self.stopped_at: dict[str | None, float] = {}
        self.is_mute = False  # whether a stop is responded to with 204 and nothing else
        self._rows, self._hidden, self._seconds = rows, hidden, {"winding_down": 0.0, "lag": 0.0, **seconds}
        self._lock = threading.Lock()

    def sweep(self, *types: str, is_dry_run: bool = False) -> SweepResult:
        scope, client = SweepScope(types or ("sms", "voice")), client_of(KORE_V2, self.transport, self.clock)
        sweep = Sweep(SweptAccount(client, scope, Deadline(1200, self.clock)))
        return sweep.list_only() if is_dry_run else sweep.run()

    def _status(self, campaign_id: str | None, status: str, lag: float = 0.0) -> str:
        is_stopped = self.clock.now >= self.stopped_at.get(campaign_id, self.clock.now + 1) + lag
        return "Stopped" if is_stopped else status

    def _respond(self, request: SentRequest) -> HttpResponse:
        with self._lock:
            self.clock.advance(self._seconds.get(request.action, 0.0))
            return self._list(request.http.json) if request.action == "list" else self._act(request)

    def _list(self, body: Any) -> HttpResponse:
        if body["type"] == "voice" and self.voice:
            return self.voice.pop(0)
        rows = [
            (key, self._status(key, word, self._seconds["lag"])) for key, word in self._rows if body["type"] == "sms"
        ]
        shown = [{"id": key, "status": word} for key, word in rows if word != self._hidden]
        page = shown[body["skip"] : body["skip"] + body["limit"]]
        data = {"results": page, "totalResults": len(shown), "hasMore": body["skip"] + len(page) < len(shown)}
        return response({"status": "success", "data": data})

    def _act(self, request: SentRequest) -> HttpResponse:
        [campaign_id] = re.findall(r"/(c-\d+)", request.http.path)
        if request.action == "stop":
            self.stopped_at.setdefault(campaign_id, self.clock.now + self._seconds["winding_down"])
            if self.is_mute:
                return response(status=204, body=b"")
        status = self._status(campaign_id, dict(self._rows)[campaign_id])
        document = {"status": status} if request.action == "stop" else {"status": "success", "data": {"status": status}}
        return response(document)


def active(count: int) -> list[Row]:
    return [(f"c-{number}", "Active") for number in range(count)]


def test_an_unknown_word_in_a_list_of_live_campaigns_is_no_proof() -> None:
    account = OddAccount(("c-1", "Running"), ("c-2", "Active"), hidden="Stopped")
    with pytest.raises(CampaignUnavailableError, match="c-1 as Running"):
        account.sweep(is_dry_run=True).raise_for_failure()
    with pytest.raises(CampaignSweepError, match=r"it shows c-1 as Running, which is not documented"):
        account.sweep().raise_for_failure()
    assert account.stopped_at.keys() == {"c-2"}


def test_an_unreadable_row_keeps_no_other_from_being_seen_stopped() -> None:
    result = OddAccount(("c-1", "Active"), (None, "Active"), winding_down=20).sweep()
    assert result.left == []
    with pytest.raises(CampaignSweepError, match="All listed campaigns are stopped, but the list was incomplete"):
        result.raise_for_failure()


def test_a_list_that_is_down_holds_no_stop_back() -> None:
    account = OddAccount(("c-1", "Active"))
    account.voice = [response({}, 503, Retry_After="120")] * 2
    began = account.clock.now
    account.sweep().raise_for_failure()
    assert account.stopped_at == {"c-1": began}


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "0"}], ids=["absent", "zero"])
def test_a_platform_that_counts_429s_and_says_no_time_gets_a_pause(headers: dict[str, Any]) -> None:
    clock, sent, live = VirtualClock(), list[float](), [key for key, _ in active(60)]
    refused = 0

    def respond(request: SentRequest) -> HttpResponse:
        nonlocal refused
        sent.append(clock.now)
        if sum(moment > clock.now - 60 for moment in sent) > 25:
            refused += 1
            return response({"success": False}, 429, **headers)
        if request.action == "list":
            return response({"success": True, "data": {"items": [{"id": key, "status": "active"} for key in live]}})
        campaign_id = request.http.path.split("/")[-2]
        live.remove(campaign_id)
        return response({"success": True, "data": {"campaign": {"id": campaign_id, "status": "stopped"}}})

    client, began = client_of(SONARLY, ScriptedTransport(respond), clock), clock.now
    Sweep(SweptAccount(client, SweepScope(()), Deadline(900, clock))).run().raise_for_failure()
    assert live == []
    assert refused < 60
    assert clock.now - began < 300


def test_a_list_that_lags_is_not_read_all_the_time() -> None:
    account = OddAccount(("c-1", "Active"), lag=60)
    result = account.sweep()
    result.raise_for_failure()
    assert [each["asked_at"] for each in result.progress().campaigns if each["already_stopped"]] == []
    assert len(account.transport.requests) < 36


@pytest.mark.parametrize(("count", "details", "longest"), [(90, {"lag": 90}, 120), (130, {"winding_down": 100}, 121)])
def test_campaigns_that_may_be_stopped_come_after_the_others(
    count: int, details: dict[str, float], longest: float
) -> None:
    account = OddAccount(*active(count), **details)  # type: ignore[arg-type]
    account.is_mute = "winding_down" in details
    account.sweep().raise_for_failure()
    assert len(account.stopped_at) == count
    assert max(account.stopped_at.values()) - min(account.stopped_at.values()) < longest


def test_it_lists_once_for_each_window_and_uses_all_of_it() -> None:
    account = OddAccount(*active(300), hidden="Stopped", stop=0.05, list=0.05)
    began = account.clock.now
    account.sweep("sms").raise_for_failure()
    actions = account.transport.actions
    assert actions.count("stop") == len(account.stopped_at) == 300
    assert actions.count("list") <= 18  # in seven listings, up to three pages each; the excluded type, two counts, …
    assert account.clock.now - began < 5 * (60 + WINDOW_MARGIN) + 2 * 60 * 0.05


def test_what_a_slow_list_has_shown_is_stopped_before_its_next_page() -> None:
    account = OddAccount(*active(250), hidden="Stopped", stop=0.05, list=25)
    account.sweep("sms").raise_for_failure()
    assert len(account.stopped_at) == 250
    assert account.transport.actions[:2] == ["list", "stop"]
