"""
Run a DAG that stops campaigns, and show what became of each: ``make demo``.

The campaigns are in a sandbox, or in your own account where ``AIRFLOW_CONN_CAMPAIGN_DEFAULT`` leads to one; Airflow
is a throw-away one in either case.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.python_process import PythonProcess

CONNECTION = "AIRFLOW_CONN_CAMPAIGN_DEFAULT"
# The DAG's parameters, each with the variable that sets it where the account is a real one.
VARIABLES = {"sms_campaign_id": "SMS_CAMPAIGN_ID", "voice_campaign_id": "VOICE_CAMPAIGN_ID"}
# Id, type, and the seconds that it takes to stop.
CAMPAIGNS = (
    ("cd-sms-evening-1", "sms", 0.0),
    ("cd-voice-evening-1", "voice", 0.0),
    ("cd-sms-evening-2", "sms", 3.0),
    ("cd-voice-evening-2", "voice", 4.0),
)
WINDOW = timedelta(hours=10)  # of the calling hours that have just ended
DELETED = "deleted"
VERIFIED = ("Stopped", "Completed", DELETED)
HEADINGS = ("CAMPAIGN", "BEFORE", "AFTER", "SENT")


class Account(Protocol):
    """Where the campaigns are."""

    runs: Sequence[Mapping[str, str]]
    """The parameters of each run of the DAG."""

    def status(self, campaign_id: str) -> str:
        """Return a campaign's status, ``DELETED`` if there is no such campaign."""

    def sent(self, campaign_id: str) -> str:
        """Return the requests that the platform received for a campaign, empty if only the platform knows."""

    def restart(self) -> str | None:
        """Start a campaign again, as another user may, and return its id; None if that is not for a demo."""


class SandboxAccount:
    """The campaigns of a sandbox, which also knows the requests that it received."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        for campaign_id, campaign_type, stop_delay in CAMPAIGNS:
            sandbox.add_campaign(campaign_id, campaign_type, stop_delay=stop_delay)
        ids = [campaign_id for campaign_id, _, _ in CAMPAIGNS]
        pairs = zip(ids[::2], ids[1::2], strict=True)
        self.runs: Sequence[Mapping[str, str]] = [dict(zip(VARIABLES, pair, strict=True)) for pair in pairs]

    def status(self, campaign_id: str) -> str:
        """Return a campaign's status, ``DELETED`` if there is no such campaign."""
        try:
            return self.sandbox.campaign(campaign_id).status
        except KeyError:
            return DELETED

    def sent(self, campaign_id: str) -> str:
        """Return the requests that the sandbox received for a campaign, each with its HTTP status."""
        received = [each for each in self.sandbox.requests if each.campaign_id == campaign_id]
        requests = [f"{each.action} {each.status_code}" for each in received]
        counted = [(request, len(list(repeats))) for request, repeats in itertools.groupby(requests)]
        return ", ".join(request if count == 1 else f"{count} x {request}" for request, count in counted)

    def restart(self) -> str | None:
        """Start a campaign again, and return its id."""
        campaign_id = self.runs[0]["voice_campaign_id"]
        self.sandbox.set_status(campaign_id, "Active")
        return campaign_id


class RealAccount:
    """The campaigns of the account that the connection leads to, read through its hook."""

    def __init__(self, params: Mapping[str, str]) -> None:
        self.runs: Sequence[Mapping[str, str]] = [params]

    def status(self, campaign_id: str) -> str:
        """Return a campaign's status, ``DELETED`` if there is no such campaign."""
        from airflow_provider_campaign.exceptions import CampaignNotFoundError  # Airflow needs its home first
        from airflow_provider_campaign.hooks.base import CampaignHook

        try:
            return (
                CampaignHook.for_conn_id(CampaignHook.default_conn_name).client.get_campaign_status(campaign_id).status
            )
        except CampaignNotFoundError:
            return DELETED

    def sent(self, campaign_id: str) -> str:
        """Return an empty string: only the platform knows."""
        return ""

    def restart(self) -> str | None:
        """Start nothing: this account is a real one."""
        return None


def demonstrate(dag_id: str, account: Account, airflow: PythonProcess) -> bool:
    """Run the DAG and print the table; return whether every run succeeded and every campaign is down."""
    campaigns = [campaign_id for params in account.runs for campaign_id in params.values()]
    before = {campaign_id: account.status(campaign_id) for campaign_id in campaigns}
    succeeded = run(airflow, "Setting up a throw-away Airflow", "db", "migrate")
    for params in account.runs:
        title = f"Running {dag_id} on {' and '.join(params.values())}"
        succeeded &= run(airflow, title, "dags", "test", dag_id, "--conf", json.dumps(params))
    after = {campaign_id: account.status(campaign_id) for campaign_id in campaigns}
    print_table([(each, before[each], after[each], account.sent(each)) for each in campaigns])
    running = [campaign_id for campaign_id in campaigns if after[campaign_id] not in VERIFIED]
    for campaign_id in running:
        print(f"{campaign_id} is {after[campaign_id]}!")
    return succeeded and not running


def demonstrate_night(dag_id: str, account: Account, airflow: PythonProcess) -> bool:
    """Start a campaign again, and run the DAG that guards the calling hours; return whether it was stopped again."""
    campaign_id = account.restart()
    if campaign_id is None:
        return True
    print(f"After the calling hours {campaign_id} is started again: it is {account.status(campaign_id)}.")
    ended = datetime.now(UTC) - timedelta(minutes=2)
    hours = {"frequency": "DAILY", "timezone": "UTC", "start": f"{ended - WINDOW:%H:%M}", "end": f"{ended:%H:%M}"}
    conf = json.dumps({"calling_hours": json.dumps(hours)})
    succeeded = run(airflow, f"Running {dag_id}", "dags", "test", dag_id, "--conf", conf)
    after = account.status(campaign_id)
    print(f"{campaign_id} is {after}.\n")
    return succeeded and after in VERIFIED


def run(airflow: PythonProcess, title: str, *command: str) -> bool:
    """Run a command of Airflow's; return whether it succeeded."""
    print(f"{title} … ", end="", flush=True)
    began = time.monotonic()
    status = airflow.run("-m", "airflow", *command)
    print(f"{'failed' if status else 'done'} ({time.monotonic() - began:.0f} s)")
    return status == 0


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print a table, as wide as its widest cells."""
    table = [HEADINGS, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    print()
    for row in table:
        print("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()


@contextmanager
def open_account() -> Iterator[Account]:
    """
    Provide the account that the environment asks for.

    :raises ValueError: When it asks for a real one without naming campaigns.
    """
    if CONNECTION in os.environ:
        params = {param: os.environ.get(variable, "").strip() for param, variable in VARIABLES.items()}
        if not all(params.values()):
            raise ValueError(
                f"{CONNECTION} is set, so that the demo would run on that account. Name the campaigns to stop in "
                f"{' and '.join(VARIABLES.values())} (the SMS campaign is deleted then), or unset it for a sandbox."
            )
        yield RealAccount(params)
        return
    with Sandbox() as sandbox:
        os.environ[CONNECTION] = json.dumps(sandbox.kore_connection())
        print(f"Campaign sandbox at {sandbox.url} (open it in a browser to watch)")
        yield SandboxAccount(sandbox)


@contextmanager
def temporary_airflow(dag_files: Sequence[Path]) -> Iterator[None]:
    """Let this process and those that it starts use an Airflow with these DAGs only, whatever the environment said."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW_") and name != CONNECTION]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="campaign-demo-") as home:
        dags_folder = Path(home, "dags")
        dags_folder.mkdir()
        for file in dag_files:
            shutil.copy(file, dags_folder)
        os.environ["AIRFLOW_HOME"] = home
        os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(dags_folder)
        os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
        yield


def new_log() -> Path:
    """Return a new file that outlives the demo if it is not removed."""
    with tempfile.NamedTemporaryFile(prefix="campaign-demo-", suffix=".log", delete=False) as file:
        return Path(file.name)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the demo; return 0 only if every campaign is verified down.

    :param arguments: Those after the module's name; None for the process's own.
    """
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_campaign.sandbox.demo", description=__doc__)
    parser.add_argument("dag_file", type=Path, help="a file that defines the DAG of the same name")
    parser.add_argument(
        "night_dag_file", type=Path, nargs="?", help="the same, of a DAG that stops what is started while closed"
    )
    parser.add_argument(
        "--show-log", action="store_true", help="print Airflow's log at the end, with the tasks' messages"
    )
    parsed = parser.parse_args(arguments)
    dag_files = [file for file in (parsed.dag_file, parsed.night_dag_file) if file]
    try:
        with temporary_airflow(dag_files), open_account() as account, PythonProcess(new_log()) as airflow:
            verified = demonstrate(parsed.dag_file.stem, account, airflow)
            if verified and parsed.night_dag_file:
                verified = demonstrate_night(parsed.night_dag_file.stem, account, airflow)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if not verified:
        print(f"NOT every campaign is verified: Airflow's log is {airflow.log}", file=sys.stderr)
        return 1
    if parsed.show_log:
        print(airflow.log.read_text(encoding="utf-8", errors="replace"))
    airflow.log.unlink()
    print("Every campaign is verified: stopped, or deleted once it was.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
