"""The demo runs the example DAG, shows what was sent, and succeeds only if every campaign is down."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.demo import RealAccount, demonstrate
from tests.airflow_process import SharedAirflow, variables_of
from tests.kinds import Connect

REPOSITORY = Path(__file__).parents[3]
DAGS = ("example_dags/stop_campaigns.py", "example_dags/calling_hours_guard.py")


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
    rows = re.findall(r"^(cd-\S+)\s{3,}(.+)$", output, re.MULTILINE)
    return {campaign_id: re.split(r"\s{3,}", cells) for campaign_id, cells in rows}


def test_every_campaign_of_the_sandbox_is_down_and_every_request_is_shown(tmp_path: Path) -> None:
    # The developer's own Airflow must not be touched: with this database none would run.
    done = demo(tmp_path, *DAGS, AIRFLOW__DATABASE__SQL_ALCHEMY_CONN="sqlite:////nonexistent/airflow.db")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"http://127\.0\.0\.1:\d+", done.stdout)
    rows = table(done.stdout)
    assert [cells[:2] for cells in rows.values()] == [["Active", "deleted"], ["Active", "Stopped"]] * 2
    (block,) = re.findall(r"```text\n(CAMPAIGN.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    in_readme = {each: cells for each, cells in table(block).items() if each.endswith("-1")}
    assert rows.items() >= in_readme.items()  # how often the others are polled depends on the machine's pace
    assert "After the calling hours cd-voice-evening-1 is started again: it is Active.\n" in done.stdout
    assert "cd-voice-evening-1 is Stopped.\n" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_campaign_of_ones_own_account_that_is_not_down_fails_the_demo(
    shared_airflow: SharedAirflow, connect: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    shared_airflow.use_dags(REPOSITORY / DAGS[0])
    with Sandbox() as sandbox:
        sandbox.add_campaign("cd-own-sms", "sms")
        sandbox.add_campaign("cd-own-voice", "voice", "Scheduled")
        connect(sandbox.kore_connection())
        variables = variables_of({"campaign_default": sandbox.kore_connection()})
        airflow: Any = SimpleNamespace(run=partial(shared_airflow.process.run, environment=variables))
        own = RealAccount({"sms_campaign_id": "cd-own-sms", "voice_campaign_id": "cd-own-voice"})
        assert not demonstrate("stop_campaigns", own, airflow)
    shown = capsys.readouterr().out
    assert table(shown) == {"cd-own-sms": ["Active", "deleted"], "cd-own-voice": ["Scheduled", "Scheduled"]}
    assert "cd-own-voice is Scheduled!" in shown
    assert "CampaignConflictError" in shared_airflow.process.log.read_text()


def test_an_account_of_ones_own_is_left_alone_until_campaigns_are_named(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        own = {"AIRFLOW_CONN_CAMPAIGN_DEFAULT": json.dumps(sandbox.kore_connection())}
        done = demo(tmp_path, *DAGS, **own, SMS_CAMPAIGN_ID="cd-own-sms")
        assert done.returncode == 2
        assert "VOICE_CAMPAIGN_ID" in done.stderr
        assert sandbox.requests == []
