"""`holdfast:lock/store`, which the lock component imports, over a dict."""

import time
import uuid

from wasmtime.component import Record, Variant

held = {}
latest = 0  # the latest fencing token


def record(fields):
    made = Record()
    vars(made).update(fields)
    return made


def owner_of(key):
    owner, until, _ = held.get(key, (None, 0, None))
    return owner if time.monotonic() < until else None


def next_number():
    """Larger than every number before, across restarts, too."""
    global latest
    latest = max(latest + 1, time.time_ns() // 1000)
    return latest


def milliseconds_until(end):
    return max(1, int((end - time.monotonic()) * 1000))


def acquire(_, command):
    """It cannot wait: the caller decides when to try again."""
    if owner_of(command.key) is not None:
        return Variant("ok", None)  # held
    number = next_number() if command.fenced else None
    held[command.key] = command.owner, time.monotonic() + command.ttl / 1000, number
    return Variant("ok", record({"fencing-token": number, "valid-for": command.ttl}))  # granted


def release(_, command):
    owner = owner_of(command.key)
    if owner != command.owner:
        return Variant("ok", "missing" if owner is None else "held-by-other")
    del held[command.key]
    return Variant("ok", "released")


def extend(_, command):
    owner = owner_of(command.key)
    if owner != command.owner:
        return Variant("ok", Variant("gone" if owner is None else "held-by-other", None))
    _, end, number = held[command.key]
    wanted = time.monotonic() + command.ttl / 1000
    if getattr(command, "may-shorten") or wanted > end:
        end = wanted
    held[command.key] = owner, end, number
    return Variant("ok", Variant("extended", milliseconds_until(end)))


def inspect(_, command):
    owner = owner_of(command.key)
    if owner is None:
        return Variant("ok", None)
    _, end, number = held[command.key]
    fields = {"owner": owner, "time-left": milliseconds_until(end), "fencing-token": number}
    return Variant("ok", record(fields))


def add_to_linker(linker):
    with linker.root() as root, root.add_instance("holdfast:lock/store@0.1.0") as store:
        known = [record({"name": "lockstore", "key-prefix": "", "app-id": "python"})]
        store.add_func("stores", lambda _: known)
        store.add_func("acquire", acquire)
        store.add_func("fresh-owner", lambda _: str(uuid.uuid4()))
        store.add_func("release", release)
        store.add_func("extend", extend)
        store.add_func("inspect", inspect)
