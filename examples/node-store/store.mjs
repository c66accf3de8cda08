// `holdfast:lock/store`, which the lock component imports, over a Map. No function awaits anything, so each
// call is atomic.
const held = new Map();

function ownerOf(key) {
  const lock = held.get(key);
  return lock && performance.now() < lock.until ? lock.owner : undefined;
}

// The latest fencing token of all grants. It grows across restarts, too.
let latest = 0n;

function nextNumber() {
  const now = BigInt(Date.now()) * 1000n;
  latest = now > latest ? now : latest + 1n;
  return latest;
}

export const stores = () => [{ name: "lockstore", keyPrefix: "", appId: "node" }];

export const freshOwner = () => crypto.randomUUID();

// It cannot wait: the caller decides when to try again.
export function acquire({ key, owner, ttl, fenced }) {
  if (ownerOf(key) !== undefined) return { tag: "held" };
  const fencingToken = fenced ? nextNumber() : undefined;
  held.set(key, { owner, until: performance.now() + Number(ttl), fencingToken });
  return { tag: "granted", val: { fencingToken, validFor: ttl } };
}

export function extend({ key, owner, ttl, mayShorten }) {
  const holder = ownerOf(key);
  if (holder !== owner) return { tag: holder === undefined ? "gone" : "held-by-other" };
  const lock = held.get(key);
  const until = performance.now() + Number(ttl);
  if (mayShorten || until > lock.until) lock.until = until;
  return { tag: "extended", val: timeLeft(lock) };
}

export function inspect({ key }) {
  const owner = ownerOf(key);
  if (owner === undefined) return undefined;
  const lock = held.get(key);
  return { owner, timeLeft: timeLeft(lock), fencingToken: lock.fencingToken };
}

const timeLeft = (lock) => BigInt(Math.max(1, Math.floor(lock.until - performance.now())));

export function release({ key, owner }) {
  const holder = ownerOf(key);
  if (holder !== owner) return holder === undefined ? "missing" : "held-by-other";
  held.delete(key);
  return "released";
}
