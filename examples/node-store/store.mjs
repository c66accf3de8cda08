// `holdfast:lock/store`, which the lock component imports, over a Map. No function awaits anything, so each
// call is atomic.
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
