"""`holdfast:lock/store`, which the lock component imports, over a dict."""

import time

from wasmtime.component import Record, Variant

held = {}


def record(fields):
    made = Record()
    vars(made).update(fields)
    return made


def owner_of(key):
    owner, until = held.get(key, (None, 0))
    return owner if time.monotonic() < until else None


def acquire(_, command):
    if owner_of(command.key) is not None:
        return Variant("ok", None)  # held
    held[command.key] = command.owner, time.monotonic() + command.ttl / 1000
    return Variant("ok", record({"fencing-token": None}))  # granted


def release(_, command):
    owner = owner_of(command.key)
    if owner != command.owner:
        return Variant("ok", "missing" if owner is None else "held-by-other")
    del held[command.key]
    return Variant("ok", "released")


def add_to_linker(linker):
    with linker.root() as root, root.add_instance("holdfast:lock/store@0.1.0") as store:
        known = [record({"name": "lockstore", "key-prefix": "", "app-id": "python"})]
        store.add_func("stores", lambda _: known)
        store.add_func("acquire", acquire)
        store.add_func("release", release)
