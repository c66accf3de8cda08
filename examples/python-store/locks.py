"""Calls the lock component and prints each result: python locks.py lock.wasm"""

import sys
import time

import wasmtime
from wasmtime.component import Component, Linker

import store

engine = wasmtime.Engine()
linker = Linker(engine)
store.add_to_linker(linker)
context = wasmtime.Store(engine)
instance = linker.instantiate(context, Component.from_file(engine, sys.argv[1]))
interface = instance.get_export_index(context, "holdfast:lock/lock@0.1.0")


def call(name, *arguments):
    function = instance.get_func(context, instance.get_export_index(context, name, interface))
    return function(context, "lockstore", *arguments)


print("alice takes it:", call("try-lock", "file", "alice", 60))
print("bob tries:", call("try-lock", "file", "bob", 60))
print("bob unlocks:", call("unlock", "file", "bob"))
print("alice unlocks:", call("unlock", "file", "alice"))
print("alice unlocks again:", call("unlock", "file", "alice"))
error = call("try-lock", "", "alice", 60)
print(f"no resource: {error.tag}: {error.payload}")
print("alice takes it for a second:", call("try-lock", "file", "alice", 1))
time.sleep(1.1)
print("bob takes it afterwards:", call("try-lock", "file", "bob", 60))
