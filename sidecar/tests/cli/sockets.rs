//! Unix domain sockets, and who removes their files.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    process::Command,
};

use holdfast_tests::{
    holdfast::{Holdfast, command},
    resources::{Resources, definition},
    temporary_dir,
};
use rustix::process::Signal;

use crate::{HOLDFAST, run, wait_until};

const HEALTHZ: &str = "GET /v1.0/healthz HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n";

/// `serve` for the application app1, with sockets in a folder.
fn serve(sockets: &Path) -> Command {
    let mut command = command(HOLDFAST);
    command.args(["serve", "--enable-metrics=false", "--app-id", "app1"]);
    command.arg("--unix-domain-socket").arg(sockets);
    command
}

#[test]
fn unix_domain_sockets_exist_while_the_server_runs() {
    let folder = temporary_dir();
    let sockets = folder.path();
    let args = ["serve", "--app-id", "app1", "--unix-domain-socket", sockets.to_str().unwrap()];
    let (http, grpc) =
        (sockets.join("dapr-app1-http.socket"), sockets.join("dapr-app1-grpc.socket"));
    let start = || {
        let holdfast = Holdfast::start(serve(sockets));
        holdfast.wait_for("listening on grpc+unix:///");
        let ready = holdfast.wait_for("listening on http+unix:///");
        assert!(ready.ends_with(http.to_str().unwrap()), "{ready}");
        holdfast
    };
    let mut first = start();
    let mut stream = UnixStream::connect(&http).unwrap();
    stream.write_all(HEALTHZ.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 204"), "{response}");
    assert!(UnixStream::connect(&grpc).is_ok());
    let health = |id| {
        let folder = sockets.to_str().unwrap();
        run(&["health", "--unix-domain-socket", folder, "--app-id", id])
    };
    assert_eq!(health("app1"), (0, String::new(), String::new()));
    let (code, _, stderr) = health("app2");
    let expected =
        format!("holdfast: {}/dapr-app2-http.socket: cannot connect: ", sockets.display());
    assert!(code == 1 && stderr.starts_with(&expected), "{stderr}");

    let (code, _, stderr) = run(&args);
    let expected = format!("holdfast: --unix-domain-socket: cannot listen on {}", http.display());
    assert_eq!(code, 1);
    assert!(stderr.contains(&expected), "{stderr}");
    assert!(UnixStream::connect(&http).is_ok());

    // A killed process leaves sockets behind, which the next one replaces.
    assert_eq!(first.end_by(Signal::KILL), None);
    assert!(http.exists() && grpc.exists());
    let mut second = start();
    assert_eq!(second.end_by(Signal::TERM), Some(0));
    assert!(!http.exists() && !grpc.exists());

    let missing = sockets.join("missing");
    let (code, _, stderr) = run(&["serve", "--unix-domain-socket", missing.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(stderr.contains("--unix-domain-socket: cannot listen on"), "{stderr}");
    fs::write(&http, "a file").unwrap();
    assert_eq!(run(&args).0, 1);
    assert_eq!(fs::read(&http).unwrap(), b"a file");
}

/// A server that is replaced while it ends leaves the files of the new one alone.
#[test]
fn a_server_removes_no_socket_of_another() {
    let folder = temporary_dir();
    let http = folder.path().join("dapr-app1-http.socket");
    let mut holdfast = Holdfast::start(serve(folder.path()));
    holdfast.wait_for("listening on http+unix:///");
    fs::remove_file(&http).unwrap();
    let _another = UnixListener::bind(&http).unwrap();
    assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
    assert!(UnixStream::connect(&http).is_ok());
    assert!(!folder.path().join("dapr-app1-grpc.socket").exists());
}

#[test]
fn a_server_that_starts_keeps_its_sockets() {
    // It takes connections and says nothing, so that the store takes long to open.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let settings = [("redisHost", address.as_str()), ("readTimeout", "60s")];
    let file = definition("slow", "lock.redis", &settings) + "  initTimeout: 1m\n";
    let resources = Resources::new(&[("slow.yaml", &file)]);
    let folder = temporary_dir();
    let http = folder.path().join("dapr-app1-http.socket");
    let mut command = serve(folder.path());
    command.args(["--resources-path", resources.path()]);
    let mut starting = Holdfast::start(command);
    wait_until("the address is taken", || http.exists());
    let folder = folder.path().to_str().unwrap();
    let (code, _, stderr) = run(&["serve", "--app-id", "app1", "--unix-domain-socket", folder]);
    assert_eq!(code, 1);
    assert!(stderr.contains("--unix-domain-socket: cannot listen on"), "{stderr}");
    assert!(http.exists());
    assert_eq!(starting.end_by(Signal::TERM), Some(0));
    assert!(!http.exists());
}
