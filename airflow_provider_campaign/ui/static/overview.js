// All closings: the plot and the table; and what is shown instead where there are none.

import { plural } from "./sweep_closings.js";
import { element, foreign } from "./dom.js";
import { csv, moment, outcome, small, table } from "./parts.js";
import { plot } from "./plot.js";
import { closingsCsv, formatDelay, formatTime, orDash } from "./texts.js";

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

export function labelOf(closing, userZone) {
  if (closing.end === null) return closing.key;
  const zone = closing.zone ?? userZone;
  return [`${formatTime(closing.end, zone, { seconds: false })} ${zone}`, ruleOf(closing)].filter(Boolean).join(", ");
}

export const addressOf = (closing) => `#closing=${encodeURIComponent(closing.key)}`;

function endCell(closing, userZone) {
  const { end, key, found } = closing;
  const zone = closing.zone ?? userZone;
  const name = (text) => element("a", { href: addressOf(closing) }, text);
  if (end === null) return [name(key), small(found === null ? "end not known" : "no calling hours, or outside of them")];
  const inZone = (each) => formatTime(end, each, { seconds: false });
  const rule = ruleOf(closing);
  return [name(inZone(zone)), small(zone), zone !== userZone && small(`${inZone(userZone)} ${userZone}`), rule && small(foreign(rule))];
}

function confirmedCell({ lastConfirmed, delay, zone }, userZone) {
  if (lastConfirmed === null) return "–";
  return [moment(lastConfirmed, zone, userZone, { date: false }), small(formatDelay(delay))];
}

function closingRow(closing, userZone) {
  const { found, failed, incidents, runs, unread } = closing;
  const number = (...children) => element("td", { class: "number" }, ...children);
  const incidentCell = [
    incidents ? element("span", { class: "incident" }, `◆ ${incidents}`) : orDash(incidents),
    unread > 0 && incidents !== null && small("so far"),
  ];
  return element("tr", { class: closing.outcome.level },
    element("th", { scope: "row" }, endCell(closing, userZone)),
    element("td", {}, confirmedCell(closing, userZone)),
    number(orDash(found)),
    number(orDash(failed)),
    number(incidentCell),
    number(String(runs.length), unread > 0 && small(`${runs.length - unread} read`)),
    element("td", {}, outcome(closing.outcome), closing.leftOut > 0 && small(`${closing.leftOut} live, left out`)));
}

function figure(closings, userZone) {
  const count = plural(closings.length, "closing");
  const legend = [
    ["good", "▮ verified in time"], ["warn", "▮ with a warning"], ["bad", "✕ not verified, or no evidence"], ["incident", "◆ incidents"],
  ];
  const picture = plot(closings, {
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

// The sweeps whose expected closings are unknown, with the reason.
function unknowns(problems) {
  const title = `The calling hours of ${plural(problems.length, "sweep")} are not known, so that a closing without a run does not show:`;
  return problems.length > 0 && element("div", { class: "problem" },
    element("p", {}, title),
    element("ul", {}, problems.map(({ sweep, problem }) => element("li", {}, foreign(sweep), ": ", foreign(problem)))));
}

export function overview({ closings, quiet, problems }, { userZone, onReadAll }) {
  const unread = closings.reduce((sum, each) => sum + each.unread, 0);
  const rest = unread > 0 && element("p", {},
    `The results of ${unread} runs have not been read, to spare Airflow the requests; `,
    "a closing that is opened is read in full. ",
    element("button", { type: "button", onclick: onReadAll }, `Read all ${unread}`));
  const rows = closings.map((each) => closingRow(each, userZone));
  return [
    figure(closings, userZone),
    unknowns(problems),
    table("Closings, newest first", COLUMNS, rows, { class: "closings" }),
    quiet > 0 && element("p", {}, `${plural(quiet, "more run")} had nothing to close: the calling hours were not over.`),
    rest,
    csv("closings", closingsCsv(closings)),
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
    "Earlier closings: choose another day above."),
];

export function problem(error) {
  const [title, words] = PROBLEMS[error.status] ?? [
    "Airflow could not be asked", `${error.message} Press Refresh to try again.`,
  ];
  return element("div", { role: "alert", class: "problem" }, element("h2", {}, title), element("p", {}, words));
}
