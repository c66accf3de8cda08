"""Serves an upstream's answers from a cache that all nodes share. When an answer is no longer fresh, one
request on one node fetches it anew, under a lock; all others get the old one meanwhile."""

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

# The lock store that the node lends.
STORE = "lockstore"
# How long a refresh may take, in seconds. The node must stop a call before that.
LEASE = 5
# How long an answer is fresh where the upstream does not say, in seconds.
FRESH = 60
# How long a request waits for an answer that another one fetches, in seconds, and how often it looks.
PATIENCE = 2.0
PAUSE = 0.05


@dataclass
class Answer:
    """An answer of the upstream. It is kept as a line of two words and then the body."""

    fresh_until: int  # in milliseconds since 1970
    content_type: str
    body: bytes

    def is_fresh(self) -> bool:
        return now() < self.fresh_until

    def keep(self, bucket: store.Bucket, key: str) -> None:
        head = f"{self.fresh_until} {self.content_type}\n".encode()
        try:
            bucket.set(key, head + self.body)
        except Err:
            pass  # What cannot be kept can be served all the same.


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        loop = PollLoop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(handle(request, response_out))


async def handle(request: IncomingRequest, response_out: ResponseOutparam) -> None:
    status, headers, body = await answer(request)
    fields = [(name, value.encode()) for name, value in headers.items()]
    response = OutgoingResponse(Fields.from_list(fields))
    response.set_status_code(status)
    sink = Sink(response.body())
    ResponseOutparam.set(response_out, Ok(response))
    if body:
        await sink.send(body)
    sink.close()


async def answer(request: IncomingRequest) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the response."""
    if not isinstance(request.method(), Method_Get):
        return 405, {"allow": "GET"}, b""
    bucket = store.open("")
    path = request.path_with_query() or "/"
    # What is cached and locked under. `|` is what separates the parts of a lock's key.
    key = path.replace("|", "%7C")
    cached = read(bucket, key)
    if cached and cached.is_fresh():
        return respond(cached, "fresh")

    # Nobody else has this name, on no node.
    owner = str(uuid.uuid4())
    if taken(key, owner):
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
    while waited < PATIENCE:
        time.sleep(PAUSE)
        waited += PAUSE
        if kept := read(bucket, key):
            return respond(kept, "waited")
    return 503, {"retry-after": "1"}, b""


def taken(key: str, owner: str) -> bool:
    try:
        return lock.try_lock(STORE, key, owner, LEASE)
    except Err:
        return False  # It may mean that nobody knows: then the lock is not ours.


def release(key: str, owner: str) -> None:
    try:
        lock.unlock(STORE, key, owner)
    except Err:
        pass  # The lock ends by itself.


async def refresh(
    authority: Optional[str], path: str, bucket: store.Bucket, key: str
) -> Optional[Answer]:
    """Fetches an answer and keeps it, unless another request has just done so."""
    kept = read(bucket, key)
    if kept and kept.is_fresh():
        return kept
    try:
        fetched = await fetch(authority, path)
    except Err:
        return None
    if fetched:
        fetched.keep(bucket, key)
    return fetched


async def fetch(authority: Optional[str], path: str) -> Optional[Answer]:
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
    return Answer(now() + fresh * 1000, content_type, bytes(body))


def read(bucket: store.Bucket, key: str) -> Optional[Answer]:
    """What is kept; nothing, too, where that cannot be read."""
    try:
        head, _, body = (bucket.get(key) or b"").partition(b"\n")
        fresh_until, _, content_type = head.decode().partition(" ")
        return Answer(int(fresh_until), content_type, body)
    except (Err, ValueError):
        return None


def respond(kept: Answer, how: str) -> tuple[int, dict[str, str], bytes]:
    return 200, {"content-type": kept.content_type, "x-cache": how}, kept.body


def max_age(cache_control: str) -> int:
    for directive in cache_control.split(","):
        name, _, seconds = directive.strip().partition("=")
        if name == "max-age" and seconds.isdigit():
            return int(seconds)
    return FRESH


def now() -> int:
    return time.time_ns() // 1_000_000
