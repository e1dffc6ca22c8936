"""Each command in a process of its own, as a script would run it: every exit status, and no secret in the log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.secrets_guard import leak_in

pytestmark = pytest.mark.timeout(120)

REPOSITORY = Path(__file__).parents[2]
MODULE = (sys.executable, "-m", "airflow_provider_campaign")

STATUSES = {
    "live": ((), ("--conn-id", "refused"), ("--statuses", "Activ")),
    "status": (("sms-1",), ("nobody",), ("../sms-1",)),
    "stop": (("sms-1", "--campaign-type", "sms"), ("sms-1", "--campaign-type", "voice"), ("sms-1",)),
    "stop-active": (
        ("--yes", "--records-path", "{records}"),
        ("--yes", "--conn-id", "refused", "--records-path", "{records}"),
        (),
    ),
    "check": ((), ("--conn-id", "refused"), ("--campaign-id", "a/b")),
    "records": (("{records}",), ("{empty}",), ("records",)),
}
"""The arguments that each command ends with 0, 1 and 2 for."""

CASES = [(command, status) for command, cases in STATUSES.items() for status in range(len(cases))]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(rate_limit=None) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize(("command", "status"), CASES, ids=lambda value: str(value))
def test_each_command_ends_with_each_status(sandbox: Sandbox, folder: Path, command: str, status: int) -> None:
    sandbox.reset()
    sandbox.add_campaign("sms-1", "sms", "Active")
    sandbox.add_campaign("sms-2", "sms", "Stopped")
    refused = {**sandbox.kore_connection(), "password": "not-the-secret-that-it-should-be-by-any-means"}
    if command != "check" and "refused" not in STATUSES[command][status]:
        sandbox.add_fault(Fault("failure", action="list", message=f"you sent {sandbox.config.client_secret}"))
    places = {"records": f"file://{folder}/records", "empty": f"file://{folder}/empty"}
    arguments = [text.format(**places) for text in STATUSES[command][status]]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")},
        "AIRFLOW_HOME": str(folder),
        "PYTHONPATH": str(REPOSITORY),
        "AIRFLOW_CONN_CAMPAIGN_DEFAULT": json.dumps(sandbox.kore_connection()),
        "AIRFLOW_CONN_REFUSED": json.dumps(refused),
    }
    done = subprocess.run(
        [*MODULE, command, *arguments, "-v"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert leak_in(done.stdout + done.stderr) is None
    assert refused["password"] not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
