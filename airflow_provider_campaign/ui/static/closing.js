// One closing in full: its campaigns, its runs, their results.

import { element, foreign, linkTo } from "./dom.js";
import { labelOf } from "./overview.js";
import { campaignCell, csv, moment, outcome, row, small, table } from "./parts.js";
import { READINGS, outcomeOf } from "./runs.js";
import { campaignsCsv, formatDelay, orDash } from "./texts.js";

const CAMPAIGN_COLUMNS = ["Campaign", "Type", "Connection", "What", "Asked", "Confirmed", "Status", "Message"];
const SWEEP_COLUMNS = ["Sweep", "Verified", "Live at the end", "Outcome"];
const RUN_COLUMNS = ["Began", "Sweep", "Outcome", "#Found", "#Failed", "#Incidents", "#Requests", "Notes"];

const LISTS = {
  stopped: "stopped",
  already_stopped: "was stopped already",
  failed: "not verified stopped",
  live: "live (dry run)",
};

const word = (text) => foreign(orDash(text));

function campaignRow({ each, run }, closing, userZone) {
  const delay = each.confirmedAt !== null && closing.end !== null && each.confirmedAt - closing.end;
  const time = (value) => moment(value, closing.zone, userZone, { date: false });
  return row([
    campaignCell(each),
    word(each.type),
    word(run.result.connection),
    [LISTS[each.list], each.isIncident && element("small", { class: "incident" }, "◆ incident")],
    time(each.askedAt),
    [time(each.confirmedAt), delay !== false && small(formatDelay(delay))],
    word(each.status),
    word(each.message),
  ], each.list === "failed" ? "bad" : each.isIncident ? "warn" : "");
}

function sweepRow({ sweep, zone, verifiedAt, live, outcome: became }, userZone) {
  return row([
    foreign(sweep), moment(verifiedAt, zone, userZone), live.length ? live.map(campaignCell) : "–", outcome(became),
  ], became.level);
}

function notesOf({ result, reading, tryNumber, dryRun }) {
  const record = result?.record;
  return [
    tryNumber > 1 && `${tryNumber} tries${result && !result.hasEarlierTries ? "; this is what the last one did" : ""}`,
    dryRun && "dry run: nothing was stopped",
    result?.error && element("div", { class: "error" }, foreign(result.error)),
    result?.reason && ["reason: ", foreign(result.reason)],
    record?.path && ["record: ", foreign(String(record.path)), small(foreign(String(record.sha256 ?? "")))],
    READINGS[reading],
  ].filter(Boolean).map((note) => element("div", {}, note));
}

function pathOf(run) {
  const [dag, dagRun, task] = [run.dagId, run.runId, run.taskId].map(encodeURIComponent);
  return `dags/${dag}/runs/${dagRun}/tasks/${task}${run.mapIndex < 0 ? "" : `/mapped/${run.mapIndex}`}`;
}

function runRow(run, closing, userZone) {
  const { result } = run;
  const became = outcomeOf(run);
  const raw = run.raw !== null && element("details", {},
    element("summary", {}, "Record in full"),
    element("pre", { tabindex: "0" }, JSON.stringify(run.raw, null, 2)));
  return row([
    moment(run.at, closing.zone, userZone),
    [foreign(run.sweep), small(linkTo(pathOf(run), foreign(run.runId)))],
    outcome(became),
    result ? result.campaigns.length : "–",
    result ? result.campaigns.filter((each) => each.list === "failed").length : "–",
    result?.incidents ? result.incidents.length : "–",
    [orDash(result?.requests), result?.refused ? small(`${result.refused} rate-limited`) : null],
    [notesOf(run), raw],
  ], became.level);
}

function isQuiet({ result, reading, tryNumber, ...run }) {
  return run.state === "success" && reading === "read" && !run.dryRun && tryNumber <= 1 && !result.campaigns.length;
}

function facts(closing, userZone) {
  const pairs = [
    ["End of calling hours", moment(closing.end, closing.zone, userZone)],
    ["Last confirmed", [moment(closing.lastConfirmed, closing.zone, userZone), " ", formatDelay(closing.delay)]],
    ["Found", orDash(closing.found)],
    ["Failed", orDash(closing.failed)],
    ["Incidents", orDash(closing.incidents)],
    ["Runs", `${closing.runs.length}${closing.unread ? `, ${closing.unread} not read yet` : ""}`],
  ];
  return element("dl", {}, pairs.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

// A table of campaigns that were not stopped, each as the last run has seen it; nothing where there are none.
function others(caption, lastColumn, entries, valueOf) {
  const last = new Map(entries.map(({ each }) => [each.key, each]));
  const rows = [...last.values()].map((each) =>
    row([campaignCell(each), word(each.type), word(each.status), valueOf(each)]));
  return rows.length > 0 && table(caption, ["Campaign", "Type", "Status", lastColumn], rows);
}

export function closingInFull(closing, userZone) {
  const entries = (listsOf) =>
    closing.runs.filter((run) => run.result).flatMap((run) => listsOf(run.result).map((each) => ({ each, run })));
  const quiet = closing.runs.filter(isQuiet);
  const notable = closing.runs.filter((run) => !isQuiet(run));
  const runTable = (caption, runs) => table(caption, RUN_COLUMNS, runs.map((run) => runRow(run, closing, userZone)));
  return [
    element("p", {}, element("a", { href: "#" }, "← All closings")),
    element("h2", { tabindex: "-1", id: "closing" }, labelOf(closing, userZone)),
    element("p", {}, outcome(closing.outcome)),
    facts(closing, userZone),
    closing.sweeps.length > 0
      && table("Sweeps", SWEEP_COLUMNS, closing.sweeps.map((each) => sweepRow(each, userZone))),
    closing.entries.length
      ? table("Campaigns", CAMPAIGN_COLUMNS, closing.entries.map((each) => campaignRow(each, closing, userZone)))
      : element("p", {}, "No run has found a live campaign."),
    others("Live, but left out", "Left out by", entries((result) => result.excluded), (each) => word(each.excludedBy)),
    others("Live, and inside their calling hours", "Open until", entries((result) => result.openUntil), (each) =>
      moment(each.openUntil, closing.zone, userZone)),
    others("May start, by schedule or manually", "Starts", entries((result) => result.mayStart), (each) =>
      moment(each.startsAt, closing.zone, userZone)),
    notable.length > 0 && runTable("Runs", notable),
    quiet.length > 0 && element("details", {},
      element("summary", {}, `${quiet.length} runs found nothing live`),
      runTable("Runs that found nothing", quiet)),
    csv("campaigns", campaignsCsv(closing)),
  ];
}
