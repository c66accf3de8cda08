//! The compositions in the command `wasmtime`, used as the documentation shows it. Skipped where the command is
//! not on `PATH`.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::LazyLock,
};

use holdfast_compositions::Composition;
use holdfast_tests::{free_port, http_api, process::Watched, redis_server::RedisServer};

/// A folder with the compositions as files.
static FILES: LazyLock<&Path> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for Composition { name, wasm } in holdfast_compositions::all().unwrap() {
        fs::write(folder.join(name), wasm).unwrap();
    }
    folder
});

/// The result of a command.
#[derive(Debug)]
struct Outcome {
    exit: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Whether the command is installed. If not, says that the test is skipped.
fn is_installed() -> bool {
    let found = Command::new("wasmtime").arg("--version").stdout(Stdio::null()).status();
    let found = found.as_ref().is_ok_and(ExitStatus::success);
    if !found {
        // `eprintln!` is captured in a test that passes.
        let _ = writeln!(io::stderr(), "skipped: no wasmtime");
    }
    found
}

fn wasmtime(redis: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("wasmtime");
    command.current_dir(*FILES).stdin(Stdio::null());
    let environment = format!("REDIS_HOST={redis}");
    command.arg(arguments[0]).args(["--env", &environment]).args(&arguments[1..]);
    command
}

fn run(redis: &str, arguments: &[&str]) -> Outcome {
    let output = wasmtime(redis, arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { exit: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn invoke(redis: &str, grants: &[&str], call: &str) -> Outcome {
    let file = ["--invoke", call, "holdfast-lock-redis.wasm"];
    run(redis, &[&["run"], grants, &file].concat())
}

const TRY_LOCK: &str = r#"try-lock("lockstore","my_file_name","random_id_abc123",60)"#;
const UNLOCK: &str = r#"unlock("lockstore","my_file_name","random_id_abc123")"#;
const NETWORK: &[&str] = &["-S", "inherit-network"];

#[test]
fn functions_can_be_called_from_a_shell() {
    if !is_installed() {
        return;
    }
    let server = RedisServer::start();
    for (call, printed) in [
        (TRY_LOCK, "ok(true)\n"),
        (TRY_LOCK, "ok(false)\n"),
        (UNLOCK, "ok(success)\n"),
        (UNLOCK, "ok(lock-does-not-exist)\n"),
    ] {
        let outcome = invoke(&server.address(), NETWORK, call);
        assert_eq!((outcome.exit, outcome.stdout.as_str()), (Some(0), printed), "{outcome:?}");
    }
    let alone = invoke(&server.address(), &[], TRY_LOCK);
    assert!(alone.stdout.starts_with("err(store-failed("), "{alone:?}");
    assert!(alone.stdout.contains("wasmtime: -S inherit-network"), "{alone:?}");
    let nobody = format!("127.0.0.1:{}", free_port());
    let down = invoke(&nobody, NETWORK, TRY_LOCK);
    assert!(down.stdout.starts_with("err(store-failed("), "{down:?}");
    assert!(down.stdout.contains(&nobody), "{down:?}");
}

#[test]
fn the_command_exits_by_its_answer() {
    if !is_installed() {
        return;
    }
    let server = RedisServer::start();
    let call = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let start = ["run", "-S", "inherit-network", "holdfast-lock-cli.wasm"];
        run(&server.address(), &[&start, words.as_slice()].concat())
    };
    for (line, exit, printed) in [
        ("try-lock lockstore r --owner me --expiry 60", 0, "true\n"),
        ("try-lock lockstore r --owner me --expiry 60", 1, "false\n"),
        ("unlock lockstore r --owner you --json", 1, r#"{"status":2}"#),
        ("unlock lockstore r --owner me", 0, "success\n"),
    ] {
        let outcome = call(line);
        assert_eq!((outcome.exit, outcome.stdout.as_str()), (Some(exit), printed), "{outcome:?}");
    }
    let wrong = call("unlock other r --owner me");
    assert_eq!((wrong.exit, wrong.stdout.as_str()), (Some(2), ""), "{wrong:?}");
    assert!(wrong.stderr.contains("holdfast: lock store other not found\n"), "{wrong:?}");
    let help = call("--help");
    assert_eq!(help.exit, Some(0), "{help:?}");
    assert!(help.stdout.contains("Usage: holdfast <COMMAND>"), "{help:?}");
}

#[tokio::test]
async fn the_http_api_is_served() {
    if !is_installed() {
        return;
    }
    let server = RedisServer::start();
    let arguments = ["serve", "--env", "APP_ID=app1", "--addr", "127.0.0.1:0"];
    let grants = ["-S", "cli,inherit-network", "--max-instance-reuse-count", "1000"];
    let mut command = wasmtime(
        &server.address(),
        &[arguments.as_slice(), &grants, &["holdfast-lock-http.wasm"]].concat(),
    );
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut serving = Watched::start(command);
    let stderr = serving.process_mut().stderr.take().unwrap();
    let mut lines = BufReader::new(stderr).lines().map(Result::unwrap);
    let address = lines.find_map(|line| {
        let (_, address) = line.split_once("Serving HTTP on http://")?;
        address.trim_end_matches('/').parse().ok()
    });
    let address = address.expect("an address");
    http_api::guide(address).await;
    http_api::errors(address).await;
    http_api::forgiven(address).await;
    http_api::bounded_bodies(address).await;
    http_api::huge_bodies(address).await;
    http_api::paths(address).await;
    http_api::unknown(address).await;
    http_api::health(address).await;
    http_api::contention(address).await;
}
