// Closings of one sweep: each end of calling hours that a sweep is expected to close, and what its runs show of it. No DOM, no requests.

import { keyOf, outcomeOf } from "./runs.js";
import { formatSpan } from "./texts.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
// A run that begins later than this after an end shows nothing of the campaigns that were live until then.
const FIRST_LOOK = 5 * MINUTE;
// How long after an end its run may still have to begin, and how long one that has begun may take.
const GRACE = 15 * MINUTE;
const PATIENCE = 2 * HOUR;
// How long a closed period lasts, if unknown.
const CLOSED_PERIOD = 12 * HOUR;

export const byTime = (one, other) => one.at - other.at;

export function groupBy(values, key) {
  const groups = new Map();
  for (const each of values) {
    if (!groups.has(key(each))) groups.set(key(each), []);
    groups.get(key(each)).push(each);
  }
  return groups;
}

// Return runs with calling hours: where Airflow does not have a run's, those of the run before it, or of the first that has.
export function withHours(runs) {
  return [...groupBy(runs, (run) => run.sweep).values()].flatMap((own) => {
    own.sort(byTime);
    let last = own.find((run) => run.hours !== undefined)?.hours;
    return own.map((run) => {
      if (run.hours !== undefined) last = run.hours;
      return { ...run, hours: last };
    });
  });
}

// Return the spans of time in which a sweep's runs were rendered with the same calling hours, from its first run until now.
export function spansOf(runs, now) {
  return [...groupBy(runs, (run) => run.sweep)].flatMap(([sweep, own]) => {
    const spans = [];
    own.sort(byTime);
    for (const { hours, at } of own) {
      const key = JSON.stringify(hours);
      if (spans.length && spans.at(-1).key === key) continue;
      if (spans.length) spans.at(-1).until = at;
      spans.push({ sweep, key, hours, from: at, until: now });
    }
    return spans;
  });
}

// Return the closings of all sweeps, in order; `endsOf` gives the ends of a span's calling hours, as far as they are known.
export function toSweepClosings(runs, spans, endsOf, now) {
  const spansOfSweep = groupBy(spans, (span) => span.sweep);
  const found = [...groupBy(runs, (run) => run.sweep)].flatMap(([sweep, own]) => {
    own.sort(byTime);
    const expected = (spansOfSweep.get(sweep) ?? []).flatMap((span) =>
      endsOf(span).filter(({ end }) => end > span.from && end <= span.until).map((each) => [keyOf(each), each]));
    // Of an end before the first run in the list, there may have been earlier runs.
    const seen = own.flatMap((run) => [...(run.result?.closings ?? [])]).filter(([, { end }]) => end >= own[0].at - FIRST_LOOK);
    const zones = new Map(expected.map(([, { rule, zone }]) => [rule, zone]));
    const unexpected = ([key, { rule, end }]) => [key, { rule, end, zone: zones.get(rule) ?? null, opens: end + CLOSED_PERIOD }];
    return [...new Map([...seen.map(unexpected), ...expected])]
      .map(([key, closing]) => closingOf({ sweep, key, ...closing }, own, now));
  });
  return found.sort((one, other) => one.end - other.end);
}

const isReal = (run) => !run.dryRun && run.state !== "skipped" && run.state !== "removed";
const names = (run, closing) => run.result?.closings.has(closing.key);
const isProof = (run) => isReal(run) && run.state === "success" && run.result !== null;

// A run that has succeeded after an end, and names others, was not given the calling hours that end there.
function hadOtherHours(closing, runs) {
  return !runs.some((run) => names(run, closing))
    && runs.some((run) => isProof(run) && run.at >= closing.end && run.at < closing.opens);
}

// Whether a run is one of a closing's: it names it, or may once its result is known; or it came just before, and did nothing.
function isOf(run, closing, now) {
  if (names(run, closing)) return true;
  if (isProof(run) || run.at >= closing.opens) return false;
  if ((run.endedAt ?? now) >= closing.end) return true;
  return run.at >= closing.end - HOUR && (!isReal(run) || outcomeOf(run).level === "bad");
}

function closingOf(closing, all, now) {
  const runs = all.filter((run) => isOf(run, closing, now));
  const { key } = closing;
  const real = runs.filter(isReal);
  const shown = real.filter((run) => names(run, closing)).map((run) => ({ run, ...run.result.closings.get(key) }));
  const campaigns = real.flatMap((run) => run.result?.campaigns ?? []).filter((each) => [key, null].includes(each.closing));
  const proof = shown.filter((each) => each.verifiedAt !== null).sort((one, other) => one.verifiedAt - other.verifiedAt)[0];
  const liveIds = new Set(shown.flatMap((each) => each.liveAtEnd));
  const live = [...new Map(campaigns.filter((each) => liveIds.has(each.id)).map((each) => [each.key, each])).values()];
  const made = {
    ...closing,
    runs,
    live,
    isShown: shown.length > 0,
    hadOthers: hadOtherHours(closing, all),
    verifiedAt: proof?.verifiedAt ?? null,
    lateBy: proof ? lateBy(closing, proof, live, real, liveIds.size) : null,
    again: new Set(campaigns.filter((each) => each.isIncident).map((each) => each.key)).size,
    failed: countFailed(campaigns),
    isMissed: all.some((run) => run.result?.missed.has(key)),
  };
  return { ...made, outcome: outcomeOfClosing(made, now) };
}

// Until the last campaign that was live at the end was stopped; until it was verified, if no earlier look shows it.
function lateBy({ end }, { run, verifiedAt }, live, runs, liveCount) {
  const isFirstLook = run.at <= end + FIRST_LOOK && live.length >= liveCount
    && !runs.some((each) => each.endedAt >= end && each.at < run.at && outcomeOf(each).level === "bad");
  return Math.max(0, isFirstLook ? 0 : verifiedAt - end, ...live.map((each) => (each.confirmedAt ?? verifiedAt) - end));
}

export const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

// The last word about each campaign counts.
export function countFailed(campaigns) {
  const last = new Map(campaigns.map((each) => [each.key, each]));
  return [...last.values()].filter((each) => each.list === "failed").length;
}

function outcomeOfClosing(closing, now) {
  const { runs, end, failed } = closing;
  const outcomes = runs.filter(isReal).map(outcomeOf);
  const last = outcomes.at(-1);
  if (last?.level === "bad") {
    return failed ? { level: "bad", words: `${plural(failed, "campaign")} not verified stopped` } : last;
  }
  if (closing.verifiedAt !== null) return verifiedOutcome(closing, outcomes);
  if (closing.hadOthers) return { level: "none", words: "The calling hours were others then" };
  const isBusy = last?.level === "busy" && now < end + PATIENCE;
  if (isBusy || now < end + GRACE) return { level: "busy", words: isBusy ? "Under way" : "Not over yet" };
  if (runs.some((run) => run.reading === "unread" && !run.dryRun)) return { level: "none", words: "Not read yet" };
  const conclusive = outcomes.filter(({ level }) => level !== "busy").at(-1);
  if (conclusive) return conclusive;
  if (runs.some((run) => run.dryRun)) return { level: "warn", words: "Dry run only: nothing was stopped" };
  if (runs.some((run) => run.state === "skipped")) return { level: "warn", words: "Skipped: nothing was stopped" };
  return { level: "bad", words: closing.isMissed ? "No evidence, reported as missed" : "No evidence" };
}

function verifiedOutcome({ lateBy, live, again }, outcomes) {
  const failed = outcomes.filter(({ level }) => level === "bad").length;
  const words = [
    lateBy ? `Late by ${formatSpan(lateBy)}` : "Verified in time",
    lateBy && live.length ? `${plural(live.length, "campaign")} live at the end` : "",
    again ? `${plural(again, "campaign")} live again` : "",
    failed ? `after ${plural(failed, "failed run")}` : "",
  ].filter(Boolean);
  return { level: words.length === 1 && !lateBy ? "good" : "warn", words: words.join(", ") };
}

// Return the runs to read first: of each closing that nothing shows yet the first that may, the newest closing first.
export function firstReads(closings) {
  const wanted = closings.filter((closing) => !closing.isShown && !closing.hadOthers).reverse().map(({ runs, end }) => {
    const unread = runs.filter((run) => run.reading === "unread" && !run.dryRun);
    return unread.find((run) => run.endedAt >= end) ?? unread[0];
  });
  return [...new Set(wanted.filter(Boolean))];
}
