//! `holdfast-lock-cli.wasm`: its output and its exit codes.

use holdfast_tests::{free_port, redis_server::RedisServer};
use wasmtime_wasi::{I32Exit, p2::bindings::Command};

use crate::runtime::{Grants, LOCK_CLI};

/// The result of a command.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    exit: i32,
    stdout: String,
    stderr: String,
}

async fn run(grants: &Grants, line: &str) -> Outcome {
    let words = ["holdfast-lock-cli.wasm"].into_iter().chain(line.split_whitespace());
    let arguments = words.map(str::to_owned).collect();
    let mut store = Grants { arguments, ..grants.clone() }.store();
    let instance = LOCK_CLI.pre().instantiate_async(&mut store).await.unwrap();
    let command = Command::new(&mut store, &instance).unwrap();
    let exit = match command.wasi_cli_run().call_run(&mut store).await {
        Ok(Ok(())) => 0,
        Ok(Err(())) => 1,
        Err(end) => end.downcast_ref::<I32Exit>().unwrap_or_else(|| panic!("{end:?}")).0,
    };
    Outcome { exit, stdout: store.data().stdout(), stderr: store.data().stderr() }
}

fn printed(exit: i32, stdout: &str) -> Outcome {
    Outcome { exit, stdout: stdout.to_owned(), stderr: String::new() }
}

#[tokio::test]
async fn a_lock_is_acquired_and_released() {
    let server = RedisServer::start();
    let grants = Grants::of(&server).with("APP_ID", "app1");
    let take = "try-lock lockstore r --owner me --expiry 60";
    assert_eq!(run(&grants, take).await, printed(0, "true\n"));
    assert_eq!(run(&grants, take).await, printed(1, "false\n"));
    assert_eq!(server.run::<String>(&["GET", "lock||app1||r"]), "me");
    let other = run(&grants, "unlock lockstore r --owner you").await;
    assert_eq!(other, printed(1, "lock-belongs-to-others\n"));
    let free = "unlock lockstore r --owner me";
    assert_eq!(run(&grants, free).await, printed(0, "success\n"));
    assert_eq!(run(&grants, free).await, printed(1, "lock-does-not-exist\n"));
}

#[tokio::test]
async fn json_replies_are_those_of_the_http_api() {
    let server = RedisServer::start();
    let grants = Grants::of(&server);
    let take = "try-lock lockstore \"r --owner me --expiry 60 --json";
    let free = "unlock lockstore \"r --owner me --json";
    for (line, exit, reply) in [
        (take, 0, r#"{"success":true}"#),
        (take, 1, r#"{"success":false}"#),
        (free, 0, r#"{"status":0}"#),
        (free, 1, r#"{"status":1}"#),
        (
            "try-lock lockstore r --owner me --expiry 0 --json",
            2,
            r#"{"errorCode":"ERR_MALFORMED_REQUEST","message":"ExpiryInSeconds is not positive in lock store lockstore"}"#,
        ),
    ] {
        assert_eq!(run(&grants, line).await, printed(exit, reply), "{line}");
    }
}

#[tokio::test]
async fn errors_go_to_stderr_and_exit_with_2() {
    let server = RedisServer::start();
    let address = format!("127.0.0.1:{}", free_port());
    let unreachable = Grants::to(&address);
    let mut alone = Grants::of(&server);
    alone.network = false;
    for (grants, line, complaint) in [
        (&unreachable, "try-lock lockstore r --owner o --expiry 60", address.as_str()),
        (&alone, "try-lock lockstore r --owner o --expiry 60", "inherit-network"),
        (&unreachable, "unlock other r --owner o", "holdfast: lock store other not found\n"),
        (&unreachable, "unlock lockstore r", "error: the following required argument"),
        (&unreachable, "", "Usage: holdfast <COMMAND>"),
    ] {
        let outcome = run(grants, line).await;
        assert_eq!((outcome.exit, outcome.stdout.as_str()), (2, ""), "{line}: {outcome:?}");
        assert!(outcome.stderr.contains(complaint), "{line}: {outcome:?}");
    }
}

#[tokio::test]
async fn help_needs_no_redis() {
    let none = Grants::default();
    for line in ["--help", "help try-lock", "unlock --help"] {
        let outcome = run(&none, line).await;
        assert_eq!((outcome.exit, outcome.stderr.as_str()), (0, ""), "{line}");
        assert!(outcome.stdout.contains("Usage: holdfast "), "{line}");
    }
    let version = format!("holdfast {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&none, "--version").await, printed(0, &version));
}
