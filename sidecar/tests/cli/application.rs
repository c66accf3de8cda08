//! `holdfast serve -- COMMAND`: an application that starts and ends with the server.

use std::{fs, path::Path};

use holdfast_tests::{
    holdfast::{Holdfast, command, serve},
    http_client::{exchange, request},
    temporary_dir,
};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{HOLDFAST, in_pid_namespace, wait_until};

/// A server with a shell script as its application, which runs in a folder.
fn beside(script: &str, folder: &Path) -> Holdfast {
    let mut command = serve(HOLDFAST);
    command.args(["--app-id", "app1", "--", "sh", "-c", script]).current_dir(folder);
    Holdfast::start(command)
}

#[test]
fn the_application_knows_the_ports_and_the_server_ends_with_its_code() {
    let folder = temporary_dir();
    let program = format!("env > environment; {HOLDFAST} health --port $DAPR_HTTP_PORT && exit 7");
    let mut holdfast = beside(&program, folder.path());
    assert_eq!(holdfast.wait(), Some(7), "{}", holdfast.log());
    let environment = fs::read_to_string(folder.path().join("environment")).unwrap();
    let (http, grpc) = (holdfast.http(), holdfast.grpc());
    let port = |address: &str| address.rsplit_once(':').unwrap().1.to_owned();
    for expected in [
        "APP_ID=app1".to_owned(),
        format!("DAPR_HTTP_PORT={}", port(&http)),
        format!("DAPR_GRPC_PORT={}", port(&grpc)),
        format!("DAPR_HTTP_ENDPOINT=http://{http}"),
        format!("DAPR_GRPC_ENDPOINT=http://{grpc}"),
    ] {
        assert!(environment.lines().any(|line| line == expected), "{expected}\n{environment}");
    }
}

/// Clients take no relative path after `unix://`.
#[test]
fn the_application_gets_absolute_paths_of_sockets() {
    let folder = temporary_dir();
    fs::create_dir(folder.path().join("us")).unwrap();
    let mut command = serve(HOLDFAST);
    command.args(["--app-id", "app1", "--unix-domain-socket", "us"]).current_dir(folder.path());
    command.args(["--", "sh", "-c", "env > environment"]);
    // Of another server.
    command.env("DAPR_HTTP_PORT", "1").env("DAPR_GRPC_PORT", "2");
    let mut holdfast = Holdfast::start(command);
    assert_eq!(holdfast.wait(), Some(0), "{}", holdfast.log());
    let environment = fs::read_to_string(folder.path().join("environment")).unwrap();
    let folder = fs::canonicalize(folder.path()).unwrap();
    for (variable, api) in [("DAPR_HTTP_ENDPOINT", "http"), ("DAPR_GRPC_ENDPOINT", "grpc")] {
        let socket = folder.join(format!("us/dapr-app1-{api}.socket"));
        let expected = format!("{variable}=unix://{}", socket.display());
        assert!(environment.lines().any(|line| line == expected), "{expected}\n{environment}");
    }
    for variable in ["DAPR_HTTP_PORT=", "DAPR_GRPC_PORT="] {
        assert!(!environment.lines().any(|line| line.starts_with(variable)), "{environment}");
    }
}

/// The application can still use the server while it ends.
#[test]
fn signals_are_passed_on_and_the_server_outlives_the_application() {
    let folder = temporary_dir();
    let program = format!(
        "trap 'echo hup >> said' HUP
         trap '{HOLDFAST} health --port $DAPR_HTTP_PORT && exit 3; exit 4' TERM
         echo started > said
         while true; do sleep 0.05; done"
    );
    let mut holdfast = beside(&program, folder.path());
    let said = || said(&folder);
    wait_until("started", || said().contains("started"));
    holdfast.signal(Signal::HUP);
    wait_until("hup", || said().contains("hup"));
    assert_eq!(holdfast.end_by(Signal::TERM), Some(3), "{}", holdfast.log());
}

/// The processes of the group that it leads end with it.
#[test]
fn an_application_that_does_not_end_is_killed_by_the_second_signal() {
    for start in ["exec sh work", "exec setsid sh -c 'sh work & wait'"] {
        let folder = temporary_dir();
        let work = "echo $$ > id; while true; do sleep 0.05; done";
        fs::write(folder.path().join("work"), work).unwrap();
        let mut holdfast = beside(&format!("trap '' TERM; {start}"), folder.path());
        let id = || fs::read_to_string(folder.path().join("id")).unwrap_or_default();
        wait_until("its id", || id().ends_with('\n'));
        holdfast.signal(Signal::TERM);
        holdfast.wait_for("passed a signal on to the application");
        assert_eq!(holdfast.end_by_many(Signal::TERM), Some(137), "{start}");
        let process = Path::new("/proc").join(id().trim());
        wait_until("the process has ended", || {
            !process.exists()
                || fs::read_to_string(process.join("stat")).is_ok_and(|it| it.contains(") Z "))
        });
    }
}

/// A shell script that notes the signals that it gets in the file `said`, and ends with 3 once there is a file `end`.
const PATIENT: &str = "trap 'echo term >> said' TERM; trap 'echo int >> said' INT
                       trap 'echo usr1 >> said' USR1; echo started > said
                       while [ ! -e end ]; do sleep 0.05; done; exit 3";

/// An application that runs [`PATIENT`] already, its folder first.
fn patient() -> (TempDir, Holdfast) {
    let folder = temporary_dir();
    let holdfast = beside(PATIENT, folder.path());
    wait_until("started", || said(&folder).contains("started"));
    (folder, holdfast)
}

fn said(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("said")).unwrap_or_default()
}

/// As a supervisor sends them that signals a process and then its group.
#[test]
fn two_signals_at_once_are_one_request_to_end() {
    let (folder, mut holdfast) = patient();
    let said = || said(&folder);
    holdfast.suspend();
    holdfast.signal(Signal::TERM);
    holdfast.signal(Signal::INT);
    holdfast.signal(Signal::CONT);
    wait_until("both", || said().contains("term") && said().contains("int"));
    fs::write(folder.path().join("end"), "").unwrap();
    assert_eq!(holdfast.wait(), Some(3), "{}", holdfast.log());
}

#[tokio::test]
async fn the_first_signal_after_a_request_to_end_kills_no_application() {
    let (folder, mut holdfast) = patient();
    let said = || said(&folder);
    let address = holdfast.http().parse().unwrap();
    assert_eq!(exchange(address, &request("POST", "/v1.0/shutdown", "", b"")).await.status, 204);
    wait_until("term", || said().contains("term"));
    holdfast.signal(Signal::TERM);
    holdfast.wait_for("the shutdown is already under way; another signal after 1s ends it at once");
    fs::write(folder.path().join("end"), "").unwrap();
    let ended = tokio::task::spawn_blocking(move || (holdfast.wait(), holdfast.log())).await;
    let (code, log) = ended.unwrap();
    assert_eq!(code, Some(3), "{log}");
}

/// Holders of locks have their time, unless a second signal comes.
#[tokio::test]
async fn the_first_signal_after_the_end_of_the_application_ends_nothing_at_once() {
    for twice in [false, true] {
        let folder = temporary_dir();
        let mut command = serve(HOLDFAST);
        command.args(["--dapr-graceful-shutdown-seconds", "3600", "--", "sh", "-c", PATIENT]);
        command.current_dir(folder.path());
        let mut holdfast = Holdfast::start_ready(command);
        holdfast.try_lock("lockstore", "r", "me", 3600).await;
        fs::write(folder.path().join("end"), "").unwrap();
        holdfast.wait_for("shutting down");
        holdfast.signal(Signal::TERM);
        holdfast
            .wait_for("the shutdown is already under way; another signal after 1s ends it at once");
        if !twice {
            holdfast.unlock("lockstore", "r", "me").await;
        }
        let ended = tokio::task::spawn_blocking(move || {
            let code = if twice { holdfast.end_by_many(Signal::TERM) } else { holdfast.wait() };
            (code, holdfast.log())
        });
        let (code, log) = ended.await.unwrap();
        assert_eq!(code, Some(3), "{log}");
        assert_eq!(log.contains("a second signal ended the shutdown"), twice, "{log}");
    }
}

/// As under nohup, or in the background of a script.
#[test]
fn signals_that_are_ignored_stay_ignored() {
    let folder = temporary_dir();
    let mut ignoring = command("sh");
    ignoring.args(["-c", "trap '' HUP; exec \"$@\"", "sh", HOLDFAST]);
    ignoring.args(serve(HOLDFAST).get_args()).args(["--", "sh", "-c", PATIENT]);
    ignoring.current_dir(folder.path());
    let mut holdfast = Holdfast::start(ignoring);
    let said = || said(&folder);
    wait_until("started", || said().contains("started"));
    holdfast.signal(Signal::HUP);
    holdfast.signal(Signal::USR1);
    wait_until("usr1", || {
        assert!(!holdfast.log().contains("has ended"), "{}", holdfast.log());
        said().contains("usr1")
    });
    fs::write(folder.path().join("end"), "").unwrap();
    assert_eq!(holdfast.wait(), Some(3), "{}", holdfast.log());
}

/// As SIGTERM: otherwise the application would live on without its server.
#[test]
fn sigquit_ends_the_application_and_the_server_in_order() {
    let (folder, mut holdfast) = patient();
    let said = || said(&folder);
    holdfast.signal(Signal::QUIT);
    wait_until("term", || said().contains("term"));
    fs::write(folder.path().join("end"), "").unwrap();
    assert_eq!(holdfast.wait(), Some(3), "{}", holdfast.log());
}

#[test]
fn an_application_that_a_signal_ends_and_one_that_is_missing() {
    let folder = temporary_dir();
    let mut holdfast = beside("kill -KILL $$", folder.path());
    assert_eq!(holdfast.wait(), Some(137));
    let mut command = serve(HOLDFAST);
    command.args(["--", "/no/such/program"]);
    let mut holdfast = Holdfast::start(command);
    assert_eq!(holdfast.wait(), Some(1));
    assert!(
        holdfast.log().contains("holdfast: cannot start /no/such/program: "),
        "{}",
        holdfast.log()
    );
}

/// They would fill the table of processes of a container whose first process is the server.
#[test]
fn an_orphaned_process_leaves_nothing_behind_when_it_ends() {
    let Some(mut inside) = in_pid_namespace() else { return };
    let folder = temporary_dir();
    let script = "(sh -c 'echo $$ > orphan' &)
                  while [ ! -s orphan ] || [ -e /proc/$(cat orphan) ]; do sleep 0.05; done
                  exit 7";
    let served = serve(HOLDFAST);
    inside.arg(served.get_program()).args(served.get_args()).args(["--", "sh", "-c", script]);
    inside.current_dir(folder.path());
    let mut holdfast = Holdfast::start(inside);
    assert_eq!(holdfast.wait(), Some(7), "{}", holdfast.log());
}

/// Without the application nobody has to unlock any more.
#[test]
fn a_signal_blocks_the_shutdown_until_the_application_has_ended() {
    let folder = temporary_dir();
    let script = "trap 'exit 4' TERM; echo > started; while :; do sleep 0.05; done";
    let mut command = serve(HOLDFAST);
    command.args(["--dapr-block-shutdown-duration", "1h", "--", "sh", "-c", script]);
    command.current_dir(folder.path());
    let mut holdfast = Holdfast::start(command);
    wait_until("the application runs", || folder.path().join("started").exists());
    assert_eq!(holdfast.end_by(Signal::TERM), Some(4), "{}", holdfast.log());
}

/// The duration would be longer than the test waits.
#[test]
fn the_shutdown_after_the_end_of_the_application_is_not_blocked() {
    let mut command = serve(HOLDFAST);
    command.args(["--dapr-block-shutdown-duration", "1h", "--", "sh", "-c", "exit 7"]);
    let mut holdfast = Holdfast::start(command);
    assert_eq!(holdfast.wait(), Some(7), "{}", holdfast.log());
    assert!(!holdfast.log().contains("serving until then"), "{}", holdfast.log());
    let warning = "--dapr-block-shutdown-duration has no effect with a command after --, whose end \
                   begins the shutdown";
    assert!(holdfast.log().contains(warning), "{}", holdfast.log());
}

/// The server raises its own limit.
#[test]
fn the_application_has_the_limit_of_open_files_of_before() {
    let folder = temporary_dir();
    let server = serve(HOLDFAST);
    let mut limited = command("sh");
    limited.args(["-c", "ulimit -Sn 200 && exec \"$0\" \"$@\"", HOLDFAST]);
    limited.args(server.get_args());
    let script = "ulimit -Sn > limit; grep 'open files' /proc/$PPID/limits > server";
    limited.args(["--", "sh", "-c", script]).current_dir(folder.path());
    let mut holdfast = Holdfast::start(limited);
    assert_eq!(holdfast.wait(), Some(0), "{}", holdfast.log());
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("limit").trim(), "200");
    // Soft and hard.
    let of_server: Vec<_> =
        read("server").split_whitespace().skip(3).take(2).map(str::to_owned).collect();
    assert_eq!(of_server[0], of_server[1]);
}
