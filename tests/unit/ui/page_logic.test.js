import assert from "node:assert/strict";
import { test } from "node:test";

import { firstReads, spansOf, toSweepClosings, withHours } from "./sweep_closings.js";
import { readingOrder, toClosings } from "./closings.js";
import { scale } from "./plot.js";
import { isTruncated, outcomeOf, toRun, withValue } from "./runs.js";
import { campaignsCsv, closingsCsv, formatDelay, formatSpan, formatTime, toCsv } from "./texts.js";

const END = "2026-11-20T02:00:00+00:00"; // 9 p.m. in New York
const HOURS = { frequency: "DAILY", timezone: "America/New_York", start: "8:00 AM", end: "9:00 PM" };
const DAY = 24 * 60;
const at = (minutes, seconds = 0) => new Date(Date.parse(END) + minutes * 60_000 + seconds * 1000).toISOString();
const time = (minutes) => Date.parse(at(minutes));
let number = 0;

function instance(minutes, values = {}) {
  number += 1;
  return {
    id: `ti-${number}`, dag_id: "keep_closed", dag_run_id: `run-${number}`, task_id: "sweep", map_index: -1, state: "success",
    try_number: 1, run_after: at(minutes), start_date: at(minutes), end_date: at(minutes, 10), duration: 10,
    rendered_fields: { calling_hours: HOURS }, ...values,
  };
}

const campaign = (id, seconds, values = {}) => ({
  campaign_id: id, name: `name of ${id}`, campaign_type: "sms", asked_at: at(0, 1), status: "Stopped", message: "Campaign Stopped",
  confirmed_at: seconds === null ? null : at(0, seconds), rule: "*", end: END, ...values,
});

const recorded = (values = {}) => ({ rule: "*", end: END, verified_at: at(0, 2), live_at_end: [], ...values });

const result = (values = {}) => ({
  stopped: [], already_stopped: [], failed: [], excluded: [], may_start: [], open_until: [], incidents: [],
  closings: [recorded()], missed_closings: [], connection_id: "campaign_default", requests: 2, ...values,
});

const run = (minutes, value, values) => {
  const made = toRun(instance(minutes, values));
  return value === null ? { ...made, reading: "none" } : value === undefined ? made : withValue(made, JSON.stringify(value));
};

// The end of one closing, closed until 8 a.m.; each day by default from a week before.
const endOn = (day, rule = "*") => ({
  rule, zone: "America/New_York", end: time(day * DAY), opens: time(day * DAY + 660),
});
const DAILY = Array.from({ length: 30 }, (_, index) => endOn(index - 15));

function seen(given, { now = time(600), ends = DAILY, zone = "UTC" } = {}) {
  const runs = withHours(given);
  const sweepClosings = toSweepClosings(runs, spansOf(runs, now), ({ hours }) => (hours ? ends : []), now);
  return { sweepClosings, ...toClosings(runs, sweepClosings, zone) };
}
function only(runs, options) {
  const { closings } = seen(runs, options);
  assert.equal(closings.length, 1);
  return closings[0];
}
const outcomes = (runs, options) => seen(runs, options).closings.map((each) => `${each.outcome.level}: ${each.outcome.words}`);

test("the runs of a night are one closing under the end of its calling hours", () => {
  const closing = only([
    run(-20, result({ stopped: [campaign("a", -60), campaign("b", -42)], already_stopped: [campaign("c", -70)] }), { end_date: at(0, 3) }),
    run(5, result({ closings: [recorded({ verified_at: at(5, 1) })] })),
    run(300, result({ stopped: [campaign("d", 300 * 60 + 4, { is_incident: true })], incidents: ["d"] })),
  ]);
  assert.deepEqual([closing.end, closing.rule, closing.zone], [Date.parse(END), "*", "America/New_York"]);
  assert.equal(closing.delay, -42_000, "an incident hours later is not the closing");
  assert.deepEqual([closing.found, closing.failed, closing.incidents, closing.runs.length], [4, 0, 1, 3]);
  assert.deepEqual(closing.outcome, { level: "warn", words: "Verified in time, 1 campaign live again" });
  assert.equal(closing.sweeps[0].verifiedAt, Date.parse(at(0, 2)));
});

test("only a closing that was verified in time is green", () => {
  const late = { closings: [recorded({ verified_at: at(0, 130), live_at_end: ["a"] })], stopped: [campaign("a", 129)] };
  const failed = result({ failed: [campaign("a", null)], closings: [recorded({ verified_at: null, live_at_end: ["a"] })] });
  for (const [runs, expected] of [
    [[run(-20, result(), { end_date: at(0, 3) })], "good: Verified in time"],
    [[run(0, result(late))], "warn: Late by 2 min 9 s, 1 campaign live at the end"],
    [[run(40, result({ closings: [recorded({ verified_at: at(40, 1) })] }))], "warn: Late by 40 min 1 s"],
    [[run(0, failed, { state: "failed" })], "bad: 1 campaign not verified stopped"],
    [[run(0, null, { state: "failed" })], "bad: Failed, no result"],
    [[run(-5, null, { state: "failed" })], "bad: Failed, no result"],
    [[run(0, undefined)], "none: Not read yet"],
    [[run(0, null)], "warn: Success, no result"],
    [[{ ...run(0, undefined), reading: "forbidden" }], "none: Success, you may not read XComs of this DAG"],
    [[run(0, { ...result({ closings: [] }), live: [campaign("a", null)] })], "warn: Dry run only: nothing was stopped"],
    [[run(0, undefined, { rendered_fields: { calling_hours: HOURS, dry_run: true } })], "warn: Dry run only: nothing was stopped"],
    [[run(0, null, { state: "skipped" })], "warn: Skipped: nothing was stopped"],
  ]) {
    const before = run(-300, result({ closings: [] }));
    assert.deepEqual(outcomes([before, ...runs]), [expected]);
  }
});

test("a closing without any run is without evidence, and so is each of a paused fortnight", () => {
  const runs = [run(-15 * DAY, result({ closings: [recorded({ end: at(-15 * DAY), verified_at: at(-15 * DAY, 1) })] })), run(-60, result({ closings: [] }))];
  assert.deepEqual(outcomes(runs), [...Array(15).fill("bad: No evidence"), "good: Verified in time"]);
  const missed = run(800, result({ closings: [], missed_closings: [{ rule: "*", end: END }] }));
  assert.deepEqual(outcomes([run(-300, null), missed], { now: time(900) }), ["bad: No evidence, reported as missed"]);
});

test("an end is expected from a sweep's first run on, and not before its run can have ended", () => {
  const first = run(-60, result({ closings: [] }));
  assert.deepEqual(outcomes([first], { now: time(-1) }), []);
  assert.deepEqual(outcomes([first], { now: time(14) }), ["busy: Not over yet"]);
  assert.deepEqual(outcomes([first], { now: time(16) }), ["bad: No evidence"]);
  const running = run(-20, null, { state: "running", end_date: null, duration: null });
  assert.deepEqual(outcomes([first, running], { now: time(60) }), ["busy: Under way"]);
  assert.deepEqual(outcomes([first, running], { now: time(300) }), ["bad: No evidence"]);
});

test("of an end before the first run that is listed nothing is said", () => {
  const later = [run(300, result({ closings: [recorded({ verified_at: at(300, 1) })] })), run(305, undefined)];
  assert.deepEqual(outcomes(later, { now: time(400) }), []);
});

test("what has no end and found nothing is no closing, but what failed is", () => {
  const quiet = [run(-300, result({ closings: [] })), run(-295, undefined), run(-290, null, { state: "running" })];
  assert.deepEqual([seen(quiet, { now: time(-200) }).closings, seen(quiet, { now: time(-200) }).quiet], [[], 3]);
  assert.deepEqual(outcomes([...quiet, run(-285, null, { state: "failed" })], { now: time(-200) }), ["bad: Failed, no result"]);
});

test("each rule has a closing of its own, with the campaigns that are its", () => {
  const ends = [endOn(0, "FL-*"), { ...endOn(0, "GA-*"), end: time(60), opens: time(660) }];
  const both = result({
    stopped: [campaign("f", -60, { rule: "FL-*" }), campaign("g", 3500, { rule: "GA-*", end: at(60) }), campaign("x", 9, { rule: null, end: null })],
    closings: [recorded({ rule: "FL-*" }), recorded({ rule: "GA-*", end: at(60), verified_at: at(60, 1) })],
  });
  const { closings } = seen([run(-20, both, { end_date: at(60, 2) })], { ends });
  assert.deepEqual(closings.map((each) => [each.rule, each.found, each.delay]), [["GA-*", 1, -100_000], ["FL-*", 2, 9_000]]);
});

test("all sweeps of an end are one closing, and one sweep's success does not hide what another lacks", () => {
  const other = (minutes, value) => run(minutes, value, { dag_id: "other", map_index: 3 });
  const runs = [run(-20, result({ stopped: [campaign("a", -5)] }), { end_date: at(0, 3) }), other(-60, result({ closings: [] }))];
  const closing = only(runs);
  assert.deepEqual(closing.outcome, { level: "bad", words: "No evidence: 1 of 2 sweeps" });
  assert.deepEqual(closing.sweeps.map((each) => each.sweep), ["keep_closed.sweep", "other.sweep[3]"]);
  assert.equal(only([...runs, other(0, result({ stopped: [campaign("a", -9)], connection_id: "second" }))]).found, 2);
});

test("a campaign that a later run stops has not failed, but the closing tells", () => {
  const failed = run(0, result({ failed: [campaign("a", null)], closings: [recorded({ verified_at: null, live_at_end: ["a"] })] }), { state: "failed" });
  const later = run(5, result({ stopped: [campaign("a", 301)], closings: [recorded({ verified_at: at(5, 2), live_at_end: ["a"] })] }));
  const closing = only([failed, later]);
  assert.deepEqual([closing.failed, closing.found, closing.delay], [0, 1, 301_000]);
  assert.deepEqual(closing.outcome, { level: "warn", words: "Late by 5 min 2 s, 1 campaign live at the end, after 1 failed run" });
});

test("the calling hours of each run count, as far as Airflow has them", () => {
  const fields = (hours) => ({ rendered_fields: hours === undefined ? {} : { calling_hours: hours } });
  const runs = [[-3, undefined], [-2, HOURS], [-1, undefined], [0, { open: true }], [1, null]].map(([day, hours]) => run(day * DAY, null, fields(hours)));
  assert.deepEqual(spansOf(withHours(runs), time(2 * DAY)).map(({ hours, from, until }) => [hours, from, until]), [
    [HOURS, time(-3 * DAY), time(0)], [{ open: true }, time(0), time(DAY)], [null, time(DAY), time(2 * DAY)],
  ]);
  assert.deepEqual(spansOf(withHours([run(0, null, fields(undefined))]), time(9)).map(({ hours }) => hours), [undefined]);
  assert.ok(isTruncated(toRun(instance(0, fields("Truncated. You can change this behaviour in [core]…"))).hours));
});

test("a run that Airflow has no calling hours of has those of its sweep", () => {
  const unknown = { rendered_fields: {} };
  const quiet = [run(-300, undefined, unknown), run(-295, result({ closings: [] }), unknown), run(-290, undefined)];
  assert.deepEqual(outcomes(quiet, { now: time(-200) }), []);
  const none = { rendered_fields: { calling_hours: null } };
  const found = [run(0, result({ closings: [] }), unknown), run(5, result({ closings: [] }), none)];
  assert.deepEqual(outcomes(found), ["good: Verified stopped"]);
});

test("an end that a run does not name although it began after it was not in its calling hours", () => {
  const before = { ...endOn(0), end: time(-60) };
  assert.deepEqual(outcomes([run(-300, null), run(0, result())], { ends: [before] }),
    ["good: Verified in time", "none: The calling hours were others then"]);
});

test("without known calling hours results alone show closings, and green is only what they show", () => {
  const unknown = { rendered_fields: null };
  const runs = [run(0, result(), unknown), run(5, null, { ...unknown, state: "failed" }), run(10, result(), unknown)];
  assert.deepEqual(outcomes(runs), ["warn: Verified in time, after 1 failed run"]);
  assert.deepEqual(outcomes([run(0, result({ closings: [] }), unknown)]), []);
  assert.deepEqual(outcomes([run(0, undefined, unknown)]), ["none: Success, not read yet"]);
});

test("without calling hours it is the closing from noon to noon", () => {
  const none = { rendered_fields: { calling_hours: null } };
  const failed = run(0, null, { ...none, state: "failed" });
  const closing = only([failed, run(600, null, { ...none, state: "failed" })], { zone: "America/New_York" });
  assert.equal(closing.key, "runs of 2026-11-19");
  assert.deepEqual([closing.found, closing.failed, closing.incidents, closing.delay], [null, null, null, null]);
  const stopped = run(5, result({ stopped: [campaign("a", 301, { rule: null, end: null })], closings: [] }), none);
  assert.deepEqual(outcomes([failed, stopped]), ["warn: Verified stopped, after 1 failed run"]);
  assert.deepEqual(outcomes([run(0, undefined, none)]), ["none: Success, not read yet"]);
});

test("each state has its words", () => {
  const words = (state, value) => outcomeOf(run(0, value, { state })).words;
  assert.deepEqual(
    ["running", "deferred", null, "up_for_retry", "skipped", "upstream_failed", "failed", "success"].map((state) => words(state, null)),
    ["Under way", "Under way", "Under way", "Failed, will be tried again", "Skipped: nothing was stopped",
      "Did not run: a task before it failed", "Failed, no result", "Success, no result"],
  );
  assert.equal(words("failed", result({ outcome: "killed" })), "Killed while it ran");
  assert.equal(words("failed", result({ outcome: "failed" })), "Failed");
});

test("only what may have a result is read", () => {
  const reading = (state) => toRun(instance(0, { state })).reading;
  assert.deepEqual(["running", null, "upstream_failed", "success", "failed", "skipped", "up_for_retry"].map(reading),
    ["none", "none", "none", "unread", "unread", "unread", "unread"]);
});

test("what is no result is not taken for one", () => {
  for (const value of ['"s3://bucket/key"', "s3://bucket/key", "42", "null", "[]", '{"a": 1}', '{"__classname__": "x"}']) {
    assert.equal(withValue(toRun(instance(0)), value).reading, "unreadable", value);
  }
  const odd = withValue(toRun(instance(0)), {
    stopped: [null, 7, { campaign_id: 5, name: { a: 1 }, confirmed_at: {} }], failed: "x", incidents: "x",
    closings: [null, 3, {}, { end: 7 }, { end: END, rule: { b: 2 }, verified_at: [], live_at_end: 4 }], missed_closings: "y",
  });
  assert.deepEqual(odd.result.campaigns.map((each) => [each.id, each.name, each.confirmedAt]), [["5", '{"a":1}', null]]);
  assert.deepEqual([...odd.result.closings.values()], [{ rule: '{"b":2}', end: Date.parse(END), verifiedAt: null, liveAtEnd: [] }]);
});

test("of each closing that nothing shows the first run after its end is read first, then the next", () => {
  const night = (day) => [-5, 0, 5, 300].map((minutes) => run(day * DAY + minutes, undefined));
  const [older, newer] = [night(-1), night(0)];
  const wanted = (runs) => firstReads(seen(runs).sweepClosings).map((each) => each.id);
  assert.deepEqual(wanted([...older, ...newer]), [newer[1].id, older[1].id]);
  newer[1] = { ...newer[1], reading: "none", state: "failed" };
  older[1] = withValue(older[1], result({ closings: [recorded({ end: at(-DAY), verified_at: at(-DAY, 1) })] }));
  assert.deepEqual(wanted([...older, ...newer]), [newer[2].id]);
});

test("then what failed and where a night begins, the newest closing, and long runs", () => {
  const night = (first) => [0, 5, 10, 15].map((minutes) => run(first + minutes, undefined));
  const [older, newer] = [night(-DAY), night(0)];
  older[1] = run(-DAY + 5, undefined, { duration: 90 });
  newer[2] = run(10, undefined, { state: "failed" });
  const runs = [...newer, ...older];
  const order = readingOrder(runs, seen(runs).closings).map((each) => each.id);
  const ids = (each) => each.map((one) => one.id);
  assert.deepEqual(order, ids([newer[2], newer[0], older[0], newer[3], newer[1], older[1], older[2], older[3]]));
});

test("thousands of runs are grouped in a moment", () => {
  const runs = Array.from({ length: 6000 }, (_, index) => run((index - 3000) * 5, index % 10 ? undefined : null));
  assert.ok(seen(runs, { now: time(12 * DAY) }).closings.length > 20);
});

test("CSV quotes, and no name becomes a formula", () => {
  assert.equal(toCsv([["a,b", 'say "x"', "two\nlines", null, 3, -2, "-2+3", "=1+1", "@x", "\t=1"]]),
    `"a,b","say ""x""","two\nlines",,3,-2,'-2+3,'=1+1,'@x,'\t=1\r\n`);
  const closing = only([run(-20, result({ stopped: [campaign("=cmd", -5, { name: "<b>,x" })] }), { end_date: at(0, 3) })]);
  assert.match(campaignsCsv(closing), /,campaign_default,'=cmd,"<b>,x",sms,stopped,/);
  assert.match(closingsCsv([closing]), /\r\n2026-11-20T02:00:00.000Z,\*,2026-11-20T01:59:55.000Z,-5,1,0,0,1,0,Verified in time\r\n$/);
});

test("times and spans read well", () => {
  assert.equal(formatTime(Date.parse(END), "America/New_York"), "19 Nov 2026, 21:00:00");
  assert.equal(formatTime(null, "UTC"), "–");
  assert.deepEqual([400, 59_960, 60_000, 312_000, 7_500_000].map(formatSpan), ["0.4 s", "1 min", "1 min", "5 min 12 s", "2 h 5 min"]);
  assert.deepEqual([42_000, -12_000, null].map(formatDelay), ["42 s after the end", "12 s before the end", ""]);
});

test("the axis begins at the end of calling hours, or before it where something was stopped in time", () => {
  assert.equal(scale([])[0], 0);
  const ticks = scale([-30_000, 131_000]);
  assert.ok(ticks.includes(0) && ticks[0] <= -30_000 && ticks.at(-1) >= 131_000);
  assert.ok(ticks.length <= 8);
});
