//! One socket to Redis: sends a command and waits for its reply. Opening it is `dial`'s affair.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use wasip2::{
    clocks::monotonic_clock::{self, Instant},
    io::streams::{InputStream, OutputStream, StreamError},
    sockets::tcp::TcpSocket,
};

use crate::{
    protocol::{self, Reply},
    settings::Settings,
    time::{Deadline, since, written},
};

/// Why a command has no reply. The connection is of no more use.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The server cannot have carried it out: its end was never handed over to the network.
    Unsent(String),
    /// The server may have carried it out.
    Unanswered(String),
}

/// An open socket.
///
/// A resource must go before the one it was made from, and fields go in order.
pub(crate) struct Connection {
    input: InputStream,
    output: OutputStream,
    _socket: TcpSocket,
    /// What came in and was not taken yet.
    received: Vec<u8>,
    /// What the server calls the script that releases a lock, if it told.
    pub(crate) script: Option<String>,
    opened: Instant,
    last_used: Instant,
}

impl Connection {
    pub(crate) fn new(socket: TcpSocket, input: InputStream, output: OutputStream) -> Self {
        let now = monotonic_clock::now();
        let (received, script) = (Vec::new(), None);
        Self { input, output, _socket: socket, received, script, opened: now, last_used: now }
    }

    /// Whether it can take a command still: it has not been idle for too long, is not too old, and
    /// the server has neither ended it nor said anything that nobody asked for.
    pub(crate) fn is_good(&self, settings: &Settings) -> bool {
        let within =
            |time: Duration, limit: Option<Duration>| limit.is_none_or(|limit| time <= limit);
        within(since(self.last_used), settings.idle_timeout)
            && within(since(self.opened), settings.max_age)
            && self.received.is_empty()
            && self.input.read(1).is_ok_and(|bytes| bytes.is_empty())
    }

    /// Sends one command and waits for its reply.
    pub(crate) fn call(&mut self, command: &[u8], settings: &Settings) -> Result<Reply, Broken> {
        self.send(command, settings.write_timeout)?;
        let reply = self.reply(Deadline::after(settings.read_timeout));
        let no_reply = || match settings.read_timeout {
            Some(limit) => format!("no reply within {}", written(limit)),
            None => "no reply".to_string(),
        };
        self.last_used = monotonic_clock::now();
        reply.map_err(|cause| Broken::Unanswered(cause.unwrap_or_else(no_reply)))
    }

    /// Hands over all of `bytes` to the network, which may take nothing for `limit`.
    pub(crate) fn send(&self, bytes: &[u8], limit: Option<Duration>) -> Result<(), Broken> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let lost = |_| Broken::Unsent("connection lost".to_string());
            let room = match self.output.check_write().map_err(lost)? {
                0 => {
                    let writable = self.output.subscribe();
                    if !Deadline::after(limit).wait(&writable) {
                        return Err(Broken::Unsent("sending timed out".to_string()));
                    }
                    continue;
                }
                room => usize::try_from(room).unwrap_or(usize::MAX),
            };
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.output.write(now).map_err(|error| match error {
                // Only the last piece completes the command.
                StreamError::LastOperationFailed(_) if later.is_empty() => {
                    Broken::Unanswered("connection lost".to_string())
                }
                _ => lost(error),
            })?;
            rest = later;
        }
        Ok(())
    }

    /// The next reply. `None` as the error where none came before the deadline.
    pub(crate) fn reply(&mut self, deadline: Deadline) -> Result<Reply, Option<String>> {
        const PIECE: u64 = 4096;
        loop {
            let reply = protocol::reply(&self.received)
                .map_err(|_| Some("the server's reply makes no sense".to_string()))?;
            if let Some((reply, length)) = reply {
                self.received.drain(..length);
                return Ok(reply);
            }
            let piece = self.input.read(PIECE).map_err(|_| Some("connection lost".to_string()))?;
            if piece.is_empty() {
                let readable = self.input.subscribe();
                if !deadline.wait(&readable) {
                    return Err(None);
                }
            }
            self.received.extend(piece);
        }
    }
}
