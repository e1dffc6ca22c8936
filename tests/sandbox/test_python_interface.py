"""``Sandbox`` itself: start and stop, campaigns, recorded requests."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from datetime import UTC, datetime, timedelta

import pytest
import requests

from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient


def test_it_listens_on_the_loopback_interface_only(sandbox: Sandbox) -> None:
    assert sandbox.url == f"http://127.0.0.1:{sandbox.port}"
    with socket.socket() as elsewhere:
        elsewhere.settimeout(20)
        assert elsewhere.connect_ex(("127.0.0.2", sandbox.port)) != 0


def test_it_can_be_ended_and_started_again_on_the_same_port(sandbox: Sandbox) -> None:
    port, campaign = sandbox.port, sandbox.add_campaign()
    sandbox.stop()
    with pytest.raises(requests.ConnectionError):
        KoreClient(sandbox).status(campaign.id)
    sandbox.start()
    assert sandbox.port == port
    with pytest.raises(OSError, match="in use"):
        Sandbox(port=port).start()
    assert KoreClient(sandbox).status(campaign.id).status_code == 200


def test_its_end_does_not_wait_for_hanging_clients() -> None:
    released: list[str] = []

    def ask(sandbox: Sandbox, campaign_id: str) -> None:
        with contextlib.suppress(requests.RequestException):
            KoreClient(sandbox).stop(campaign_id)
        released.append(campaign_id)

    with Sandbox() as sandbox:
        campaign = sandbox.add_campaign()
        for fault in (Fault("hang"), Fault("dribble"), Fault("dribble_headers"), Fault("slow", seconds=1000)):
            sandbox.add_fault(fault)
        threads = [threading.Thread(target=ask, args=(sandbox, campaign.id)) for _ in range(4)]
        for thread in threads:
            thread.start()
        sandbox.wait_for(lambda sandbox: len(sandbox.requests) == 4)
    for thread in threads:
        thread.join(20)
    assert released == [campaign.id] * 4
    assert campaign.status == "Active"


def test_generated_ids_have_the_platforms_format(sandbox: Sandbox) -> None:
    for campaign_type, form in (("sms", r"cd-[0-9a-f-]{36}"), ("sonarly", r"[0-9a-f]{24}")):
        first, second = (sandbox.add_campaign(campaign_type=campaign_type) for _ in range(2))
        assert re.fullmatch(form, first.id)
        assert first.id != second.id


def test_an_invalid_campaign_is_an_error(sandbox: Sandbox) -> None:
    sandbox.add_campaign("cd-1")
    with pytest.raises(ValueError, match="exists already"):
        sandbox.add_campaign("cd-1")
    with pytest.raises(ValueError, match="unknown campaign status"):
        sandbox.add_campaign(status="Sleeping")
    with pytest.raises(ValueError, match="campaign type"):
        sandbox.add_campaign(campaign_type="fax")
    with pytest.raises(TypeError):
        sandbox.add_campaign(stopable=False)
    assert len(sandbox.campaigns()) == 1


def test_requests_are_recorded_as_they_came(sandbox: Sandbox, kore_v2: KoreClient) -> None:
    campaign = sandbox.add_campaign(campaign_type="voice")
    kore_v2.stop(campaign.id, "voice")
    [received] = sandbox.requests
    config = sandbox.config
    path = f"/api/v2/public/{config.iid}/campaign/trigger/{campaign.id}"
    query = f"accountId={config.account_id}&campaignType=voice&trigger=stop"
    assert (received.method, received.path, received.query, received.body) == ("POST", path, query, b"{}")
    assert (received.headers["iid"], bool(received.headers["auth"])) == (config.iid, True)
    assert received.claims is not None
    assert (received.action, received.platform) == ("stop", "kore-v2")
    assert (received.campaign_id, received.campaign_type) == (campaign.id, "voice")
    assert (received.status_code, received.fault, received.at) == (200, None, 1000.0)
    assert abs(received.wall - datetime.now(UTC)) < timedelta(minutes=1)
    sandbox.clear_requests()
    assert sandbox.requests == []


def test_waiting_ends_at_a_change_made_elsewhere_or_by_the_clock(sandbox: Sandbox, clock: VirtualClock) -> None:
    campaign = sandbox.add_campaign()
    thread = threading.Thread(target=lambda: KoreClient(sandbox).stop(campaign.id))
    thread.start()
    sandbox.wait_for(lambda sandbox: campaign.status == "Stopped" and sandbox.requests[0].status_code == 200)
    thread.join(20)
    later = sandbox.add_campaign(stop_delay=60)
    KoreClient(sandbox).stop(later.id)
    with pytest.raises(TimeoutError):
        sandbox.wait_for(lambda sandbox: later.status == "Stopped", timeout=0.01)
    thread = threading.Thread(target=clock.advance, args=(60,))
    thread.start()
    sandbox.wait_for(lambda sandbox: later.status == "Stopped")
    thread.join(20)


def test_a_reset_keeps_only_the_settings(sandbox: Sandbox) -> None:
    sandbox.config.require_jti = True
    campaign = sandbox.add_campaign("cd-1", stop_delay=5)
    kore = KoreClient(sandbox)
    kore.stop(campaign.id)
    sandbox.add_fault(Fault("error", count=None))
    sandbox.reset()
    assert (sandbox.campaigns(), sandbox.requests) == ([], [])
    sandbox.add_campaign("cd-1")
    assert kore.status("cd-1").status_code == 200
    assert sandbox.config.require_jti
