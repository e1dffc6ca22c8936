// How values are written: times, spans, CSV. No DOM.

export function formatTime(time, zone, { seconds = true, date = true } = {}) {
  if (time === null) return "–";
  return new Intl.DateTimeFormat("en-GB", {
    timeZone: zone,
    ...(date ? { day: "2-digit", month: "short", year: "numeric" } : {}),
    hour: "2-digit",
    minute: "2-digit",
    ...(seconds ? { second: "2-digit" } : {}),
  }).format(time);
}

export function formatSpan(milliseconds) {
  const total = Math.round(Math.abs(milliseconds) / 100) / 10;
  if (total < 60) return `${total < 10 ? total : Math.round(total)} s`;
  const [hours, minutes, seconds] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, Math.round(total) % 60];
  return hours ? `${hours} h ${minutes} min` : `${minutes} min${seconds ? ` ${seconds} s` : ""}`;
}

export function formatDelay(milliseconds) {
  if (milliseconds === null) return "";
  return `${formatSpan(milliseconds)} ${milliseconds < 0 ? "before" : "after"} the end`;
}

export const orDash = (value) => (value === null || value === undefined || value === "" ? "–" : String(value));

const iso = (time) => (time === null ? "" : new Date(time).toISOString());

// A spreadsheet takes a text that begins like this for a formula; anyone may name a campaign.
function cell(value) {
  const text = value === null || value === undefined ? "" : String(value);
  const safe = typeof value === "string" && /^\s*[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export const toCsv = (rows) => rows.map((row) => row.map(cell).join(",") + "\r\n").join("");

export function closingsCsv(closings) {
  const head = [
    "end", "rule", "last_confirmed_at", "seconds_after_end", "found", "failed", "incidents", "runs", "runs_not_read", "outcome",
  ];
  const rows = closings.map((each) => [
    iso(each.end), each.rule, iso(each.lastConfirmed), each.delay === null ? "" : each.delay / 1000,
    each.found, each.failed, each.incidents, each.runs.length, each.unread, each.outcome.words,
  ]);
  return toCsv([head, ...rows]);
}

export function campaignsCsv(closing) {
  const head = [
    "end", "rule", "dag_id", "run_id", "task_id", "map_index", "connection_id", "campaign_id", "name", "campaign_type",
    "list", "asked_at", "confirmed_at", "status", "message", "excluded_by", "is_incident",
  ];
  const others = closing.runs.filter((run) => run.result).flatMap((run) =>
    [...run.result.excluded, ...run.result.openUntil, ...run.result.mayStart].map((each) => ({ each, run })));
  const rows = [...closing.entries, ...others].map(({ each, run }) => [
    iso(closing.end), closing.rule, run.dagId, run.runId, run.taskId, run.mapIndex, run.result.connection, each.id, each.name,
    each.type, each.list, iso(each.askedAt), iso(each.confirmedAt), each.status, each.message, each.excludedBy, each.isIncident,
  ]);
  return toCsv([head, ...rows]);
}
