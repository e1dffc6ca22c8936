"""The page "Campaign shutdowns" shows what real runs have verified, and what they have not; needs Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_campaign import ui
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.calling_hours import daily
from tests.integration.sweep.runs import A_DAY, HOURS, MONDAY, Dag, on_monday

if Version(airflow_version) < Version("3.1"):
    pytest.skip("Airflow has no pages of plugins", allow_module_level=True)

from airflow_provider_campaign.ui.static_page import expected_ends

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="there is no Node")

FLORIDA = {**daily("UTC", ("09:00", "20:00")), "name": "Florida", "name_pattern": "FL-*"}
RULES = [FLORIDA, {**HOURS, "name": "others"}]

SCRIPT = """
import { readFileSync } from "node:fs";
import { spansOf, toSweepClosings } from "./sweep_closings.js";
import { toClosings } from "./closings.js";
import { toRun, withValue } from "./runs.js";

const { runs, ends, now } = JSON.parse(readFileSync("seen.json"));
const read = runs.map(({ instance, result }) => {
  const run = toRun(instance);
  return result ? withValue(run, JSON.stringify(result)) : { ...run, reading: "none" };
});
const known = ends.map((each) => ({ ...each, end: Date.parse(each.end), opens: Date.parse(each.opens) }));
const sweepClosings = toSweepClosings(read, spansOf(read, now), () => known, now);
const shown = toClosings(read, sweepClosings, "UTC").closings.map(({ end, rule, outcome, found }) =>
  [new Date(end).toISOString().slice(0, 13), rule, found, `${outcome.level}: ${outcome.words}`]);
console.log(JSON.stringify(shown));
"""


class Seen:
    """What Airflow's REST API returns of a DAG's runs."""

    def __init__(self, dag: Dag, clock: VirtualClock) -> None:
        self.dag = dag
        self.clock = clock
        self.runs: list[dict[str, Any]] = []

    def run(self, date: datetime, *, began: datetime | None = None, **arguments: Any) -> None:
        began = began or date
        outcome = self.dag.scheduled(date).attempt(at=began, **arguments)
        instance = {
            **{"id": str(len(self.runs)), "dag_id": "closing", "dag_run_id": date.isoformat(), "task_id": "sweep"},
            **{"map_index": -1, "try_number": 1, "state": outcome.state, "run_after": date.isoformat()},
            **{"start_date": began.isoformat(), "end_date": self.clock.date.isoformat(), "duration": 1.0},
            "rendered_fields": {"calling_hours": RULES, "dry_run": arguments.get("dry_run", False)},
        }
        self.runs.append({"instance": instance, "result": outcome.result})

    def closings(self, folder: Path) -> list[list[Any]]:
        """Return the closings of the page: end, rule, campaigns found, outcome; the newest first."""
        until = self.clock.date
        span = {"from": on_monday("00:00").isoformat(), "until": until.isoformat()}
        ends = expected_ends(json.dumps({"calling_hours": RULES, **span}).encode())
        seen = {"runs": self.runs, "ends": ends, "now": until.timestamp() * 1000}
        (folder / "seen.json").write_text(json.dumps(seen))
        for script in (Path(ui.__file__).parent / "static").glob("*.js"):
            shutil.copy(script, folder)
        (folder / "package.json").write_text('{"type": "module"}')
        (folder / "show.js").write_text(SCRIPT)
        assert NODE is not None
        done = subprocess.run([NODE, "show.js"], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_a_week_of_real_runs_shows_what_each_closing_was(
    campaign_sandbox: Sandbox, campaign_clock: VirtualClock, tmp_path: Path
) -> None:
    campaign_clock.change(MONDAY.timestamp() - campaign_clock.time())
    seen = Seen(Dag(campaign_clock, calling_hours=RULES, timeout=300), campaign_clock)

    def start(*names: str) -> None:
        for name in names:
            campaign_sandbox.add_campaign(f"{name}-{len(seen.runs)}", name=name)

    first = on_monday("19:30")
    seen.run(on_monday("10:00"))  # nothing is closed
    start("FL-1", "NY-1")
    seen.run(first)
    seen.run(first + timedelta(minutes=50))
    # On Tuesday there is no run.
    start("NY-2")
    seen.run(first + 2 * A_DAY, dry_run=True)
    seen.run(first + 2 * A_DAY + timedelta(minutes=60), dry_run=True)
    seen.run(first + 3 * A_DAY, began=first + 3 * A_DAY + timedelta(minutes=100))
    start("FL-3")
    campaign_sandbox.add_fault(Fault("error", action="stop", count=None))
    seen.run(first + 4 * A_DAY)
    campaign_clock.go_to(first + 5 * A_DAY)

    assert seen.closings(tmp_path) == [
        ["2027-02-05T21", "others", None, "bad: No evidence"],
        ["2027-02-05T20", "Florida", 1, "bad: 1 campaign not verified stopped"],
        ["2027-02-04T21", "others", 1, "warn: Late by 10 min, 1 campaign live at the end"],
        ["2027-02-04T20", "Florida", 0, "warn: Late by 1 h 10 min"],
        ["2027-02-03T21", "others", None, "warn: Dry run only: nothing was stopped"],
        ["2027-02-03T20", "Florida", None, "warn: Dry run only: nothing was stopped"],
        ["2027-02-02T21", "others", None, "bad: No evidence"],
        ["2027-02-02T20", "Florida", None, "bad: No evidence"],
        ["2027-02-01T21", "others", 1, "good: Verified in time"],
        ["2027-02-01T20", "Florida", 1, "good: Verified in time"],
    ]
