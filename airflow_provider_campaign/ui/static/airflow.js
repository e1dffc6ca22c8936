// Requests to Airflow's REST API, as the user who is logged in: nothing but GET. And one to this page's own server.

import { isZone } from "./dom.js";
import { hoursOf, toRun, toTime, withValue } from "./runs.js";

const PAGE_SIZE = 100;
const MAX_PAGES = 60;
const PARALLEL_READS = 4;

// This page is <base_url>/campaign-shutdowns/, the API <base_url>/api/v2/.
const API = new URL("../api/v2/", document.baseURI);

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function request(url, { signal, ...options }) {
  try {
    return await fetch(url, { signal, credentials: "same-origin", redirect: "error", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "Airflow's API server can't be reached.");
  }
}

async function get(path, parameters, signal) {
  const url = new URL(path, API);
  for (const [name, value] of parameters) url.searchParams.append(name, value);
  const response = await request(url, { signal, headers: { Accept: "application/json" } });
  if (!response.ok) throw new ApiError(response.status, `HTTP ${response.status} ${response.statusText}`);
  try {
    return await response.json();
  } catch {
    throw new ApiError(response.status, "The response is not JSON.");
  }
}

// Return the ends of calling hours in a period as `ends`, or why they are not known as `problem`.
export async function readEnds({ hours, from, until, signal }) {
  const [first, last] = [from, until].map((time) => new Date(time).toISOString());
  const body = JSON.stringify({ calling_hours: hours, from: first, until: last });
  const response = await request(new URL("ends", document.baseURI), { signal, method: "POST", body });
  const answer = await response.json().catch(() => null);
  if (!response.ok || !Array.isArray(answer)) return { ends: [], problem: String(answer?.detail ?? `HTTP ${response.status}`) };
  const zones = new Set([...new Set(answer.map(({ zone }) => zone))].filter(isZone));
  const ends = answer.map(({ rule, zone, end, opens }) => ({
    rule, zone: zones.has(zone) ? zone : null, end: toTime(end), opens: toTime(opens) ?? Infinity,
  }));
  return { ends, problem: null };
}

// Return the runs of sweeps in a period, newest first, and whether there are more than could be listed.
export async function listRuns({ operators, from, until, signal, onPage }) {
  const runs = new Map();
  for (let page = 0, offset = 0; page < MAX_PAGES; page += 1) {
    const listed = await get("dags/~/dagRuns/~/taskInstances", [
      ...operators.map((name) => ["operator", name]),
      ["run_after_gte", new Date(from).toISOString()],
      ["run_after_lte", new Date(until).toISOString()],
      ["order_by", "-run_after"],
      ["limit", PAGE_SIZE],
      ["offset", offset],
    ], signal);
    const instances = listed.task_instances ?? [];
    for (const each of instances) runs.set(each.id, toRun(each));
    offset += instances.length;
    onPage(runs.size, listed.total_entries);
    if (!instances.length || offset >= (listed.total_entries ?? 0)) return { runs: [...runs.values()], isComplete: true };
  }
  return { runs: [...runs.values()], isComplete: false };
}

const pathOf = (run, ...rest) =>
  ["dags", run.dagId, "dagRuns", run.runId, "taskInstances", run.taskId, ...rest].map(encodeURIComponent).join("/");

// Return the calling hours of a run, undefined if not known: before 3.3, Airflow leaves them out of the list.
export async function readHours(run, signal) {
  try {
    return hoursOf((await get(pathOf(run, run.mapIndex), [], signal)).rendered_fields);
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

async function readResult(run, signal) {
  try {
    const entry = await get(pathOf(run, "xcomEntries", "return_value"), [["map_index", run.mapIndex]], signal);
    return withValue(run, entry.value);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) throw error;
    const reading = { 403: "forbidden", 404: "none" }[error.status] ?? "failed";
    return { ...run, reading };
  }
}

// Read the results of runs, a few at a time, in the order given.
export async function readResults(runs, { signal, onResult }) {
  const queue = [...runs];
  const forbidden = new Set();
  const work = async () => {
    for (let run = queue.shift(); run; run = queue.shift()) {
      if (signal.aborted) return;
      const read = forbidden.has(run.dagId) ? { ...run, reading: "forbidden" } : await readResult(run, signal);
      if (read.reading === "forbidden") forbidden.add(run.dagId);
      onResult(read);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_READS }, work));
}
