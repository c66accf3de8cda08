//! What `--help` says after the options of a command: examples, the environment, exit codes.

pub(super) const EXAMPLES: &str = "\
Examples:
  Serve a store in memory, lockstore, over HTTP on port 3500 and gRPC on port 50001, to try things out:
    holdfast serve

  Serve the stores that resource files define, for the application app1:
    holdfast serve --app-id app1 --resources-path ./components

  Run a job unless somebody else runs it:
    holdfast run lockstore nightly --resources-path ./components -- ./nightly.sh

  Check resource files and their servers:
    holdfast check --resources-path ./components";

pub(super) const SERVE_EXAMPLES: &str = "\
The log goes to stderr. Its line 'listening on http://ADDRESS:PORT' means that the server is ready;
the line of the gRPC API comes before it. systemd is notified too.
SIGTERM and SIGINT shut the server down gracefully; a second one, at least 1s after the
first, ends it at once.

Options may have one dash or two, as in daprd. If one is given twice, the last one counts. daprd's options that
have no effect here are accepted with a warning.

COMMAND is an application that is started once the server is ready. It gets the server's ports in
DAPR_HTTP_PORT and DAPR_GRPC_PORT, and its addresses in DAPR_HTTP_ENDPOINT and DAPR_GRPC_ENDPOINT; with
--unix-domain-socket only the latter. Signals are passed on to it, and a second SIGTERM or SIGINT kills it.
The server ends after it, with its exit code.

Environment:
  DAPR_API_TOKEN  Requests must carry this token in the header, or gRPC metadata, dapr-api-token
  HOLDFAST_ADMIN_TOKEN  Requests to the operator port must carry this token in holdfast-admin-token
  OTEL_EXPORTER_OTLP_ENDPOINT  Send traces to this collector. Other variables of OpenTelemetry
                  apply as well (OTEL_EXPORTER_OTLP_PROTOCOL, OTEL_TRACES_SAMPLER, …)

Examples:
  holdfast serve
  holdfast serve --app-id app1 --resources-path ./components
  holdfast serve --app-id app1 --resources-path ./components -- python3 app.py
  holdfast serve --dapr-http-port 0 --dapr-grpc-port 0 --dapr-listen-addresses '127.0.0.1,[::1]'

  An owner is new for each hold, so that a late unlock cannot free a later hold:
  owner=\"me-$(date +%s%N)\"
  curl -X POST http://localhost:3500/v1.0-alpha1/lock/lockstore \\
    -d '{\"resourceId\":\"file\",\"lockOwner\":\"'$owner'\",\"expiryInSeconds\":60}'
  curl -X POST http://localhost:3500/v1.0-alpha1/unlock/lockstore \\
    -d '{\"resourceId\":\"file\",\"lockOwner\":\"'$owner'\"}'";

pub(super) const RUN_LOCKED_EXAMPLES: &str = "\
Takes the lock, runs COMMAND, renews the lock at each third of --ttl, and frees it at the end. COMMAND
never starts without the lock.

COMMAND gets these variables:
  HOLDFAST_RESOURCE       The resource id, as in RESOURCE
  HOLDFAST_OWNER          The owner of the lock: --owner, or a new UUID for each run
  HOLDFAST_FENCING_TOKEN  The fencing token of the grant, larger than that of every earlier one. Send it
                          along with what COMMAND writes, and have the receiver refuse smaller ones

COMMAND runs in a process group of its own. Signals are passed on to the group, and from a terminal it
runs in the foreground. If the lock is lost, or held for --max-hold, the group gets SIGTERM, and SIGKILL
after --grace. Processes that COMMAND leaves behind in its group keep the lock until they end; a daemon
that must outlive it needs a session of its own (setsid). SIGKILL of holdfast itself does not end COMMAND.

Exit codes:
  COMMAND's own; 128 and the number of the signal if one ended it, or ended the wait for the lock
  124  The lock was held by somebody else, for all of --wait
  125  holdfast failed: wrong options, a store or a server that does not answer
  126  COMMAND cannot be executed
  127  COMMAND was not found
  193  The lock was lost, and COMMAND was ended
  194  The lock was held for --max-hold, and COMMAND was ended

Environment:
  DAPR_API_TOKEN  With --address, the token that the server asks for

Examples:
  cron, on each of several machines; those that find the lock held exit with 124:
    0 3 * * * holdfast run lockstore nightly --resources-path /etc/holdfast/components -- /opt/nightly.sh

  The service of a systemd timer, for which a held lock is not a failure:
    ExecStart=/usr/bin/holdfast run lockstore nightly --max-hold 2h --address http://127.0.0.1:3500 \\
      -- /opt/nightly.sh
    SuccessExitStatus=124

  A deploy script, which waits for its turn:
    holdfast run lockstore deploy-shop --wait 10m --ttl 1m --resources-path ./components -- ./deploy.sh";

pub(super) const TRY_LOCK_EXAMPLES: &str = "\
Prints true or false. Exits with 0 if the lock was taken, 1 if it is held, 2 on errors. A lock whose answer cannot
be printed is given back.

Examples:
  owner=$(uuidgen)  # new for each hold
  holdfast try-lock lockstore file --owner \"$owner\" --expiry 60 --resources-path ./components
  holdfast try-lock lockstore file --owner \"$owner\" --expiry 1m --resources-path ./components --json";

pub(super) const UNLOCK_EXAMPLES: &str = "\
Prints success, lock-does-not-exist or lock-belongs-to-others. Exits with 0 if the lock was freed,
1 if it was not, 2 on errors.

Examples:
  holdfast unlock lockstore file --owner \"$owner\" --resources-path ./components
  holdfast unlock lockstore file --owner \"$owner\" --resources-path ./components --json
  holdfast unlock lockstore file --force --resources-path ./components";

pub(super) const LOCKS_EXAMPLES: &str = "\
Prints a table, or with --json a document: {\"locks\":[{\"storeName\":…,\"resourceId\":…,\"lockOwner\":…,
\"timeLeft\":…}]}. A lock without an expiry, which only other programs make, has no timeLeft. Exits with 0 even if
no lock is held, and with 2 on errors. With the default keyPrefix of a store, lists only the locks of --app-id.

With --watch it shows them in the terminal: the time that is left, and what was taken and freed. The arrow keys scroll.
With --address it also shows how many calls of that server wait.

Environment:
  HOLDFAST_ADMIN_TOKEN  With --address, the token that the server asks for

Examples:
  holdfast locks --resources-path ./components
  holdfast locks lockstore --prefix order- --app-id app1 --resources-path ./components
  holdfast locks --json --resources-path ./components | jq -r '.locks[].lockOwner'
  holdfast locks --watch --resources-path ./components
  holdfast locks --watch --address http://127.0.0.1:3502";

pub(super) const CHECK_EXAMPLES: &str = "\
Exits with 0 if serve would start with these files now and have a lock store, else with 2.

Examples:
  holdfast check --resources-path ./components
  holdfast check --resources-path ./components --strict --json
  holdfast check --app-id app1 --resources-path ./components --resources-path ./more";

pub(super) const HEALTH_EXAMPLES: &str = "\
Exits with 0 if the server is ready, else with 1 and the reason. Needs no token.

Examples:
  holdfast health
  holdfast health --port 3501 --timeout 1
  holdfast health --unix-domain-socket /run/holdfast --app-id app1";

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  holdfast completions bash > /etc/bash_completion.d/holdfast
  holdfast completions zsh > ~/.zfunc/_holdfast
  holdfast completions fish > ~/.config/fish/completions/holdfast.fish";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  holdfast man | man -l -
  holdfast man serve > holdfast-serve.1
  holdfast man component run > holdfast-component-run.1";

pub(super) const EXPORT_EXAMPLES: &str = "\
Examples:
  holdfast component export holdfast.wasm
  holdfast component export - | wasm-tools component wit";

pub(super) const RUN_EXAMPLES: &str = "\
A plugin exports wasi:cli/run, as a program in Rust does, or a function run: func() -> string, whose
text is printed. It may use all stores, as the application of --app-id. Without --resources-path that is
one store in memory, lockstore, whose locks end with this command.

Of WASI 0.2 the plugin gets its arguments, stdin, stdout, stderr, clocks and random numbers. It gets no
files, no environment and no network.

Exits with 0 if the plugin succeeds, 1 if it fails, with the plugin's own code if it exits with one, and
with 2 if it traps or cannot be run.

Examples:
  holdfast component run hello.wasm
  holdfast component run hello.wasm --app-id app1 --resources-path ./components
  holdfast component run job.wasm -- nightly --verbose";

pub(super) const COMPOSE_EXAMPLES: &str = "\
The result exports what the plugin exports. In place of holdfast:lock/lock, lease and json, as far as the
plugin imports them, it imports WASI 0.2: the network, and the environment variables with the settings,
such as REDIS_HOST.

Examples:
  holdfast component compose hello.wasm -o composed.wasm
  wasmtime run -S inherit-network --env REDIS_HOST=127.0.0.1:6379 composed.wasm

  holdfast component compose hello.wasm -o - | wasm-tools component wit";
