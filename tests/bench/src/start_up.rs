//! The time from the start of the process `holdfast serve` to its first healthy response.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use holdfast_tests::free_port;

use crate::{rounds::Spread, table::Table};

/// How long to wait for a start.
const STARTING: Duration = Duration::from_secs(10);

/// Measures this many starts, and adds the row.
pub fn measure(starts: usize, holdfast: &Path, table: &mut Table) -> Result<()> {
    // The first start loads the file into memory and does not count.
    let times = (0..=starts).map(|_| start(holdfast)).collect::<Result<Vec<_>>>()?;
    let milliseconds = times[1..].iter().map(|time| time.as_secs_f64() * 1000.0);
    table.duration("`holdfast serve`, process start to ready", Spread::of(milliseconds), "30 ms");
    Ok(())
}

/// The process. Dropping it ends the process.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(holdfast: &Path) -> Result<Duration> {
    let port = free_port();
    let mut command = Command::new(holdfast);
    command.args(["serve", "--dapr-http-port", &port.to_string(), "--dapr-grpc-port", "0"]);
    command.args(["--metrics-port", "0"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let mut running = Running(command.spawn().context("cannot run holdfast")?);
    while start.elapsed() < STARTING {
        if is_healthy(port)? {
            return Ok(start.elapsed());
        }
        if let Some(status) = running.0.try_wait()? {
            bail!("holdfast ended: {status}");
        }
        thread::sleep(Duration::from_micros(200));
    }
    bail!("holdfast is not ready within {STARTING:?}")
}

fn is_healthy(port: u16) -> Result<bool> {
    let mut stream = match TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))) {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    stream.set_read_timeout(Some(STARTING))?;
    stream
        .write_all(b"GET /v1.0/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    Ok(response.starts_with(b"HTTP/1.1 204"))
}
