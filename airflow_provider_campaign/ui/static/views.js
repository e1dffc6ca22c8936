// What is seen: the table of evenings, one evening in full, messages.

import { element, foreign, canDownload, linkTo } from "./dom.js";
import { outcomeOf } from "./runs.js";
import { campaignsCsv, eveningsCsv, formatDelay, formatTime, orDash } from "./texts.js";
import { plot } from "./plot.js";

const MARKS = { good: "✓", warn: "!", bad: "✕", busy: "…", none: "·" };
const READINGS = {
  unread: "not read yet",
  none: "no result",
  forbidden: "you may not read XComs of this DAG",
  unreadable: "not a sweep's result",
  failed: "could not be read",
};
const LISTS = { stopped: "stopped", already_stopped: "was stopped already", failed: "not verified stopped", live: "live (dry run)" };

const outcome = ({ level, words }) => element("span", { class: `outcome ${level}` }, element("span", { "aria-hidden": "true" }, MARKS[level]), ` ${words}`);

function table(caption, heads, rows, attributes = {}) {
  const head = heads.map((each) => element("th", { scope: "col", class: each.startsWith("#") ? "number" : null }, each.replace("#", "")));
  return element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    element("table", attributes, element("caption", {}, caption), element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows)));
}

const cells = (values) => values.map((value) => element("td", { class: typeof value === "number" ? "number" : null }, typeof value === "number" ? String(value) : value));

// A time in the window's zone, and in the user's where that differs.
function moment(time, zone, userZone, options) {
  if (time === null) return "–";
  const own = zone ?? userZone;
  const texts = [`${formatTime(time, own, options)}`, formatTime(time, userZone, options)];
  return element("span", {}, texts[0], texts[0] === texts[1] ? null : element("small", {}, `${texts[1]} ${userZone}`));
}

export function labelOf(evening, userZone) {
  const zone = evening.zone ?? userZone;
  if (evening.windowEnd === null) return evening.key;
  return `${formatTime(evening.windowEnd, zone, { seconds: false })} ${zone}`;
}

export const addressOf = (evening) => `#evening=${encodeURIComponent(evening.key)}`;

function eveningRow(evening, userZone) {
  const { outcome: word, windowEnd, lastConfirmed, runs, unread } = evening;
  const zone = evening.zone ?? userZone;
  const named = windowEnd === null ? evening.key : formatTime(windowEnd, zone, { seconds: false });
  const elsewhere = windowEnd !== null && zone !== userZone && `${formatTime(windowEnd, userZone, { seconds: false })} ${userZone}`;
  const confirmed = lastConfirmed === null ? "–" : [moment(lastConfirmed, evening.zone, userZone, { date: false }), element("small", {}, formatDelay(evening.delay))];
  return element("tr", { class: word.level },
    element("th", { scope: "row" }, element("a", { href: addressOf(evening) }, named),
      element("small", {}, windowEnd !== null ? zone : evening.found === null ? "end not known" : "no calling hours"), elsewhere && element("small", {}, elsewhere)),
    element("td", {}, confirmed),
    [evening.found, evening.failed].map((value) => element("td", { class: "number" }, orDash(value))),
    element("td", { class: evening.incidents ? "number incident" : "number" }, evening.incidents ? `◆ ${evening.incidents}` : orDash(evening.incidents),
      unread > 0 && evening.incidents !== null && element("small", {}, "so far")),
    element("td", { class: "number" }, String(runs.length), unread ? element("small", {}, `${runs.length - unread} read`) : null),
    element("td", {}, outcome(word)));
}

export function overview(evenings, { userZone, onReadAll }) {
  const unread = evenings.reduce((sum, each) => sum + each.unread, 0);
  const dayOf = (each) => formatTime(each.time, each.zone ?? userZone).slice(0, 6);
  const select = (each) => { location.hash = addressOf(each); };
  const picture = element("figure", {},
    element("figcaption", { id: "plot-title" }, `From the end of the window until the last campaign is confirmed stopped: ${evenings.length} ${evenings.length === 1 ? "evening" : "evenings"}`),
    plot(evenings, { labelOf: (each) => labelOf(each, userZone), dayOf, onSelect: select }),
    element("p", { class: "legend" }, element("span", { class: "good" }, "▮ verified stopped"), element("span", { class: "warn" }, "▮ with a warning"), element("span", { class: "bad" }, "✕ not verified"), element("span", { class: "incident" }, "◆ incidents")));
  const heads = ["Window end", "Last confirmed", "#Found", "#Failed", "#Incidents", "#Runs", "Outcome"];
  const readAll = unread > 0 && element("p", {}, `The results of ${unread} runs have not been read, to spare Airflow the requests; an evening that is opened is read whole. `, element("button", { type: "button", onclick: onReadAll }, `Read all ${unread}`));
  return [picture, table("Evenings, newest first", heads, evenings.map((each) => eveningRow(each, userZone)), { class: "evenings" }), readAll, csv("evenings", eveningsCsv(evenings))];
}

// Shown as text, because Airflow's frame does not allow downloads before 3.3.2.
function csv(name, text) {
  const area = element("textarea", { readonly: true, rows: "8", "aria-label": `${name} as CSV`, spellcheck: "false" });
  area.value = text;
  const said = element("span", { role: "status" });
  const copy = async () => {
    area.select();
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = " Copied.";
    } catch {
      said.textContent = " Selected: press Ctrl+C.";
    }
  };
  const details = element("details", { class: "csv" }, element("summary", {}, "CSV"), area, element("button", { type: "button", onclick: copy }, "Copy"));
  if (canDownload()) {
    const link = element("a", { href: `data:text/csv;charset=utf-8,${encodeURIComponent(text)}`, download: `campaign-shutdowns-${name}.csv` }, "Download");
    details.append(" ", link);
  }
  details.append(said);
  return details;
}

function campaignRow(each, run, evening, userZone) {
  const delay = each.confirmedAt !== null && evening.windowEnd !== null ? formatDelay(each.confirmedAt - evening.windowEnd) : null;
  const time = (value) => moment(value, evening.zone, userZone, { date: false });
  const confirmed = [time(each.confirmedAt), delay && element("small", {}, delay)];
  const kind = each.list === "failed" ? "bad" : each.isIncident ? "warn" : "";
  return element("tr", { class: kind }, cells([
    [foreign(each.name), element("small", {}, foreign(each.id))], foreign(orDash(each.type)), foreign(orDash(run.result.connection)),
    [LISTS[each.list] ?? each.list, each.isIncident && element("small", { class: "incident" }, "◆ incident")],
    time(each.askedAt), confirmed, foreign(orDash(each.status)), foreign(orDash(each.message)),
  ]));
}

function runRow(run, evening, userZone) {
  const path = `dags/${encodeURIComponent(run.dagId)}/runs/${encodeURIComponent(run.runId)}/tasks/${encodeURIComponent(run.taskId)}${run.mapIndex < 0 ? "" : `/mapped/${run.mapIndex}`}`;
  const { result, reading } = run;
  const counts = result ? ["stopped", "already_stopped", "failed", "live"].map((list) => result.campaigns.filter((each) => each.list === list).length) : null;
  const found = counts ? counts.reduce((sum, each) => sum + each) : "–";
  const notes = [
    run.tryNumber > 1 && `${run.tryNumber} tries${result && !result.hasEarlierTries ? "; this is what the last one did" : ""}`,
    run.dryRun && "dry run: nothing was stopped",
    result?.error && element("div", { class: "error" }, foreign(result.error)),
    result?.reason && ["reason: ", foreign(result.reason)],
    result?.record?.path && ["record: ", foreign(String(result.record.path)), element("small", {}, foreign(String(result.record.sha256 ?? "")))],
    READINGS[reading],
  ].filter(Boolean);
  const raw = run.raw !== null && element("details", {}, element("summary", {}, "Record in full"), element("pre", { tabindex: "0" }, JSON.stringify(run.raw, null, 2)));
  return element("tr", { class: outcomeOf(run).level }, cells([
    moment(run.at, evening.zone, userZone), [foreign(run.sweep), element("small", {}, linkTo(path, foreign(run.runId)))],
    outcome(outcomeOf(run)), found, counts ? counts[2] : "–", result?.incidents ? result.incidents.length : "–",
    [result?.requests ?? "–", result?.refused ? ` (${result.refused} refused)` : ""].join(""),
    [notes.map((note) => element("div", {}, note)), raw],
  ]));
}

const isQuiet = (run) => outcomeOf(run).level === "good" && run.reading === "read" && !run.result.campaigns.length && !run.result.excluded.length && run.tryNumber <= 1;

export function eveningInFull(evening, userZone) {
  const rows = (lists) => evening.runs.filter((run) => run.result).flatMap((run) => lists(run.result).map((each) => ({ each, run })));
  const campaigns = rows((result) => result.campaigns);
  const excluded = rows((result) => result.excluded);
  const mayStart = rows((result) => result.mayStart);
  const quiet = evening.runs.filter(isQuiet);
  const telling = evening.runs.filter((run) => !isQuiet(run));
  const runTable = (caption, runs) => table(caption, ["Began", "Sweep", "Outcome", "#Found", "#Failed", "#Incidents", "#Requests", "Notes"], runs.map((run) => runRow(run, evening, userZone)));
  const facts = [
    ["Window end", moment(evening.windowEnd, evening.zone, userZone)], ["Last confirmed", [moment(evening.lastConfirmed, evening.zone, userZone), " ", formatDelay(evening.delay)]],
    ["Found", orDash(evening.found)], ["Failed", orDash(evening.failed)], ["Incidents", orDash(evening.incidents)], ["Runs", `${evening.runs.length}${evening.unread ? `, ${evening.unread} not read yet` : ""}`],
  ];
  const heading = ["Campaign", "Type", "Connection", "What", "Asked", "Confirmed", "Status", "Message"];
  return [
    element("p", {}, element("a", { href: "#" }, "← All evenings")),
    element("h2", { tabindex: "-1", id: "evening" }, labelOf(evening, userZone)),
    element("p", {}, outcome(evening.outcome)),
    element("dl", {}, facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)))),
    campaigns.length ? table("Campaigns", heading, campaigns.map(({ each, run }) => campaignRow(each, run, evening, userZone))) : element("p", {}, "No run has found a live campaign."),
    excluded.length > 0 && table("Live, but left out", ["Campaign", "Type", "Status", "Left out by"], excluded.map(({ each }) => element("tr", {}, cells([[foreign(each.name), element("small", {}, foreign(each.id))], foreign(orDash(each.type)), foreign(orDash(each.status)), foreign(orDash(each.excludedBy))])))),
    mayStart.length > 0 && table("May start by themselves", ["Campaign", "Type", "Status"], mayStart.map(({ each }) => element("tr", {}, cells([[foreign(each.name), element("small", {}, foreign(each.id))], foreign(orDash(each.type)), foreign(orDash(each.status))])))),
    telling.length > 0 && runTable("Runs", telling),
    quiet.length > 0 && element("details", {}, element("summary", {}, `${quiet.length} runs found nothing live`), runTable("Runs that found nothing", quiet)),
    csv("campaigns", campaignsCsv(evening)),
  ];
}

const EXAMPLE = `from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.timetables import calling_hours_closed

HOURS = {"frequency": "DAILY", "timezone": "America/New_York", "start": "8:00 AM", "end": "9:00 PM"}

with DAG("keep_closed", schedule=calling_hours_closed(HOURS), start_date=START, catchup=False):
    StopActiveCampaignsOperator(task_id="stop_active_campaigns", calling_hours=HOURS)`;

export const nothingYet = () => [
  element("h2", {}, "No sweep has run in this time"),
  element("p", {}, "Each run of a StopActiveCampaignsOperator appears here with its evening. Add one to a DAG, and unpause or trigger that DAG:"),
  element("pre", { tabindex: "0" }, EXAMPLE),
  element("p", {}, "Only DAGs that you may read are shown. For a subclass of the operator, enter its name above under Operators. Earlier evenings: choose another day above."),
];

export function problem(error) {
  const words = {
    401: ["You are not logged in", "Log in to Airflow again, then press Refresh."],
    403: ["You may not see this", "Your role in Airflow may not read task instances. Ask an administrator for read access to the DAGs with the sweeps."],
  }[error.status] ?? ["Airflow could not be asked", `${error.message} Press Refresh to try again.`];
  return element("div", { role: "alert", class: "problem" }, element("h2", {}, words[0]), element("p", {}, words[1]));
}
