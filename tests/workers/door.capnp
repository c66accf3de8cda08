# The store of `examples/workers` behind the door of `door.mjs`. The import path is the folder of that example.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "door", worker = .door),
    (name = "disk", disk = (path = "locks", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "door")],
);

const door :Workerd.Worker = (
  modules = [
    (name = "door.mjs", esModule = embed "door.mjs"),
    (name = "src/lock.mjs", esModule = embed "/src/lock.mjs"),
    (name = "src/store.mjs", esModule = embed "/src/store.mjs"),
  ],
  compatibilityDate = "2026-11-17",
  bindings = [(name = "LOCKS", durableObjectNamespace = "Lock")],
  durableObjectNamespaces = [(className = "Lock", uniqueKey = "holdfast-lock", enableSql = true)],
  durableObjectStorage = (localDisk = "disk"),
);
