"""Makes one call of each kind and prints one line for each."""

import time
import warnings

import grpc
from dapr.clients import DaprClient

# The SDK warns at each call that the API is alpha.
warnings.simplefilter("ignore")

STORE = "lockstore"


def step(name, call):
    try:
        print(f"{name}: {call()}", flush=True)
    except grpc.RpcError as error:
        print(f"{name}: {error.code().name}, {error.details()}", flush=True)
    except ValueError as error:
        print(f"{name}: ValueError, {error}", flush=True)


def take_in_time(client, resource, owner):
    deadline = time.monotonic() + 60
    while not client.try_lock(STORE, resource, owner, 60):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def take_for_a_block(client, resource, owner):
    with client.try_lock(STORE, resource, owner, 60) as lock:
        return lock.success


with DaprClient() as client:

    def take(store, resource, owner, seconds):
        return client.try_lock(store, resource, owner, seconds).success

    def unlock(store, resource, owner):
        return client.unlock(store, resource, owner).status.name

    step("take", lambda: take(STORE, "order", "ann", 60))
    step("take, other owner", lambda: take(STORE, "order", "bob", 60))
    step("unlock, wrong owner", lambda: unlock(STORE, "order", "bob"))
    step("unlock", lambda: unlock(STORE, "order", "ann"))
    step("unlock again", lambda: unlock(STORE, "order", "ann"))

    step("take for a second", lambda: take(STORE, "order", "ann", 1))
    step("take once expired", lambda: take_in_time(client, "order", "bob"))
    step("unlock", lambda: unlock(STORE, "order", "bob"))

    step("take for a block", lambda: take_for_a_block(client, "order", "ann"))
    step("unlock after it", lambda: unlock(STORE, "order", "ann"))

    step("take, no resource", lambda: take(STORE, "", "ann", 60))
    step("take, no owner", lambda: take(STORE, "order", "", 60))
    step("take, expiry 0", lambda: take(STORE, "order", "ann", 0))
    step("take, no such store", lambda: take("nowhere", "order", "ann", 60))
    step("take, bad resource", lambda: take(STORE, "a||b", "ann", 60))
    step("unlock, no resource", lambda: unlock(STORE, "", "ann"))
    step("unlock, no owner", lambda: unlock(STORE, "order", ""))
    step("unlock, no such store", lambda: unlock("nowhere", "order", "ann"))
    step("unlock, bad resource", lambda: unlock(STORE, "a||b", "ann"))
