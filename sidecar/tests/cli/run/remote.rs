//! `holdfast run --address`: the lock through a server.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use holdfast_tests::{
    APP_ID, STORE, free_port,
    holdfast::{Holdfast, serve},
};
use rustix::process::Signal;

use super::{KEY, Place, RESOURCE, WORK, command, wait_until};
use crate::{HOLDFAST, run_in};

const TOKEN: (&str, &str) = ("DAPR_API_TOKEN", "secret");

/// A server on this port, with the store of a place.
fn server(place: &Place, port: &str) -> Holdfast {
    let mut server = serve(HOLDFAST);
    server.args(["--dapr-http-port", port, "--app-id", APP_ID, "--log-level", "debug"]);
    server.args(["--resources-path", place.resources.path()]).env(TOKEN.0, TOKEN.1);
    Holdfast::start_ready(server)
}

/// `holdfast run` with a shell script, through a server.
fn through(place: &Place, address: &str, options: &[&str], script: &str) -> Command {
    let mut command = command(HOLDFAST);
    command.args(["run", STORE, RESOURCE, "--address", &format!("http://{address}")]);
    command.args(options).args(["--", "sh", "-c", script]);
    command.env(TOKEN.0, TOKEN.1).current_dir(place.folder.path());
    command
}

fn start(place: &Place, server: &Holdfast, options: &[&str], script: &str) -> Holdfast {
    Holdfast::start(through(place, &server.http(), options, script))
}

#[test]
fn the_command_runs_under_the_lock_and_knows_it() {
    let place = Place::new();
    let server = server(&place, "0");
    for wait in ["0", "10s"] {
        let script =
            "env > environment; touch ready; while [ -e ready ]; do sleep 0.05; done; exit 7";
        let mut running = start(&place, &server, &["--wait", wait], script);
        wait_until("ready", || place.folder.path().join("ready").exists());
        let environment = place.said("environment");
        let owner = format!("HOLDFAST_OWNER={}\n", place.owner().unwrap());
        assert!(environment.contains(&owner), "{environment}");
        assert!(environment.contains("HOLDFAST_RESOURCE=job\n"), "{environment}");
        let number: String = place.redis.run(&["GET", &format!("lock||fence||{{{KEY}}}")]);
        let number = format!("HOLDFAST_FENCING_TOKEN={number}\n");
        assert!(environment.contains(&number), "{environment}");
        std::fs::remove_file(place.folder.path().join("ready")).unwrap();
        assert_eq!(running.wait(), Some(7), "{}", running.log());
        assert!(place.is_free());
    }
}

#[test]
fn the_command_starts_when_the_lock_is_released() {
    let place = Place::new();
    let server = server(&place, "0");
    place.hold();
    let mut held = start(&place, &server, &[], "echo ran > said");
    assert_eq!(held.wait(), Some(124), "{}", held.log());
    let mut waiting = start(&place, &server, &["--wait", "1h"], "echo ran > said");
    place.wait_until_awaited();
    assert_eq!(place.said("said"), "");
    place.redis.run::<()>(&["DEL", KEY]);
    assert_eq!(waiting.wait(), Some(0), "{}", waiting.log());
    assert_eq!(place.said("said"), "ran\n");
    assert!(place.is_free());
}

#[tokio::test]
async fn a_signal_ends_the_wait_and_leaves_nothing_behind() {
    let place = Place::new();
    let server = server(&place, "0");
    place.hold();
    let mut waiting = start(&place, &server, &["--wait", "1h"], "echo ran > said");
    place.wait_until_awaited();
    assert_eq!(waiting.end_by(Signal::INT), Some(130), "{}", waiting.log());
    holdfast_tests::eventually("nobody waits any more", async || {
        let metrics = server.scrape().await;
        metrics
            .lines()
            .any(|line| line.starts_with("holdfast_lock_waiters{") && line.ends_with(" 0"))
    })
    .await;
    place.redis.run::<()>(&["DEL", KEY]);
    assert!(place.is_free());
    assert_eq!(place.said("said"), "");
}

/// A time to live so long that no renewal happens in a test.
const LONG_TTL: [&str; 2] = ["--ttl", "1h"];

/// Starts a script that says when it gets SIGTERM.
fn start_to_lose(place: &Place, server: &Holdfast, options: &[&str]) -> Holdfast {
    let script = format!("trap 'echo term > said; exit 0' TERM; {WORK}");
    let running = start(place, server, options, &script);
    place.process("leader");
    running
}

fn is_lost(place: &Place, mut running: Holdfast, why: &str) {
    assert_eq!(running.wait(), Some(193), "{}", running.log());
    assert!(running.log().contains(why), "{}", running.log());
    assert_eq!(place.said("said"), "term\n");
    for file in ["leader", "said"] {
        std::fs::remove_file(place.folder.path().join(file)).unwrap();
    }
}

#[test]
fn a_lock_that_is_gone_or_another_owners_is_lost_at_once() {
    let place = Place::new();
    let server = server(&place, "0");
    let path = place.resources.path();
    for wait in ["0", "10s"] {
        for (lose, why) in [
            (&["DEL", KEY][..], "the lock is gone"),
            (&["FLUSHALL"], "the lock is gone"),
            (&["SET", KEY, "somebody-else"], "another owner holds the lock"),
        ] {
            place.redis.run::<()>(&["FLUSHALL"]);
            let running =
                start_to_lose(&place, &server, &[&LONG_TTL[..], &["--wait", wait]].concat());
            place.redis.run::<()>(lose);
            is_lost(&place, running, why);
        }
        assert_eq!(place.owner().unwrap(), "somebody-else");
    }
    place.redis.run::<()>(&["DEL", KEY]);
    let running = start_to_lose(&place, &server, &LONG_TTL);
    let forced =
        ["unlock", STORE, RESOURCE, "--force", "--app-id", APP_ID, "--resources-path", path];
    assert_eq!(run_in(&[], &forced).0, 0);
    is_lost(&place, running, "the lock is gone");
}

#[test]
fn without_loss_events_the_next_renewal_finds_the_loss() {
    let place = Place::without_push();
    let server = server(&place, "0");
    let running = start_to_lose(&place, &server, &["--ttl", "3s"]);
    place.redis.run::<()>(&["DEL", KEY]);
    is_lost(&place, running, "the lock is gone");
}

#[test]
fn without_a_loss_call_the_next_renewal_finds_the_loss() {
    let place = Place::new();
    let server = server(&place, "0");
    let relay = relay_without("/await-loss", server.http());
    let options = ["--ttl", "3s", "--log-level", "debug"];
    let script = format!("trap 'echo term > said; exit 0' TERM; {WORK}");
    let running = Holdfast::start(through(&place, &relay, &options, &script));
    place.process("leader");
    running.wait_for("cannot watch for a loss before the next renewal: ");
    place.redis.run::<()>(&["DEL", KEY]);
    is_lost(&place, running, "the lock is gone");
}

/// The address of a relay to a server, which answers requests with this in their first line like a server that does not
/// know them.
fn relay_without(call: &'static str, to: String) -> String {
    const UNKNOWN: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 58\r\n\r\n\
                           {\"errorCode\":\"ERR_DIRECT_INVOKE\",\"message\":\"failed getting\"}";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let to = to.clone();
            thread::spawn(move || {
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap_or(0);
                let request = &request[..length];
                if String::from_utf8_lossy(request).lines().next().unwrap_or("").contains(call) {
                    let _ = stream.write_all(UNKNOWN.as_bytes());
                    return;
                }
                let mut server = TcpStream::connect(to).unwrap();
                server.write_all(request).unwrap();
                let (mut rest, mut sender) =
                    (stream.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = std::io::copy(&mut rest, &mut sender);
                    let _ = sender.shutdown(Shutdown::Write);
                });
                let _ = std::io::copy(&mut server, &mut stream);
            });
        }
    });
    address.to_string()
}

#[test]
fn a_server_that_ends_and_comes_back_loses_nothing_and_reports_a_loss_again() {
    let place = Place::new();
    let port = free_port().to_string();
    let mut first = server(&place, &port);
    let running = start_to_lose(&place, &first, &LONG_TTL);
    first.wait_for("/await-loss");
    assert_eq!(first.end_by(Signal::TERM), Some(0), "{}", first.log());
    let second = server(&place, &port);
    wait_until_tracked(&place);
    assert_eq!(place.said("said"), "");
    place.redis.run::<()>(&["DEL", KEY]);
    is_lost(&place, running, "the lock is gone");
    drop(second);
}

#[test]
fn a_waiter_at_a_server_that_ends_gets_the_lock_from_the_next_server() {
    let place = Place::new();
    let port = free_port().to_string();
    let mut first = server(&place, &port);
    place.hold();
    let mut waiting = start(&place, &first, &["--wait", "1h"], "echo ran > said");
    place.wait_until_awaited();
    assert_eq!(first.end_by(Signal::TERM), Some(0), "{}", first.log());
    let _second = server(&place, &port);
    place.wait_until_awaited();
    place.redis.run::<()>(&["DEL", KEY]);
    assert_eq!(waiting.wait(), Some(0), "{}", waiting.log());
    assert_eq!(place.said("said"), "ran\n");
}

/// The lock is taken, and the answer lost: the next try must not find it held by its own owner.
#[test]
fn a_grant_whose_answer_is_lost_while_waiting_is_given_back_before_the_next_try() {
    let place = Place::new();
    let (address, held) = losing_a_grant(true);
    let script = "echo ran > said";
    let mut waiting = Holdfast::start(through(&place, &address, &["--wait", "10s"], script));
    assert_eq!(waiting.wait(), Some(0), "{}", waiting.log());
    assert_eq!(place.said("said"), "ran\n");
    assert!(!held.load(Ordering::SeqCst));
}

#[test]
fn a_grant_that_cannot_be_given_back_is_no_lock_of_another_owner() {
    let place = Place::new();
    let (address, held) = losing_a_grant(false);
    let script = "echo ran > said";
    let mut waiting = Holdfast::start(through(&place, &address, &["--wait", "3s"], script));
    assert_eq!(waiting.wait(), Some(125), "{}", waiting.log());
    let expected = format!("holdfast: --address http://{address}: no answer");
    assert!(waiting.log().contains(&expected), "{}", waiting.log());
    assert_eq!(place.said("said"), "");
    assert!(held.load(Ordering::SeqCst));
}

/// The address of a server that shuts down at the first acquire, and closes the connection at the second one, when it
/// has taken the lock; and whether the lock is held. It answers later calls, releases only if it is told so.
fn losing_a_grant(releases: bool) -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let held = Arc::new(AtomicBool::new(false));
    let lock = held.clone();
    thread::spawn(move || {
        let mut acquires = 0;
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..length]);
            let path = request.split(' ').nth(1).unwrap_or_default();
            acquires += u32::from(path.ends_with("/acquire"));
            let (status, body) = match (path.rsplit('/').next(), acquires) {
                (Some("acquire"), 1) => ("503 Service Unavailable", SHUTTING_DOWN),
                (Some("acquire"), _) => match (lock.swap(true, Ordering::SeqCst), acquires) {
                    (false, 2) => continue,
                    (false, _) => ("200 OK", r#"{"success":true,"validFor":"30s"}"#),
                    (true, _) => ("200 OK", r#"{"success":false}"#),
                },
                (Some("release"), _) if !releases => continue,
                (Some("release"), _) => {
                    lock.store(false, Ordering::SeqCst);
                    ("200 OK", r#"{"status":0}"#)
                }
                _ => ("200 OK", r#"{"status":0,"validFor":"30s"}"#),
            };
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes());
            // Until the client closes the connection.
            let _ = stream.read(&mut [0; 1024]);
        }
    });
    (address.to_string(), held)
}

const SHUTTING_DOWN: &str =
    r#"{"errorCode":"ERR_LOCK_SHUTTING_DOWN","message":"the server shuts down"}"#;

/// Waits until Redis tracks the lock for a client.
fn wait_until_tracked(place: &Place) {
    wait_until("somebody listens", || {
        let clients: String = place.redis.run(&["CLIENT", "LIST"]);
        clients.lines().any(|client| client.contains("flags=t "))
    });
}

#[test]
fn a_holder_that_stalls_for_too_long_finds_the_loss() {
    let place = Place::new();
    let server = server(&place, "0");
    let mut running = start(&place, &server, &["--ttl", "3s"], WORK);
    place.process("leader");
    running.suspend();
    wait_until("the lock expires", || place.is_free());
    running.signal(Signal::CONT);
    assert_eq!(running.wait(), Some(193), "{}", running.log());
    assert!(place.is_free());
}

#[test]
fn a_server_that_goes_away_loses_the_lock_when_its_time_is_over() {
    let place = Place::new();
    let mut server = server(&place, "0");
    let mut running = start(&place, &server, &["--ttl", "3s"], WORK);
    place.process("leader");
    assert_eq!(server.end_by(Signal::KILL), None);
    assert_eq!(running.wait(), Some(193), "{}", running.log());
    let expected =
        format!("could not be renewed in time: http://{}: cannot connect", server.http());
    assert!(running.log().contains(&expected), "{}", running.log());
}

#[test]
fn a_server_that_comes_back_in_time_loses_nothing() {
    let place = Place::new();
    let port = free_port().to_string();
    let mut first = server(&place, &port);
    let mut running = start(&place, &first, &["--ttl", "20s", "--log-level", "info"], WORK);
    place.process("leader");
    assert_eq!(first.end_by(Signal::KILL), None);
    running.wait_for("the lock is not renewed yet: ");
    let second = server(&place, &port);
    second.wait_for("/extend");
    assert!(!place.is_free());
    assert_eq!(running.end_by(Signal::TERM), Some(143), "{}", running.log());
    assert!(place.is_free());
}

#[test]
fn a_server_that_hangs_is_a_loss_and_ends_nothing_but_the_command() {
    let place = Place::new();
    let mut server = server(&place, "0");
    let mut running = start(&place, &server, &["--ttl", "3s"], WORK);
    place.process("leader");
    server.suspend();
    running.wait_for("the lock is lost: the lock could not be renewed in time");
    // A signal ends the try to release the lost lock, which is not worth a wait.
    running.signal(Signal::TERM);
    assert_eq!(running.wait(), Some(193), "{}", running.log());
}

#[test]
fn errors_name_the_address() {
    let place = Place::new();
    let server = server(&place, "0");
    let good = format!("http://{}", server.http());
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let other = answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let no_http = answering("SSH-2.0-OpenSSH\r\n");
    for (token, store, address, expected) in [
        ("secret", STORE, &*nobody, "cannot connect: Connection refused"),
        ("secret", STORE, &other, "unexpected answer, not from a holdfast server: 404 Not Found"),
        ("secret", STORE, &no_http, "the answer is not HTTP/1.1: "),
        ("wrong", STORE, &good, "the server refuses the token: DAPR_API_TOKEN"),
        ("secret", "none", &good, "STORE: lock store none not found"),
        ("secret", "a/b ?", &good, "STORE: lock store a/b ? not found"),
        ("secret", STORE, "https://localhost:1", "https is not supported"),
        ("secret", STORE, "localhost:1", "does not have the form http://HOST:PORT"),
        ("secret", STORE, "http://localhost:1/path", "does not have the form http://HOST:PORT"),
    ] {
        let args = ["run", store, RESOURCE, "--address", address, "--", "true"];
        let (code, _, stderr) = run_in(&[("DAPR_API_TOKEN", token)], &args);
        assert_eq!(code, 125, "{address}: {stderr}");
        let start = format!("holdfast: --address{}{address}: ", separator(expected));
        let named = stderr.starts_with(&start)
            || stderr.starts_with(&format!("holdfast: --address: {address} "));
        assert!(named && stderr.contains(expected), "{address}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    let args = ["run", STORE, RESOURCE, "--address", &good, "--app-id", "app2", "--", "true"];
    let (code, _, stderr) = run_in(&[TOKEN], &args);
    assert!(code == 125 && stderr.contains("--app-id cannot be used with --address"), "{stderr}");
    // The variable may be set for other programs.
    let args = ["run", STORE, RESOURCE, "--address", &good, "--", "true"];
    let (code, _, stderr) = run_in(&[TOKEN, ("APP_ID", "app2")], &args);
    assert_eq!((code, stderr.as_str()), (0, ""));
}

/// An error about the address itself names only the option.
fn separator(expected: &str) -> &'static str {
    if expected.starts_with("https") { ": " } else { " " }
}

/// The URL of a server that answers each request with this.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
            // Until the client closes the connection.
            let _ = stream.read(&mut [0; 1024]);
        }
    });
    format!("http://{address}")
}
