"""A third platform is one module, a short hook and one metadata entry; operators and sensor know nothing of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_campaign.get_provider_info import get_provider_info
from tests.airflow_process import AirflowProcess
from tests.servers import LocalServer, Reply, Sent

OURS = {info["connection-type"]: info["hook-class-name"] for info in get_provider_info()["connection-types"]}
PLATFORM = Path(__file__).parents[2] / "data" / "third_platform"


class ToyServer:
    """Campaigns that are stopped at the second status request after a stop."""

    def __init__(self) -> None:
        self.states = {"toy-1": "active", "toy-2": "draft", "toy-3": "active"}
        self.changed = datetime.now(UTC)
        self.requests_left = 0

    def answer(self, sent: Sent) -> Reply:
        if sent.headers.get("x-toy-key") != "toy-key":
            return Reply(b'{"error": "who are you?"}', 401)
        path, _, first = sent.target.partition("?from=")
        if path == "/campaigns":
            ids = sorted(id for id in self.states if id >= first)
            rows = [{"id": id, "state": self.states[id]} for id in ids[:2]]
            return self._reply({"rows": rows, "next": ids[2] if ids[2:] else None})
        campaign_id, _, action = sent.target.removeprefix("/campaigns/").partition("/")
        if campaign_id not in self.states:
            return Reply(b'{"error": "no such campaign"}', 404)
        if action == "stop" and self.states[campaign_id] == "stopped":
            return Reply(b'{"error": "stopped already"}', 409)
        before = self.states[campaign_id]
        if action:
            self.states[campaign_id] = {"stop": "stopping", "start": "active"}[action]
            self.requests_left = 2
        elif self.states[campaign_id] == "stopping":
            self.requests_left -= 1
            self.states[campaign_id] = "stopping" if self.requests_left else "stopped"
        if before != self.states[campaign_id]:
            self.changed = datetime.now(UTC)
        row = {"id": campaign_id, "state": self.states[campaign_id], "changed": self.changed.isoformat()}
        if sent.method == "DELETE":
            del self.states[campaign_id]
        return self._reply(row)

    def _reply(self, document: object) -> Reply:
        return Reply(json.dumps(document).encode())


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Install the toy provider's metadata into a folder, as pip does."""
    metadata = tmp_path / "site" / "toy_campaigns-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-campaigns\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[apache_airflow_provider]\nprovider_info = toy_provider_info:get_provider_info\n"
    )
    return metadata.parent


def test_operators_and_sensor_run_on_a_platform_they_have_never_heard_of(tmp_path: Path, installed: Path) -> None:
    with LocalServer(ToyServer().answer) as server:
        connection = {"conn_type": "toy", "host": server.url, "password": "toy-key"}
        airflow = AirflowProcess(tmp_path, {"campaign_default": connection}, path=(installed, PLATFORM))
        outcome = airflow.answer(str(PLATFORM / "drive.py"))
    assert outcome["known"].items() >= {"toy": "toy_hook.ToyHook", **OURS}.items()
    assert outcome["hook"] == "ToyHook"
    assert outcome["check"] == [True, "Connected to Toy: the account answers."]
    assert outcome["list"] == ["toy-1", "toy-3"]
    steps = {step: (outcome[step]["status"], outcome[step]["already_stopped"]) for step in ("stop", "stop again")}
    assert steps == {"stop": ("Stopped", False), "stop again": ("Stopped", True)}
    assert outcome["sensor"] == "Stopped"
    assert outcome["start"]["status"] == "Active"
    assert (outcome["delete"]["status"], outcome["delete again"]["status"]) == ("Active", "Deleted")
    assert outcome["sms"].startswith("CampaignConfigError: ")
    assert "Toy has no campaigns of type 'sms'" in outcome["sms"]
    assert [(sent.method, sent.target) for sent in server.requests] == [
        ("GET", "/campaigns"),
        ("GET", "/campaigns"),
        ("GET", "/campaigns?from=toy-3"),
        ("POST", "/campaigns/toy-1/stop"),
        ("GET", "/campaigns/toy-1"),
        ("GET", "/campaigns/toy-1"),
        ("POST", "/campaigns/toy-1/stop"),
        ("GET", "/campaigns/toy-1"),
        ("GET", "/campaigns/toy-1"),
        ("POST", "/campaigns/toy-1/start"),
        ("GET", "/campaigns/toy-1"),
        ("DELETE", "/campaigns/toy-1"),
        ("GET", "/campaigns/toy-1"),
        ("DELETE", "/campaigns/toy-1"),
    ]
