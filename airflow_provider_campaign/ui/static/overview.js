// All evenings: the plot and the table; and what is shown instead where there are none.

import { element } from "./dom.js";
import { csv, moment, outcome, small, table } from "./parts.js";
import { plot } from "./plot.js";
import { eveningsCsv, formatDelay, formatTime, orDash } from "./texts.js";

const COLUMNS = ["Window end", "Last confirmed", "#Found", "#Failed", "#Incidents", "#Runs", "Outcome"];

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

export function labelOf(evening, userZone) {
  if (evening.windowEnd === null) return evening.key;
  const zone = evening.zone ?? userZone;
  return `${formatTime(evening.windowEnd, zone, { seconds: false })} ${zone}`;
}

export const addressOf = (evening) => `#evening=${encodeURIComponent(evening.key)}`;

function endCell(evening, userZone) {
  const { windowEnd, key, found } = evening;
  const zone = evening.zone ?? userZone;
  const name = (text) => element("a", { href: addressOf(evening) }, text);
  if (windowEnd === null) return [name(key), small(found === null ? "end not known" : "no calling hours")];
  const inZone = (each) => formatTime(windowEnd, each, { seconds: false });
  return [name(inZone(zone)), small(zone), zone !== userZone && small(`${inZone(userZone)} ${userZone}`)];
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
    element("td", {}, outcome(evening.outcome)));
}

function figure(evenings, userZone) {
  const count = `${evenings.length} ${evenings.length === 1 ? "evening" : "evenings"}`;
  const legend = [
    ["good", "▮ verified stopped"], ["warn", "▮ with a warning"], ["bad", "✕ not verified"], ["incident", "◆ incidents"],
  ];
  const picture = plot(evenings, {
    labelOf: (each) => labelOf(each, userZone),
    dayOf: (each) => formatTime(each.time, each.zone ?? userZone).slice(0, 6),
    onSelect: (each) => { location.hash = addressOf(each); },
  });
  return element("figure", {},
    element("figcaption", { id: "plot-title" },
      `From the end of the window until the last campaign is confirmed stopped: ${count}`),
    picture,
    element("p", { class: "legend" }, legend.map(([kind, words]) => element("span", { class: kind }, words))));
}

export function overview(evenings, { userZone, onReadAll }) {
  const unread = evenings.reduce((sum, each) => sum + each.unread, 0);
  const rest = unread > 0 && element("p", {},
    `The results of ${unread} runs have not been read, to spare Airflow the requests; `,
    "an evening that is opened is read whole. ",
    element("button", { type: "button", onclick: onReadAll }, `Read all ${unread}`));
  const rows = evenings.map((each) => eveningRow(each, userZone));
  return [
    figure(evenings, userZone),
    table("Evenings, newest first", COLUMNS, rows, { class: "evenings" }),
    rest,
    csv("evenings", eveningsCsv(evenings)),
  ];
}

export const nothingYet = () => [
  element("h2", {}, "No sweep has run in this time"),
  element("p", {},
    "Each run of a StopActiveCampaignsOperator appears here with its evening. ",
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
