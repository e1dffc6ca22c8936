// Evenings: the runs of all sweeps for the same end of the window, and what became of them. No DOM, no requests.

import { outcomeOf } from "./runs.js";

const HOUR = 3_600_000;
const LEVELS = ["none", "good", "warn", "busy", "bad"];

const byTime = (one, other) => one.at - other.at;
const distinct = (campaigns) => new Set(campaigns.map((each) => each.key)).size;

function groupBy(values, keyOf) {
  const groups = new Map();
  for (const each of values) {
    const key = keyOf(each);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(each);
  }
  return groups;
}

// A run without a window of its own has that of the nearest run of the same sweep, if that is close enough.
function windowsOf(runs) {
  const windows = new Map();
  for (const sweep of groupBy(runs, (run) => run.sweep).values()) {
    const known = sweep.filter((run) => run.result?.windowEnd).sort(byTime);
    let index = 0;
    for (const run of sweep.sort(byTime)) {
      const distance = (each) => Math.abs(each.at - run.at);
      while (index + 1 < known.length && distance(known[index + 1]) <= distance(known[index])) index += 1;
      const nearest = known[index] ?? null;
      const isNear = nearest !== null && distance(nearest) < 12 * HOUR;
      // A run with a result that names no window has none, such as one that somebody has triggered.
      const inherits = run.reading !== "read" && isNear;
      windows.set(run, run.result?.windowEnd ?? (inherits ? nearest.result.windowEnd : null));
    }
  }
  return windows;
}

export function dateIn(time, zone) {
  const format = new Intl.DateTimeFormat("en", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" });
  const parts = Object.fromEntries(format.formatToParts(time).map((part) => [part.type, part.value]));
  return `${parts.year}-${parts.month}-${parts.day}`;
}

// Return the evenings, newest first; what has no window counts for the evening from noon to noon.
export function toEvenings(runs, userZone) {
  const windows = windowsOf(runs);
  const zones = new Map(runs.filter((run) => run.zone).sort(byTime).map((run) => [run.sweep, run.zone]));
  const keyOf = (run) => {
    const end = windows.get(run);
    if (end !== null) return new Date(end).toISOString();
    return `evening of ${dateIn(run.at - 12 * HOUR, zones.get(run.sweep) ?? userZone)}`;
  };
  return [...groupBy(runs, keyOf)]
    .map(([key, group]) => {
      const sorted = group.sort(byTime);
      const zone = sorted.map((run) => zones.get(run.sweep)).find(Boolean) ?? null;
      return summarize({ key, windowEnd: windows.get(sorted[0]), zone, runs: sorted });
    })
    .sort((one, other) => other.time - one.time);
}

function summarize(evening) {
  const real = evening.runs.filter((run) => !run.dryRun);
  const campaigns = real.flatMap((run) => run.result?.campaigns ?? []);
  const last = new Map(campaigns.map((each) => [each.key, each])); // the runs are in order, so later ones win
  const confirmed = campaigns.filter((each) => !each.isIncident && each.confirmedAt !== null);
  const results = real.filter((run) => run.result);
  const failed = [...last.values()].filter((each) => each.list === "failed").length;
  const lastConfirmed = confirmed.length ? Math.max(...confirmed.map((each) => each.confirmedAt)) : null;
  return {
    ...evening,
    time: evening.windowEnd ?? evening.runs[0].at,
    found: results.length ? last.size : null,
    failed: results.length ? failed : null,
    incidents: results.some((run) => run.result.incidents) ? distinct(campaigns.filter((each) => each.isIncident)) : null,
    lastConfirmed,
    delay: lastConfirmed !== null && evening.windowEnd !== null ? lastConfirmed - evening.windowEnd : null,
    unread: evening.runs.filter((run) => run.reading === "unread").length,
    outcome: outcomeOfEvening(real, failed),
  };
}

// The last word of each sweep counts; a failure before it that was made good is a warning.
function outcomeOfEvening(real, failed) {
  if (!real.length) return { level: "none", words: "Dry run only" };
  const finals = [];
  let mended = 0;
  for (const runs of groupBy(real, (run) => run.sweep).values()) {
    const counted = runs.filter((run) => run.state !== "skipped" && run.state !== "removed");
    finals.push(outcomeOf(counted.at(-1) ?? runs.at(-1)));
    mended += counted.slice(0, -1).filter((run) => outcomeOf(run).level === "bad").length;
  }
  const worst = finals.sort((one, other) => LEVELS.indexOf(other.level) - LEVELS.indexOf(one.level))[0];
  if (worst.level === "bad" && failed > 0) {
    return { level: "bad", words: `${failed} ${failed === 1 ? "campaign" : "campaigns"} not verified stopped` };
  }
  if (worst.level !== "good" || mended === 0) return worst;
  return { level: "warn", words: `${worst.words}, after ${mended} failed ${mended === 1 ? "run" : "runs"}` };
}

// Which results to read first: where a night begins and ends and what went wrong, then the newest evening, then long runs.
export function readingOrder(runs, evenings) {
  const urgent = new Set();
  for (const sweep of groupBy(runs, (run) => run.sweep).values()) {
    const sorted = sweep.sort(byTime);
    sorted.forEach((run, index) => {
      const begins = index === 0 || run.at - sorted[index - 1].at >= HOUR;
      const ends = index === sorted.length - 1 || sorted[index + 1].at - run.at >= HOUR;
      if (begins || ends || run.state !== "success") urgent.add(run.id);
    });
  }
  const newest = new Set((evenings[0]?.runs ?? []).map((run) => run.id));
  const rank = (run) => (urgent.has(run.id) ? 0 : newest.has(run.id) ? 1 : 2);
  const longerFirst = (one, other) => (other.duration ?? 0) - (one.duration ?? 0);
  const newerFirst = (one, other) => other.at - one.at;
  return runs
    .filter((run) => run.reading === "unread")
    .sort((one, other) => rank(one) - rank(other) || (rank(one) === 2 ? longerFirst : newerFirst)(one, other));
}
