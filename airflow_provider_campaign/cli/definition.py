"""
The commands and their arguments. Every ``airflow`` command imports this module (Airflow 3.2 and later), so that it
imports nothing but Airflow's own parser classes.
"""

from __future__ import annotations

import datetime
from typing import Any

from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ARG_YES, ActionCommand, Arg, GroupCommand, lazy_load_command

LIVE = "Active,Preparing,Rerun"


def _option(name: str, metavar: str, text: str, **more: Any) -> Arg:
    return Arg((name,), metavar=metavar, help=text, **more)


def _flag(name: str, text: str) -> Arg:
    return Arg((name,), action="store_true", help=text)


def date(text: str) -> datetime.date:
    """Read a day; the parser's error has this function's name."""
    return datetime.date.fromisoformat(text)


def month(text: str) -> datetime.date:
    """Read a month, and return its first day."""
    return datetime.date.fromisoformat(f"{text}-01")


CAMPAIGN_ID = _option("campaign_id", "CAMPAIGN_ID", "The campaign's id on its platform")
CAMPAIGN_TYPE = _option("--campaign-type", "TYPE", "sms or voice, if the platform has types")
CONN_IDS = "default: campaign_default; for records, all; live, watch, stop-active and records take several"
CONN_ID = _option("--conn-id", "CONN_ID", f"The connection id ({CONN_IDS})", action="append")
TIMEOUT = _option("--timeout", "SECONDS", "When to time out (default: 900)", default="900")
SCOPE = (
    _option("--campaign-types", "TYPES", "Those to stop (default: sms,voice)", default="sms,voice"),
    _option("--statuses", "STATUSES", f"Those that are live (default: {LIVE})", default=LIVE),
    _option("--name-pattern", "PATTERN", "Only campaigns whose name matches, with * ? and […]"),
)
FAIL_IF_ANY = _flag("--fail-if-any", "Exit status 1 if a campaign is live")
DRY_RUN = _flag("--dry-run", "List what would be stopped, and stop nothing")
DEFAULT_PATH = "default: [campaign] records_path of Airflow's configuration"
RECORD = (
    _option("--reason", "TEXT", "Why, for the record"),
    _option("--records-path", "PATH", f"Where to keep the record, for example file:///records ({DEFAULT_PATH})"),
)
CHECK = (
    _option("--campaign-id", "CAMPAIGN_ID", "The campaign to look at closely (default: any)"),
    _flag("--allow-stop", "Stop that campaign, or try an unknown id"),
    _flag("--strict", "Exit status 1 also if a point can't be determined"),
    _option("--save", "FILE", "Write what was seen as JSON, without ids, names, and texts"),
)
HOURS = "A YAML or JSON file with the calling hours of an account, or of those of --conn-id; repeatable"
CALLING_HOURS = _option("--calling-hours", "[CONN_ID=]FILE", HOURS, action="append")
WATCH = (
    _option("--records-path", "PATH", "Where records are; without it none is looked for"),
    _option("--newest-record", "SECONDS", "How old an account's newest record may be"),
)
READ_PATH = _option("records_path", "RECORDS_PATH", "For example s3://aws_default@bucket/records")
MONTH = _option("--month", "MONTH", "For example 2026-11, in the local time of the calling hours", type=month)
DAYS_AND_STYLE = (
    _option("--from", "DATE", "Only this day or later, in the calling hours' time zone", dest="since", type=date),
    _option("--to", "DATE", "Only this day or earlier, in the calling hours' time zone", dest="until", type=date),
    _flag("--csv", "Print CSV; of records a line for each campaign"),
    _flag("--html", "Print one page of HTML that needs nothing else"),
)
EXPECT = _option("--expect", "SHA256", "A hash that a run has logged; its record must be there", action="append")

EXIT_STATUS = (
    "Exit status 0: done and verified. 1: something is not verified stopped, or could not be read (stderr says what). "
    "2: an argument or a connection is wrong, and nothing was sent."
)


def _command(name: str, module: str, summary: str, *args: Arg) -> ActionCommand:
    """Return a command, whose function has its name in a module of this folder."""
    func = lazy_load_command(f"{__package__}.{module}.{name.replace('-', '_')}")
    return ActionCommand(name, summary, func, (*args, CONN_ID, ARG_OUTPUT, ARG_VERBOSE), summary, EXIT_STATUS)


def get_commands() -> list[GroupCommand]:
    """Return the group ``campaigns``."""
    live = "List live campaigns, over one or several accounts"
    watch = (
        "Look for campaigns that are live although closed (exit status 3), and for ends of calling hours without a "
        "record (4), over one or several accounts; needs no part of Airflow running"
    )
    status = "Show the status of one campaign"
    stop = "Stop one campaign, and wait until it is verified"
    stop_active = "Stop all live campaigns, over one or several accounts, and verify it"
    check = "Compare a live account with the documented API; it only reads, unless --allow-stop"
    closings = "List every end of calling hours, and what records show of it"
    records = "List and verify the records below a path"
    commands = (
        _command("live", "campaigns", live, *SCOPE, FAIL_IF_ANY, TIMEOUT),
        _command("watch", "reports", watch, CALLING_HOURS, *WATCH, *SCOPE, TIMEOUT),
        _command("status", "campaigns", status, CAMPAIGN_ID, TIMEOUT),
        _command("stop", "campaigns", stop, CAMPAIGN_ID, CAMPAIGN_TYPE, *RECORD, TIMEOUT),
        _command("stop-active", "campaigns", stop_active, *SCOPE, DRY_RUN, *RECORD, ARG_YES, TIMEOUT),
        _command("check", "check", check, CAMPAIGN_TYPE, *CHECK, TIMEOUT),
        _command("closings", "reports", closings, READ_PATH, CALLING_HOURS, MONTH, *DAYS_AND_STYLE),
        _command("records", "reports", records, READ_PATH, EXPECT, *DAYS_AND_STYLE),
    )
    return [GroupCommand("campaigns", "See and stop outreach campaigns", commands)]
