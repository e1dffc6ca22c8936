"""``python -m airflow_provider_campaign.sandbox`` as a process."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from airflow_provider_campaign.sandbox import Sandbox

PROJECT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "airflow_provider_campaign.sandbox"]
OPTIONS = ("--campaigns", "10", "--stop-delay", "3", "--rate-limit", "0", "--ignore-sort", "--clock-offset", "-90.5")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_a_banner_serves_and_ends_cleanly(number: signal.Signals) -> None:
    with subprocess.Popen(
        [*COMMAND, "--port", "0", *OPTIONS], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            banner = ""
            while banner.count("export ") < 3:
                banner += process.stdout.readline() or pytest.fail(str(process.communicate()))  # type: ignore[union-attr]
            exports = re.findall(r"^export AIRFLOW_CONN_(\w+)='(.*)'$", banner, re.MULTILINE)
            hosts = {name: json.loads(connection)["host"] for name, connection in exports}
            assert list(hosts) == ["CAMPAIGN_DEFAULT", "KORE_V2", "SONARLY"]
            [url] = set(hosts.values())
            assert url in banner.partition("export ")[0]
            state = requests.get(f"{url}/_sandbox/state", timeout=20).json()
            ids = [campaign["id"] for campaign in state["campaigns"]]
            assert ids[:2] == ["cd-sms-evening-1", "cd-voice-evening-1"]
            assert len(set(ids)) == 10
            assert {campaign["campaign_type"] for campaign in state["campaigns"]} == {"sms", "voice", "sonarly"}
            given = {"stop_delay": 3.0, "rate_limit": None, "ignore_sort": True, "clock_offset": -90.5}
            assert state["config"].items() >= given.items()
            process.send_signal(number)
            _, errors = process.communicate(timeout=30)
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()


def test_a_port_that_is_taken_is_one_line_on_stderr(sandbox: Sandbox) -> None:
    done = subprocess.run(
        [*COMMAND, "--port", str(sandbox.port)], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert done.stderr.startswith("The sandbox cannot run: ")


def test_it_imports_nothing_of_airflow_or_the_provider() -> None:
    code = "import sys, airflow_provider_campaign.sandbox.__main__ as sandbox; print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    imported = [name for name in output.stdout.split() if re.match(r"airflow(\.|$)|airflow_provider_campaign\.", name)]
    assert {name.split(".")[:2][-1] for name in imported} == {"sandbox"}
