// Closings: the closings of all sweeps for the same end, or the runs that are for none, and what became of them. No DOM, no requests.

import { byTime, countFailed, groupBy, plural } from "./sweep_closings.js";
import { outcomeOf } from "./runs.js";

const HOUR = 3_600_000;
const LEVELS = ["none", "good", "busy", "warn", "bad"];

const distinct = (campaigns) => new Set(campaigns.map((each) => each.key)).size;
const worstFirst = (one, other) => LEVELS.indexOf(other.level) - LEVELS.indexOf(one.level);

export function dateIn(time, zone) {
  const format = new Intl.DateTimeFormat("en", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" });
  const parts = Object.fromEntries(format.formatToParts(time).map((part) => [part.type, part.value]));
  return `${parts.year}-${parts.month}-${parts.day}`;
}

// A run that is for no end, and found nothing; those of a sweep without calling hours are grouped from noon to noon.
function isQuiet(run) {
  return run.hours !== null && outcomeOf(run).level !== "bad" && !run.result?.campaigns.length
    && (run.reading === "read" || run.hours !== undefined);
}

// Return the closings, newest first, and how many runs had nothing to close.
export function toClosings(runs, sweepClosings, userZone) {
  const firstOf = new Map(); // a campaign that no rule is for counts in the first closing of its run
  for (const { key, runs: own } of sweepClosings) for (const run of own) if (!firstOf.has(run.id)) firstOf.set(run.id, key);
  const rest = runs.filter((run) => !firstOf.has(run.id));
  const others = rest.filter((run) => !isQuiet(run));
  const closings = [...groupBy(sweepClosings, (closing) => closing.key)].map(([key, own]) => {
    const { end, rule } = own[0];
    const all = [...new Map(own.flatMap((each) => each.runs).map((run) => [run.id, run])).values()].sort(byTime);
    const isOwn = (each, run) => (each.closing ?? firstOf.get(run.id)) === key;
    return summarize({ key, end, rule, zone: own[0].zone, runs: all, sweeps: own, outcome: outcomeOfAll(own) }, isOwn);
  });
  const withoutEnd = [...groupBy(others, (run) => `runs of ${dateIn(run.at - 12 * HOUR, userZone)}`)].map(([key, own]) => {
    own.sort(byTime);
    return summarize({ key, end: null, rule: "", zone: null, runs: own, sweeps: [], outcome: null }, () => true);
  });
  const sorted = [...closings, ...withoutEnd].sort((one, other) => other.time - one.time);
  return { closings: sorted, quiet: rest.length - others.length };
}

function summarize(closing, isOwn) {
  const real = closing.runs.filter((run) => !run.dryRun);
  const entries = real.flatMap((run) => (run.result?.campaigns ?? []).filter((each) => isOwn(each, run)).map((each) => ({ each, run })));
  const campaigns = entries.map(({ each }) => each);
  const keys = new Set(campaigns.map((each) => each.key));
  const confirmed = campaigns.filter((each) => !each.isIncident && each.confirmedAt !== null);
  const results = real.filter((run) => run.result);
  const failed = countFailed(campaigns);
  const lastConfirmed = confirmed.length ? Math.max(...confirmed.map((each) => each.confirmedAt)) : null;
  return {
    ...closing,
    entries: [...entries, ...closing.runs.filter((run) => run.dryRun).flatMap((run) =>
      (run.result?.campaigns ?? []).map((each) => ({ each, run })))],
    time: closing.end ?? closing.runs[0].at,
    found: results.length ? distinct(campaigns) : null,
    failed: results.length ? failed : null,
    incidents: results.some((run) => run.result.incidents) ? distinct(campaigns.filter((each) => each.isIncident)) : null,
    leftOut: distinct(results.flatMap((run) => run.result.excluded).filter((each) => !keys.has(each.key))),
    lastConfirmed,
    delay: lastConfirmed !== null && closing.end !== null ? lastConfirmed - closing.end : null,
    unread: closing.runs.filter((run) => run.reading === "unread").length,
    outcome: closing.outcome ?? outcomeOfClosing(real, failed),
  };
}

// The worst of all sweeps, and of how many it is.
function outcomeOfAll(sweepClosings) {
  const worst = sweepClosings.map((closing) => closing.outcome).sort(worstFirst)[0];
  const same = sweepClosings.filter(({ outcome }) => outcome.level === worst.level).length;
  return sweepClosings.length === 1 ? worst : { ...worst, words: `${worst.words}: ${same} of ${sweepClosings.length} sweeps` };
}

// The last word of each sweep counts; a failure before it that was made good is a warning.
function outcomeOfClosing(real, failed) {
  if (!real.length) return { level: "none", words: "Dry run only" };
  const finals = [];
  let recovered = 0;
  for (const runs of groupBy(real, (run) => run.sweep).values()) {
    const counted = runs.filter((run) => run.state !== "skipped" && run.state !== "removed");
    finals.push(outcomeOf(counted.at(-1) ?? runs.at(-1)));
    recovered += counted.slice(0, -1).filter((run) => outcomeOf(run).level === "bad").length;
  }
  const worst = finals.sort(worstFirst)[0];
  if (worst.level === "bad" && failed > 0) return { level: "bad", words: `${plural(failed, "campaign")} not verified stopped` };
  if (worst.level !== "good" || recovered === 0) return worst;
  return { level: "warn", words: `${worst.words}, after ${plural(recovered, "failed run")}` };
}

// Which results to read after the closings': what went wrong and where a closed period begins, then the newest closing, then long runs.
export function readingOrder(runs, closings) {
  const urgent = new Set();
  for (const sweep of groupBy(runs, (run) => run.sweep).values()) {
    sweep.sort(byTime).forEach((run, index) => {
      const begins = index === 0 || run.at - sweep[index - 1].at >= HOUR;
      if (begins || run.state !== "success") urgent.add(run.id);
    });
  }
  const newest = new Set((closings[0]?.runs ?? []).map((run) => run.id));
  const rank = (run) => (urgent.has(run.id) ? 0 : newest.has(run.id) ? 1 : 2);
  const longerFirst = (one, other) => (other.duration ?? 0) - (one.duration ?? 0);
  const newerFirst = (one, other) => other.at - one.at;
  return runs
    .filter((run) => run.reading === "unread")
    .sort((one, other) => rank(one) - rank(other) || (rank(one) === 2 ? longerFirst : newerFirst)(one, other));
}
