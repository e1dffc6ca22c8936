// All evenings: the plot and the table; and what is shown instead where there are none.

import { plural } from "./closings.js";
import { element, foreign } from "./dom.js";
import { csv, moment, outcome, small, table } from "./parts.js";
import { plot } from "./plot.js";
import { eveningsCsv, formatDelay, formatTime, orDash } from "./texts.js";

const COLUMNS = ["End of calling hours", "Last confirmed", "#Found", "#Failed", "#Incidents", "#Runs", "Outcome"];

const EXAMPLE = `from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.timetables import calling_hours_closed

HOURS = {"frequency": "DAILY", "timezone": "America/New_York", "start": "8:00 AM", "end": "9:00 PM"}

with DAG("keep_closed", schedule=calling_hours_closed(HOURS), start_date=START, catchup=False):
    StopActiveCampaignsOperator(task_id="stop_active_campaigns", calling_hours=HOURS)`;

const PROBLEMS = {
  401: ["You are not logged in", "Log in to Airflow again, then press Refresh."],
  403: [
    "You may not see this",
    "Your role in Airflow may not read task instances. Ask an administrator for read access to the DAGs with the sweeps.",
  ],
};

// Rules that were given no name are called like what they match: * is every campaign.
const ruleOf = ({ rule }) => (rule === "*" ? "" : rule);

export function labelOf(evening, userZone) {
  if (evening.end === null) return evening.key;
  const zone = evening.zone ?? userZone;
  return [`${formatTime(evening.end, zone, { seconds: false })} ${zone}`, ruleOf(evening)].filter(Boolean).join(", ");
}

export const addressOf = (evening) => `#evening=${encodeURIComponent(evening.key)}`;

function endCell(evening, userZone) {
  const { end, key, found } = evening;
  const zone = evening.zone ?? userZone;
  const name = (text) => element("a", { href: addressOf(evening) }, text);
  if (end === null) return [name(key), small(found === null ? "end not known" : "no calling hours, or outside of them")];
  const inZone = (each) => formatTime(end, each, { seconds: false });
  const rule = ruleOf(evening);
  return [name(inZone(zone)), small(zone), zone !== userZone && small(`${inZone(userZone)} ${userZone}`), rule && small(foreign(rule))];
}

function confirmedCell({ lastConfirmed, delay, zone }, userZone) {
  if (lastConfirmed === null) return "–";
  return [moment(lastConfirmed, zone, userZone, { date: false }), small(formatDelay(delay))];
}

function eveningRow(evening, userZone) {
  const { found, failed, incidents, runs, unread } = evening;
  const number = (...children) => element("td", { class: "number" }, ...children);
  const incidentCell = [
    incidents ? element("span", { class: "incident" }, `◆ ${incidents}`) : orDash(incidents),
    unread > 0 && incidents !== null && small("so far"),
  ];
  return element("tr", { class: evening.outcome.level },
    element("th", { scope: "row" }, endCell(evening, userZone)),
    element("td", {}, confirmedCell(evening, userZone)),
    number(orDash(found)),
    number(orDash(failed)),
    number(incidentCell),
    number(String(runs.length), unread > 0 && small(`${runs.length - unread} read`)),
    element("td", {}, outcome(evening.outcome), evening.leftOut > 0 && small(`${evening.leftOut} live, left out`)));
}

function figure(evenings, userZone) {
  const count = plural(evenings.length, "closing");
  const legend = [
    ["good", "▮ verified in time"], ["warn", "▮ with a warning"], ["bad", "✕ not verified, or no evidence"], ["incident", "◆ incidents"],
  ];
  const picture = plot(evenings, {
    labelOf: (each) => labelOf(each, userZone),
    dayOf: (each) => formatTime(each.time, each.zone ?? userZone).slice(0, 6),
    onSelect: (each) => { location.hash = addressOf(each); },
  });
  return element("figure", {},
    element("figcaption", { id: "plot-title" },
      `From the end of calling hours until the last campaign is confirmed stopped: ${count}`),
    picture,
    element("p", { class: "legend" }, legend.map(([kind, words]) => element("span", { class: kind }, words))));
}

// The sweeps whose expected closings can't be told, with the reason.
function unknowns(problems) {
  const title = `The calling hours of ${plural(problems.length, "sweep")} are not known, so that a closing without a run does not show:`;
  return problems.length > 0 && element("div", { class: "problem" },
    element("p", {}, title),
    element("ul", {}, problems.map(({ sweep, problem }) => element("li", {}, foreign(sweep), ": ", foreign(problem)))));
}

export function overview({ evenings, quiet, problems }, { userZone, onReadAll }) {
  const unread = evenings.reduce((sum, each) => sum + each.unread, 0);
  const rest = unread > 0 && element("p", {},
    `The results of ${unread} runs have not been read, to spare Airflow the requests; `,
    "an evening that is opened is read whole. ",
    element("button", { type: "button", onclick: onReadAll }, `Read all ${unread}`));
  const rows = evenings.map((each) => eveningRow(each, userZone));
  return [
    figure(evenings, userZone),
    unknowns(problems),
    table("Closings, newest first", COLUMNS, rows, { class: "evenings" }),
    quiet > 0 && element("p", {}, `${plural(quiet, "more run")} had nothing to close: the calling hours were not over.`),
    rest,
    csv("evenings", eveningsCsv(evenings)),
  ];
}

export const nothingYet = () => [
  element("h2", {}, "No sweep has run in this time"),
  element("p", {},
    "Each end of calling hours of a StopActiveCampaignsOperator appears here, and what its runs did. ",
    "Add one to a DAG, and unpause or trigger that DAG:"),
  element("pre", { tabindex: "0" }, EXAMPLE),
  element("p", {},
    "Only DAGs that you may read are shown. For a subclass of the operator, enter its name above under Operators. ",
    "Earlier evenings: choose another day above."),
];

export function problem(error) {
  const [title, words] = PROBLEMS[error.status] ?? [
    "Airflow could not be asked", `${error.message} Press Refresh to try again.`,
  ];
  return element("div", { role: "alert", class: "problem" }, element("h2", {}, title), element("p", {}, words));
}
