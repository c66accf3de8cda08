// Serves an upstream's responses from a cache that all nodes share. When a response is no longer fresh, one
// request on one node fetches it again under a lock; all other requests get the old one meanwhile.

import { tryLock, unlock } from 'holdfast:lock/lock@0.1.0';
import { open } from 'wasi:keyvalue/store@0.2.0-draft';

// The name of the lock store.
const STORE = 'lockstore';
// How long the lock lasts, in seconds. The proxy must stop a call before that.
const EXPIRY = 5;
// How long a response is fresh if the upstream does not say, in seconds.
const DEFAULT_MAX_AGE = 60;
// How long a request waits for a response that another request is fetching, in milliseconds.
const MAX_WAIT = 2000;
// How often a waiting request looks into the cache, in milliseconds.
const POLL_INTERVAL = 50;

addEventListener('fetch', (event) => event.respondWith(handle(event.request)));

async function handle(request) {
  if (request.method !== 'GET') {
    return new Response(null, { status: 405, headers: { allow: 'GET' } });
  }
  const bucket = open('');
  const { pathname, search } = new URL(request.url);
  // The key in the cache and the resource id of the lock. `|` is escaped because it separates the parts of a
  // lock's key.
  const key = (pathname + search).replaceAll('|', '%7C');
  const cached = read(bucket, key);
  if (cached && isFresh(cached)) {
    return respond(cached, 'fresh');
  }

  // An owner that no other request on any node has.
  const owner = crypto.randomUUID();
  if (take(key, owner)) {
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
  for (let waited = 0; waited < MAX_WAIT; waited += POLL_INTERVAL) {
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
    const refreshed = read(bucket, key);
    if (refreshed) {
      return respond(refreshed, 'waited');
    }
  }
  return new Response(null, { status: 503, headers: { 'retry-after': '1' } });
}

function take(key, owner) {
  try {
    return tryLock(STORE, key, owner, EXPIRY);
  } catch {
    // It may be unknown whether the lock was taken. The plugin then acts as if it was not.
    return false;
  }
}

function release(key, owner) {
  try {
    unlock(STORE, key, owner);
  } catch {
    // The lock expires by itself.
  }
}

// Fetches and caches a response, unless another request has just done so.
async function refresh(url, bucket, key) {
  const current = read(bucket, key);
  if (current && isFresh(current)) {
    return current;
  }
  let fetched;
  try {
    fetched = await fetchResponse(url);
  } catch {
    return undefined;
  }
  if (fetched) {
    write(bucket, key, fetched);
  }
  return fetched;
}

// Asks the upstream. `freshUntil` is in milliseconds since 1970-01-01T00:00:00Z.
async function fetchResponse(url) {
  const response = await fetch(url);
  if (response.status !== 200) {
    return undefined;
  }
  const fresh = maxAge(response.headers.get('cache-control') ?? '');
  const contentType = response.headers.get('content-type') ?? 'application/octet-stream';
  const body = new Uint8Array(await response.arrayBuffer());
  return { freshUntil: Date.now() + fresh * 1000, contentType, body };
}

// Reads the cache, which keeps a line of two words, followed by the body. `undefined` if there is no value
// or it cannot be read.
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

function write(bucket, key, { freshUntil, contentType, body }) {
  const head = new TextEncoder().encode(`${freshUntil} ${contentType}\n`);
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  try {
    bucket.set(key, bytes);
  } catch {
    // The response can be served even if it cannot be cached.
  }
}

function isFresh(cached) {
  return Date.now() < cached.freshUntil;
}

function respond(cached, source) {
  return new Response(cached.body, { headers: { 'content-type': cached.contentType, 'x-cache': source } });
}

function maxAge(cacheControl) {
  const found = /(?:^|,)\s*max-age=(\d+)/.exec(cacheControl);
  return found ? Number(found[1]) : DEFAULT_MAX_AGE;
}
