// The plot: seconds from the end of the window until the last campaign is confirmed, one column a closing.

import { formatSpan, formatDelay } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 960;
const HEIGHT = 240;
const BOX = { left: 88, right: 12, top: 26, bottom: 34 };
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400].map((step) => step * 1000);

function draw(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Where the axis begins and ends, and its ticks, in milliseconds after the end of the window.
export function scale(delays) {
  const [low, high] = [Math.min(0, ...delays), Math.max(1000, ...delays)];
  const step = STEPS.find((each) => (high - low) / each <= 5) ?? STEPS.at(-1);
  const [first, last] = [Math.floor(low / step), Math.ceil(high / step)];
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
}

const nameOf = (tick) => (tick === 0 ? "hours end" : `${tick < 0 ? "−" : "+"}${formatSpan(tick)}`);

function mark(closing, x, y, zero, width) {
  const { level } = closing.outcome;
  const parts = [];
  if (closing.delay !== null) {
    const top = Math.min(y(closing.delay), zero);
    const height = Math.max(Math.abs(y(closing.delay) - zero), 2);
    parts.push(draw("rect", { class: `bar ${level}`, x: x - width / 2, y: top, width, height }));
  } else if (level !== "bad" && closing.end !== null) {
    parts.push(draw("circle", { class: `mark ${level}`, cx: x, cy: zero, r: 3.5 }));
  }
  if (level === "bad") parts.push(draw("text", { class: "mark bad", x, y: BOX.top - 10 }, "✕"));
  if (closing.incidents > 0) {
    const stack = level === "bad" ? 14 : 0;
    parts.push(draw("text", { class: "mark incident", x, y: BOX.top - 10 + stack }, `◆${closing.incidents}`));
  }
  return parts;
}

// Draw closings, newest first as they are listed, from left (oldest) to right; `labelOf` names one of them.
export function plot(closings, { labelOf, dayOf, onSelect }) {
  const shown = [...closings].reverse();
  const ticks = scale(shown.map((each) => each.delay).filter((each) => each !== null));
  const [low, high] = [ticks[0], ticks.at(-1)];
  const y = (delay) => BOX.top + ((high - delay) / (high - low)) * (HEIGHT - BOX.top - BOX.bottom);
  const slot = (WIDTH - BOX.left - BOX.right) / Math.max(shown.length, 1);
  const picture = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-labelledby": "plot-title" });
  for (const tick of ticks) {
    picture.append(
      draw("line", { class: tick === 0 ? "axis" : "grid", x1: BOX.left, x2: WIDTH - BOX.right, y1: y(tick), y2: y(tick) }),
      draw("text", { class: "tick", x: BOX.left - 8, y: y(tick) + 4 }, nameOf(tick)),
    );
  }
  const every = Math.ceil(shown.length / 10);
  shown.forEach((closing, index) => {
    const x = BOX.left + slot * (index + 0.5);
    const { outcome, incidents } = closing;
    const words = [labelOf(closing), formatDelay(closing.delay), outcome.words, incidents ? `${incidents} incidents` : ""];
    const column = draw("g", { class: "column" },
      draw("title", {}, words.filter(Boolean).join("\n")),
      draw("rect", { class: "hover", x: x - slot / 2, y: 0, width: slot, height: HEIGHT - BOX.bottom }),
      ...mark(closing, x, y, y(0), Math.min(slot * 0.7, 24)),
    );
    column.addEventListener("click", () => onSelect(closing));
    picture.append(column);
    if ((shown.length - 1 - index) % every === 0) picture.append(draw("text", { class: "day", x, y: HEIGHT - 12 }, dayOf(closing)));
  });
  return picture;
}
