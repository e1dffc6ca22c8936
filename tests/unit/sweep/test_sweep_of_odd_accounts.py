"""A sweep of an account whose lists, status words or limits are not as documented."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.exceptions import CampaignSweepError, CampaignUnavailableError
from airflow_provider_campaign.platforms.base import HttpResponse
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.sweep.account import SweptAccount
from airflow_provider_campaign.sweep.closing import Schedule
from airflow_provider_campaign.sweep.loop import Sweep
from airflow_provider_campaign.sweep.result import SweepResult
from airflow_provider_campaign.sweep.scope import SweepScope
from tests.accounts import KORE_V1, SONARLY, client_of
from tests.scripted_transport import ScriptedTransport, SentRequest, response


class OddAccount:
    """
    An account whose list ignores the filter.

    :param rows: Of the SMS campaigns: id, or None for a row without one, and status.
    :param hidden: What its list does not show all the same.
    :param winding_down: Seconds from a stop until the campaign is stopped.
    :param lag: Seconds until the list shows that.
    """

    def __init__(
        self, *rows: tuple[str | None, str], hidden: str = "", winding_down: float = 0.0, lag: float = 0.0
    ) -> None:
        self.clock = VirtualClock()
        self.rows = list(rows)
        self.voice: list[HttpResponse] = []
        self.stopped_at: dict[str | None, float] = {}
        self.is_mute = False
        """Whether a stop is responded to with 204 and nothing else."""
        self._hidden = hidden
        self._winding_down = winding_down
        self._lag = lag

    def sweep(self, *, dry_run: bool = False, before_end: float = 0.0) -> SweepResult:
        client = client_of(KORE_V1, ScriptedTransport(self._respond), self.clock)
        schedule = self._schedule(before_end) if before_end else None
        sweep = Sweep(SweptAccount(client, SweepScope(("sms", "voice")), Deadline(1200, self.clock), schedule))
        return sweep.list_only() if dry_run else sweep.run()

    def _schedule(self, before_end: float) -> Schedule:
        """Return calling hours that end on the minute, once the clock shows that so many seconds are left."""
        end = datetime.fromtimestamp(self.clock.time() + before_end + 60, UTC).replace(second=0, microsecond=0)
        self.clock.advance(end.timestamp() - before_end - self.clock.time())
        begin = end - timedelta(hours=1)
        hours = {"frequency": "DAILY", "timezone": "UTC", "start": f"{begin:%H:%M}", "end": f"{end:%H:%M}"}
        return Schedule.of_run(CallingRules.read(hours), 60, 3600, self.clock.time())

    def _status(self, campaign_id: str | None, status: str, lag: float = 0.0) -> str:
        is_stopped = self.clock.now >= self.stopped_at.get(campaign_id, self.clock.now + 1) + lag
        return "Stopped" if is_stopped else status

    def _respond(self, request: SentRequest) -> HttpResponse:
        if request.action == "list":
            is_voice = (request.http.json or {})["type"] == "voice"
            if is_voice and self.voice:
                return self.voice.pop(0)
            rows = [
                {"id": key, "status": self._status(key, word, self._lag)}
                for key, word in ([] if is_voice else self.rows)
            ]
            shown = [row for row in rows if row["status"] != self._hidden]
            data: Any = {"results": shown, "totalResults": len(shown), "hasMore": False}
            return response({"status": "success", "data": data})
        [campaign_id] = re.findall(r"/campaign/([^/?]+)", request.http.path.rpartition("/public/")[2])
        if request.action == "stop":
            self.stopped_at.setdefault(campaign_id, self.clock.now + self._winding_down)
            if self.is_mute:
                return response(status=204, body=b"")
        status = self._status(campaign_id, dict(self.rows)[campaign_id])
        document = {"status": status} if request.action == "stop" else {"status": "success", "data": {"status": status}}
        return response(document)


def test_a_campaign_of_which_one_row_is_live_is_stopped() -> None:
    account = OddAccount(("c-1", "Active"), ("c-1", "Completed"))
    account.sweep().raise_for_failure()
    assert account.stopped_at.keys() == {"c-1"}


def test_an_unknown_word_in_a_list_of_what_is_live_is_no_proof_that_nothing_is() -> None:
    account = OddAccount(("c-1", "Running"), ("c-2", "Active"), hidden="Stopped")
    with pytest.raises(CampaignUnavailableError, match="c-1 as Running"):
        account.sweep(dry_run=True).raise_for_failure()
    with pytest.raises(CampaignSweepError, match=r"it shows c-1 as Running, which is not documented"):
        account.sweep().raise_for_failure()
    assert account.stopped_at.keys() == {"c-2"}


def test_a_row_that_can_not_be_read_does_not_keep_others_from_being_seen_stopped() -> None:
    account = OddAccount(("c-1", "Active"), (None, "Active"), winding_down=20)
    result = account.sweep()
    assert result.left == []
    with pytest.raises(CampaignSweepError, match="All listed campaigns are stopped, but the list was incomplete"):
        result.raise_for_failure()


def test_what_is_down_and_wants_to_be_left_alone_holds_no_stop_back() -> None:
    account = OddAccount(("c-1", "Active"))
    account.voice = [response({}, 503, Retry_After="120")] * 2
    began = account.clock.now
    account.sweep().raise_for_failure()
    assert account.stopped_at == {"c-1": began}


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "0"}], ids=["not", "none"])
def test_a_platform_that_counts_what_it_refuses_and_says_not_how_long_gets_its_rest(headers: dict[str, Any]) -> None:
    clock, sent, live = VirtualClock(), list[float](), [f"c-{number}" for number in range(60)]
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

    client = client_of(SONARLY, ScriptedTransport(respond), clock)
    began = clock.now
    Sweep(SweptAccount(client, SweepScope(()), Deadline(900, clock))).run().raise_for_failure()
    assert live == []
    assert refused < 60
    assert clock.now - began < 300


def test_a_list_that_lags_behind_is_not_asked_all_the_time() -> None:
    account = OddAccount(("c-1", "Active"), lag=60)
    result = account.sweep()
    result.raise_for_failure()
    assert [each["asked_at"] for each in result.progress().campaigns if each["already_stopped"]] == []
    assert result.requests < 36


def test_a_list_that_lags_behind_does_not_keep_others_from_being_asked_first() -> None:
    account = OddAccount(*((f"c-{number}", "Active") for number in range(90)), lag=90)
    began = account.clock.now
    account.sweep().raise_for_failure()
    assert len(account.stopped_at) == 90
    assert max(account.stopped_at.values()) - began < 2 * 60


@pytest.mark.parametrize(("before_end", "last"), [(0, 121), (300, 240)], ids=["at the end", "in time"])
def test_what_may_have_been_stopped_does_not_keep_others_from_being_asked_first(before_end: float, last: float) -> None:
    account = OddAccount(*((f"c-{number}", "Active") for number in range(130)), winding_down=100)
    account.is_mute = True
    result = account.sweep(before_end=before_end)
    result.raise_for_failure()
    assert len(account.stopped_at) == 130
    assert max(account.stopped_at.values()) - 100 - min(account.stopped_at.values()) < last
