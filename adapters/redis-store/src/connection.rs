//! One connection to Redis: sends a command and waits for its reply. `dial` opens it.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;

use holdfast_redis_rules::{clock::Reading, reply::Reply, resp, settings::Settings};
use spin::Mutex;
use wasip2::{
    clocks::monotonic_clock::{self, Instant},
    io::streams::{InputStream, OutputStream, StreamError},
    sockets::tcp::{ShutdownType, TcpSocket},
};

use crate::time::{Deadline, since, written};

/// Why a command has no reply. The connection cannot be used any more.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The server cannot have run it: its end was never handed to the network.
    Unsent(String),
    /// The server may have run it.
    Unanswered(String),
}

/// A logged-in connection.
pub(crate) struct Connection {
    socket: Arc<Socket>,
    /// Bytes that were received and not parsed yet.
    received: Vec<u8>,
    /// The digest of the script that releases a lock, if the server knows the script.
    pub(crate) script: Option<String>,
    /// What is known of the server's clock, if it tells it.
    pub(crate) clock: Option<Reading>,
    opened: Instant,
    last_used: Instant,
}

/// The streams must be dropped before the socket; fields are dropped in order.
struct Socket {
    input: InputStream,
    output: OutputStream,
    tcp: TcpSocket,
}

impl Socket {
    /// Whether everything that was written has been sent, or never will be.
    fn has_ended(&self) -> bool {
        self.output.check_write().is_err()
    }
}

/// Sockets that were shut down and still have bytes to send. wasmtime waits for these when a stream is
/// dropped, and a server that stalls may never receive them.
static ENDING: Mutex<Vec<Arc<Socket>>> = Mutex::new(Vec::new());

impl Drop for Connection {
    fn drop(&mut self) {
        // Fails if the server has closed the connection, which needs no shutdown.
        let _ = self.socket.tcp.shutdown(ShutdownType::Both);
        let mut ending = ENDING.lock();
        ending.retain(|socket| !socket.has_ended());
        if !self.socket.has_ended() {
            ending.push(self.socket.clone());
        }
    }
}

impl Connection {
    pub(crate) fn new(tcp: TcpSocket, input: InputStream, output: OutputStream) -> Self {
        let now = monotonic_clock::now();
        let socket = Arc::new(Socket { input, output, tcp });
        Self {
            socket,
            received: Vec::new(),
            script: None,
            clock: None,
            opened: now,
            last_used: now,
        }
    }

    /// Whether it can take another command: it was not idle for too long, is not too old, and the server
    /// has neither closed it nor sent anything unasked.
    pub(crate) fn is_good(&self, settings: &Settings) -> bool {
        let within =
            |time: Duration, limit: Option<Duration>| limit.is_none_or(|limit| time <= limit);
        within(since(self.last_used), settings.idle_timeout)
            && within(since(self.opened), settings.max_age)
            && self.received.is_empty()
            && self.socket.input.read(1).is_ok_and(|bytes| bytes.is_empty())
    }

    /// Sends one command and waits for its reply.
    pub(crate) fn call(&mut self, words: &[&str], settings: &Settings) -> Result<Reply, Broken> {
        self.send_words(&[words], settings)?;
        self.wait(settings)
    }

    /// Sends several commands at once.
    pub(crate) fn send_words(
        &mut self,
        commands: &[&[&str]],
        settings: &Settings,
    ) -> Result<(), Broken> {
        let mut bytes = Vec::new();
        commands.iter().for_each(|words| resp::push(&mut bytes, words));
        self.send(&bytes, settings.write_timeout)
    }

    /// Waits for the next reply, `readTimeout` at most.
    pub(crate) fn wait(&mut self, settings: &Settings) -> Result<Reply, Broken> {
        let reply = self.reply(Deadline::after(settings.read_timeout));
        let no_reply = || match settings.read_timeout {
            Some(limit) => format!("no reply within {}", written(limit)),
            None => "no reply".to_string(),
        };
        self.last_used = monotonic_clock::now();
        reply.map_err(|cause| Broken::Unanswered(cause.unwrap_or_else(no_reply)))
    }

    /// Hands all of `bytes` to the network, which may accept nothing for `limit`.
    pub(crate) fn send(&self, bytes: &[u8], limit: Option<Duration>) -> Result<(), Broken> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let lost = |_| Broken::Unsent("connection lost".to_string());
            let room = match self.socket.output.check_write().map_err(lost)? {
                0 => {
                    let writable = self.socket.output.subscribe();
                    if !Deadline::after(limit).wait(&writable) {
                        return Err(Broken::Unsent("sending timed out".to_string()));
                    }
                    continue;
                }
                room => usize::try_from(room).unwrap_or(usize::MAX),
            };
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.socket.output.write(now).map_err(|error| match error {
                // The server runs only a complete command.
                StreamError::LastOperationFailed(_) if later.is_empty() => {
                    Broken::Unanswered("connection lost".to_string())
                }
                _ => lost(error),
            })?;
            rest = later;
        }
        Ok(())
    }

    /// Waits for the next reply. The error is `None` if none came before the deadline.
    pub(crate) fn reply(&mut self, deadline: Deadline) -> Result<Reply, Option<String>> {
        const PIECE: u64 = 4096;
        loop {
            let reply =
                resp::reply(&self.received).map_err(|nonsense| Some(nonsense.to_string()))?;
            if let Some((reply, length)) = reply {
                self.received.drain(..length);
                return Ok(reply);
            }
            let piece =
                self.socket.input.read(PIECE).map_err(|_| Some("connection lost".to_string()))?;
            if piece.is_empty() {
                let readable = self.socket.input.subscribe();
                if !deadline.wait(&readable) {
                    return Err(None);
                }
            }
            self.received.extend(piece);
        }
    }
}
