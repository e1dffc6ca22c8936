"""The commands, as somebody on call types them: what the platform receives, what is shown, and the exit status."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import airflow
import pytest
from packaging.version import Version

from airflow_provider_campaign.__main__ import main
from airflow_provider_campaign.hooks.sonarly import SonarlyHook
from airflow_provider_campaign.platforms.kore import KorePlatform
from airflow_provider_campaign.platforms.sonarly import SonarlyPlatform
from airflow_provider_campaign.records.store import RecordStore
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.request_log import ReceivedRequest
from tests.airflow_process import AirflowProcess, SharedAirflow
from tests.certificates import Authority
from tests.kinds import Connect
from tests.raw_server import RawServer
from tests.records_guard import read_all
from tests.secrets_guard import leak_in

CONNECTIONS = ("--conn-id", "campaign_default", "--conn-id", "sonarly")


@dataclass(frozen=True)
class Shown:
    """What a command has shown, and its exit status."""

    status: int
    stdout: str
    stderr: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return json.loads(self.stdout)  # type: ignore[no-any-return]


class CommandLine:
    """Runs commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Shown:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(arguments)
        printed = self._capsys.readouterr()
        return Shown(int(end.value.code or 0), printed.out, printed.err)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture
def accounts(sandbox: Sandbox, connect: Connect) -> Sandbox:
    """An account on each platform, and live campaigns in both."""
    connect(sandbox.kore_connection())
    connect(sandbox.sonarly_connection(), "sonarly")
    sandbox.add_campaign("sms-1", "sms", "Active", "Evening reminder")
    sandbox.add_campaign("voice-1", "voice", "Active", "Renewal")
    sandbox.add_campaign("sms-done", "sms", "Stopped")
    sandbox.add_campaign("outreach-1", "sonarly", "Active", "Win-back")
    return sandbox


def statuses(sandbox: Sandbox) -> dict[str, str]:
    return {campaign.id: campaign.status for campaign in sandbox.campaigns()}


def actions(sandbox: Sandbox) -> set[str | None]:
    return {request.action for request in sandbox.requests}


def test_a_key_that_is_rotated_meanwhile_ends_no_command(accounts: Sandbox, connect: Connect, run: CommandLine) -> None:
    def rotate(request: ReceivedRequest) -> None:
        if request.action == "stop" and accounts.config.api_key != "sk_live_a_new_key":
            accounts.config.client_secret, accounts.config.api_key = "a-new-secret-" * 8, "sk_live_a_new_key"
            connect(accounts.kore_connection())
            connect(accounts.sonarly_connection(), "sonarly")

    accounts.on_request(rotate)
    assert run("stop-active", *CONNECTIONS, "--yes").status == 0
    assert "Active" not in statuses(accounts).values()


def answer(monkeypatch: pytest.MonkeyPatch, text: str, *, is_terminal: bool = True) -> None:
    """Have somebody type at the terminal."""
    stdin = io.StringIO(text)
    monkeypatch.setattr(stdin, "isatty", lambda: is_terminal)
    monkeypatch.setattr("sys.stdin", stdin)


def test_live_lists_what_is_live_in_all_accounts_and_changes_nothing(accounts: Sandbox, run: CommandLine) -> None:
    shown = run("live", *CONNECTIONS, "-o", "json")
    assert shown.status == 0
    assert {(row["conn_id"], row["campaign_id"], row["campaign_type"], row["status"]) for row in shown.rows} == {
        ("campaign_default", "sms-1", "sms", "Active"),
        ("campaign_default", "voice-1", "voice", "Active"),
        ("sonarly", "outreach-1", None, "Active"),
    }
    assert shown.stderr == ""
    assert actions(accounts) == {"list"}


@pytest.mark.parametrize("style", ["table", "plain", "yaml", "json"])
def test_each_style_shows_every_campaign(accounts: Sandbox, run: CommandLine, style: str) -> None:
    shown = run("live", *CONNECTIONS, "-o", style)
    assert all(name in shown.stdout for name in ("sms-1", "Evening reminder", "voice-1", "outreach-1", "Win-back"))
    assert "\x1b" not in shown.stdout + shown.stderr  # no colours but on a terminal


def test_status_shows_one_campaign(accounts: Sandbox, run: CommandLine) -> None:
    shown = run("status", "sms-done", "-o", "json")
    assert shown.status == 0
    assert [(row["campaign_id"], row["status"]) for row in shown.rows] == [("sms-done", "Stopped")]


def test_stop_waits_until_the_campaign_is_verified(accounts: Sandbox, run: CommandLine) -> None:
    accounts.config.stop_delay = 30
    shown = run("stop", "voice-1", "--campaign-type", "voice")
    assert shown.status == 0
    assert "Stopped" in shown.stdout
    assert statuses(accounts)["voice-1"] == "Stopped"
    assert statuses(accounts)["sms-1"] == "Active"


def test_stop_active_stops_all_that_is_live_in_all_accounts(accounts: Sandbox, run: CommandLine) -> None:
    shown = run("stop-active", *CONNECTIONS, "--yes", "--reason", "window closed")
    assert shown.status == 0
    assert set(statuses(accounts).values()) == {"Stopped"}
    assert all(campaign_id in shown.stdout for campaign_id in ("sms-1", "voice-1", "outreach-1"))
    assert "campaign_default: Stopped 2 of 2 live campaigns" in shown.stderr
    assert "sonarly: Stopped 1 of 1 live campaigns" in shown.stderr


def test_stop_active_keeps_to_its_scope(accounts: Sandbox, run: CommandLine) -> None:
    shown = run("stop-active", "--yes", "--campaign-types", "voice", "--name-pattern", "Ren*", "-o", "json")
    assert [(row["campaign_id"], row["result"]) for row in shown.rows] == [("voice-1", "stopped")]
    assert statuses(accounts)["sms-1"] == "Active"


def test_a_dry_run_stops_nothing_and_asks_nothing(accounts: Sandbox, run: CommandLine) -> None:
    shown = run("stop-active", *CONNECTIONS, "--dry-run")
    assert shown.status == 0
    assert "sms-1" in shown.stdout
    assert actions(accounts) == {"list"}


def test_stop_active_shows_what_it_would_stop_and_stops_it_after_a_yes(
    accounts: Sandbox, run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "y\n")
    shown = run("stop-active", "-o", "json")
    assert shown.status == 0
    assert "Evening reminder" in shown.stderr
    assert "Stop these 2 campaigns" in shown.stderr
    assert {row["campaign_id"] for row in shown.rows} == {"sms-1", "voice-1"}
    assert statuses(accounts)["sms-1"] == "Stopped"


@pytest.mark.parametrize("text", ["n\n", "\n", ""])
def test_anything_but_a_yes_stops_nothing(
    accounts: Sandbox, run: CommandLine, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    answer(monkeypatch, text)
    shown = run("stop-active")
    assert shown.status == 1
    assert "Nothing was stopped" in shown.stderr
    assert actions(accounts) == {"list"}


def test_nothing_to_stop_needs_no_question(
    accounts: Sandbox, run: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answer(monkeypatch, "")
    shown = run("stop-active", "--name-pattern", "No such*", "--records-path", f"file://{tmp_path}")
    assert shown.status == 0
    assert "Stop these" not in shown.stderr
    assert len(read_all(RecordStore(f"file://{tmp_path}"))) == 1


def test_a_list_that_fails_is_asked_about_even_if_it_shows_nothing(
    accounts: Sandbox, run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.add_fault(Fault("unauthorized", count=None))
    answer(monkeypatch, "")
    shown = run("stop-active")
    assert shown.status == 1
    assert "Stop these 0 campaigns" in shown.stderr


def test_with_nobody_to_ask_stop_active_wants_yes(
    accounts: Sandbox, run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "y\n", is_terminal=False)
    shown = run("stop-active")
    assert shown.status == 2
    assert "--yes" in shown.stderr
    assert accounts.requests == []


def test_what_is_not_verified_stopped_is_named(accounts: Sandbox, run: CommandLine) -> None:
    accounts.add_campaign("sms-stuck", "sms", "Active", "Stuck", stoppable=False)
    shown = run("stop-active", "--yes", "--timeout", "60", "-o", "json")
    assert shown.status == 1
    assert {row["campaign_id"]: row["result"] for row in shown.rows} == {
        "sms-1": "stopped",
        "voice-1": "stopped",
        "sms-stuck": "failed",
    }
    assert "sms-stuck (Stuck): was asked to stop, and was last seen Active" in shown.stderr


def test_an_account_that_fails_keeps_no_other_from_being_stopped(accounts: Sandbox, run: CommandLine) -> None:
    accounts.add_fault(Fault("unauthorized", platform="sonarly", count=None))
    shown = run("stop-active", *CONNECTIONS, "--yes")
    assert shown.status == 1
    assert "sonarly: List of campaigns" in shown.stderr
    assert "HTTP 401" in shown.stderr
    assert statuses(accounts) == {
        "sms-1": "Stopped",
        "voice-1": "Stopped",
        "sms-done": "Stopped",
        "outreach-1": "Active",
    }


def test_a_list_that_is_no_proof_is_shown_as_far_as_it_goes(accounts: Sandbox, run: CommandLine) -> None:
    accounts.add_fault(Fault("unreadable_row", campaign_id="voice-1", count=None))
    shown = run("live", "-o", "json")
    assert shown.status == 1
    assert [row["campaign_id"] for row in shown.rows] == ["sms-1"]
    assert "a row (voice-1 Renewal) can't be read" in shown.stderr


def test_a_campaign_that_is_not_there_is_status_1(accounts: Sandbox, run: CommandLine) -> None:
    for arguments in (("stop", "nobody", "--campaign-type", "sms"), ("status", "nobody")):
        shown = run(*arguments, "-o", "json")
        assert shown.status == 1
        assert shown.rows == []
        assert "'nobody'" in shown.stderr


def bug(*_: Any, **__: Any) -> Any:
    raise KeyError("results")


@pytest.mark.parametrize("where", [(SonarlyPlatform, "pager"), (SonarlyHook, "create_platform")], ids=str)
@pytest.mark.parametrize(
    ("arguments", "status"), [(("stop-active", "--yes"), "Stopped"), (("live",), "Active")], ids=["stop-active", "live"]
)
def test_what_nobody_foresaw_about_one_account_keeps_no_other_from_its_turn(
    accounts: Sandbox,
    run: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    where: tuple[type[Any], str],
    arguments: tuple[str, ...],
    status: str,
) -> None:
    monkeypatch.setattr(*where, bug)
    shown = run(*arguments, *CONNECTIONS, "-o", "json")
    assert shown.status == 1
    assert {row["campaign_id"]: row["conn_id"] for row in shown.rows} == {
        "sms-1": "campaign_default",
        "voice-1": "campaign_default",
    }
    assert statuses(accounts) == {"sms-1": status, "voice-1": status, "sms-done": "Stopped", "outreach-1": "Active"}
    assert re.search("[Cc]onnection 'sonarly'.* (unexpected KeyError|can't be read .KeyError)", shown.stderr)
    assert shown.stderr.count("Traceback") == (where[0] is SonarlyPlatform)  # a connection's would show its fields


def test_a_connection_that_can_not_be_looked_up_now_keeps_no_other_account_from_its_turn(
    accounts: Sandbox, run: CommandLine
) -> None:
    shown = run("stop-active", "--yes", *CONNECTIONS, "--conn-id", "vault")  # the database is not there
    assert shown.status == 1
    assert set(statuses(accounts).values()) == {"Stopped"}
    assert "vault: Connection 'vault' was found in none of" in shown.stderr


@pytest.mark.parametrize("arguments", [("stop", "sms-1", "--campaign-type", "sms"), ("status", "sms-1")])
def test_what_nobody_foresaw_about_one_campaign_names_it_and_shows_the_traceback_once(
    accounts: Sandbox, run: CommandLine, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setattr(KorePlatform, "read_campaign", bug)
    shown = run(*arguments, "-o", "json")
    assert shown.status == 1
    assert shown.rows == []
    assert "campaign 'sms-1' (connection 'campaign_default', Kore.ai): unexpected KeyError" in shown.stderr
    assert shown.stderr.count("Traceback") == 1


REFUSED = {
    "an unknown status": (("live", "--statuses", "Activ"), "Did you mean Active"),
    "a status that is not live": (("stop-active", "--yes", "--statuses", "Stopped"), "--statuses"),
    "an unknown type": (("stop-active", "--yes", "--campaign-types", "fax"), "'fax'"),
    "a type that is empty": (("live", "--campaign-types", " "), "--campaign-types"),
    "no time": (("stop-active", "--yes", "--timeout", "0"), "--timeout"),
    "a pattern that is not closed": (("live", "--name-pattern", "[a"), "--name-pattern"),
    "a template": (("stop", "c-1", "--campaign-type", "{{ x }}"), "--campaign-type"),
    "an id like a path": (("stop", "../sms-1", "--campaign-type", "sms"), "looks like a path"),
    "no type where one is needed": (("stop", "sms-1"), "campaign_type"),
    "several accounts for one campaign": (("stop", "sms-1", *CONNECTIONS), "--conn-id"),
    "a connection that is not there": (("stop-active", "--yes", "--conn-id", "nobody"), "'nobody'"),
    "a connection of another kind": (("live", "--conn-id", "web"), "not a campaign platform"),
    "no command": ((), "required"),
    "an unknown option": (("live", "--all"), "--all"),
    "an unknown style": (("live", "-o", "xml"), "xml"),
}


@pytest.mark.usefixtures("empty_database")
@pytest.mark.parametrize(("arguments", "text"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_named_and_nothing_is_sent(
    accounts: Sandbox, connect: Connect, run: CommandLine, arguments: tuple[str, ...], text: str
) -> None:
    connect({"conn_type": "http", "host": "example.com"}, "web")
    shown = run(*arguments)
    assert shown.status == 2
    assert text in shown.stderr
    assert accounts.requests == []


def test_a_campaigns_name_can_not_steer_the_terminal(accounts: Sandbox, run: CommandLine) -> None:
    accounts.add_campaign("sms-2", "sms", "Active", "[/red]\x1b[2J :bomb:")
    for style in ("table", "plain"):
        shown = run("stop-active", "--dry-run", "-o", style)
        assert "[/red]\ufffd[2J :bomb:" in shown.stdout


def test_a_name_that_the_terminal_has_no_letters_for_is_shown_all_the_same(
    accounts: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.add_campaign("sms-2", "sms", "Active", "caf\u00e9 \N{PARTY POPPER}")
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr("sys.stdout", stdout)
    with pytest.raises(SystemExit) as end:
        main(["live"])
    stdout.flush()
    assert end.value.code == 0
    assert "caf\u00e9 \\U0001f389" in stdout.buffer.getvalue().decode("latin-1")


class LostTerminal(io.StringIO):
    """Where nothing can be written any more."""

    def write(self, _: str) -> int:
        raise OSError("Input/output error")


def test_a_warning_that_nobody_can_see_does_not_end_a_stop(
    accounts: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    accounts.add_fault(Fault("error", action="list"))
    monkeypatch.setattr("sys.stderr", LostTerminal())
    with pytest.raises(OSError, match="Input/output"):
        main(["stop-active", "--yes", "--records-path", f"file://{tmp_path}"])
    assert {statuses(accounts)["sms-1"], statuses(accounts)["voice-1"]} == {"Stopped"}
    [file] = read_all(RecordStore(f"file://{tmp_path}"))
    assert file.record is not None
    assert file.record["outcome"] == "success"


@pytest.mark.parametrize("arguments", [("live",), ("stop-active", "--yes"), ("status", "c-1"), ("stop", "c-1")])
def test_a_certificate_that_is_refused_is_status_2_for_nothing_was_sent(
    connect: Connect, run: CommandLine, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    with RawServer(lambda connection: None, Authority(tmp_path).server_context()) as server:
        extra = {"account_group_id": "ag"}
        connect({"conn_type": "sonarly", "host": server.url, "password": "sk_live_key", "extra": extra})
        shown = run(*arguments)
    assert shown.status == 2
    assert "certificate could not be verified" in shown.stderr
    assert server.requests == []


COMMANDS = (
    ("live", *CONNECTIONS),
    ("status", "sms-1"),
    ("stop", "sms-1", "--campaign-type", "sms"),
    ("stop-active", *CONNECTIONS, "--yes"),
)


@pytest.mark.parametrize("options", [("-o", "table"), ("-v", "-o", "json")], ids=["quiet", "verbose"])
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_no_command_shows_a_secret_that_the_platform_echoes(
    accounts: Sandbox, run: CommandLine, arguments: tuple[str, ...], options: tuple[str, ...]
) -> None:
    for platform, secret in (("kore", accounts.config.client_secret), ("sonarly", accounts.config.api_key)):
        accounts.add_fault(Fault("error", platform=platform, action=None))
        accounts.add_fault(Fault("failure", platform=platform, message=f"you sent {secret}"))
    shown = run(*arguments, *options)
    assert shown.status == 0
    assert leak_in(shown.stdout + shown.stderr) is None
    assert "you sent ***" in shown.stderr  # a warning says what was tried again


def test_every_sweep_leaves_a_record_also_where_it_fails(accounts: Sandbox, run: CommandLine, tmp_path: Path) -> None:
    accounts.add_fault(Fault("unauthorized", platform="sonarly", count=None))
    arguments = (
        "stop-active",
        *CONNECTIONS,
        "--yes",
        "--reason",
        "window closed",
        "--records-path",
        f"file://{tmp_path}",
    )
    shown = run(*arguments)
    assert shown.status == 1
    records = {
        file.record["connection_id"]: file for file in read_all(RecordStore(f"file://{tmp_path}")) if file.record
    }
    kore, sonarly = records["campaign_default"].record or {}, records["sonarly"].record or {}
    assert (kore["outcome"], sonarly["outcome"]) == ("success", "failed")
    assert {campaign["campaign_id"] for campaign in kore["campaigns"]} == {"sms-1", "voice-1"}
    assert kore["reason"] == "window closed"
    assert kore["run"]["command"] == "stop-active"
    assert "HTTP 401" in sonarly["error"]
    assert all(file.sha256 in shown.stderr for file in records.values())


def test_a_secret_in_the_reason_is_not_in_the_record(accounts: Sandbox, run: CommandLine, tmp_path: Path) -> None:
    reason = f"Runaway, see\nthe key {accounts.config.client_secret}"
    run("stop-active", "--yes", "--reason", reason, "--records-path", f"file://{tmp_path}")
    [file] = read_all(RecordStore(f"file://{tmp_path}"))
    assert file.record is not None
    assert file.record["reason"] == "Runaway, see the key ***"


def test_a_single_stop_leaves_a_record_also_where_it_fails(
    accounts: Sandbox, run: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CAMPAIGN__RECORDS_PATH", f"file://{tmp_path}")
    stopped = run("stop", "sms-1", "--campaign-type", "sms", "--reason", "complaint")
    failed = run("stop", "sms-1", "--campaign-type", "voice")
    assert (stopped.status, failed.status) == (0, 1)
    records = {file.sha256: file.record or {} for file in read_all(RecordStore(f"file://{tmp_path}"))}
    [(first_sha256, first)] = [each for each in records.items() if each[0] in stopped.stderr]
    [second] = [record for sha256, record in records.items() if sha256 in failed.stderr]
    assert (first["action"], first["run"]["command"]) == ("stop", "stop")
    assert (first["outcome"], first["reason"], first["requests"]) == ("success", "complaint", 1)
    [campaign] = first["campaigns"]
    assert (campaign["campaign_id"], campaign["status"]) == ("sms-1", "Stopped")
    assert campaign["asked_at"] <= campaign["confirmed_at"]
    [refused] = second["campaigns"]
    assert (refused["status"], refused["confirmed_at"], refused["unanswered"]) == ("Stopped", None, False)
    assert (second["outcome"], second["previous"]["sha256"]) == ("failed", first_sha256)
    assert "Check whether it is of type 'voice'" in second["error"]


def test_a_single_stop_whose_record_can_not_be_written_is_made_even_so(
    accounts: Sandbox, run: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    shown = run("stop", "sms-1", "--campaign-type", "sms", "--records-path", f"file://{tmp_path}/taken")
    assert shown.status == 1
    assert "The record can't be written" in shown.stderr
    assert statuses(accounts)["sms-1"] == "Stopped"


def test_a_record_that_can_not_be_written_is_status_1_and_all_is_stopped_even_so(
    accounts: Sandbox, run: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    shown = run("stop-active", "--yes", "--records-path", f"file://{tmp_path}/taken")
    assert shown.status == 1
    assert "campaign_default: The record can't be written" in shown.stderr
    assert statuses(accounts)["sms-1"] == "Stopped"


def signal_in_the_middle(number: int, connect: Connect, run: CommandLine, tmp_path: Path) -> tuple[Shown, set[str]]:
    """Send this process a signal while it stops 30 campaigns; return what it shows, and what is stopped then."""
    with Sandbox(rate_limit=None) as sandbox:
        connect(sandbox.kore_connection())
        for campaign in range(30):
            sandbox.add_campaign(f"sms-{campaign}", "sms", "Active")
        sandbox.add_fault(Fault("slow", action="stop", count=None, seconds=0.2))

        def send() -> None:
            sandbox.wait_for(lambda sandbox: "stop" in actions(sandbox))
            os.kill(os.getpid(), number)

        somebody = threading.Thread(target=send)
        somebody.start()
        shown = run("stop-active", "--yes", "-o", "json", "--records-path", f"file://{tmp_path}")
        somebody.join()
        return shown, {campaign_id for campaign_id, status in statuses(sandbox).items() if status == "Stopped"}


def test_a_lost_terminal_ends_nothing(connect: Connect, run: CommandLine, tmp_path: Path) -> None:
    shown, stopped = signal_in_the_middle(signal.SIGHUP, connect, run, tmp_path)
    assert shown.status == 0
    assert len(stopped) == 30
    assert len(read_all(RecordStore(f"file://{tmp_path}"))) == 1


def test_ctrl_c_ends_within_the_requests_under_way(connect: Connect, run: CommandLine, tmp_path: Path) -> None:
    shown, stopped = signal_in_the_middle(signal.SIGINT, connect, run, tmp_path)
    assert shown.status == 1
    assert "Interrupted" in shown.stderr
    assert 0 < len(stopped) < 30
    [file] = read_all(RecordStore(f"file://{tmp_path}"))
    assert file.record is not None
    assert file.record["outcome"] == "killed"
    assert {each["campaign_id"] for each in file.record["campaigns"] if each["confirmed_at"]} == stopped
    assert {row["campaign_id"] for row in shown.rows if row["result"] == "stopped"} == stopped
    for campaign_id in {f"sms-{number}" for number in range(30)} - stopped:
        assert re.search(rf"^(campaign_default: )?{campaign_id} ", shown.stderr, re.MULTILINE)


IN_DATABASE = """
import json, os, sys
from cryptography.fernet import Fernet

os.environ["AIRFLOW__CORE__FERNET_KEY"] = Fernet.generate_key().decode()
from airflow.models import Connection
from airflow.utils.session import create_session
from airflow_provider_campaign.__main__ import main

with create_session() as session:
    session.add(Connection.from_json(sys.argv[1], "in_database"))
statuses = []
for command in (["live"], ["stop-active", "--yes"], ["status", "nobody"], ["live", "--conn-id", "nobody"]):
    try:
        main([*command, "--conn-id", "in_database"])
    except SystemExit as end:
        statuses.append(end.code)
print(json.dumps(statuses))
"""


def test_a_connection_in_the_database_is_found_while_no_part_of_airflow_runs(
    tmp_path: Path, shared_folder: Path
) -> None:
    with Sandbox() as sandbox:
        sandbox.add_campaign("sms-1", "sms", "Active")
        process = AirflowProcess(tmp_path, {})
        process.migrate(shared_folder)
        assert process.answer("-c", IN_DATABASE, json.dumps(sandbox.kore_connection())) == [0, 0, 1, 1]
        assert statuses(sandbox) == {"sms-1": "Stopped"}


@pytest.mark.skipif(Version(airflow.__version__) < Version("3.2"), reason="older versions ignore a provider's commands")
def test_airflow_has_the_same_commands(shared_airflow: SharedAirflow) -> None:
    shown = shared_airflow.run("-m", "airflow", "campaigns", "--help").output
    for command in ("live", "status", "stop", "stop-active", "check", "records"):
        assert re.search(rf"^ +{command}\s", shown, re.MULTILINE)
