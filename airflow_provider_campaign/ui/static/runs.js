// One run of a sweep: a task instance and its result, as Airflow's REST API returns them. No DOM, no requests.

export const OPERATOR = "StopActiveCampaignsOperator";

// What names an end of calling hours.
export const keyOf = ({ end, rule }) => `${new Date(end).toISOString()} ${rule}`;

const UNFINISHED = new Set([
  "no status", "scheduled", "queued", "running", "deferred", "restarting", "up_for_reschedule", "up_for_retry",
]);
export const READINGS = {
  unread: "not read yet",
  none: "no result",
  forbidden: "you may not read XComs of this DAG",
  unreadable: "not a sweep's result",
  failed: "could not be read",
};

const WITHOUT_RESULT = new Set(["upstream_failed", "removed"]);

export function toTime(text) {
  const time = typeof text === "string" ? Date.parse(text) : NaN;
  return Number.isNaN(time) ? null : time;
}

const isObject = (value) => value !== null && typeof value === "object";
const list = (value) => (Array.isArray(value) ? value.filter(isObject) : []);
const text = (value) => (isObject(value) ? JSON.stringify(value) : String(value ?? ""));
const count = (value) => (Number.isFinite(value) ? value : null);

// The calling hours that a task was rendered with: null for none, undefined if Airflow does not have them.
export function hoursOf(fields) {
  if (!isObject(fields) || !("calling_hours" in fields)) return undefined;
  return fields.calling_hours || null;
}

// Airflow cuts off what is longer than [core] max_templated_field_length.
export const isTruncated = (hours) => typeof hours === "string" && hours.startsWith("Truncated.");

// `reading` says what is known of the result: unread, read, none, forbidden, unreadable or failed.
export function toRun(instance) {
  const runAfter = toTime(instance.run_after);
  const mapIndex = instance.map_index ?? -1;
  const mapped = mapIndex < 0 ? "" : `[${instance.rendered_map_index ?? mapIndex}]`;
  const state = instance.state ?? "no status";
  return {
    id: instance.id,
    version: `${instance.id} ${instance.try_number} ${state} ${instance.end_date}`,
    dagId: instance.dag_id,
    runId: instance.dag_run_id,
    taskId: instance.task_id,
    mapIndex,
    sweep: `${instance.dag_id}.${instance.task_id}${mapped}`,
    tryNumber: instance.try_number,
    state,
    at: toTime(instance.start_date) ?? runAfter ?? 0,
    endedAt: toTime(instance.end_date),
    duration: count(instance.duration),
    hours: hoursOf(instance.rendered_fields),
    dryRun: /^(true|yes|1|on)$/i.test(text(instance.rendered_fields?.dry_run)),
    reading: WITHOUT_RESULT.has(state) || (UNFINISHED.has(state) && state !== "up_for_retry") ? "none" : "unread",
    result: null,
    raw: null,
  };
}

// The API returns an XCom as the text that is stored, which is JSON.
export function withValue(run, value) {
  let parsed = value;
  try {
    parsed = typeof value === "string" ? JSON.parse(value) : value;
  } catch {
    // Not JSON: a reference into an XCom backend, for example.
  }
  const isResult = isObject(parsed) && ["stopped", "failed", "live"].some((key) => key in parsed);
  return isResult
    ? { ...run, reading: "read", raw: parsed, result: toResult(parsed), dryRun: Array.isArray(parsed.live) }
    : { ...run, reading: "unreadable", raw: parsed };
}

function toResult(value) {
  const incidents = Array.isArray(value.incidents) ? value.incidents.map((each) => text(each?.campaign_id ?? each)) : null;
  const campaigns = (name) =>
    list(value[name]).map((each) => toCampaign(each, name, value.connection_id, incidents ?? []));
  return {
    campaigns: ["failed", "stopped", "already_stopped", "live"].flatMap(campaigns),
    excluded: campaigns("excluded"),
    mayStart: campaigns("may_start"),
    incidents,
    closings: new Map(list(value.closings).filter(hasEnd).map((each) => [endKey(each), toClosing(each)])),
    missed: new Set(list(value.missed_closings).filter(hasEnd).map(endKey)),
    openUntil: campaigns("open_until"),
    connection: text(value.connection_id),
    platform: text(value.platform),
    reason: text(value.reason),
    error: text(value.error),
    hasEarlierTries: Array.isArray(value.earlier_tries),
    outcome: text(value.outcome),
    requests: count(value.requests),
    refused: count(value.refused),
    seconds: count(value.seconds),
    record: isObject(value.record) ? value.record : null,
  };
}

const hasEnd = (each) => toTime(each.end) !== null;
const endKey = (each) => keyOf({ rule: text(each.rule), end: toTime(each.end) });

function toClosing(each) {
  return {
    rule: text(each.rule),
    end: toTime(each.end),
    verifiedAt: toTime(each.verified_at),
    liveAtEnd: Array.isArray(each.live_at_end) ? each.live_at_end.map(text) : [],
  };
}

function toCampaign(each, list, connection, incidents) {
  const id = text(each.campaign_id);
  return {
    id,
    key: `${text(connection)} ${id}`,
    list,
    name: text(each.name),
    type: text(each.campaign_type),
    status: text(each.status),
    message: text(each.message),
    excludedBy: text(each.excluded_by),
    closing: hasEnd(each) ? endKey(each) : null,
    startsAt: toTime(each.starts_at),
    openUntil: toTime(each.open_until),
    askedAt: toTime(each.asked_at),
    confirmedAt: toTime(each.confirmed_at),
    isIncident: incidents.includes(id),
  };
}

// What became of a run: `level` is good, warn, bad, busy or none, and `words` say it.
export function outcomeOf(run) {
  const { state, reading } = run;
  if (state === "up_for_retry") return { level: "bad", words: "Failed, will be tried again" };
  if (UNFINISHED.has(state)) return { level: "busy", words: "Under way" };
  if (state === "skipped") return { level: "warn", words: "Skipped: nothing was stopped" };
  if (state === "upstream_failed") return { level: "bad", words: "Did not run: a task before it failed" };
  if (state === "removed") return { level: "none", words: "Removed from the DAG" };
  if (run.result?.outcome === "killed") return { level: "bad", words: "Killed while it ran" };
  if (state !== "success") return { level: "bad", words: reading === "none" ? "Failed, no result" : "Failed" };
  if (run.dryRun) return { level: "none", words: "Dry run" };
  if (reading === "none") return { level: "warn", words: "Success, no result" };
  if (reading !== "read") return { level: "none", words: `Success, ${READINGS[reading]}` };
  const isQuiet = run.hours !== null && !run.result.campaigns.length && !run.result.closings.size;
  return isQuiet ? { level: "none", words: "Nothing to close" } : { level: "good", words: "Verified stopped" };
}
