// The page: asks Airflow, shows what is known so far, and reads on.

import { ApiError, listRuns, readResults, readZone } from "./airflow.js";
import { element, followTheme, recall, remember, userZone } from "./dom.js";
import { eveningInFull } from "./evening.js";
import { readingOrder, toEvenings } from "./evenings.js";
import { addressOf, nothingYet, overview, problem } from "./overview.js";
import { OPERATOR } from "./runs.js";

const EVENINGS = 30;
const DAY = 86_400_000;
// What is loaded, and how many results are read by themselves: first what the on-call wants, then the rest.
const STAGES = [{ days: 2, reads: 140 }, { days: EVENINGS + 1, reads: 110 }];
const MAX_ZONE_REQUESTS = 20;
const MEMORY = "campaign-shutdowns-operators";

const controls = document.getElementById("controls");
const main = document.getElementById("main");
const status = document.getElementById("status");
const zone = userZone();

let runs = new Map();
let results = new Map(); // by what changes when a task runs again
const zones = new Map(); // of a sweep's calling hours, where the list of runs does not have it
let isComplete = true;
let loading = new AbortController();
let shown = null;
let redraw = 0;

const operators = () => [OPERATOR, ...controls.operators.value.split(/[\s,]+/).filter(Boolean)];
const evenings = () => {
  const sweep = controls.sweep.value;
  return toEvenings([...runs.values()].filter((run) => !sweep || run.sweep === sweep), zone).slice(0, EVENINGS);
};

function period() {
  const chosen = controls.until.value;
  const until = chosen ? Date.parse(`${chosen}T00:00:00`) + 1.5 * DAY : Date.now();
  return { until, stages: STAGES.map(({ days, reads }) => ({ from: until - days * DAY, reads })) };
}

function listSweeps() {
  const names = [...new Set([...runs.values()].map((run) => run.sweep))].sort();
  const chosen = controls.sweep.value;
  const options = names.map((name) => element("option", { value: name, selected: name === chosen }, name));
  controls.sweep.replaceChildren(element("option", { value: "" }, "All"), ...options);
}

function contentOf(all, selected) {
  if (!all.length) return nothingYet();
  if (selected) return eveningInFull(selected, zone);
  return overview(all, { userZone: zone, onReadAll: () => read(readingOrder([...runs.values()], all)).catch(fail) });
}

// Draw the page anew, but leave open what is open and the focus where it is.
function draw() {
  const all = evenings();
  const selected = all.find((each) => addressOf(each) === location.hash);
  const view = selected ? addressOf(selected) : "overview";
  const open = [...main.querySelectorAll("details")].map((each) => each.open);
  const focused = main.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  main.replaceChildren(...contentOf(all, selected).filter(Boolean));
  if (view === shown) {
    main.querySelectorAll("details").forEach((each, index) => { each.open = open[index] ?? false; });
    if (focused) [...main.querySelectorAll("a[href]")].find((each) => each.getAttribute("href") === focused)?.focus();
  } else if (shown !== null) {
    const back = [...main.querySelectorAll("a[href]")].find((each) => each.getAttribute("href") === shown);
    (document.getElementById("evening") ?? back)?.focus();
  }
  shown = view;
}

function drawSoon() {
  if (!redraw) redraw = setTimeout(() => { redraw = 0; draw(); }, 500);
}

async function read(wanted, isLast = true) {
  const { signal } = loading;
  let done = 0;
  main.setAttribute("aria-busy", "true");
  await readResults(wanted, {
    signal,
    onResult(run) {
      runs.set(run.id, run);
      if (["read", "none", "unreadable"].includes(run.reading)) results.set(run.version, run);
      done += 1;
      if (done % 25 === 1) status.textContent = `Reading results: ${done} of ${wanted.length}`; // it is read aloud
      drawSoon();
    },
  });
  if (signal.aborted) return;
  if (!isLast) return;
  clearTimeout(redraw);
  redraw = 0;
  draw();
  main.setAttribute("aria-busy", "false");
  const problems = [...runs.values()].filter((run) => ["failed", "forbidden"].includes(run.reading));
  status.textContent = [
    `As of ${new Date().toLocaleTimeString("en-GB", { timeZone: zone })}, ${zone}.`,
    isComplete ? "" : "There are more runs than are shown: choose an earlier day for the others.",
    problems.length ? `${problems.length} results could not be read.` : "",
  ].filter(Boolean).join(" ");
}

async function load() {
  loading.abort();
  loading = new AbortController();
  main.setAttribute("aria-busy", "true");
  status.textContent = "Loading …";
  const { signal } = loading;
  const { until, stages } = period();
  try {
    for (const stage of stages) {
      await list(stage.from, until, signal);
      const isLast = stage === stages.at(-1);
      if (runs.size || isLast) draw();
      await read(readingOrder([...runs.values()], evenings()).slice(0, stage.reads), isLast);
    }
    await readSelected();
  } catch (error) {
    fail(error);
  }
}

async function list(from, until, signal) {
  const onPage = (count, total) => { status.textContent = `Loading … ${count} of ${total} runs`; };
  const listed = await listRuns({ operators: operators(), from, until, signal, onPage });
  isComplete = listed.isComplete;
  runs = new Map(listed.runs.map((run) => [run.id, results.get(run.version) ?? run]));
  listSweeps();
  await findZones(signal);
}

// Ask for one run of each sweep whose zone no run in the list has.
async function findZones(signal) {
  const withZone = new Set([...runs.values()].filter((run) => run.zone).map((run) => run.sweep));
  const ended = [...runs.values()].filter((run) => run.duration !== null && !withZone.has(run.sweep));
  const newest = new Map(ended.sort((one, other) => one.at - other.at).map((run) => [run.sweep, run]));
  for (const [sweep, run] of newest) {
    if (!zones.has(sweep) && zones.size < MAX_ZONE_REQUESTS) zones.set(sweep, await readZone(run, signal));
    runs.set(run.id, { ...run, zone: zones.get(sweep) ?? null });
  }
}

function fail(error) {
  if (error.name === "AbortError") return;
  loading.abort();
  clearTimeout(redraw);
  redraw = 0;
  status.textContent = "";
  shown = null;
  main.setAttribute("aria-busy", "false");
  main.replaceChildren(problem(error instanceof ApiError ? error : new ApiError(0, String(error))));
  if (!(error instanceof ApiError)) console.error(error);
}

// An evening that is opened is read whole.
async function readSelected() {
  const selected = evenings().find((each) => addressOf(each) === location.hash);
  const unread = (selected?.runs ?? []).filter((run) => run.reading === "unread");
  if (unread.length) await read(unread);
}

controls.operators.value = recall(MEMORY);
controls.addEventListener("submit", (event) => {
  event.preventDefault();
  remember(MEMORY, controls.operators.value);
  load();
});
controls.sweep.addEventListener("change", draw);
controls.until.addEventListener("change", () => {
  location.hash = ""; // another time has other evenings
  load();
});
window.addEventListener("hashchange", () => {
  draw();
  readSelected().catch(fail);
});

followTheme();
load();
