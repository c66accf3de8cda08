# The Worker in workerd, without Cloudflare: `workerd serve workerd.capnp`. Its settings are environment variables.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "locks", worker = .locks),
    (name = "disk", disk = (path = "locks", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:3500", http = (), service = "locks")],
);

const locks :Workerd.Worker = (
  modules = [
    (name = "src/worker.mjs", esModule = embed "src/worker.mjs"),
    (name = "src/body.mjs", esModule = embed "src/body.mjs"),
    (name = "src/call.mjs", esModule = embed "src/call.mjs"),
    (name = "src/hold.mjs", esModule = embed "src/hold.mjs"),
    (name = "src/lock.mjs", esModule = embed "src/lock.mjs"),
    (name = "src/metadata.mjs", esModule = embed "src/metadata.mjs"),
    (name = "src/reply.mjs", esModule = embed "src/reply.mjs"),
    (name = "src/route.mjs", esModule = embed "src/route.mjs"),
    (name = "src/rules.mjs", esModule = embed "src/rules.mjs"),
    (name = "src/settings.mjs", esModule = embed "src/settings.mjs"),
    (name = "src/store.mjs", esModule = embed "src/store.mjs"),
    (name = "src/token.mjs", esModule = embed "src/token.mjs"),
    (name = "lock/lock.js", esModule = embed "lock/lock.js"),
    (name = "lock/lock.core.wasm", wasm = embed "lock/lock.core.wasm"),
    (name = "lock/lock.core2.wasm", wasm = embed "lock/lock.core2.wasm"),
    (name = "lock/lock.core3.wasm", wasm = embed "lock/lock.core3.wasm"),
  ],
  compatibilityDate = "2026-11-17",
  bindings = [
    (name = "LOCKS", durableObjectNamespace = "Lock"),
    (name = "APP_ID", fromEnvironment = "APP_ID"),
    (name = "KEY_PREFIX", fromEnvironment = "KEY_PREFIX"),
    (name = "STORE_NAME", fromEnvironment = "STORE_NAME"),
    (name = "HOLDFAST_STORES", fromEnvironment = "HOLDFAST_STORES"),
    (name = "DAPR_API_TOKEN", fromEnvironment = "DAPR_API_TOKEN"),
  ],
  durableObjectNamespaces = [(className = "Lock", uniqueKey = "holdfast-lock", enableSql = true)],
  durableObjectStorage = (localDisk = "disk"),
);
