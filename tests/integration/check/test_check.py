"""The contract check: nothing to say of a platform that is as documented, and each difference of one that is not."""

from __future__ import annotations

import json
import re
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
from airflow_provider_campaign.sandbox import Fault, Sandbox, SandboxConfig
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.accounts import client_of
from tests.commands import Command
from tests.fragile import fragile, unforeseen_id
from tests.kinds import Connect
from tests.scripted_transport import ScriptedTransport, SentRequest, response
from tests.secrets_guard import leak_in
from tests.servers import LocalServer, Reply, Sent

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
    """Return the rows of a check, and its report."""
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


Differ = Callable[[Sandbox], Any]
DIFFERENCES: Mapping[str, tuple[Differ, str]] = {
    "list of sms: rows and pages": (lambda account: plan(account, "unreadable_row"), "can't be read"),
    "list of voice: rows and pages": (
        lambda account: plan(account, "contradiction", skip=4, how="short"),
        "contradicts itself",
    ),
    "list of sms: filter": (lambda account: configure(account, ignore_filters=True), "with Active it lists Stopped"),
    "list of sms: order": (lambda account: configure(account, ignore_sort=True), "in another order"),
    "status words": (undocumented_word, "not documented: Winding"),
    "status of one campaign": (lambda account: plan(account, "html_ok", action="status"), "HTTP 200"),
    "get of one campaign": (lambda account: plan(account, "failure", action="get"), "Something went wrong"),
    "calling hours": (unreadable_hours, "timezone is 'EST'"),
    "an unknown id": (lambda account: plan(account, "bad_request", campaign_id=UNKNOWN_ID), "HTTP 400"),
    "rate-limit headers": (lambda account: configure(account, rate_limit_headers=True), "x-ratelimit-remaining"),
    "clock": (lambda account: configure(account, clock_offset=240), "+2"),
}


def plan(account: Sandbox, kind: str, skip: int = 0, **options: Any) -> None:
    account.add_fault(Fault(kind, count=None, skip=skip, **options))


def configure(account: Sandbox, **settings: Any) -> None:
    for name, value in settings.items():
        setattr(account.config, name, value)


@pytest.mark.parametrize("subject", DIFFERENCES)
def test_each_difference_is_found_and_named(connect: Connect, account: Sandbox, subject: str) -> None:
    differ, text = DIFFERENCES[subject]
    differ(account)
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
        plan(account, "forbidden", action="stop")
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
    configure(account, ignore_sort=True, rate_limit_headers=True)
    undocumented_word(account)
    rows, report = check(connect, account, name)
    assert check_again(json.loads(json.dumps(report))) == verdicts(rows)


@pytest.mark.parametrize("file", sorted(REPORTS.glob("*.json")), ids=lambda file: file.stem)
def test_every_account_that_was_reported_is_read_as_it_was_then(file: Path) -> None:
    """Points that a check had not at the time are left out."""
    report = json.loads(file.read_text())
    then = {row["subject"]: row["verdict"] for row in report["rows"]}
    assert {subject: verdict for subject, verdict in check_again(report).items() if subject in then} == then


PRIVATE = "call +4915112345678 or mail ann@example.com about"
"""What a hostile gateway puts wherever it can, before ids and secrets that it has seen."""


class Gateway:
    """A server that echoes what it was sent, in headers, keys and values, of documented fields and others."""

    def __init__(self, config: SandboxConfig, secret: str) -> None:
        ids = (config.iid, config.account_id, config.client_id, config.account_group_id, "id-of-Ann")
        self.private = [PRIVATE, "15112345678", "ann@example.com", *ids, secret]

    def __call__(self, sent: Sent) -> Reply:
        told = " ".join([*self.private, sent.target, *sent.headers.values()])
        texts = {key: told for key in (*HARMLESS, *KEPT_KEYS, *STAND_INS, told) if key not in ("data", "success")}
        row = {**texts, "id": "id-of-Ann", "status": "Active", "extra": {told: told}, "totalResults": 4915112345678}
        row["callingHours"] = {"frequency": told, "timezone": told, "days": [{"day": told, "start": told, "end": told}]}
        data = {**row, "results": [row], "items": [row], "hasMore": False, "nextCursor": None, "campaign": row}
        document: dict[str, Any] = {**texts, "status": "success", "success": True, "error": None, "errors": []}
        document["data"] = data
        names = ("Date", "Server", "Retry-After", "X-RateLimit-Limit", f"X-{ids_of(told)}", f"X-Quota-{ids_of(told)}")
        headers = {"Content-Type": f"application/json; x={told}", **dict.fromkeys(names, told)}
        return Reply(json.dumps(document).encode(), 200, headers)


def ids_of(text: str) -> str:
    """Return a text as it can be a header's name."""
    return re.sub(r"[^\w-]", "-", text)


@pytest.mark.parametrize("name", ["v2", "sonarly"])
def test_a_report_of_a_gateway_that_echoes_everything_holds_none_of_it(
    connect: Connect, account: Sandbox, name: str, tmp_path: Path, command: Command
) -> None:
    connection = account.sonarly_connection() if name == "sonarly" else account.kore_connection(name)
    gateway = Gateway(account.config, connection["password"])
    file = tmp_path / "report.json"
    with LocalServer(gateway) as server:
        connect({**connection, "host": server.url}, "secret_customer")
        assert command("check", "--conn-id", "secret_customer", "--save", str(file)).status == 1
    text = file.read_text()
    assert json.loads(text)["exchanges"]
    for private in (*gateway.private, *map(ids_of, gateway.private), "secret_customer"):
        assert private not in text
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


@pytest.mark.parametrize("arguments", [("--campaign-id", "a/b"), ("--save", "/nowhere/at/all"), ("--timeout", "soon")])
def test_a_wrong_argument_is_refused_before_anything_is_sent(
    connect: Connect, account: Sandbox, arguments: tuple[str, ...], command: Command
) -> None:
    connect(account.kore_connection())
    assert command("check", *arguments).status == 2
    assert account.requests == []
    plan(account, "unauthorized")
    shown = command("check")
    assert (shown.status, "HTTP 401" in shown.stderr) == (1, True)
