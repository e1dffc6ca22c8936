"""Real runs: Airflow renders, maps, reschedules and keeps what operators return."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_campaign.sandbox import Sandbox
from tests.airflow_process import AirflowProcess
from tests.meanwhile import meanwhile, requests_received

DAG_FILE = Path(__file__).parent / "dags" / "evening.py"
RECORD = {"campaign_id", "status", "message", "updated_at", "already_stopped", "raw"}


def test_a_run_stops_waits_and_deletes(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        for number in (1, 2, 3):
            sandbox.add_campaign(f"cd-sms-{number}", status="Stopped" if number == 2 else "Active")
        sandbox.add_campaign("cd-voice-1", "voice", stop_delay=3600)
        sandbox.add_campaign("outreach-1", "sonarly")
        connections = {
            "campaign_default": sandbox.kore_connection("v1"),
            "kore_v2": sandbox.kore_connection("v2"),
            "sonarly": sandbox.sonarly_connection(),
        }
        airflow = AirflowProcess(tmp_path, connections, DAG_FILE.parent)
        airflow.run("-m", "airflow", "db", "migrate")
        with meanwhile(sandbox, requests_received(3, "status"), lambda: sandbox.set_status("cd-voice-1", "Stopped")):
            outcome = airflow.answer(str(DAG_FILE))
        left = {campaign.id: campaign.status for campaign in sandbox.campaigns()}

    assert left == dict.fromkeys(("cd-sms-2", "cd-sms-3", "cd-voice-1", "outreach-1"), "Stopped")
    assert outcome.pop("state") == "success"
    assert {state for state, _ in outcome.values()} == {"success"}
    records = {task: record for task, (_, record) in outcome.items() if task not in ("ids", "wait")}
    assert {frozenset(record) for record in records.values()} == {frozenset(RECORD)}
    assert {task: (record["campaign_id"], record["status"]) for task, record in records.items()} == {
        "stop_sms[0]": ("cd-sms-1", "Stopped"),
        "stop_sms[1]": ("cd-sms-2", "Stopped"),
        "stop_sms[2]": ("cd-sms-3", "Stopped"),
        "stop_voice": ("cd-voice-1", "Active"),
        "stop_outreach[0]": ("outreach-1", "Stopped"),
        "delete": ("cd-sms-1", "Stopped"),
    }
    assert [task for task, record in records.items() if record["already_stopped"]] == ["stop_sms[1]"]
    assert outcome["wait"][1] == "Stopped"
    voice = [request.action for request in sandbox.requests if request.campaign_id == "cd-voice-1"]
    assert voice[:3] == ["stop", "status", "status"]
