"""
The commands and their arguments. Every ``airflow`` command imports this module (Airflow 3.2 and later), so that it
imports nothing but Airflow's own parser classes.
"""

from __future__ import annotations

from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ARG_YES, ActionCommand, Arg, GroupCommand, lazy_load_command

LIVE = "Active,Preparing,Rerun"

CAMPAIGN_ID = Arg(("campaign_id",), metavar="CAMPAIGN_ID", help="The campaign's id on its platform")
CAMPAIGN_TYPE = Arg(("--campaign-type",), metavar="TYPE", help="sms or voice, if the platform has types")
CONN_ID = Arg(
    ("--conn-id",),
    action="append",
    metavar="CONN_ID",
    help="The connection id (default: campaign_default; for records, all); live, watch, stop-active and records take "
    "several",
)
TIMEOUT = Arg(("--timeout",), metavar="SECONDS", default="900", help="When to time out (default: 900)")
SCOPE = (
    Arg(("--campaign-types",), metavar="TYPES", default="sms,voice", help="Those to stop (default: sms,voice)"),
    Arg(("--statuses",), metavar="STATUSES", default=LIVE, help=f"Those that are live (default: {LIVE})"),
    Arg(("--name-pattern",), metavar="PATTERN", help="Only campaigns whose name matches, with * ? and […]"),
)
DRY_RUN = Arg(("--dry-run",), action="store_true", help="List what would be stopped, and stop nothing")
FAIL_IF_ANY = Arg(("--fail-if-any",), action="store_true", help="Exit status 1 if a campaign is live")
RECORD = (
    Arg(("--reason",), metavar="TEXT", help="Why, for the record"),
    Arg(
        ("--records-path",),
        metavar="PATH",
        help="Where to keep the record, for example s3://aws_default@bucket/records or file:///records "
        "(default: [campaign] records_path of Airflow's configuration)",
    ),
)
CHECK = (
    Arg(("--campaign-id",), metavar="CAMPAIGN_ID", help="The campaign to look at closely (default: any)"),
    Arg(("--allow-stop",), action="store_true", help="Stop that campaign, or try an unknown id"),
    Arg(("--strict",), action="store_true", help="Exit status 1 also if a point can't be determined"),
    Arg(("--save",), metavar="FILE", help="Write what was seen as JSON, without ids, names, and texts"),
)
CALLING_HOURS = Arg(
    ("--calling-hours",),
    action="append",
    metavar="[CONN_ID=]FILE",
    help="A YAML or JSON file with the calling hours of an account, or of those of --conn-id; repeatable",
)
WATCH = (
    Arg(("--records-path",), metavar="PATH", help="Where records are; without it none is looked for"),
    Arg(("--newest-record",), metavar="SECONDS", help="How old an account's newest record may be"),
)
READ_PATH = Arg(("records_path",), metavar="RECORDS_PATH", help="For example s3://aws_default@bucket/records")
MONTH = Arg(("--month",), metavar="MONTH", help="For example 2026-11, in the local time of the calling hours")
DAYS_AND_STYLE = (
    Arg(("--from",), dest="since", metavar="DATE", help="Only this day or later, in the calling hours' time zone"),
    Arg(("--to",), dest="until", metavar="DATE", help="Only this day or earlier, in the calling hours' time zone"),
    Arg(("--csv",), action="store_true", help="Print CSV; of records a line for each campaign"),
    Arg(("--html",), action="store_true", help="Print one page of HTML, whole in itself"),
)
EXPECT = Arg(
    ("--expect",), action="append", metavar="SHA256", help="A hash that a run has logged; its record must be there"
)

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
        _command("live", "sweeps", live, *SCOPE, FAIL_IF_ANY, TIMEOUT),
        _command("watch", "watch", watch, CALLING_HOURS, *WATCH, *SCOPE, TIMEOUT),
        _command("status", "campaign", status, CAMPAIGN_ID, TIMEOUT),
        _command("stop", "campaign", stop, CAMPAIGN_ID, CAMPAIGN_TYPE, *RECORD, TIMEOUT),
        _command("stop-active", "sweeps", stop_active, *SCOPE, DRY_RUN, *RECORD, ARG_YES, TIMEOUT),
        _command("check", "check", check, CAMPAIGN_TYPE, *CHECK, TIMEOUT),
        _command("closings", "reports", closings, READ_PATH, CALLING_HOURS, MONTH, *DAYS_AND_STYLE),
        _command("records", "reports", records, READ_PATH, EXPECT, *DAYS_AND_STYLE),
    )
    return [GroupCommand("campaigns", "See and stop outreach campaigns", commands)]
