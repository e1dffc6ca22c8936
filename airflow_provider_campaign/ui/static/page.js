// The page: asks Airflow, shows what is known so far, and reads on.

import { ApiError, listRuns, readEnds, readHours, readResults } from "./airflow.js";
import { byTime, firstReads, groupBy, spansOf, toSweepClosings, withHours } from "./sweep_closings.js";
import { element, followTheme, recall, remember, userZone } from "./dom.js";
import { closingInFull } from "./closing.js";
import { readingOrder, toClosings } from "./closings.js";
import { addressOf, nothingYet, overview, problem } from "./overview.js";
import { OPERATOR, isTruncated } from "./runs.js";

const DAYS = 30;
const DAY = 86_400_000;
// What is loaded, and how many results are read by themselves: first what the on-call wants, then the rest.
const STAGES = [{ days: 2, reads: 140 }, { days: DAYS + 1, reads: 110 }];
const MAX_HOURS_REQUESTS = 40;
const MEMORY = "campaign-shutdowns-operators";

const controls = document.getElementById("controls");
const main = document.getElementById("main");
const status = document.getElementById("status");
const zone = userZone();

let runs = new Map();
let results = new Map(); // by what changes when a task runs again
let ends = new Map(); // by the calling hours that they are of
let until = 0;
let isComplete = true;
let loading = new AbortController();
let shown = null;
let redraw = 0;

const operators = () => [OPERATOR, ...controls.operators.value.split(/[\s,]+/).filter(Boolean)];

// What is known by now: the closings, by sweep and of all sweeps that are shown.
function known() {
  const sweep = controls.sweep.value;
  const listed = [...runs.values()].filter((run) => !sweep || run.sweep === sweep);
  const spans = spansOf(listed, until);
  const sweepClosings = toSweepClosings(listed, spans, (span) => ends.get(span.key)?.ends ?? [], until);
  const problems = spans.map((span) => ({ sweep: span.sweep, problem: problemOf(span) })).filter(({ problem }) => problem);
  return { ...toClosings(listed, sweepClosings, zone), sweepClosings, problems, runs: listed };
}

function problemOf({ key, hours }) {
  if (hours === undefined) return "Airflow does not have what its argument was rendered to.";
  if (isTruncated(hours)) return "They are longer than [core] max_templated_field_length of Airflow's configuration allows.";
  return hours === null ? null : (ends.get(key) ?? { problem: "There are too many different ones to ask for." }).problem;
}

function stagesUntil() {
  const chosen = controls.until.value;
  until = Math.min(Date.now(), chosen ? Date.parse(`${chosen}T00:00:00`) + 1.5 * DAY : Infinity);
  return STAGES.map(({ days, reads }) => ({ from: until - days * DAY, reads }));
}

function listSweeps() {
  const names = [...new Set([...runs.values()].map((run) => run.sweep))].sort();
  const chosen = controls.sweep.value;
  const options = names.map((name) => element("option", { value: name, selected: name === chosen }, name));
  controls.sweep.replaceChildren(element("option", { value: "" }, "All"), ...options);
}

function contentOf(all, selected) {
  if (!runs.size) return nothingYet();
  if (selected) return closingInFull(selected, zone);
  const onReadAll = () => read(readingOrder(all.runs, all.closings)).catch(fail);
  return overview(all, { userZone: zone, onReadAll });
}

// Draw the page anew, but leave open what is open and the focus where it is.
function draw() {
  const all = known();
  const selected = all.closings.find((each) => addressOf(each) === location.hash);
  const view = selected ? addressOf(selected) : "overview";
  const open = [...main.querySelectorAll("details")].map((each) => each.open);
  const focused = main.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  main.replaceChildren(...contentOf(all, selected).filter(Boolean));
  if (view === shown) {
    main.querySelectorAll("details").forEach((each, index) => { each.open = open[index] ?? false; });
    if (focused) [...main.querySelectorAll("a[href]")].find((each) => each.getAttribute("href") === focused)?.focus();
  } else if (shown !== null) {
    const back = [...main.querySelectorAll("a[href]")].find((each) => each.getAttribute("href") === shown);
    (document.getElementById("closing") ?? back)?.focus();
  }
  shown = view;
}

function drawSoon() {
  if (!redraw) redraw = setTimeout(() => { redraw = 0; draw(); }, 500);
}

async function readAll(wanted) {
  let done = 0;
  main.setAttribute("aria-busy", "true");
  await readResults(wanted, {
    signal: loading.signal,
    onResult(run) {
      runs.set(run.id, run);
      const { version, reading, raw, result, dryRun } = run;
      if (["read", "none", "unreadable"].includes(reading)) results.set(version, { reading, raw, result, dryRun });
      done += 1;
      if (done % 25 === 1) status.textContent = `Reading results: ${done} of ${wanted.length}`; // it is read aloud
      drawSoon();
    },
  });
  const forbidden = new Set([...runs.values()].filter((run) => run.reading === "forbidden").map((run) => run.dagId));
  for (const run of runs.values()) {
    if (run.reading === "unread" && forbidden.has(run.dagId)) runs.set(run.id, { ...run, reading: "forbidden" });
  }
}

async function read(wanted) {
  const { signal } = loading;
  await readAll(wanted);
  if (!signal.aborted) finish();
}

// Read this number of results: first those that may show a closing that nothing shows yet, one after another.
async function readWithin(budget, signal) {
  for (let left = budget; left > 0 && !signal.aborted;) {
    const { sweepClosings, closings } = known();
    const first = firstReads(sweepClosings);
    const wanted = (first.length ? first : readingOrder([...runs.values()], closings)).slice(0, left);
    if (!wanted.length) return;
    await readAll(wanted);
    left -= wanted.length;
  }
}

function finish() {
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
  try {
    for (const { from, reads } of stagesUntil()) {
      await list(from, signal);
      if (runs.size) draw();
      await readWithin(reads, signal);
      if (signal.aborted) return;
    }
    finish();
    await readSelected();
  } catch (error) {
    fail(error);
  }
}

async function list(from, signal) {
  const onPage = (count, total) => { status.textContent = `Loading … ${count} of ${total} runs`; };
  const listed = await listRuns({ operators: operators(), from, until, signal, onPage });
  isComplete = listed.isComplete;
  const found = await findHours(listed.runs.map((run) => ({ ...run, ...results.get(run.version) })), signal);
  runs = new Map(withHours(found).map((run) => [run.id, run]));
  listSweeps();
  await findEnds(signal);
}

// Ask for one run of each sweep whose calling hours no run in the list has.
async function findHours(all, signal) {
  const sweeps = [...groupBy(all, (run) => run.sweep).values()].filter((own) => own.every((run) => run.hours === undefined));
  const newest = sweeps.map((own) => own.filter((run) => run.duration !== null).sort(byTime).at(-1)).filter(Boolean);
  const hours = new Map();
  for (const run of newest.slice(0, MAX_HOURS_REQUESTS)) hours.set(run.id, await readHours(run, signal));
  return all.map((run) => (hours.has(run.id) ? { ...run, hours: hours.get(run.id) } : run));
}

async function findEnds(signal) {
  const spans = spansOf([...runs.values()], until).filter(({ hours }) => hours && !isTruncated(hours));
  const asked = [...groupBy(spans, (span) => span.key)].slice(0, MAX_HOURS_REQUESTS);
  ends = new Map(await Promise.all(asked.map(async ([key, own]) => {
    const from = Math.min(...own.map((span) => span.from));
    return [key, await readEnds({ hours: own[0].hours, from, until, signal })];
  })));
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

// a closing that is opened is read in full.
async function readSelected() {
  const selected = known().closings.find((each) => addressOf(each) === location.hash);
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
  location.hash = ""; // another time has other closings
  load();
});
window.addEventListener("hashchange", () => {
  draw();
  readSelected().catch(fail);
});

followTheme();
load();
