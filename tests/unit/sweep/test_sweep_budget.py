"""A sweep past the account's budget, on a platform whose responses take time: the budget comes back as it was spent."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.rate_limiter import WINDOW_MARGIN
from airflow_provider_campaign.platforms.base import HttpResponse
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from airflow_provider_campaign.sweep.account import SweptAccount
from airflow_provider_campaign.sweep.loop import Sweep
from airflow_provider_campaign.sweep.scope import SweepScope
from airflow_provider_campaign.sweep.workers import CONCURRENCY
from tests.accounts import KORE_V2, client_of
from tests.scripted_transport import ScriptedTransport, SentRequest, response

LATENCY = 0.05


class SlowAccount:
    """
    An account of live SMS campaigns, each response of which takes a moment of the clock.

    :param stop_arrives: What happens before the response to a stop.
    :param listing: Seconds that each page of a list takes.
    """

    def __init__(
        self, count: int, stop_arrives: Callable[[], object] = lambda: None, *, listing: float = LATENCY
    ) -> None:
        self.stop_arrives = stop_arrives
        self.listing = listing
        self.clock = VirtualClock()
        self.live = [f"c-{number}" for number in range(count)]
        self.transport = ScriptedTransport(self._respond)
        self._lock = threading.Lock()

    def _respond(self, request: SentRequest) -> HttpResponse:
        if request.action == "stop":
            self.stop_arrives()
        with self._lock:
            self.clock.advance(self.listing if request.action == "list" else LATENCY)
            if request.action == "stop":
                [campaign_id] = re.findall(r"/(c-\d+)\?", request.http.path)
                self.live.remove(campaign_id)
                return response({"status": "Stopped", "message": "Campaign stopped"})
            body: Any = request.http.json
            rows = self.live if body["type"] == "sms" else []
            shown = rows[body["skip"] : body["skip"] + body["limit"]]
            return response(
                {
                    "status": "success",
                    "data": {
                        "results": [{"id": campaign_id, "status": "Active"} for campaign_id in shown],
                        "totalResults": len(rows),
                        "hasMore": body["skip"] + len(shown) < len(rows),
                    },
                }
            )


def test_it_lists_once_for_each_window_and_uses_all_of_it() -> None:
    account = SlowAccount(300)
    client = client_of(KORE_V2, account.transport, account.clock)
    began = account.clock.now
    result = Sweep(SweptAccount(client, SweepScope(("sms",)), Deadline(900, account.clock))).run()
    result.raise_for_failure()
    assert account.live == []
    sent = Counter(account.transport.actions)
    assert sent["stop"] == 300
    assert sent["list"] <= 18  # in seven listings, up to four pages each, the type that is left out, and two counts
    window = 60 + WINDOW_MARGIN
    assert account.clock.now - began < 5 * window + 2 * 60 * LATENCY


def test_what_a_slow_list_has_shown_is_stopped_before_its_next_page() -> None:
    account = SlowAccount(250, listing=25)
    client = client_of(KORE_V2, account.transport, account.clock)
    Sweep(SweptAccount(client, SweepScope(("sms",)), Deadline(900, account.clock))).run().raise_for_failure()
    assert account.live == []
    actions = account.transport.actions
    assert actions[:3] == ["list", "list", "stop"]  # the first page is read twice: it might have shown what may start
    assert actions[-2:] == ["list", "list"]  # one without stops proves it, one shows the type that is left out


def test_more_stops_are_in_flight_where_the_platform_is_slow_to_respond() -> None:
    wanted = threading.Barrier(2 * CONCURRENCY, timeout=20)
    arrived = Counter[str]()

    def wait_for_others() -> None:
        account.clock.advance(1.0)
        arrived["stop"] += 1
        if arrived["stop"] <= 2 * CONCURRENCY:
            wanted.wait()

    account = SlowAccount(30, wait_for_others)
    client = client_of(KORE_V2, account.transport, account.clock)
    Sweep(SweptAccount(client, SweepScope(("sms",)), Deadline(900, account.clock))).run().raise_for_failure()
    assert account.live == []
    assert not wanted.broken
