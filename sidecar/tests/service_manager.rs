//! What systemd is told by `holdfast serve`, over a real socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod binary;

use std::{
    net::{TcpListener, TcpStream},
    os::unix::net::UnixDatagram,
    path::PathBuf,
};

use binary::{LONG, Serving, holdfast, serve};
use tempfile::TempDir;

/// A service manager's socket.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    _folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        Self { socket, path, _folder: folder }
    }

    fn heard(&self) -> String {
        let mut message = [0; 1024];
        let length = self.socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    }
}

#[test]
fn ready_means_that_locks_can_be_had_and_the_end_is_told() {
    let manager = Manager::new();
    let mut command = serve();
    command.env("NOTIFY_SOCKET", &manager.path);
    let mut serving = Serving::start(command);
    assert_eq!(manager.heard(), "READY=1\n");
    let port: u16 = serving.port("listening on http://").parse().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());

    assert_eq!(serving.terminate(), Some(0));
    assert_eq!(manager.heard(), "STOPPING=1\n");
}

#[test]
fn whoever_cannot_start_is_never_ready() {
    let manager = Manager::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command = holdfast();
    command.args(["serve", "--dapr-http-port", &port, "--dapr-grpc-port", "0"]);
    let output = command.env("NOTIFY_SOCKET", &manager.path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    manager.socket.set_nonblocking(true).unwrap();
    assert!(manager.socket.recv(&mut [0; 1024]).is_err());
}

#[test]
fn a_manager_that_is_gone_is_no_obstacle() {
    let mut command = serve();
    command.env("NOTIFY_SOCKET", "/no/such/socket");
    let mut serving = Serving::start(command);
    serving.wait_for("listening on http://");
    serving.wait_for("cannot tell the service manager READY=1: No such file or directory");
    assert_eq!(serving.terminate(), Some(0));
}
