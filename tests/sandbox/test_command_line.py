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


def run(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def read_banner(process: subprocess.Popen[str]) -> tuple[str, dict[str, dict[str, str]]]:
    """Read what is printed at the start: the address, and the connections by the names that they are exported under."""
    assert process.stdout is not None
    text = ""
    while text.count("export ") < 3:
        line = process.stdout.readline()
        assert line, process.communicate()
        text += line
    exports = re.findall(r"^export AIRFLOW_CONN_(\w+)='(.*)'$", text, re.MULTILINE)
    address = re.search(r"http://127\.0\.0\.1:\d+", text)
    assert address is not None
    return address.group(), {name: json.loads(connection) for name, connection in exports}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_a_banner_serves_and_ends_cleanly(number: signal.Signals) -> None:
    with run("--port", "0", *OPTIONS) as process:
        try:
            url, connections = read_banner(process)
            types = {name: connection["conn_type"] for name, connection in connections.items()}
            assert types == {"CAMPAIGN_DEFAULT": "kore", "KORE_V2": "kore", "SONARLY": "sonarly"}
            assert {connection["host"] for connection in connections.values()} == {url}
            state = requests.get(f"{url}/_sandbox/state", timeout=20).json()
            ids = [campaign["id"] for campaign in state["campaigns"]]
            assert ids[:2] == ["cd-sms-evening-1", "cd-voice-evening-1"]
            assert len(ids) == len(set(ids)) == 10
            assert {campaign["campaign_type"] for campaign in state["campaigns"]} == {"sms", "voice", "sonarly"}
            given = {"stop_delay": 3.0, "rate_limit": None, "ignore_sort": True, "clock_offset": -90.5}
            assert state["config"].items() >= given.items()
            process.send_signal(number)
            _, errors = process.communicate(timeout=30)
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()


def test_a_port_that_is_taken_is_one_line_on_stderr(sandbox: Sandbox) -> None:
    process = run("--port", str(sandbox.port))
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, len(errors.splitlines())) == (1, "", 1)
    assert errors.startswith("The sandbox cannot run: ")


def test_it_imports_nothing_of_airflow() -> None:
    code = (
        "import sys, airflow_provider_campaign.sandbox.__main__\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'airflow'])\n"
        "print(sorted(name for name in sys.modules if name.startswith('airflow_provider_campaign.')"
        " and not name.startswith('airflow_provider_campaign.sandbox')))"
    )
    output = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert output.stdout.split("\n")[:2] == ["[]", "[]"]
