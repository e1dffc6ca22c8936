"""The commands, as a person on call types them: what the platform receives, what is shown, and the exit status."""

from __future__ import annotations

import io
import json
import os
import re
import signal
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
from tests.airflow_process import AirflowProcess, SharedAirflow
from tests.commands import Command
from tests.kinds import Connect
from tests.meanwhile import meanwhile, requests_received
from tests.records_guard import read_all
from tests.secrets_guard import leak_in

CONNECTIONS = ("--conn-id", "campaign_default", "--conn-id", "sonarly")
STOP_ONE = ("stop", "sms-1", "--campaign-type", "sms")


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


def live(sandbox: Sandbox) -> set[str]:
    return {campaign.id for campaign in sandbox.campaigns() if campaign.live}


def actions(sandbox: Sandbox) -> set[str | None]:
    return {request.action for request in sandbox.requests}


def answer(monkeypatch: pytest.MonkeyPatch, text: str, *, is_terminal: bool = True) -> None:
    stdin = io.StringIO(text)
    monkeypatch.setattr(stdin, "isatty", lambda: is_terminal)
    monkeypatch.setattr("sys.stdin", stdin)


# What each command does and shows.


def test_live_lists_campaigns_of_all_accounts_and_fails_only_on_request(accounts: Sandbox, command: Command) -> None:
    assert command("live", "--fail-if-any", "--name-pattern", "No such*").status == 0
    assert command("live", "--fail-if-any").status == 1
    shown = command("live", *CONNECTIONS, "-o", "json")
    assert shown.status == 0
    assert {(row["conn_id"], row["campaign_id"], row["campaign_type"], row["status"]) for row in shown.rows} == {
        ("campaign_default", "sms-1", "sms", "Active"),
        ("campaign_default", "voice-1", "voice", "Active"),
        ("sonarly", "outreach-1", None, "Active"),
    }
    assert shown.stderr == ""
    assert actions(accounts) == {"list"}


@pytest.mark.parametrize("style", ["table", "plain", "yaml"])
def test_each_style_shows_every_campaign_and_none_steers_the_terminal(
    accounts: Sandbox, command: Command, style: str
) -> None:
    accounts.add_campaign("sms-2", "sms", "Active", "[/red]\x1b[2J :bomb:")
    shown = command("live", *CONNECTIONS, "-o", style)
    odd = r"[/red]\uFFFD[2J :bomb:" if style == "yaml" else "[/red]\ufffd[2J :bomb:"
    assert all(text in shown.stdout for text in ("sms-1", "Evening reminder", "voice-1", "outreach-1", "Win-back", odd))
    assert "\x1b" not in shown.stdout + shown.stderr  # no colors but on a terminal


def test_a_name_that_the_terminal_has_no_letters_for_is_shown(
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


def test_status_and_a_dry_run_show_campaigns_and_change_nothing(accounts: Sandbox, command: Command) -> None:
    shown = command("status", "sms-done", "-o", "json")
    assert (shown.status, shown.rows[0]["campaign_id"], shown.rows[0]["status"]) == (0, "sms-done", "Stopped")
    shown = command("stop-active", "--dry-run", "--campaign-types", "voice", "--name-pattern", "Ren*", "-o", "json")
    assert (shown.status, [row["campaign_id"] for row in shown.rows]) == (0, ["voice-1"])
    assert actions(accounts) == {"status", "list"}


# The question before a sweep.


def test_stop_active_shows_its_campaigns_and_stops_them_after_a_yes(
    accounts: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "y\n")
    shown = command("stop-active", "-o", "json")
    assert shown.status == 0
    assert "Evening reminder" in shown.stderr
    assert "Stop these 2 campaigns" in shown.stderr
    assert {row["campaign_id"] for row in shown.rows} == {"sms-1", "voice-1"}
    assert live(accounts) == {"outreach-1"}


@pytest.mark.parametrize(("text", "is_terminal"), [("n\n", True), ("", True), ("y\n", False)])
def test_anything_but_a_yes_at_a_terminal_stops_nothing(
    accounts: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch, text: str, is_terminal: bool
) -> None:
    answer(monkeypatch, text, is_terminal=is_terminal)
    shown = command("stop-active")
    assert shown.status == (1 if is_terminal else 2)
    assert ("Nothing was stopped" if is_terminal else "--yes") in shown.stderr
    assert actions(accounts) == ({"list"} if is_terminal else set())


def test_nothing_to_stop_needs_no_question_unless_a_list_failed(
    accounts: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch, store: RecordStore
) -> None:
    answer(monkeypatch, "")
    shown = command("stop-active", "--name-pattern", "No such*")
    assert (shown.status, "Stop these" in shown.stderr) == (0, False)
    assert len(read_all(store)) == 1
    accounts.add_fault(Fault("unauthorized", count=None))
    shown = command("stop-active")
    assert (shown.status, "Stop these 0 campaigns" in shown.stderr) == (1, True)


# What fails: status 1, named, and no other account or campaign suffers.


def test_a_campaign_that_is_not_verified_stopped_is_named(accounts: Sandbox, command: Command) -> None:
    accounts.add_campaign("sms-stuck", "sms", "Active", "Stuck", stoppable=False)
    shown = command("stop-active", "--yes", "--timeout", "60", "-o", "json")
    assert shown.status == 1
    assert {row["campaign_id"]: row["result"] for row in shown.rows} == {
        "sms-1": "stopped",
        "voice-1": "stopped",
        "sms-stuck": "failed",
    }
    assert "sms-stuck (Stuck): was asked to stop, and was last seen Active" in shown.stderr


def test_an_incomplete_list_is_shown_as_far_as_it_goes(accounts: Sandbox, command: Command) -> None:
    accounts.add_fault(Fault("unreadable_row", campaign_id="voice-1", count=None))
    shown = command("live", "-o", "json")
    assert shown.status == 1
    assert [row["campaign_id"] for row in shown.rows] == ["sms-1"]
    assert "a row (voice-1 Renewal) can't be read" in shown.stderr


def test_a_campaign_that_is_not_there_is_status_1(accounts: Sandbox, command: Command) -> None:
    for arguments in (("stop", "nobody", "--campaign-type", "sms"), ("status", "nobody")):
        shown = command(*arguments, "-o", "json")
        assert (shown.status, shown.rows) == (1, [])
        assert "'nobody'" in shown.stderr


def bug(*_: Any, **__: Any) -> Any:
    raise KeyError("results")


SMS_1 = r"campaign 'sms-1' \(connection 'campaign_default', Kore.ai\): unexpected KeyError"


@pytest.mark.parametrize(
    ("owner", "method", "arguments", "says"),
    [
        (SonarlyPlatform, "pager", ("stop-active", "--yes", *CONNECTIONS), "onnection 'sonarly'.* unexpected KeyError"),
        (SonarlyHook, "create_platform", ("live", *CONNECTIONS), "onnection 'sonarly'.* can't be read .KeyError"),
        (KorePlatform, "read_campaign", STOP_ONE, SMS_1),
        (KorePlatform, "read_campaign", ("status", "sms-1"), SMS_1),
    ],
)
def test_an_unexpected_error_is_named_and_keeps_no_other_account_from_its_turn(
    accounts: Sandbox,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    owner: type[Any],
    method: str,
    arguments: tuple[str, ...],
    says: str,
) -> None:
    def bug(*_: Any, **__: Any) -> Any:
        raise KeyError("results")

    monkeypatch.setattr(owner, method, bug)
    shown = command(*arguments, "-o", "json")
    assert shown.status == 1
    assert {row["campaign_id"] for row in shown.rows} == (set() if owner is KorePlatform else {"sms-1", "voice-1"})
    assert "--yes" not in arguments or live(accounts) == {"outreach-1"}
    assert re.search(says, shown.stderr)
    assert shown.stderr.count("Traceback") == (owner is not SonarlyHook)  # a connection's would show its fields


# What is refused: status 2, before anything is sent.

REFUSED = {
    "a status that is not live": (("stop-active", "--yes", "--statuses", "Stopped"), "--statuses"),
    "no time": (("stop-active", "--yes", "--timeout", "0"), "--timeout"),
    "no type where one is needed": (("stop", "sms-1"), "campaign_type"),
    "several accounts for one campaign": (("stop", "sms-1", *CONNECTIONS), "--conn-id"),
    "a connection that is not there": (("stop-active", "--yes", "--conn-id", "nobody"), "'nobody'"),
    "a connection of another kind": (("live", "--conn-id", "web"), "not a campaign platform"),
    "an unknown option": (("live", "--all"), "--all"),
    "an id like a path": (("check", "--campaign-id", "a/b"), "looks like a path"),
    "a folder that is not there": (("check", "--save", "/nowhere/at/all"), "/nowhere/at/all"),
    "a time that is none": (("check", "--timeout", "soon"), "--timeout"),
}


@pytest.mark.usefixtures("empty_database")
@pytest.mark.parametrize(("arguments", "text"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_argument_is_named_and_nothing_is_sent(
    accounts: Sandbox, connect: Connect, command: Command, arguments: tuple[str, ...], text: str
) -> None:
    connect({"conn_type": "http", "host": "example.com"}, "web")
    shown = command(*arguments)
    assert shown.status == 2
    assert text in shown.stderr
    assert accounts.requests == []


@pytest.mark.parametrize(
    "arguments",
    [("live", *CONNECTIONS), ("status", "sms-1"), STOP_ONE, ("stop-active", *CONNECTIONS, "--yes")],
    ids=lambda arguments: arguments[0],
)
def test_no_command_shows_a_secret_that_the_platform_echoes(
    accounts: Sandbox, command: Command, arguments: tuple[str, ...]
) -> None:
    for platform, secret in (("kore", accounts.config.client_secret), ("sonarly", accounts.config.api_key)):
        accounts.add_fault(Fault("error", platform=platform, action=None))
        accounts.add_fault(Fault("failure", platform=platform, message=f"you sent {secret}"))
    shown = command(*arguments, "-v", "-o", "json")
    assert shown.status == 0
    assert "--yes" not in arguments or live(accounts) == set()
    assert leak_in(shown.stdout + shown.stderr) is None
    assert "you sent ***" in shown.stderr  # a warning says what was tried again


# Records.


def test_an_account_that_fails_keeps_no_other_from_its_turn_and_leaves_a_record(
    accounts: Sandbox, command: Command, store: RecordStore
) -> None:
    accounts.add_fault(Fault("unauthorized", platform="sonarly", count=None))
    reason = f"window closed {accounts.config.api_key}"
    shown = command("stop-active", *CONNECTIONS, "--conn-id", "vault", "--yes", "--reason", reason)
    assert shown.status == 1
    not_there = "vault: Connection 'vault' was found in none of"  # its database is not there, either
    for said in ("campaign_default: Stopped 2 of 2", "sonarly: List of campaigns", "HTTP 401", not_there):
        assert said in shown.stderr
    assert all(campaign_id in shown.stdout for campaign_id in ("sms-1", "voice-1"))
    assert live(accounts) == {"outreach-1"}
    records = {file.record["connection_id"]: file for file in read_all(store) if file.record}
    kore, sonarly = records["campaign_default"].record or {}, records["sonarly"].record or {}
    assert (kore["outcome"], sonarly["outcome"]) == ("success", "failed")
    assert {campaign["campaign_id"] for campaign in kore["campaigns"]} == {"sms-1", "voice-1"}
    assert kore["reason"] == sonarly["reason"] == "window closed ***"
    assert kore["run"]["command"] == "stop-active"
    assert "HTTP 401" in sonarly["error"]
    assert all(file.sha256 in shown.stderr for file in records.values())


def test_a_single_stop_is_waited_for_and_leaves_a_record_also_where_it_fails(
    accounts: Sandbox, command: Command, store: RecordStore
) -> None:
    accounts.config.stop_delay = 30
    stopped = command(*STOP_ONE, "--reason", f"complaint, see\nthe key {accounts.config.client_secret}")
    requests, still_live = len(accounts.requests), live(accounts)
    failed = command("stop", "sms-1", "--campaign-type", "voice")
    assert (stopped.status, "Stopped" in stopped.stdout, failed.status) == (0, True, 1)
    assert still_live == {"voice-1", "outreach-1"}
    records = {file.sha256: file.record or {} for file in read_all(store)}
    [(first_sha256, first)] = [each for each in records.items() if each[0] in stopped.stderr]
    [second] = [record for sha256, record in records.items() if sha256 in failed.stderr]
    assert (first["action"], first["run"]["command"]) == ("stop", "stop")
    assert (first["outcome"], first["reason"], first["requests"]) == ("success", "complaint, see the key ***", requests)
    [campaign] = first["campaigns"]
    assert (campaign["campaign_id"], campaign["status"]) == ("sms-1", "Stopped")
    assert campaign["asked_at"] <= campaign["confirmed_at"]
    [refused] = second["campaigns"]
    assert (refused["status"], refused["confirmed_at"], refused["unanswered"]) == ("Stopped", None, False)
    assert (second["outcome"], second["previous"]["sha256"]) == ("failed", first_sha256)
    assert "Check whether it is of type 'voice'" in second["error"]


@pytest.mark.parametrize(
    ("arguments", "path", "says"),
    [
        (("stop-active", "--yes"), "file://{}/taken", "The record can't be written"),
        (STOP_ONE, "file://{}/taken", "The record can't be written"),
        (STOP_ONE, "file://mnt/records", "--records-path is 'file://mnt/records'"),
    ],
)
def test_an_unusable_records_path_is_status_1_once_all_is_stopped_and_shown(
    accounts: Sandbox, command: Command, tmp_path: Path, arguments: tuple[str, ...], path: str, says: str
) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    shown = command(*arguments, "--records-path", path.format(tmp_path), "-o", "json")
    assert (shown.status, shown.rows[0]["campaign_id"], shown.rows[0]["status"]) == (1, "sms-1", "Stopped")
    assert says in shown.stderr
    assert "sms-1" not in live(accounts)


@pytest.mark.parametrize("arguments", [("stop-active", "--yes"), STOP_ONE], ids=lambda arguments: arguments[0])
def test_no_reason_that_a_person_types_keeps_a_campaign_from_being_stopped(
    accounts: Sandbox, command: Command, arguments: tuple[str, ...]
) -> None:
    for reason in ("{{ x }}", "None", "", "x" * 10_000, "a\nb\x1b[2J\ud83d\0"):
        accounts.set_status("sms-1", "Active")
        assert command(*arguments, "--reason", reason).status == 0
        assert "sms-1" not in live(accounts)


# What happens to the process.


def test_a_warning_that_nobody_can_see_does_not_end_a_stop(
    accounts: Sandbox, monkeypatch: pytest.MonkeyPatch, store: RecordStore
) -> None:
    class LostTerminal(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError("Input/output error")

    accounts.add_fault(Fault("error", action="list"))
    monkeypatch.setattr("sys.stderr", LostTerminal())
    with pytest.raises(OSError, match="Input/output"):
        main(["stop-active", "--yes"])
    assert live(accounts) == {"outreach-1"}
    assert [(file.record or {})["outcome"] for file in read_all(store)] == ["success"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT], ids=["a lost terminal", "Ctrl-C"])
def test_only_ctrl_c_ends_a_sweep_within_the_requests_under_way(
    connect: Connect, command: Command, store: RecordStore, number: int
) -> None:
    with Sandbox(rate_limit=None) as sandbox:
        connect(sandbox.kore_connection())
        for campaign in range(30):
            sandbox.add_campaign(f"sms-{campaign}", "sms", "Active")
        sandbox.add_fault(Fault("slow", action="stop", count=None, seconds=0.2))
        with meanwhile(sandbox, requests_received(1, "stop"), lambda: os.kill(os.getpid(), number)):
            shown = command("stop-active", "--yes", "-o", "json")
        left = live(sandbox)
    [record] = [file.record or {} for file in read_all(store)]
    stopped = {each["campaign_id"] for each in record["campaigns"] if each["confirmed_at"]}
    assert {row["campaign_id"] for row in shown.rows if row["result"] == "stopped"} == stopped
    assert {f"sms-{campaign}" for campaign in range(30)} - stopped == left
    if number == signal.SIGHUP:
        assert (shown.status, record["outcome"], left) == (0, "success", set())
    else:
        assert (shown.status, record["outcome"]) == (1, "killed")
        assert 0 < len(left) < 30
        for said in ("Interrupted", *(f"{campaign_id} (" for campaign_id in left)):
            assert said in shown.stderr


def test_a_connection_in_the_database_is_found_while_airflow_is_down(airflow_home: Path) -> None:
    with Sandbox() as sandbox:
        sandbox.add_campaign("sms-1", "sms", "Active")
        process, connection = AirflowProcess(airflow_home, {}), json.dumps(sandbox.kore_connection())
        process.run("-m", "airflow", "connections", "add", "in_database", "--conn-json", connection)
        process.run("-m", "airflow_provider_campaign", "stop-active", "--yes", "--conn-id", "in_database")
        assert sandbox.campaign("sms-1").status == "Stopped"


@pytest.mark.skipif(Version(airflow.__version__) < Version("3.2"), reason="older versions ignore a provider's commands")
def test_airflow_has_the_same_commands(shared_airflow: SharedAirflow) -> None:
    shown = shared_airflow.run("-m", "airflow", "campaigns", "--help").output
    for name in ("live", "status", "stop", "stop-active", "check", "records"):
        assert re.search(rf"^ +{name}\s", shown, re.MULTILINE)
