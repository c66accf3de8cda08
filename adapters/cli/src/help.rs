//! The help texts.

/// The topic of a help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// The whole program.
    Program,
    /// `try-lock`
    TryLock,
    /// `unlock`
    Unlock,
}

/// The help text of a topic.
pub(crate) fn text(topic: Topic) -> &'static str {
    match topic {
        Topic::Program => PROGRAM,
        Topic::TryLock => TRY_LOCK,
        Topic::Unlock => UNLOCK,
    }
}

/// The usage line of a topic.
pub(crate) fn usage(topic: Topic) -> &'static str {
    match topic {
        Topic::Program => "holdfast <COMMAND>",
        Topic::TryLock => {
            "holdfast try-lock [OPTIONS] --owner <OWNER> --expiry <SECONDS> <STORE> <RESOURCE>"
        }
        Topic::Unlock => "holdfast unlock [OPTIONS] --owner <OWNER> <STORE> <RESOURCE>",
    }
}

const PROGRAM: &str = "\
A distributed lock for edge runtimes, as a WebAssembly component.
Environment variables configure its store.

Usage: holdfast <COMMAND>

Commands:
  try-lock  Take a lock if it is free, directly in the store
  unlock    Free a lock, directly in the store
  help      Print this message or the help of the given command

Options:
  -h, --help     Print help
  -V, --version  Print version

Environment variables (a runtime passes on only those that it is configured to):
  REDIS_HOST      Address of the Redis server, as host:port
  REDIS_PASSWORD  Password of the Redis server, if it needs one
  STORE_NAME      Name of the store [default: lockstore]
  APP_ID          Id of the application that takes the locks; part of each key

Examples:
  Run a job unless another node is running it:
    if wasmtime run -S inherit-network --env REDIS_HOST=127.0.0.1:6379 \\
      holdfast-lock-cli.wasm try-lock lockstore nightly --owner \"$(uuidgen)\" --expiry 600
    then ./nightly.sh; fi
  The owner is new for each hold: if an owner is reused, a late unlock could end a later hold.
";

const TRY_LOCK: &str = "\
Take a lock if it is free, directly in the store

Usage: holdfast try-lock [OPTIONS] --owner <OWNER> --expiry <SECONDS> <STORE> <RESOURCE>

Arguments:
  <STORE>     Name of the store
  <RESOURCE>  Resource to lock

Options:
      --owner <OWNER>     Owner of the lock: a string that no other client uses, new for each hold
      --expiry <SECONDS>  How long the lock lasts if nobody frees it, in seconds
      --json              Print the reply of the HTTP API instead, byte for byte
  -h, --help              Print help

Prints true or false. Exits with 0 if the lock was taken, 1 if somebody holds it, 2 on errors.
";

const UNLOCK: &str = "\
Free a lock, directly in the store

Usage: holdfast unlock [OPTIONS] --owner <OWNER> <STORE> <RESOURCE>

Arguments:
  <STORE>     Name of the store
  <RESOURCE>  Resource to unlock

Options:
      --owner <OWNER>  Owner that holds the lock
      --json           Print the reply of the HTTP API instead, byte for byte
  -h, --help           Print help

Prints success, lock-does-not-exist or lock-belongs-to-others. Exits with 0 if the lock was freed,
1 if it was not, 2 on errors.
";
