// Elements, and what the page takes over from Airflow's UI around it: theme and time zone.

// Make an element. Children are elements or texts; texts are never read as HTML.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

// Text from outside: it keeps its direction to itself.
export const foreign = (text) => element("bdi", {}, text);

function stored(key) {
  try {
    const value = localStorage.getItem(key);
    return value === null ? null : value.replace(/^"|"$/g, "");
  } catch {
    return null;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // It is only forgotten.
  }
}

export const recall = (key) => stored(key) ?? "";

export function isZone(name) {
  try {
    return Boolean(name) && Boolean(new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

// The zone that Airflow's UI shows times in, else the browser's.
export function userZone() {
  const chosen = stored("timezone");
  return isZone(chosen) ? chosen : Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function parentDocument() {
  try {
    return window.parent === window ? null : window.parent.document;
  } catch {
    return null;
  }
}

export function followTheme() {
  const outside = parentDocument()?.documentElement;
  const apply = () => {
    const classes = [...(outside?.classList ?? [])];
    const theme = ["dark", "light"].find((name) => classes.includes(name)) ?? stored("theme");
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  apply();
  if (outside) new MutationObserver(apply).observe(outside, { attributes: true, attributeFilter: ["class"] });
  window.addEventListener("storage", apply);
}

// Airflow's frame allows downloads from 3.3.2 on; outside of a frame they are always allowed.
export function canDownload() {
  if (window.parent === window) return true;
  try {
    return window.frameElement.sandbox.contains("allow-downloads");
  } catch {
    return false;
  }
}

// Only outside of Airflow's frame, where a link may leave this page.
export function linkTo(path, text) {
  return window.parent === window ? element("a", { href: new URL(`../${path}`, document.baseURI).href }, text) : text;
}
