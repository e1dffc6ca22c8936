import assert from "node:assert/strict";
import { test } from "node:test";

import { readingOrder, toEvenings } from "./evenings.js";
import { scale } from "./plot.js";
import { outcomeOf, toRun, withValue } from "./runs.js";
import { campaignsCsv, eveningsCsv, formatDelay, formatSpan, formatTime, toCsv } from "./texts.js";

const END = "2026-11-20T02:00:00+00:00"; // 9 p.m. in New York
const at = (minutes, seconds = 0) => new Date(Date.parse(END) + minutes * 60_000 + seconds * 1000).toISOString();
let number = 0;

function instance(minutes, values = {}) {
  number += 1;
  return {
    id: `ti-${number}`, dag_id: "keep_closed", dag_run_id: `run-${number}`, task_id: "sweep", map_index: -1, state: "success",
    try_number: 1, run_after: at(minutes), start_date: at(minutes), end_date: at(minutes, 1), duration: 1,
    rendered_fields: { calling_hours: { timezone: "America/New_York" } }, ...values,
  };
}

const campaign = (id, seconds, values = {}) => ({
  campaign_id: id, name: id, campaign_type: "sms", asked_at: at(0, 1), confirmed_at: seconds === null ? null : at(0, seconds),
  status: "Stopped", message: "Campaign Stopped", ...values,
});

const result = (values = {}) => ({
  stopped: [], already_stopped: [], failed: [], excluded: [], may_start: [], incidents: [], window_end: END,
  connection_id: "campaign_default", requests: 2, ...values,
});

const run = (minutes, value, values) => {
  const made = toRun(instance(minutes, values));
  return value === null ? { ...made, reading: "none" } : value === undefined ? made : withValue(made, JSON.stringify(value));
};
const only = (runs, zone = "UTC") => {
  const evenings = toEvenings(runs, zone);
  assert.equal(evenings.length, 1);
  return evenings[0];
};

test("a night's runs are one evening under their window's end", () => {
  const evening = only([
    run(0, result({ stopped: [campaign("a", 5), campaign("b", 42)], already_stopped: [campaign("c", 3)] })),
    run(5, result()),
    run(300, result({ stopped: [campaign("d", 300 * 60 + 4)], incidents: ["d"] })),
  ]);
  assert.equal(evening.windowEnd, Date.parse(END));
  assert.equal(evening.delay, 42_000, "an incident hours later is not the closing");
  assert.deepEqual([evening.found, evening.failed, evening.incidents, evening.runs.length], [4, 0, 1, 3]);
  assert.equal(evening.outcome.level, "good");
  assert.equal(evening.zone, "America/New_York");
});

test("all sweeps of a window are one evening, and another window is another", () => {
  const other = { dag_id: "other", map_index: 3 };
  const evenings = toEvenings([
    run(0, result({ stopped: [campaign("a", 5)] })),
    run(0, result({ stopped: [campaign("a", 9)], connection_id: "second" }), other),
    run(60, result({ window_end: at(60), stopped: [campaign("w", 3700)] }), { dag_id: "west" }),
  ], "UTC");
  assert.deepEqual(evenings.map((each) => [each.windowEnd, each.found, each.delay]), [
    [Date.parse(at(60)), 1, 100_000], [Date.parse(END), 2, 9_000],
  ]);
  assert.equal(evenings[1].runs[1].sweep, "other.sweep[3]");
});

test("a campaign that a later run stops has not failed, but the evening tells", () => {
  const failed = run(0, result({ failed: [campaign("a", null)] }), { state: "failed" });
  assert.deepEqual(only([failed]).outcome, { level: "bad", words: "1 campaign not verified stopped" });
  const evening = only([failed, run(5, result({ stopped: [campaign("a", 301)] }))]);
  assert.deepEqual([evening.failed, evening.found, evening.delay], [0, 1, 301_000]);
  assert.deepEqual(evening.outcome, { level: "warn", words: "Verified stopped, after 1 failed run" });
});

test("one sweep's success does not hide another's failure", () => {
  const evening = only([
    run(0, result({ failed: [campaign("a", null)] }), { state: "failed", dag_id: "other" }),
    run(5, result({ stopped: [campaign("b", 3)] })),
  ]);
  assert.equal(evening.outcome.level, "bad");
});

test("a run without a result is in the evening of the runs around it", () => {
  const evening = only([run(-10, null, { state: "failed" }), run(0, result()), run(5, null, { state: "failed" }), run(10, result())]);
  assert.equal(evening.runs.length, 4);
  assert.equal(evening.outcome.words, "Verified stopped, after 2 failed runs");
});

test("without any window it is the evening from noon to noon, in the zone of its calling hours", () => {
  const evening = only([run(0, null, { state: "failed" }), run(600, null, { state: "failed" })]);
  assert.equal(evening.key, "evening of 2026-11-19");
  assert.deepEqual(evening.outcome, { level: "bad", words: "Failed, no result" });
  assert.deepEqual([evening.found, evening.failed, evening.incidents, evening.delay], [null, null, null, null]);
});

test("a result of an older version shows what it has", () => {
  const old = { stopped: [campaign("a", 5)], already_stopped: [], failed: [], total: 1, requests: 3, seconds: 2, reason: null };
  const evening = only([run(0, old)]);
  assert.deepEqual([evening.found, evening.incidents, evening.windowEnd, evening.delay], [1, null, null, null]);
  assert.equal(evening.lastConfirmed, Date.parse(at(0, 5)));
});

test("each state has its words", () => {
  const words = (state, value) => outcomeOf(run(0, value, { state })).words;
  assert.deepEqual(
    ["running", "deferred", null, "up_for_retry", "skipped", "upstream_failed", "failed", "success"].map((state) => words(state, null)),
    ["Under way", "Under way", "Under way", "Failed, will be tried again", "Skipped: nothing was stopped",
      "Did not run: a task before it failed", "Failed, no result", "Success, no result"],
  );
});

test("a killed task that could still write its result says so", () => {
  assert.equal(outcomeOf(run(0, result({ outcome: "killed" }), { state: "failed" })).words, "Killed while it ran");
  assert.equal(outcomeOf(run(0, result({ outcome: "failed" }), { state: "failed" })).words, "Failed");
});

test("only what may have a result is read", () => {
  const reading = (state) => toRun(instance(0, { state })).reading;
  assert.deepEqual(["running", null, "upstream_failed", "success", "failed", "skipped", "up_for_retry"].map(reading),
    ["none", "none", "none", "unread", "unread", "unread", "unread"]);
});

test("a dry run counts for nothing", () => {
  const dry = run(0, { ...result(), live: [campaign("a", null)] });
  assert.deepEqual([only([dry]).found, only([dry]).outcome.words], [null, "Dry run only"]);
  assert.equal(only([dry, run(5, result({ stopped: [campaign("b", 3)] }))]).found, 1);
});

test("what is no result is not taken for one", () => {
  for (const value of ['"s3://bucket/key"', "s3://bucket/key", "42", "null", "[]", '{"a": 1}', '{"__classname__": "x"}']) {
    assert.equal(withValue(toRun(instance(0)), value).reading, "unreadable", value);
  }
  const odd = withValue(toRun(instance(0)), { stopped: [null, 7, { campaign_id: 5, name: { a: 1 }, confirmed_at: {} }], failed: "x", incidents: "x" });
  assert.deepEqual(odd.result.campaigns.map((each) => [each.id, each.name, each.confirmedAt]), [["5", '{"a":1}', null]]);
});

test("where a night begins and ends and what failed is read first, then the newest evening, then long runs", () => {
  const day = 24 * 60;
  const night = (first) => [0, 5, 10, 15].map((minutes) => run(first + minutes, undefined));
  const older = night(-day);
  const newer = night(0);
  older[1] = run(-day + 5, undefined, { duration: 9 });
  newer[2] = run(10, undefined, { state: "failed" });
  const runs = [...newer, ...older];
  const order = readingOrder(runs, toEvenings(runs, "America/New_York")).map((each) => each.id);
  const ids = (each) => each.map((one) => one.id);
  assert.deepEqual(order, ids([newer[3], newer[2], newer[0], older[3], older[0], newer[1], older[1], older[2]]));
});

test("thousands of runs are grouped in a moment", () => {
  const runs = Array.from({ length: 6000 }, (_, index) => run(index * 5, index % 10 ? undefined : result()));
  assert.ok(toEvenings(runs, "UTC").length >= 1);
});

test("CSV quotes, and no name becomes a formula", () => {
  assert.equal(toCsv([["a,b", 'say "x"', "two\nlines", null, 3, -2, "-2+3", "=1+1", "@x", "\t=1"]]),
    `"a,b","say ""x""","two\nlines",,3,-2,'-2+3,'=1+1,'@x,'\t=1\r\n`);
  const evening = only([run(0, result({ stopped: [campaign("=cmd", 5, { name: "<b>,x" })] }))]);
  assert.match(campaignsCsv(evening), /,campaign_default,'=cmd,"<b>,x",sms,stopped,/);
  assert.match(eveningsCsv([evening]), /\r\n2026-11-20T02:00:00.000Z,2026-11-20T02:00:05.000Z,5,1,0,0,1,0,Verified stopped\r\n$/);
});

test("times and spans read well", () => {
  assert.equal(formatTime(Date.parse(END), "America/New_York"), "19 Nov 2026, 21:00:00");
  assert.equal(formatTime(null, "UTC"), "–");
  assert.deepEqual([400, 59_960, 60_000, 312_000, 7_500_000].map(formatSpan), ["0.4 s", "1 min", "1 min", "5 min 12 s", "2 h 5 min"]);
  assert.deepEqual([42_000, -12_000, null].map(formatDelay), ["42 s after the end", "12 s before the end", ""]);
});

test("the axis begins at the end of the window, or before it where something was stopped in time", () => {
  assert.equal(scale([])[0], 0);
  const ticks = scale([-30_000, 131_000]);
  assert.ok(ticks.includes(0) && ticks[0] <= -30_000 && ticks.at(-1) >= 131_000);
  assert.ok(ticks.length <= 8);
});
