// Serves an upstream's answers from a cache that all nodes share. When an answer is no longer fresh, one
// request on one node fetches it anew, under a lock; all others get the old one meanwhile.

import { tryLock, unlock } from 'holdfast:lock/lock@0.1.0';
import { open } from 'wasi:keyvalue/store@0.2.0-draft';

// The lock store that the node lends.
const STORE = 'lockstore';
// How long a refresh may take, in seconds. The node must stop a call before that.
const LEASE = 5;
// How long an answer is fresh where the upstream does not say, in seconds.
const FRESH = 60;
// How long a request waits for an answer that another one fetches, in milliseconds, and how often it looks.
const PATIENCE = 2000;
const PAUSE = 50;

addEventListener('fetch', (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  if (request.method !== 'GET') {
    return new Response(null, { status: 405, headers: { allow: 'GET' } });
  }
  const bucket = open('');
  const { pathname, search } = new URL(request.url);
  // What is cached and locked under. `|` is what separates the parts of a lock's key.
  const key = (pathname + search).replaceAll('|', '%7C');
  const cached = read(bucket, key);
  if (cached && isFresh(cached)) {
    return respond(cached, 'fresh');
  }

  // Nobody else has this name, on no node.
  const owner = crypto.randomUUID();
  if (taken(key, owner)) {
    let refreshed;
    try {
      refreshed = await refresh(request.url, bucket, key);
    } finally {
      release(key, owner);
    }
    if (refreshed) {
      return respond(refreshed, 'refreshed');
    }
    return cached ? respond(cached, 'stale') : new Response(null, { status: 502, headers: { 'x-cache': 'none' } });
  }
  if (cached) {
    return respond(cached, 'stale');
  }
  for (let waited = 0; waited < PATIENCE; waited += PAUSE) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    const kept = read(bucket, key);
    if (kept) {
      return respond(kept, 'waited');
    }
  }
  return new Response(null, { status: 503, headers: { 'retry-after': '1' } });
}

function taken(key, owner) {
  try {
    return tryLock(STORE, key, owner, LEASE);
  } catch {
    return false; // It may mean that nobody knows: then the lock is not ours.
  }
}

function release(key, owner) {
  try {
    unlock(STORE, key, owner);
  } catch {
    // The lock ends by itself.
  }
}

// Fetches an answer and keeps it, unless another request has just done so.
async function refresh(url, bucket, key) {
  const kept = read(bucket, key);
  if (kept && isFresh(kept)) {
    return kept;
  }
  let fetched;
  try {
    fetched = await fetchAnswer(url);
  } catch {
    return undefined;
  }
  if (fetched) {
    keep(bucket, key, fetched);
  }
  return fetched;
}

// An answer of the upstream; `freshUntil` is in milliseconds since 1970.
async function fetchAnswer(url) {
  const response = await fetch(url);
  if (response.status !== 200) {
    return undefined;
  }
  const fresh = maxAge(response.headers.get('cache-control') ?? '');
  const contentType = response.headers.get('content-type') ?? 'application/octet-stream';
  const body = new Uint8Array(await response.arrayBuffer());
  return { freshUntil: Date.now() + fresh * 1000, contentType, body };
}

// What is kept; nothing, too, where that cannot be read. It is a line of two words and then the body.
function read(bucket, key) {
  try {
    const bytes = bucket.get(key);
    const end = bytes.indexOf(10);
    const [, freshUntil, contentType] = /^(\d+) (.*)$/.exec(new TextDecoder().decode(bytes.subarray(0, end)));
    return { freshUntil: Number(freshUntil), contentType, body: bytes.slice(end + 1) };
  } catch {
    return undefined;
  }
}

function keep(bucket, key, { freshUntil, contentType, body }) {
  const head = new TextEncoder().encode(`${freshUntil} ${contentType}\n`);
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  try {
    bucket.set(key, bytes);
  } catch {
    // What cannot be kept can be served all the same.
  }
}

function isFresh(kept) {
  return Date.now() < kept.freshUntil;
}

function respond(kept, how) {
  return new Response(kept.body, { headers: { 'content-type': kept.contentType, 'x-cache': how } });
}

function maxAge(cacheControl) {
  const found = /(?:^|,)\s*max-age=(\d+)/.exec(cacheControl);
  return found ? Number(found[1]) : FRESH;
}
