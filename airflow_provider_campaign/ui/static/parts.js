// What the views have in common: tables, outcomes, times, CSV.

import { canDownload, element, foreign } from "./dom.js";
import { formatTime } from "./texts.js";

const MARKS = { good: "✓", warn: "!", bad: "✕", busy: "…", none: "·" };

export const small = (...children) => element("small", {}, ...children);

export function outcome({ level, words }) {
  return element("span", { class: `outcome ${level}` }, element("span", { "aria-hidden": "true" }, MARKS[level]), ` ${words}`);
}

// A column whose name begins with # holds numbers.
export function table(caption, columns, rows, attributes = {}) {
  const heads = columns.map((name) =>
    element("th", { scope: "col", class: name.startsWith("#") ? "number" : null }, name.replace("#", "")),
  );
  return element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    element("table", attributes,
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, heads)),
      element("tbody", {}, rows)));
}

export function row(values, level = "") {
  const cells = values.map((value) => {
    const isNumber = typeof value === "number";
    return element("td", { class: isNumber ? "number" : null }, isNumber ? String(value) : value);
  });
  return element("tr", { class: level }, cells);
}

// A time in the window's zone, and in the user's where that differs.
export function moment(time, zone, userZone, options) {
  if (time === null) return "–";
  const own = formatTime(time, zone ?? userZone, options);
  const users = formatTime(time, userZone, options);
  return element("span", {}, own, own === users ? null : small(`${users} ${userZone}`));
}

// A campaign's name and id.
export const campaignCell = (campaign) => [foreign(campaign.name), small(foreign(campaign.id))];

// Shown as text, because Airflow's frame does not allow downloads before 3.3.2.
export function csv(name, text) {
  const area = element("textarea", { readonly: true, rows: "8", "aria-label": `${name} as CSV`, spellcheck: "false" });
  area.value = text;
  const said = element("span", { role: "status" });
  const copy = async () => {
    area.select();
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = " Copied.";
    } catch {
      said.textContent = " Selected: press Ctrl+C.";
    }
  };
  const link = canDownload() && element("a", {
    href: `data:text/csv;charset=utf-8,${encodeURIComponent(text)}`,
    download: `campaign-shutdowns-${name}.csv`,
  }, "Download");
  return element("details", { class: "csv" },
    element("summary", {}, "CSV"),
    area,
    element("button", { type: "button", onclick: copy }, "Copy"), " ",
    link,
    said);
}
