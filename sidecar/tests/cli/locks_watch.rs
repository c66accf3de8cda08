//! `holdfast locks --watch`.

use std::{
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{ChildStdout, Command, Stdio},
};

use holdfast_tests::{
    holdfast::{Holdfast, command},
    keep, prepared,
    process::Watched,
    redis_server::RedisServer,
    resources::Resources,
    temporary_dir,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{HOLDFAST, run, wait_until};

const LOCK: [&str; 3] = ["SET", "lock||app1||order-1", "somebody"];

/// `holdfast locks --watch --json`, and its output.
struct Printed {
    lines: Lines<BufReader<ChildStdout>>,
    process: Watched,
}

impl Printed {
    fn start(arguments: &[&str], token: &str) -> Self {
        let mut watch = command(HOLDFAST);
        watch.args(["locks", "--watch", "--json"]).args(arguments);
        watch.env("HOLDFAST_ADMIN_TOKEN", token).stdout(Stdio::piped()).stdin(Stdio::null());
        let mut process = Watched::start(watch);
        let lines = BufReader::new(process.process_mut().stdout.take().unwrap()).lines();
        Self { lines, process }
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    /// The next report of a lock that was taken or freed.
    fn change(&mut self, kind: &str) -> (String, String) {
        let event = self.next();
        let text =
            |name| event[kind][name].as_str().unwrap_or_else(|| panic!("{event}")).to_owned();
        (text("resourceId"), text("lockOwner"))
    }
}

#[test]
fn events_are_lines_of_json() {
    let server = RedisServer::start();
    let resources = Resources::in_redis(&server, &[]);
    server.run::<()>(&LOCK);
    let path = ["--app-id", "app1", "--resources-path", resources.path()];
    let mut printed = Printed::start(&[&["--prefix", "order-"], &path[..]].concat(), "");
    assert_eq!(printed.next(), json!({"storeName": "lockstore", "began": {}}));
    assert_eq!(printed.change("taken"), ("order-1".to_owned(), "somebody".to_owned()));
    assert_eq!(printed.next(), json!({"storeName": "lockstore", "synced": {}}));
    server.run::<()>(&["SET", "lock||app1||page-1", "another"]);
    server.run::<()>(&["SET", "lock||app1||order-2", "another"]);
    assert_eq!(printed.change("taken"), ("order-2".to_owned(), "another".to_owned()));
    server.run::<()>(&["DEL", LOCK[1]]);
    assert_eq!(printed.change("freed").0, "order-1");

    // Nobody reads any more.
    let Printed { lines, mut process } = printed;
    drop(lines);
    server.run::<()>(&LOCK);
    assert_eq!(process.process_mut().wait().unwrap().code(), Some(2));
}

#[test]
fn a_running_server_is_asked_and_reports_who_waits() {
    let server = RedisServer::start();
    let resources = Resources::in_redis(&server, &[]);
    server.run::<()>(&LOCK);
    let mut serve = vec!["--app-id", "app1", "--enable-admin", "--admin-port", "0"];
    serve.extend(["--resources-path", resources.path()]);
    let holdfast = Holdfast::serve_in(&[("HOLDFAST_ADMIN_TOKEN", "s3cret")], HOLDFAST, &serve);
    let address = format!("http://{}", holdfast.operators());
    let mut printed = Printed::start(&["lockstore", "--address", &address], "s3cret");
    assert_eq!(printed.next(), json!({"storeName": "lockstore", "began": {}}));
    assert_eq!(printed.change("taken").1, "somebody");
    assert_eq!(printed.next(), json!({"storeName": "lockstore", "synced": {}}));
    let mut waiting = command(HOLDFAST);
    waiting.args(["run", "lockstore", "order-1", "--wait", "1h", "--address"]);
    waiting.arg(format!("http://{}", holdfast.http())).args(["--", "true"]);
    let waiting = Holdfast::start(waiting);
    let waits = json!({"resourceId": "order-1", "calls": 1});
    assert_eq!(printed.next(), json!({"storeName": "lockstore", "waiting": waits}));
    drop(waiting);
    let waits = json!({"resourceId": "order-1", "calls": 0});
    assert_eq!(printed.next(), json!({"storeName": "lockstore", "waiting": waits}));
    drop(holdfast);
    let failed = json!({"message": "the server has ended the watch"});
    assert_eq!(printed.next(), json!({"storeName": "lockstore", "failed": failed}));
}

#[test]
fn what_cannot_be_watched_is_named() {
    let server = RedisServer::start();
    let resources = Resources::in_redis(&server, &[]);
    let path = resources.path();
    let serve = ["--enable-admin", "--admin-port=0", "--resources-path", path];
    let holdfast = Holdfast::serve(HOLDFAST, &serve);
    let [admin, http, metrics] = [holdfast.operators(), holdfast.http(), holdfast.metrics()]
        .map(|address| format!("http://{address}"));
    for (arguments, problem) in [
        (
            &["--resources-path", path][..],
            "--watch: stdout is not a terminal; --json prints a line",
        ),
        (&["x", "--json", "--resources-path", path], "lock store x not found"),
        (&["--json", "--address", "localhost"], "--address: localhost does not have the form"),
        (
            &["--json", "--address", "http://127.0.0.1:1"],
            "--address http://127.0.0.1:1: cannot connect",
        ),
        (&["x", "--json", "--address", &admin], "lock store x not found"),
        (&["--json", "--address", &http], "this is not the server's --admin-port"),
        (&["--json", "--address", &metrics], "this is not a holdfast operator port: 404 Not Found"),
    ] {
        let (code, _, log) = run(&[&["locks", "--watch"], arguments].concat());
        assert_eq!(code, 2, "{log}");
        assert!(log.contains(problem), "{log}");
    }
    let (_, _, log) = run(&["locks", "--address", &admin]);
    assert!(log.contains("--watch"), "{log}");
}

/// A terminal of tmux with 100 columns and 24 lines, in which a program runs.
struct Terminal {
    tmux: std::path::PathBuf,
    folder: TempDir,
    _server: Watched,
}

impl Terminal {
    fn start(program: &[&str]) -> Option<Self> {
        let tmux = prepared("HOLDFAST_SERVER_TMUX", "tmux")?.join("tmux");
        let folder = temporary_dir();
        let mut server = Command::new(&tmux);
        server.args(["-D", "-f", "/dev/null", "-S"]).arg(socket(&folder));
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Watched::start(server);
        let terminal = Self { tmux, folder, _server: server };
        wait_until("tmux listens", || socket(&terminal.folder).exists());
        let start = [&["new-session", "-d", "-x", "100", "-y", "24"], program].concat();
        wait_until("tmux has a session", || terminal.ask(&start).0);
        Some(terminal)
    }

    /// Whether a command of tmux succeeds, and its output.
    fn ask(&self, arguments: &[&str]) -> (bool, String) {
        let mut client = Command::new(&self.tmux);
        client.arg("-S").arg(socket(&self.folder)).args(arguments);
        let output = client.env("LC_ALL", "C.UTF-8").output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    /// Waits until the screen has this, and returns it.
    fn screen(&self, words: &str) -> String {
        let shown = || self.ask(&["capture-pane", "-p"]).1;
        wait_until(&format!("{words} is shown"), || shown().contains(words));
        shown()
    }
}

fn socket(folder: &TempDir) -> std::path::PathBuf {
    Path::new(folder.path()).join("socket")
}

#[test]
fn a_terminal_shows_the_locks_until_q_is_pressed() {
    let server = RedisServer::start();
    let resources = Resources::in_redis(&server, &[]);
    server.run::<()>(&LOCK);
    let path = ["--app-id", "app1", "--resources-path", resources.path()];
    let program = [&["env", "LC_ALL=C.UTF-8", HOLDFAST, "locks", "--watch"], &path[..]].concat();
    let Some(terminal) = Terminal::start(&program) else { return };
    let screen = terminal.screen("order-1");
    assert!(screen.starts_with("holdfast locks "), "{screen}");
    assert!(screen.contains(" 1 held, 0 waiting") && screen.contains("for ever"), "{screen}");
    server.run::<()>(&["SET", "lock||app1||order-2", "another", "EX", "60"]);
    let screen = terminal.screen("taken  order-2 (lockstore)  another");
    assert!(screen.contains("██"), "{screen}");
    terminal.screen(" 5"); // The time runs down.
    server.run::<()>(&["DEL", "lock||app1||order-2"]);
    let screen = terminal.screen("freed  order-2 (lockstore)  another");
    assert!(screen.contains(" 1 held,"), "{screen}");
    keep("terminal.txt", &screen);
    assert!(terminal.ask(&["send-keys", "Down", "Up", "q"]).0);
    wait_until("the program ends", || !terminal.ask(&["has-session"]).0);
}
