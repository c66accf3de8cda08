// What the lock component asks of its host, `holdfast:lock/store`: keys in a Map. No call waits in between,
// so each is one atomic step.
const held = new Map();

function ownerOf(key) {
  const lock = held.get(key);
  return lock && performance.now() < lock.until ? lock.owner : undefined;
}

export const stores = () => [{ name: "lockstore", keyPrefix: "", appId: "node" }];

export function acquire({ key, owner, ttl }) {
  if (ownerOf(key) !== undefined) return { tag: "held" };
  held.set(key, { owner, until: performance.now() + Number(ttl) });
  return { tag: "granted", val: {} };
}

export function release({ key, owner }) {
  const holder = ownerOf(key);
  if (holder !== owner) return holder === undefined ? "missing" : "held-by-other";
  held.delete(key);
  return "released";
}
