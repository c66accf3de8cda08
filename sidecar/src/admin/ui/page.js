// Shows the events of /v1.0/watch. It reads them with fetch, because an EventSource cannot send the token.
//
// All paths are relative, so that a proxy may serve the page below a path of its own.

const TOKEN = "holdfast-admin-token";
/** How long to wait before another try, in milliseconds. */
const AFTER_FAILURE = 2_000;
/** How long the server may be silent. It sends something every 15 s. */
const SILENCE = 40_000;
const FRAME = 250;
const REMEMBERED = 50;
/** How many locks are shown: more would make the page slow, and nobody reads them. */
const MOST = 500;

const $ = (id) => document.getElementById(id);

/** The state of each store: its locks and how many calls wait for them, by resource id. */
const stores = new Map();
const history = [];
/** The shown locks, and whether the list has to be remade. */
let rows = [];
let stale = true;
/** The lock that the open question is about. */
let asked;
let notReleased = "";
let token = sessionStorage.getItem(TOKEN) ?? "";
/** Ends the watch. */
let watching = new AbortController();

/** The header with the token, whose bytes are those of UTF-8: a browser takes a character for each byte. */
function headers() {
  const bytes = new TextEncoder().encode(token);
  return token ? { [TOKEN]: String.fromCharCode(...bytes) } : {};
}

/** Escapes characters of a foreign text that turn or break it. */
function printable(text) {
  const escaped = (character) => `\\u{${character.codePointAt(0).toString(16)}}`;
  return text.replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, escaped);
}

/** The state of a store. */
function known(name) {
  if (!stores.has(name)) stores.set(name, { locks: new Map(), waiting: new Map(), synced: false, problem: "" });
  return stores.get(name);
}

function remember(sign, storeName, lock) {
  history.unshift({ time: new Date().toLocaleTimeString(), sign, storeName, lock });
  history.length = Math.min(history.length, REMEMBERED);
}

/** Takes an event of the server. */
function take({ storeName, ...event }) {
  const [[kind, value]] = Object.entries(event);
  const store = known(storeName);
  stale = true;
  switch (kind) {
    case "began":
      store.locks.clear();
      store.waiting.clear();
      store.synced = false;
      break;
    case "synced":
      store.synced = true;
      store.problem = "";
      break;
    case "taken":
    case "extended": {
      const whole = value.timeLeft === undefined ? Infinity : Number.parseFloat(value.timeLeft) * 1_000;
      store.locks.set(value.resourceId, { ...value, ends: performance.now() + whole, whole });
      if (kind === "taken" && store.synced) remember("taken", storeName, value);
      break;
    }
    case "freed":
      store.locks.delete(value.resourceId);
      remember("freed", storeName, value);
      break;
    case "waiting":
      if (value.calls > 0) store.waiting.set(value.resourceId, value.calls);
      else store.waiting.delete(value.resourceId);
      break;
    case "failed":
      store.problem = value.message;
      break;
  }
}

/** In seconds, or in longer units, as `holdfast locks` does. */
function text(milliseconds) {
  if (milliseconds === Infinity) return "for ever";
  const seconds = Math.max(0, milliseconds / 1_000);
  const whole = Math.floor(seconds);
  if (whole < 60) return `${(Math.floor(seconds * 10) / 10).toFixed(1)}s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)}m ${whole % 60}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3_600)}h ${Math.floor(whole / 60) % 60}m`;
  return `${Math.floor(whole / 86_400)}d ${Math.floor(whole / 3_600) % 24}h`;
}

/** Changes an element only where it differs, so that a screen reader is not disturbed. */
function set(item, property, value) {
  if (item[property] !== value) item[property] = value;
}

/** The elements of the locks that are shown, by store and resource id. */
const shown = new Map();

/** The parts of the element of a lock, which stay while it is shown. */
function parts(storeName, resourceId) {
  const key = JSON.stringify([storeName, resourceId]);
  if (!shown.has(key)) {
    const item = $("lock").content.cloneNode(true).firstElementChild;
    const part = (name) => item.querySelector(`.${name}`);
    part("resource").textContent = printable(resourceId);
    part("store").textContent = printable(storeName);
    part("release").addEventListener("click", () => ask(storeName, resourceId));
    shown.set(key, { item, owner: part("owner"), left: part("left"), waiting: part("waiting"), bar: part("bar") });
  }
  return shown.get(key);
}

/** The locks that the filter lets pass, in their order. */
function wantedRows() {
  const wanted = $("filter").value.toLowerCase();
  const all = [];
  for (const [storeName, { locks, waiting }] of stores) {
    for (const [resourceId, lock] of locks) {
      const words = `${storeName}\n${resourceId}\n${lock.lockOwner}`.toLowerCase();
      if (words.includes(wanted)) all.push({ storeName, resourceId, lock, calls: waiting.get(resourceId) ?? 0 });
    }
  }
  const before = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  return all.sort((a, b) => before(a.storeName, b.storeName) || before(a.resourceId, b.resourceId));
}

/** Remakes the list. Elements that stay are not touched, so that a button keeps its focus. */
function arrange() {
  stale = false;
  const all = wantedRows();
  rows = all.slice(0, MOST).map((row) => ({ ...row, ...parts(row.storeName, row.resourceId) }));
  const items = new Set(rows.map(({ item }) => item));
  const list = $("locks");
  for (const [key, { item }] of shown) {
    if (!items.has(item)) {
      item.remove();
      shown.delete(key);
    }
  }
  let next = list.firstElementChild;
  for (const { item, lock, calls, owner, waiting } of rows) {
    if (item === next) next = next.nextElementSibling;
    else list.insertBefore(item, next);
    set(owner, "textContent", printable(lock.lockOwner));
    set(waiting, "textContent", calls > 0 ? `${calls} waiting` : "");
  }
  const more = all.length - rows.length;
  set($("more"), "textContent", more > 0 ? `${more} more: filter them` : "");
  const known = [...stores.values()];
  const synced = known.length > 0 && known.every(({ synced, problem }) => synced && !problem);
  $("none").hidden = all.length > 0 || !synced;
  const problems = [...stores].filter(([, { problem }]) => problem).map(([name, { problem }]) => `${name}: ${problem}`);
  lines($("problems"), notReleased ? [notReleased, ...problems] : problems);
  lines($("history"), history.map(({ time, sign, storeName, lock }) =>
    `${time} ${sign} ${lock.resourceId} (${storeName}) ${lock.lockOwner}`));
  stillAsk();
}

function lines(list, texts) {
  const written = texts.map(printable);
  const same = written.length === list.children.length && written.every((text, at) => text === list.children[at].textContent);
  if (same) return;
  list.replaceChildren(...written.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
}

function show() {
  if (stale) arrange();
  const now = performance.now();
  for (const { lock, left, bar } of rows) {
    set(left, "textContent", text(lock.ends - now));
    const part = lock.ends === Infinity ? 1 : Math.min(1, Math.max(0, (lock.ends - now) / lock.whole));
    // A hundredth is less than what can be seen.
    set(bar, "value", Math.round(part * 100) / 100);
  }
}

/** Asks whether to release a lock, and does. */
function ask(storeName, resourceId) {
  const lock = stores.get(storeName)?.locks.get(resourceId);
  if (lock === undefined) return;
  asked = { storeName, resourceId, owner: lock.lockOwner };
  $("what").textContent = printable(resourceId);
  $("where").textContent = printable(storeName);
  $("holder").textContent = printable(lock.lockOwner);
  const question = $("question");
  question.returnValue = "";
  question.onclose = () => {
    const answered = asked;
    asked = undefined;
    if (question.returnValue === "release" && answered !== undefined) release(answered);
  };
  question.showModal();
}

/** Closes the question if its lock has gone, or has another owner than the one that the question names. */
function stillAsk() {
  if (asked === undefined) return;
  const lock = stores.get(asked.storeName)?.locks.get(asked.resourceId);
  if (lock?.lockOwner === asked.owner) return;
  asked = undefined;
  $("question").close();
}

async function release({ storeName, resourceId }) {
  notReleased = "";
  stale = true;
  try {
    // In a path, a browser takes some names for the folder itself and the one above.
    const wanted = new URLSearchParams({ resource: resourceId });
    const path = `v1.0/leases/${encodeURIComponent(storeName)}?${wanted}`;
    const limit = AbortSignal.timeout(SILENCE);
    const response = await fetch(path, { method: "DELETE", headers: headers(), signal: limit });
    if (!response.ok) throw new Error(await reason(response));
  } catch (error) {
    notReleased = `${resourceId} (${storeName}) was not released: ${error.message}`;
    stale = true;
  }
}

/** Why a request was refused. */
async function reason(response) {
  const error = await response.json().catch(() => ({}));
  return error.message ?? `status ${response.status}`;
}

/** Takes events until the watch ends. Returns whether to try again. */
async function watch(signal) {
  const wanted = new URLSearchParams();
  for (const [name, value] of new URLSearchParams(location.search)) {
    if (["prefix", "store"].includes(name)) wanted.set(name, value);
  }
  const response = await fetch(`v1.0/watch?${wanted}`, { headers: headers(), signal });
  if (response.status === 401) {
    $("admission").hidden = false;
    $("state").textContent = token ? "this token is wrong" : "a token is needed";
    return false;
  }
  if (!response.ok) throw new Error(await reason(response));
  $("admission").hidden = true;
  $("state").textContent = "live";
  stores.clear();
  stale = true;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    let timer;
    const silence = new Promise((_, silent) => {
      timer = setTimeout(() => silent(new Error("the server is silent")), SILENCE);
    });
    const { done, value } = await Promise.race([reader.read(), silence]).finally(() => clearTimeout(timer));
    if (done) throw new Error("the server has ended");
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) if (event.startsWith("data: ")) take(JSON.parse(event.slice("data: ".length)));
  }
}

/** Watches from now on, in place of an earlier watch. */
async function begin() {
  watching.abort();
  const mine = new AbortController();
  watching = mine;
  while (!mine.signal.aborted) {
    const connection = new AbortController();
    const end = () => connection.abort();
    mine.signal.addEventListener("abort", end);
    try {
      if (!(await watch(connection.signal))) return;
    } catch (error) {
      if (!mine.signal.aborted) $("state").textContent = `not connected: ${error.message}`;
    } finally {
      mine.signal.removeEventListener("abort", end);
      end();
    }
    await new Promise((later) => setTimeout(later, AFTER_FAILURE));
  }
}

$("admission").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value;
  sessionStorage.setItem(TOKEN, token);
  begin();
});
$("filter").addEventListener("input", () => {
  stale = true;
});
// A browser has few connections to a server, and a hidden page needs none.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    watching.abort();
    $("state").textContent = "paused";
  } else begin();
});
setInterval(show, FRAME);
begin();
