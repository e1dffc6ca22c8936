"""The demo runs the example DAG, shows what was sent, and succeeds only if every campaign is down."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from airflow_provider_campaign.sandbox import Sandbox

REPOSITORY = Path(__file__).parents[3]
DAGS = ("example_dags/stop_campaigns.py", "example_dags/calling_hours_guard.py")
OWN_CAMPAIGNS = {"SMS_CAMPAIGN_ID": "cd-own-sms", "VOICE_CAMPAIGN_ID": "cd-own-voice"}


def demo(folder: Path, *dags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run what ``make demo`` runs, for some DAGs; what it leaves behind is in the folder."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    return subprocess.run(
        [sys.executable, "-m", "airflow_provider_campaign.sandbox.demo", *dags],
        cwd=REPOSITORY,
        env={**inherited, "TMPDIR": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def table(output: str) -> dict[str, list[str]]:
    """Return the rows of the table by campaign id."""
    rows = re.findall(r"^(cd-\S+)\s{3,}(.+)$", output, re.MULTILINE)
    return {campaign_id: re.split(r"\s{3,}", cells) for campaign_id, cells in rows}


def shown_in_readme() -> dict[str, list[str]]:
    """Return the rows that the README shows, but for the campaign whose polls depend on the machine's pace."""
    (block,) = re.findall(r"```text\n(CAMPAIGN.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    return {campaign_id: cells for campaign_id, cells in table(block).items() if campaign_id.endswith("-1")}


def account(sandbox: Sandbox) -> dict[str, str]:
    return {"AIRFLOW_CONN_CAMPAIGN_DEFAULT": json.dumps(sandbox.kore_connection())}


def test_every_campaign_of_the_sandbox_is_down_and_every_request_is_shown(tmp_path: Path) -> None:
    # The developer's own Airflow must not be touched: with this database none would run.
    done = demo(tmp_path, *DAGS, AIRFLOW__DATABASE__SQL_ALCHEMY_CONN="sqlite:////nonexistent/airflow.db")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"http://127\.0\.0\.1:\d+", done.stdout)
    rows = table(done.stdout)
    assert [cells[:2] for cells in rows.values()] == [["Active", "deleted"], ["Active", "Stopped"]] * 2
    assert rows.items() >= shown_in_readme().items()
    assert "After the calling hours cd-voice-evening-1 is started again: it is Active.\n" in done.stdout
    assert "cd-voice-evening-1 is Stopped.\n" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_campaign_of_ones_own_account_that_is_not_down_fails_the_demo(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        sandbox.add_campaign("cd-own-sms", "sms")
        sandbox.add_campaign("cd-own-voice", "voice", "Scheduled")
        done = demo(tmp_path, DAGS[0], **account(sandbox), **OWN_CAMPAIGNS)
        assert done.returncode == 1, done.stdout + done.stderr
        assert table(done.stdout) == {"cd-own-sms": ["Active", "deleted"], "cd-own-voice": ["Scheduled", "Scheduled"]}
        assert "cd-own-voice is Scheduled!" in done.stdout
        (log,) = tmp_path.iterdir()
        assert str(log) in done.stderr
        assert "CampaignConflictError" in log.read_text()


def test_an_account_of_ones_own_is_left_alone_until_campaigns_are_named(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        done = demo(tmp_path, *DAGS, **account(sandbox), SMS_CAMPAIGN_ID="cd-own-sms")
        assert done.returncode == 2
        assert "VOICE_CAMPAIGN_ID" in done.stderr
        assert sandbox.requests == []
