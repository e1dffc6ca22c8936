"""Records of a guard every five minutes: the size of one, the cost of the next, a month of them.

Run it with ``python -m benchmarks.records``; it takes a few minutes and needs no Airflow that runs. It writes
``results/records.json`` and the table in ``docs/benchmarks.md``. Commands are measured as processes of their own, with
all that they import.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.platforms.kore import KorePlatform
from airflow_provider_campaign.records.progress import Progress
from airflow_provider_campaign.records.record import RecordDraft
from airflow_provider_campaign.records.shape import canonical, sha256_of
from airflow_provider_campaign.records.store import RecordStore
from benchmarks.common.reporting import RESULTS, publish, table

ACCOUNTS, DAYS, A_DAY = 14, 30, 288
MEASURED = 100
WRITTEN = int(os.environ.get("WRITTEN", 10_000))
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
RULE = {"frequency": "DAILY", "timezone": "America/New_York", "start": "9:00 AM", "end": "9:00 PM"}
HOURS = CallingRules.read(RULE).rules[0]
RULES = [{"name": f"rule-{number}", "name_pattern": f"R{number}-*", **RULE} for number in range(4)]
RULES.append({"name": "others", **RULE})


def draft(account: int, number: int) -> RecordDraft:
    """Return what is known of the run of an account, by its number in the month."""
    date = FIRST + timedelta(minutes=5 * number)
    run = {"dag_id": f"guard_{account}", "run_id": f"scheduled__{date.isoformat()}", "task_id": "stop_everything"}
    tries = {"map_index": -1, "try_number": 1, "logical_date": date.isoformat()}
    scope = {"campaign_types": ["sms", "voice"], "statuses": ["Active", "Preparing", "Rerun"], "dry_run": False}
    ids = f"st-00000000-0000-0000-0000-{account:012}", f"{account:024x}"
    platform = KorePlatform("cs-1", *ids, "HS256", "airflow", "a secret")
    return RecordDraft(
        *("sweep", {**run, **tries}, date.timestamp() + 3.2, f"account_{account}", platform, scope),
        *("Calling hours are over", HOURS.last_end(date), RULE["timezone"]),
    )


def record(account: int, number: int, rules: CallingRules) -> dict[str, Any]:
    """Return the record of a run that found nothing: the first one in closed hours has verified the ends."""
    known = draft(account, number)
    at = datetime.fromtimestamp(known.began_at, UTC)
    verified = {"verified_at": (at + timedelta(seconds=1.3)).isoformat(), "live_at_end": []}
    ended = rules.ends(at - timedelta(minutes=5), at)
    closings = [{"rule": rule.name, "end": end.isoformat(), **verified} for rule, end in ended]
    return known.record(Progress(closings=closings, requests=2), known.began_at + 1.4, "success")


def month(folder: Path, rules: CallingRules, accounts: int, runs: int = DAYS * A_DAY) -> Iterator[int]:
    """Write the records of a month, without @chain, and yield their sizes."""
    for account in range(accounts):
        previous = None
        for number in range(runs):
            each = record(account, number, rules)
            content = canonical({**each, "previous": previous})
            path = f"{each['run']['dag_id']}/{each['run']['run_id']}/stop_everything.try1.json".replace(":", "%3A")
            path = path.replace("+", "%2B")
            (folder / path).parent.mkdir(parents=True)
            (folder / path).write_bytes(content)
            previous = {"path": path, "sha256": sha256_of(content)}
            yield len(content)


def written(folder: Path, rules: CallingRules) -> dict[str, float]:
    """Return how long a write takes, in milliseconds: the first ones, and those after many on the same connection."""
    store, seconds = RecordStore(f"file://{folder}"), []
    for number in range(WRITTEN + MEASURED):
        each = record(0, number, rules)
        began = time.perf_counter()
        store.write(each)
        seconds.append(time.perf_counter() - began)
    first, last = seconds[1:MEASURED], seconds[-MEASURED:]
    return {
        "first writes (ms)": round(1000 * statistics.median(first), 1),
        f"writes after {WRITTEN:,} (ms)": round(1000 * statistics.median(last), 1),
        f"slowest of {MEASURED} after {WRITTEN:,} (ms)": round(1000 * max(last), 1),
    }


def command(*arguments: str) -> dict[str, float]:
    """Return what a command takes: seconds, CPU seconds and the most memory (MB)."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    code = f"from airflow_provider_campaign.__main__ import main; main({arguments!r})"
    code = (
        f"try:\n  {code}\nfinally:\n  import resource, sys\n  print(resource.getrusage(0).ru_maxrss, file=sys.stderr)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    *lines, kilobytes = process.stderr.decode().strip().splitlines()
    print("\n".join(lines[-4:]))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "CPU seconds": round(cpu, 1),
        "MB": round(int(kilobytes) / 1024),
        "status": process.returncode,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    accounts = parser.parse_args().accounts
    load = os.getloadavg()[0]
    with TemporaryDirectory() as name:
        folder = Path(name)
        one = CallingRules.read(RULE)
        writes = written(folder / "written", one)
        day = sorted(month(folder / "day", CallingRules.read(RULES), 1, A_DAY))
        sizes = {"a run that found nothing (bytes)": day[-2], "the one that verified five ends (bytes)": day[-1]}
        month_sizes = list(month(folder / "month", CallingRules.read(RULES), accounts))
        hours = folder / "hours.json"
        hours.write_text(json.dumps(RULES))
        options = [f"--calling-hours=account_{account}={hours}" for account in range(accounts)]
        path = f"file://{folder}/month"
        commands = {
            "closings": command("closings", path, *options, "--from", "2026-11-02", "--to", "2026-11-29"),
            "closings --html": command(
                "closings", path, *options, "--from", "2026-11-02", "--to", "2026-11-29", "--html"
            ),
            "records": command("records", path, "--from", "2026-11-30"),
        }
    written_month = {"records": len(month_sizes), "bytes": sum(month_sizes)}
    result = {"load": load, **writes, **sizes, "month": written_month, "commands": commands}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "records.json").write_text(json.dumps(result, indent=2) + "\n")
    head = ("command", "records", "seconds", "CPU seconds", "MB")
    rows = [
        (f"`{name}`", f"{len(month_sizes):,}", each["seconds"], each["CPU seconds"], each["MB"])
        for name, each in commands.items()
    ]
    figures = [(name, value) for name, value in {**writes, **sizes}.items()]
    publish("records", table(head, rows) + "\n" + table(("one record", ""), figures))


if __name__ == "__main__":
    main()
