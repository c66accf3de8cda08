// Shows the events of /v1.0/watch. It reads them with fetch, because an EventSource cannot send the token.

const TOKEN = "holdfast-admin-token";
const AFTER_FAILURE = 2_000;
const FRAME = 200;
const REMEMBERED = 50;

const $ = (id) => document.getElementById(id);
/** What is known of each store: its locks and how many wait for them, by resource id. */
const stores = new Map();
const history = [];
let token = sessionStorage.getItem(TOKEN) ?? "";

const headers = () => (token ? { [TOKEN]: token } : {});

/** What is known of a store. */
function known(name) {
  if (!stores.has(name)) stores.set(name, { locks: new Map(), waiting: new Map(), synced: false, problem: "" });
  return stores.get(name);
}

/** When the time of a lock is over, on this machine's clock; never for a lock without an end. */
function end(lock) {
  return lock.timeLeft === undefined ? Infinity : performance.now() + Number.parseFloat(lock.timeLeft) * 1_000;
}

function remember(sign, storeName, lock) {
  const time = new Date().toLocaleTimeString();
  history.unshift(`${time} ${sign} ${lock.resourceId} (${storeName}) ${lock.lockOwner}`);
  history.length = Math.min(history.length, REMEMBERED);
}

/** Takes an event of the server. */
function take({ storeName, ...event }) {
  const [[kind, value]] = Object.entries(event);
  const store = known(storeName);
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
      const ends = end(value);
      store.locks.set(value.resourceId, { ...value, ends, whole: ends - performance.now() });
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

/** The elements of the locks that are shown. They stay while their locks do, so that a button keeps its focus. */
const shown = new Map();

function element(key, storeName, resourceId) {
  if (!shown.has(key)) {
    const item = $("lock").content.cloneNode(true).firstElementChild;
    item.querySelector(".resource").textContent = resourceId;
    item.querySelector(".store").textContent = storeName;
    item.querySelector(".release").addEventListener("click", () => ask(storeName, resourceId));
    shown.set(key, item);
  }
  return shown.get(key);
}

/** Changes an element only where it differs, so that what reads the page aloud is not disturbed. */
function set(item, property, value) {
  if (item[property] !== value) item[property] = value;
}

function show() {
  const wanted = $("filter").value.toLowerCase();
  const rows = [];
  for (const [storeName, { locks, waiting }] of stores) {
    for (const [resourceId, lock] of locks) {
      const words = `${storeName} ${resourceId} ${lock.lockOwner}`.toLowerCase();
      if (!words.includes(wanted)) continue;
      const item = element(JSON.stringify([storeName, resourceId]), storeName, resourceId);
      const left = lock.ends - performance.now();
      const calls = waiting.get(resourceId) ?? 0;
      set(item.querySelector(".owner"), "textContent", lock.lockOwner);
      set(item.querySelector(".left"), "textContent", text(left));
      set(item.querySelector(".waiting"), "textContent", calls > 0 ? `${calls} waiting` : "");
      const part = lock.ends === Infinity ? 1 : Math.min(1, Math.max(0, left / lock.whole));
      set(item.querySelector("progress"), "value", part);
      rows.push([storeName, resourceId, item]);
    }
  }
  const before = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  rows.sort((a, b) => before(a[0], b[0]) || before(a[1], b[1]));
  const items = rows.map(([, , item]) => item);
  const list = $("locks");
  if (items.length !== list.children.length || items.some((item, at) => item !== list.children[at])) {
    list.replaceChildren(...items);
    for (const [key, item] of shown) if (!item.isConnected) shown.delete(key);
  }
  lines($("history"), history);
  lines($("problems"), [...stores].filter(([, { problem }]) => problem).map(([name, { problem }]) => `${name}: ${problem}`));
  const synced = stores.size > 0 && [...stores.values()].every(({ synced }) => synced);
  $("none").hidden = items.length > 0 || !synced;
}

function lines(list, texts) {
  const same = texts.length === list.children.length && texts.every((text, at) => text === list.children[at].textContent);
  if (same) return;
  list.replaceChildren(...texts.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
}

/** Asks whether to release a lock, and does. */
function ask(storeName, resourceId) {
  const lock = stores.get(storeName)?.locks.get(resourceId);
  if (lock === undefined) return;
  $("what").textContent = `${resourceId} in ${storeName}`;
  $("holder").textContent = lock.lockOwner;
  const question = $("question");
  question.returnValue = "";
  question.onclose = () => {
    if (question.returnValue === "release") release(storeName, resourceId);
  };
  question.showModal();
}

async function release(storeName, resourceId) {
  const path = [storeName, resourceId].map(encodeURIComponent).join("/");
  try {
    const response = await fetch(`/v1.0/leases/${path}`, { method: "DELETE", headers: headers() });
    if (!response.ok) throw new Error((await response.json()).message);
  } catch (error) {
    $("state").textContent = `not released: ${error.message}`;
  }
}

/** Takes events until the connection ends. */
async function watch() {
  const response = await fetch("/v1.0/watch", { headers: headers() });
  if (response.status === 401) {
    $("admission").hidden = false;
    $("state").textContent = token ? "this token is wrong" : "a token is needed";
    return false;
  }
  if (!response.ok) throw new Error((await response.json()).message);
  $("admission").hidden = true;
  $("state").textContent = "live";
  stores.clear();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the server has ended");
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) if (event.startsWith("data: ")) take(JSON.parse(event.slice("data: ".length)));
  }
}

async function watchForEver() {
  for (;;) {
    try {
      if (!(await watch())) return;
    } catch (error) {
      $("state").textContent = `not connected: ${error.message}`;
    }
    await new Promise((later) => setTimeout(later, AFTER_FAILURE));
  }
}

$("admission").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value;
  sessionStorage.setItem(TOKEN, token);
  watchForEver();
});
setInterval(show, FRAME);
watchForEver();
