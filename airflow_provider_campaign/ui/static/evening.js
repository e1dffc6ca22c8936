// One evening in full: its campaigns, its runs, their results.

import { element, foreign, linkTo } from "./dom.js";
import { labelOf } from "./overview.js";
import { campaignCell, csv, moment, outcome, row, small, table } from "./parts.js";
import { outcomeOf } from "./runs.js";
import { campaignsCsv, formatDelay, orDash } from "./texts.js";

const CAMPAIGN_COLUMNS = ["Campaign", "Type", "Connection", "What", "Asked", "Confirmed", "Status", "Message"];
const RUN_COLUMNS = ["Began", "Sweep", "Outcome", "#Found", "#Failed", "#Incidents", "#Requests", "Notes"];

const READINGS = {
  unread: "not read yet",
  none: "no result",
  forbidden: "you may not read XComs of this DAG",
  unreadable: "not a sweep's result",
  failed: "could not be read",
};

const LISTS = {
  stopped: "stopped",
  already_stopped: "was stopped already",
  failed: "not verified stopped",
  live: "live (dry run)",
};

const word = (text) => foreign(orDash(text));

function campaignRow({ each, run }, evening, userZone) {
  const delay = each.confirmedAt !== null && evening.windowEnd !== null && each.confirmedAt - evening.windowEnd;
  const time = (value) => moment(value, evening.zone, userZone, { date: false });
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

function runRow(run, evening, userZone) {
  const { result } = run;
  const became = outcomeOf(run);
  const raw = run.raw !== null && element("details", {},
    element("summary", {}, "Record in full"),
    element("pre", { tabindex: "0" }, JSON.stringify(run.raw, null, 2)));
  return row([
    moment(run.at, evening.zone, userZone),
    [foreign(run.sweep), small(linkTo(pathOf(run), foreign(run.runId)))],
    outcome(became),
    result ? result.campaigns.length : "–",
    result ? result.campaigns.filter((each) => each.list === "failed").length : "–",
    result?.incidents ? result.incidents.length : "–",
    [orDash(result?.requests), result?.refused ? small(`${result.refused} refused`) : null],
    [notesOf(run), raw],
  ], became.level);
}

function isQuiet({ result, reading, tryNumber, ...run }) {
  const isGood = outcomeOf({ ...run, result, reading }).level === "good" && reading === "read" && tryNumber <= 1;
  return isGood && !result.campaigns.length;
}

function facts(evening, userZone) {
  const pairs = [
    ["Window end", moment(evening.windowEnd, evening.zone, userZone)],
    ["Last confirmed", [moment(evening.lastConfirmed, evening.zone, userZone), " ", formatDelay(evening.delay)]],
    ["Found", orDash(evening.found)],
    ["Failed", orDash(evening.failed)],
    ["Incidents", orDash(evening.incidents)],
    ["Runs", `${evening.runs.length}${evening.unread ? `, ${evening.unread} not read yet` : ""}`],
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

export function eveningInFull(evening, userZone) {
  const entries = (listsOf) =>
    evening.runs.filter((run) => run.result).flatMap((run) => listsOf(run.result).map((each) => ({ each, run })));
  const campaigns = entries((result) => result.campaigns);
  const quiet = evening.runs.filter(isQuiet);
  const telling = evening.runs.filter((run) => !isQuiet(run));
  const runTable = (caption, runs) => table(caption, RUN_COLUMNS, runs.map((run) => runRow(run, evening, userZone)));
  return [
    element("p", {}, element("a", { href: "#" }, "← All evenings")),
    element("h2", { tabindex: "-1", id: "evening" }, labelOf(evening, userZone)),
    element("p", {}, outcome(evening.outcome)),
    facts(evening, userZone),
    campaigns.length
      ? table("Campaigns", CAMPAIGN_COLUMNS, campaigns.map((each) => campaignRow(each, evening, userZone)))
      : element("p", {}, "No run has found a live campaign."),
    others("Live, but left out", "Left out by", entries((result) => result.excluded), (each) => word(each.excludedBy)),
    others("May start, by itself or by hand", "Starts", entries((result) => result.mayStart), (each) =>
      moment(each.startsAt, evening.zone, userZone)),
    telling.length > 0 && runTable("Runs", telling),
    quiet.length > 0 && element("details", {},
      element("summary", {}, `${quiet.length} runs found nothing live`),
      runTable("Runs that found nothing", quiet)),
    csv("campaigns", campaignsCsv(evening)),
  ];
}
