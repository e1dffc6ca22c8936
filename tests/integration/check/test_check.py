"""The contract check: nothing to say of a platform that is as documented, and each difference of one that is not."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_campaign.check.contract import DIFFERS, SAME, UNKNOWN, ContractCheck, Row
from airflow_provider_campaign.check.report import HARMLESS, KEPT_KEYS, STAND_INS, UNKNOWN_ID, check_report
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.platforms.base import Action, ApiRequest, HttpResponse, Platform
from airflow_provider_campaign.platforms.kore import KorePlatform
from airflow_provider_campaign.platforms.sonarly import SonarlyPlatform
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.accounts import client_of
from tests.commands import Command
from tests.fragile import fragile, unforeseen_id
from tests.kinds import Connect
from tests.scripted_transport import ScriptedTransport, SentRequest, response
from tests.secrets_guard import leak_in
from tests.servers import Echo, LocalServer, Reply, as_name

REPORTS = Path(__file__).parents[2] / "data" / "checks"
"""What ``check --save`` has written of accounts: put a file here, and it is replayed."""

ACCOUNTS = ("v1", "v2", "sonarly")


@pytest.fixture
def account(sandbox: Sandbox, clock: VirtualClock) -> Sandbox:
    """An account with two campaigns of each type, in two statuses."""
    for campaign_type in ("sms", "voice", "sonarly"):
        for status in ("Active", "Stopped"):
            sandbox.add_campaign(f"id-of-{campaign_type}-{status}", campaign_type, status, f"Secret sale {status}")
            clock.advance(60)
    return sandbox


def check(connect: Connect, sandbox: Sandbox, name: str = "v1", **options: Any) -> tuple[list[Row], dict[str, Any]]:
    connect(sandbox.sonarly_connection() if name == "sonarly" else sandbox.kore_connection(name))
    client = CampaignHook.for_conn_id("campaign_default").client
    checked = ContractCheck(client, client.deadline(300), **options)
    rows = list(checked.run())
    return rows, check_report(client.platform, verdicts(rows), checked.exchanges)


def verdicts(rows: list[Row]) -> dict[str, str]:
    return {row["subject"]: row["verdict"] for row in rows}


@pytest.mark.parametrize("name", ACCOUNTS)
def test_a_platform_that_is_as_documented_differs_in_nothing(connect: Connect, account: Sandbox, name: str) -> None:
    rows, _ = check(connect, account, name)
    hours = UNKNOWN if name == "sonarly" else SAME  # Sonarly shows none
    assert verdicts(rows) == {row["subject"]: hours if row["subject"] == "calling hours" else SAME for row in rows}
    assert {request.action for request in account.requests} <= {"list", "status", "get"}


def test_an_unexpected_error_at_one_point_keeps_no_other_from_its_check(connect: Connect, account: Sandbox) -> None:
    odd = account.add_campaign(unforeseen_id(("status",))).id
    connect(fragile(account.kore_connection("v1")))
    client = CampaignHook.for_conn_id("campaign_default").client
    rows = list(ContractCheck(client, client.deadline(300), odd).run())
    seen = verdicts(rows)
    assert seen["status of one campaign"] == DIFFERS
    assert {seen[subject] for subject in ("get of one campaign", "an unknown id", "clock")} == {SAME}


def undocumented_word(account: Sandbox) -> None:
    account.set_status("id-of-sms-Active", "Winding", documented=False)


def unreadable_hours(account: Sandbox) -> None:
    account.campaign("id-of-sms-Active").calling_hours = {"frequency": "WEEKLY", "timezone": "EST", "days": []}


Difference = dict[str, Any] | Fault | Callable[[Sandbox], None]
DIFFERENCES: Mapping[str, tuple[Difference, str]] = {
    "list of sms: rows and pages": (Fault("unreadable_row", count=None), "can't be read"),
    "list of voice: rows and pages": (Fault("contradiction", how="short", skip=4, count=None), "contradicts itself"),
    "list of sms: filter": ({"ignore_filters": True}, "with Active it lists Stopped"),
    "list of sms: order": ({"ignore_sort": True}, "in another order"),
    "status words": (undocumented_word, "not documented: Winding"),
    "status of one campaign": (Fault("html_ok", action="status", count=None), "HTTP 200"),
    "get of one campaign": (Fault("failure", action="get", count=None), "Something went wrong"),
    "calling hours": (unreadable_hours, "timezone is 'EST'"),
    "an unknown id": (Fault("bad_request", campaign_id=UNKNOWN_ID, count=None), "HTTP 400"),
    "rate-limit headers": ({"rate_limit_headers": True}, "x-ratelimit-remaining"),
    "clock": ({"clock_offset": 240}, "+2"),
}


def differ(account: Sandbox, how: Difference) -> None:
    if isinstance(how, Fault):
        account.add_fault(how)
    elif isinstance(how, dict):
        for name, value in how.items():
            setattr(account.config, name, value)
    else:
        how(account)


@pytest.mark.parametrize("subject", DIFFERENCES)
def test_each_difference_is_found_and_named(connect: Connect, account: Sandbox, subject: str) -> None:
    how, text = DIFFERENCES[subject]
    differ(account, how)
    rows, _ = check(connect, account)
    [row] = [row for row in rows if row["subject"] == subject]
    assert (row["verdict"], text in row["seen"]) == (DIFFERS, True), row
    assert row["documented"]
    assert row["provider"]


@pytest.mark.parametrize(("stop_delay", "verdict"), [(0, SAME), (30, DIFFERS)])
def test_with_permission_it_stops_one_campaign_and_times_it(
    connect: Connect, account: Sandbox, stop_delay: float, verdict: str
) -> None:
    account.config.stop_delay = stop_delay
    rows, _ = check(connect, account, campaign_id="id-of-voice-Active", allow_stop=True)
    assert (rows[-1]["subject"], rows[-1]["verdict"]) == ("stop", verdict)
    assert "stopped after" in rows[-1]["seen"]
    assert account.campaign("id-of-voice-Active").status == "Stopped"
    assert account.campaign("id-of-sms-Active").status == "Active"


@pytest.mark.parametrize(
    ("name", "is_permitted", "verdict"), [("v1", True, SAME), ("v1", False, DIFFERS), ("sonarly", True, SAME)]
)
def test_the_permission_to_stop_shows_by_a_stop_of_an_unknown_id(
    connect: Connect, account: Sandbox, name: str, is_permitted: bool, verdict: str
) -> None:
    if not is_permitted:
        account.add_fault(Fault("forbidden", action="stop", count=None))
    rows, _ = check(connect, account, name, allow_stop=True)
    assert (rows[-1]["subject"], rows[-1]["verdict"]) == ("permission to stop", verdict)
    assert f"HTTP {404 if is_permitted else 403}" in rows[-1]["seen"]
    assert {request.campaign_id for request in account.requests if request.action == "stop"} == {UNKNOWN_ID}


def replayed(report: Mapping[str, Any]) -> tuple[Platform, ScriptedTransport]:
    """Return a report as a platform: an account, and what answers for it."""
    answers = defaultdict(list)
    if report["platform"] == "Sonarly":
        platform: Platform = SonarlyPlatform("account_group_id", "not-a-real-key")
    else:
        ids, secret = ("client_id", "iid", "account_id"), "not-a-real-secret-but-long-enough"
        platform = KorePlatform(*ids, "HS256", "airflow", secret, report["api_version"])
    for exchange in report["exchanges"]:
        about = ApiRequest(Action(exchange["action"]), exchange["campaign"], exchange["type"])
        path = platform.http_request(about).path
        body = {"body": exchange["text"].encode()} if "text" in exchange else {}
        answer = response(exchange.get("json"), exchange["status"], **body, **exchange["headers"])
        answers[path, json.dumps(exchange["request"], sort_keys=True)].append(answer)

    def respond(sent: SentRequest) -> HttpResponse:
        path = sent.http.path.partition("?cursor=")[0]
        known = answers[path, json.dumps(sent.http.json, sort_keys=True)]
        return known.pop(0) if len(known) > 1 else known[0]

    return platform, ScriptedTransport(respond)


def check_again(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the verdicts on a platform that answers as a report says, at the time of the report."""
    clock = VirtualClock(datetime.fromisoformat(report["exchanges"][0]["sent_at"]))
    platform, transport = replayed(report)
    client = client_of(platform, transport, clock)
    return verdicts(list(ContractCheck(client, client.deadline(300)).run()))


@pytest.mark.parametrize("name", ACCOUNTS)
def test_a_report_can_be_replayed_as_a_platform(connect: Connect, account: Sandbox, name: str) -> None:
    differ(account, {"ignore_sort": True, "rate_limit_headers": True})
    undocumented_word(account)
    rows, report = check(connect, account, name)
    assert check_again(json.loads(json.dumps(report))) == verdicts(rows)


@pytest.mark.parametrize("file", sorted(REPORTS.glob("*.json")), ids=lambda file: file.stem)
def test_every_account_that_was_reported_is_read_as_it_was_then(file: Path) -> None:
    """Points that a check had not at the time are left out."""
    report = json.loads(file.read_text())
    then = {row["subject"]: row["verdict"] for row in report["rows"]}
    assert {subject: verdict for subject, verdict in check_again(report).items() if subject in then} == then


@pytest.mark.parametrize("name", ["v2", "sonarly"])
def test_a_report_of_a_gateway_that_echoes_everything_holds_none_of_it(
    connect: Connect, account: Sandbox, name: str, tmp_path: Path, command: Command
) -> None:
    connection = account.sonarly_connection() if name == "sonarly" else account.kore_connection(name)
    config = account.config
    ids = (config.iid, config.account_id, config.client_id, config.account_group_id, "id-of-Ann")
    private = ["call +4915112345678 or mail ann@example.com about", "15112345678", "ann@example.com", *ids]
    private.append(connection["password"])
    keys = {*HARMLESS, *KEPT_KEYS, *STAND_INS} - {"data", "success"}
    file = tmp_path / "report.json"
    with LocalServer(Echo(private, keys=keys, total=4915112345678)) as server:
        connect({**connection, "host": server.url}, "secret_customer")
        assert command("check", "--conn-id", "secret_customer", "--save", str(file)).status == 1
    text = file.read_text()
    assert json.loads(text)["exchanges"]
    assert [each for each in (*private, *map(as_name, private), "secret_customer") if each in text] == []
    assert leak_in(text) is None


def test_a_document_of_any_depth_leaves_a_report(
    connect: Connect, account: Sandbox, tmp_path: Path, command: Command
) -> None:
    body = b'{"status": "success", "success": true, "data": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    file = tmp_path / "report.json"
    with LocalServer(lambda _: Reply(body)) as server:
        connect({**account.kore_connection(), "host": server.url})
        assert command("check", "--save", str(file)).status == 1
    assert json.loads(file.read_text())["exchanges"]


# The command.


def test_the_command_shows_each_point_and_saves_a_report(
    connect: Connect, account: Sandbox, tmp_path: Path, command: Command
) -> None:
    connect(account.kore_connection())
    file = tmp_path / "report.json"
    shown = command("check", "-o", "json", "--save", str(file))
    assert shown.status == 0
    saved = json.loads(file.read_text())["rows"]
    assert saved == [{"subject": row["subject"], "verdict": row["verdict"]} for row in shown.rows]
    account.config.ignore_filters = True
    shown = command("check")
    assert shown.status == 1
    assert "Differs: list of sms: filter; list of voice: filter." in shown.stderr
    assert shown.stderr.rstrip().endswith("Of 13 points 11 are as documented, 2 differ, 0 can't be determined.")


def test_a_point_that_can_not_be_determined_is_status_1_on_request(
    connect: Connect, sandbox: Sandbox, command: Command
) -> None:
    connect(sandbox.sonarly_connection())
    assert command("check").status == 0
    shown = command("check", "--strict")
    assert shown.status == 1
    assert "Can't be determined: list: rows and pages; status words; status of one campaign; get of" in shown.stderr
    assert "Of 8 points 3 are as documented, 0 differ, 5 can't be determined." in shown.stderr
    sandbox.add_fault(Fault("unauthorized", count=None))
    shown = command("check")
    assert (shown.status, "HTTP 401" in shown.stderr) == (1, True)
