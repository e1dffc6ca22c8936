"""
The commands and their arguments. Every ``airflow`` command imports this module (Airflow 3.2 and later), so that it
imports nothing but Airflow's own parser classes.
"""

from __future__ import annotations

from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ARG_YES, ActionCommand, Arg, GroupCommand, lazy_load_command

_COMMANDS = f"{__package__}.commands"

_CAMPAIGN_ID = Arg(("campaign_id",), metavar="CAMPAIGN_ID", help="The campaign's id on its platform")
_CONN_ID = Arg(
    ("--conn-id",),
    action="append",
    metavar="CONN_ID",
    help="The connection id (default: campaign_default; for records, all); live, watch, stop-active and records take "
    "several",
)
_CAMPAIGN_TYPE = Arg(("--campaign-type",), metavar="TYPE", help="sms or voice, if the platform has types")
_TYPES = Arg(("--campaign-types",), metavar="TYPES", default="sms,voice", help="Those to stop (default: sms,voice)")
_LIVE = "Active,Preparing,Rerun"
_STATUSES = Arg(("--statuses",), metavar="STATUSES", default=_LIVE, help=f"Those that are live (default: {_LIVE})")
_NAME_PATTERN = Arg(("--name-pattern",), metavar="PATTERN", help="Only campaigns whose name matches, with * ? and […]")
_TIMEOUT = Arg(("--timeout",), metavar="SECONDS", default="900", help="When to time out (default: 900)")
_DRY_RUN = Arg(("--dry-run",), action="store_true", help="List what would be stopped, and stop nothing")
_RECORDS_PATH = Arg(
    ("--records-path",),
    metavar="PATH",
    help="Where to keep the record, for example s3://aws_default@bucket/records or file:///records "
    "(default: [campaign] records_path of Airflow's configuration)",
)
_FAIL_IF_ANY = Arg(("--fail-if-any",), action="store_true", help="Exit status 1 if a campaign is live")
_KEPT_AT = Arg(("--records-path",), metavar="PATH", help="Where records are; without it none is looked for")
_NEWEST_RECORD = Arg(("--newest-record",), metavar="SECONDS", help="How old an account's newest record may be")
_REASON = Arg(("--reason",), metavar="TEXT", help="Why, for the record")

_CHECKED = Arg(("--campaign-id",), metavar="CAMPAIGN_ID", help="The campaign to look at closely (default: any)")
_ALLOW_STOP = Arg(("--allow-stop",), action="store_true", help="Stop that campaign, or try an unknown id")
_STRICT = Arg(("--strict",), action="store_true", help="Exit status 1 also if a point can't be determined")
_SAVE = Arg(("--save",), metavar="FILE", help="Write what was seen as JSON, without ids, names, and texts")

_READ_PATH = Arg(("records_path",), metavar="RECORDS_PATH", help="For example s3://aws_default@bucket/records")
_SINCE = Arg(("--from",), dest="since", metavar="DATE", help="Only this day or later, in the calling hours' time zone")
_UNTIL = Arg(("--to",), dest="until", metavar="DATE", help="Only this day or earlier, in the calling hours' time zone")
_EXPECT = Arg(
    ("--expect",), action="append", metavar="SHA256", help="A hash that a run has logged; its record must be there"
)
_CSV = Arg(("--csv",), action="store_true", help="Print CSV; of records a line for each campaign")
_HTML = Arg(("--html",), action="store_true", help="Print one page of HTML, whole in itself")
_MONTH = Arg(("--month",), metavar="MONTH", help="For example 2026-11, in the local time of the calling hours")
_CALLING_HOURS = Arg(
    ("--calling-hours",),
    action="append",
    metavar="[CONN_ID=]FILE",
    help="A YAML or JSON file with the calling hours of an account, or of those of --conn-id; repeatable",
)

_SCOPE = (_TYPES, _STATUSES, _NAME_PATTERN)
_RECORD = (_REASON, _RECORDS_PATH)
_READING = (_READ_PATH, _SINCE, _UNTIL, _EXPECT, _CSV, _HTML)
_CLOSINGS = (_READ_PATH, _CALLING_HOURS, _MONTH, _SINCE, _UNTIL, _CSV, _HTML)
_COMMON = (_CONN_ID, ARG_OUTPUT, ARG_VERBOSE)

_EXIT_STATUS = (
    "Exit status 0: done and verified. 1: something is not verified stopped, or could not be read (stderr says what). "
    "2: an argument or a connection is wrong, and nothing was sent."
)


def _command(name: str, summary: str, *args: Arg) -> ActionCommand:
    func = lazy_load_command(f"{_COMMANDS}.{name.replace('-', '_')}")
    return ActionCommand(name, summary, func, (*args, *_COMMON), summary, _EXIT_STATUS)


def get_commands() -> list[GroupCommand]:
    """Return the group ``campaigns``."""
    watch = (
        "Look for campaigns that are live although closed (exit status 3), and for ends of calling hours without a "
        "record (4), over one or several accounts; needs no part of Airflow running"
    )
    live = "List live campaigns, over one or several accounts"
    stop = "Stop one campaign, and wait until it is verified"
    stop_active = "Stop all live campaigns, over one or several accounts, and verify it"
    check = "Compare a live account with the documented API; it only reads, unless --allow-stop"
    commands = (
        _command("live", live, *_SCOPE, _FAIL_IF_ANY, _TIMEOUT),
        _command("watch", watch, _CALLING_HOURS, _KEPT_AT, _NEWEST_RECORD, *_SCOPE, _TIMEOUT),
        _command("status", "Show the status of one campaign", _CAMPAIGN_ID, _TIMEOUT),
        _command("stop", stop, _CAMPAIGN_ID, _CAMPAIGN_TYPE, *_RECORD, _TIMEOUT),
        _command("stop-active", stop_active, *_SCOPE, _DRY_RUN, *_RECORD, ARG_YES, _TIMEOUT),
        _command("check", check, _CHECKED, _CAMPAIGN_TYPE, _ALLOW_STOP, _STRICT, _SAVE, _TIMEOUT),
        _command("closings", "List every end of calling hours, and what records show of it", *_CLOSINGS),
        _command("records", "List and verify the records below a path", *_READING),
    )
    return [GroupCommand("campaigns", "See and stop outreach campaigns", commands)]
