"""Serves an upstream's responses from a cache that all nodes share. When a response is no longer fresh, one
request on one node fetches it again under a lock; all other requests get the old one meanwhile."""

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Optional

import poll_loop
from componentize_py_types import Err, Ok
from poll_loop import PollLoop, Sink, Stream
from wit_world import exports
from wit_world.imports import lock, store
from wit_world.imports.types import (
    Fields,
    IncomingRequest,
    Method_Get,
    OutgoingBody,
    OutgoingRequest,
    OutgoingResponse,
    ResponseOutparam,
    Scheme_Http,
)

# The name of the lock store.
STORE = "lockstore"
# How long the lock lasts, in seconds. The proxy must stop a call before that.
EXPIRY = 5
# How long a response is fresh if the upstream does not say, in seconds.
DEFAULT_MAX_AGE = 60
# How long a request waits for a response that another request is fetching, in seconds.
MAX_WAIT = 2.0
# How often a waiting request looks into the cache, in seconds.
POLL_INTERVAL = 0.05


@dataclass
class CachedResponse:
    """A response of the upstream. The cache keeps it as a line of two words, followed by the body."""

    fresh_until: int  # milliseconds since 1970-01-01T00:00:00Z
    content_type: str
    body: bytes

    def is_fresh(self) -> bool:
        return now() < self.fresh_until

    def write(self, bucket: store.Bucket, key: str) -> None:
        head = f"{self.fresh_until} {self.content_type}\n".encode()
        try:
            bucket.set(key, head + self.body)
        except Err:
            pass  # The response can be served even if it cannot be cached.


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        loop = PollLoop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(handle(request, response_out))


async def handle(request: IncomingRequest, response_out: ResponseOutparam) -> None:
    status, headers, body = await respond_to(request)
    fields = [(name, value.encode()) for name, value in headers.items()]
    response = OutgoingResponse(Fields.from_list(fields))
    response.set_status_code(status)
    sink = Sink(response.body())
    ResponseOutparam.set(response_out, Ok(response))
    if body:
        await sink.send(body)
    sink.close()


async def respond_to(request: IncomingRequest) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the response."""
    if not isinstance(request.method(), Method_Get):
        return 405, {"allow": "GET"}, b""
    bucket = store.open("")
    path = request.path_with_query() or "/"
    # The key in the cache and the resource id of the lock. `|` is escaped because it separates the parts of
    # a lock's key.
    key = path.replace("|", "%7C")
    cached = read(bucket, key)
    if cached and cached.is_fresh():
        return respond(cached, "fresh")

    # An owner that no other request on any node has.
    owner = str(uuid.uuid4())
    if take(key, owner):
        try:
            refreshed = await refresh(request.authority(), path, bucket, key)
        finally:
            release(key, owner)
        if refreshed:
            return respond(refreshed, "refreshed")
        return respond(cached, "stale") if cached else (502, {"x-cache": "none"}, b"")
    if cached:
        return respond(cached, "stale")
    waited = 0.0
    while waited < MAX_WAIT:
        time.sleep(POLL_INTERVAL)
        waited += POLL_INTERVAL
        if refreshed := read(bucket, key):
            return respond(refreshed, "waited")
    return 503, {"retry-after": "1"}, b""


def take(key: str, owner: str) -> bool:
    try:
        return lock.try_lock(STORE, key, owner, EXPIRY)
    except Err:
        # It may be unknown whether the lock was taken. The plugin then acts as if it was not.
        return False


def release(key: str, owner: str) -> None:
    try:
        lock.unlock(STORE, key, owner)
    except Err:
        pass  # The lock expires by itself.


async def refresh(
    authority: Optional[str], path: str, bucket: store.Bucket, key: str
) -> Optional[CachedResponse]:
    """Fetches and caches a response, unless another request has just done so."""
    current = read(bucket, key)
    if current and current.is_fresh():
        return current
    try:
        fetched = await fetch(authority, path)
    except Err:
        return None
    if fetched:
        fetched.write(bucket, key)
    return fetched


async def fetch(authority: Optional[str], path: str) -> Optional[CachedResponse]:
    request = OutgoingRequest(Fields.from_list([]))
    request.set_scheme(Scheme_Http())
    request.set_authority(authority)
    request.set_path_with_query(path)
    response = await poll_loop.send(request)
    if response.status() != 200:
        return None
    headers = {name.lower(): value.decode("latin-1") for name, value in response.headers().entries()}
    fresh = max_age(headers.get("cache-control", ""))
    content_type = headers.get("content-type", "application/octet-stream")
    stream = Stream(response.consume())
    body = bytearray()
    while (chunk := await stream.next()) is not None:
        body += chunk
    return CachedResponse(now() + fresh * 1000, content_type, bytes(body))


def read(bucket: store.Bucket, key: str) -> Optional[CachedResponse]:
    """Reads the cache. None if there is no value or it cannot be read."""
    try:
        head, _, body = (bucket.get(key) or b"").partition(b"\n")
        fresh_until, _, content_type = head.decode().partition(" ")
        return CachedResponse(int(fresh_until), content_type, body)
    except (Err, ValueError):
        return None


def respond(cached: CachedResponse, source: str) -> tuple[int, dict[str, str], bytes]:
    return 200, {"content-type": cached.content_type, "x-cache": source}, cached.body


def max_age(cache_control: str) -> int:
    for directive in cache_control.split(","):
        name, _, seconds = directive.strip().partition("=")
        if name == "max-age" and seconds.isdigit():
            return int(seconds)
    return DEFAULT_MAX_AGE


def now() -> int:
    return time.time_ns() // 1_000_000
