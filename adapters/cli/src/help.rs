//! The texts of `--help`.

/// What help is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// All of it.
    Program,
    /// `try-lock`
    TryLock,
    /// `unlock`
    Unlock,
}

/// What there is to say of it.
pub(crate) fn of(topic: Topic) -> &'static str {
    match topic {
        Topic::Program => PROGRAM,
        Topic::TryLock => TRY_LOCK,
        Topic::Unlock => UNLOCK,
    }
}

/// The line that shows the arguments.
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
A distributed lock for edge runtimes, as a component: its store is set by the environment.

Usage: holdfast <COMMAND>

Commands:
  try-lock  Take a lock if it is free, straight in the store
  unlock    Free a lock, straight in the store
  help      Print this message or the help of the given command

Options:
  -h, --help     Print help
  -V, --version  Print version

Environment, which a runtime passes on only where it is told so:
  REDIS_HOST      The server, as host:port
  REDIS_PASSWORD  Its password, if it has one
  STORE_NAME      What STORE has to be [default: lockstore]
  APP_ID          Id of the application that locks; part of the keys

Examples:
  Run a job unless somebody else runs it:
    if wasmtime run -S inherit-network --env REDIS_HOST=127.0.0.1:6379 \\
      holdfast-lock-cli.wasm try-lock lockstore nightly --owner \"$HOSTNAME\" --expiry 600
    then ./nightly.sh; fi
";

const TRY_LOCK: &str = "\
Take a lock if it is free, straight in the store

Usage: holdfast try-lock [OPTIONS] --owner <OWNER> --expiry <SECONDS> <STORE> <RESOURCE>

Arguments:
  <STORE>     The store, by its name
  <RESOURCE>  What is locked

Options:
      --owner <OWNER>     Who locks it: a string that nobody else uses
      --expiry <SECONDS>  How long the lock is held at most, in seconds
      --json              Print the reply of the HTTP API, byte for byte
  -h, --help              Print help

Prints true or false. Exits with 0 if the lock was taken, 1 if it is held by somebody, 2 on errors.
";

const UNLOCK: &str = "\
Free a lock, straight in the store

Usage: holdfast unlock [OPTIONS] --owner <OWNER> <STORE> <RESOURCE>

Arguments:
  <STORE>     The store, by its name
  <RESOURCE>  What is locked

Options:
      --owner <OWNER>  Who locks it: a string that nobody else uses
      --json           Print the reply of the HTTP API, byte for byte
  -h, --help           Print help

Prints success, lock-does-not-exist or lock-belongs-to-others. Exits with 0 if the lock was freed,
1 if it was not, 2 on errors.
";
