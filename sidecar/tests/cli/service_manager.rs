//! The notifications of `holdfast serve` for systemd, over a socket.

use std::{
    net::{TcpListener, TcpStream},
    os::unix::net::UnixDatagram,
    path::PathBuf,
};

use holdfast_tests::{
    LONG,
    holdfast::{Holdfast, command, serve},
    temporary_dir,
};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::HOLDFAST;

/// A service manager's socket.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    _folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = temporary_dir();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        Self { socket, path, _folder: folder }
    }

    fn receive(&self) -> String {
        let mut message = [0; 1024];
        let length = self.socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    }
}

#[test]
fn systemd_is_notified_when_the_server_is_ready_and_when_it_stops() {
    let manager = Manager::new();
    let mut command = serve(HOLDFAST);
    command.env("NOTIFY_SOCKET", &manager.path);
    let mut holdfast = Holdfast::start(command);
    assert_eq!(manager.receive(), "READY=1\n");
    assert!(TcpStream::connect(holdfast.http()).is_ok());

    assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
    assert_eq!(manager.receive(), "STOPPING=1\n");
}

#[test]
fn a_server_that_cannot_start_is_never_reported_ready() {
    let manager = Manager::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command = command(HOLDFAST);
    command.args(["serve", "--dapr-http-port", &port, "--dapr-grpc-port", "0"]);
    let output = command.env("NOTIFY_SOCKET", &manager.path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    manager.socket.set_nonblocking(true).unwrap();
    assert!(manager.socket.recv(&mut [0; 1024]).is_err());
}

#[test]
fn a_missing_service_manager_causes_a_warning() {
    let environment = [("NOTIFY_SOCKET", "/no/such/socket")];
    let mut holdfast = Holdfast::serve_in(&environment, HOLDFAST, &[]);
    holdfast.wait_for("cannot notify the service manager of READY=1: No such file or directory");
    assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
}
