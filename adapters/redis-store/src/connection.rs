//! One connection to Redis: sends commands and waits for their replies. `dial` opens it.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;

use holdfast_redis_rules::{
    clock::Reading,
    reply::{Nonsense, Reply},
    resp,
    settings::Settings,
};
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
    /// The server cannot have run the command, because the end of the command was never handed to the network. If
    /// several commands were sent together, the server cannot have run any of them.
    Unsent(String),
    /// The server may have run it.
    Unanswered(String),
}

impl Broken {
    pub(crate) fn cause(self) -> String {
        match self {
            Self::Unsent(cause) | Self::Unanswered(cause) => cause,
        }
    }
}

/// Why no reply came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoReply {
    /// The deadline has passed.
    Late,
    /// The server or the network ended the connection.
    Lost,
    /// The received bytes are not a reply.
    Nonsense,
}

impl NoReply {
    /// A readable cause; `None` for a deadline, which the caller reports.
    pub(crate) fn cause(self) -> Option<&'static str> {
        match self {
            Self::Late => None,
            Self::Lost => Some(LOST),
            Self::Nonsense => Some(Nonsense::TEXT),
        }
    }
}

/// The server or the network ended the connection.
pub(crate) const LOST: &str = "connection lost";

/// Commands that are sent together.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    commands: usize,
    /// Where the first command ends.
    first: usize,
}

impl Batch {
    pub(crate) fn push(&mut self, words: &[&str]) {
        resp::push(&mut self.bytes, words);
        self.commands += 1;
        if self.commands == 1 {
            self.first = self.bytes.len();
        }
    }

    /// Why the replies are missing after the network took only this many bytes. A server runs every complete command,
    /// even if the rest never arrives.
    fn broken(&self, taken: usize, cause: &str) -> Broken {
        match taken < self.first {
            true => Broken::Unsent(cause.to_string()),
            false => Broken::Unanswered(cause.to_string()),
        }
    }
}

/// A logged-in connection.
pub(crate) struct Connection {
    socket: Arc<Socket>,
    /// Bytes that were received and not parsed yet.
    received: Vec<u8>,
    /// How many replies are still to come.
    owed: usize,
    /// Whether to believe nothing more that the server sends.
    distrusted: bool,
    /// The digest of the script that releases a lock, if the server knows the script.
    pub(crate) script: Option<String>,
    /// The newest reading of the server's clock, if the server reports it.
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
            owed: 0,
            distrusted: false,
            script: None,
            clock: None,
            opened: now,
            last_used: now,
        }
    }

    /// Whether every command has had a reply that makes sense.
    pub(crate) fn is_in_order(&self) -> bool {
        self.owed == 0 && !self.distrusted
    }

    /// Ignores everything that the server sends from now on.
    pub(crate) fn distrust(&mut self) {
        self.distrusted = true;
    }

    /// Whether the connection can take another command: it was not idle for too long, is not too old, and the server
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
        let mut batch = Batch::default();
        batch.push(words);
        self.send(&batch, settings)?;
        self.wait(settings)
    }

    /// Waits for the next reply, `readTimeout` at most.
    pub(crate) fn wait(&mut self, settings: &Settings) -> Result<Reply, Broken> {
        let reply = self.reply(Deadline::after(settings.read_timeout));
        let no_reply = || match settings.read_timeout {
            Some(limit) => format!("no reply within {}", written(limit)),
            None => "no reply".to_string(),
        };
        self.last_used = monotonic_clock::now();
        reply.map_err(|no| Broken::Unanswered(no.cause().map_or_else(no_reply, str::to_string)))
    }

    /// Hands all commands to the network, which may accept nothing for `writeTimeout`.
    pub(crate) fn send(&mut self, batch: &Batch, settings: &Settings) -> Result<(), Broken> {
        self.owed += batch.commands;
        let mut taken = 0;
        while taken < batch.bytes.len() {
            let room = match self.socket.output.check_write() {
                Ok(0) => {
                    let writable = self.socket.output.subscribe();
                    if !Deadline::after(settings.write_timeout).wait(&writable) {
                        return Err(batch.broken(taken, "sending timed out"));
                    }
                    continue;
                }
                Ok(room) => usize::try_from(room).unwrap_or(usize::MAX),
                Err(_) => return Err(batch.broken(taken, LOST)),
            };
            let rest = &batch.bytes[taken..];
            let now = &rest[..room.min(rest.len())];
            self.socket.output.write(now).map_err(|error| match error {
                StreamError::Closed => batch.broken(taken, LOST),
                // A part of these bytes may be on its way.
                StreamError::LastOperationFailed(_) => batch.broken(taken + now.len(), LOST),
            })?;
            taken += now.len();
        }
        Ok(())
    }

    /// Waits for the next reply.
    pub(crate) fn reply(&mut self, deadline: Deadline) -> Result<Reply, NoReply> {
        const PIECE: u64 = 4096;
        loop {
            let reply = resp::reply(&self.received).map_err(|Nonsense| NoReply::Nonsense)?;
            if let Some((reply, length)) = reply {
                self.received.drain(..length);
                self.owed = self.owed.saturating_sub(1);
                return Ok(reply);
            }
            let piece = self.socket.input.read(PIECE).map_err(|_| NoReply::Lost)?;
            if piece.is_empty() {
                let readable = self.socket.input.subscribe();
                if !deadline.wait(&readable) {
                    return Err(NoReply::Late);
                }
            }
            self.received.extend(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_network_took_in_part_may_have_been_run() {
        let mut batch = Batch::default();
        batch.push(&["SET", "k", "me", "NX", "PXAT", "1"]);
        let set = batch.bytes.len();
        batch.push(&["TIME"]);
        let all = batch.bytes.len();
        for taken in 0..=all {
            let is_unsent = matches!(batch.broken(taken, LOST), Broken::Unsent(_));
            assert_eq!(is_unsent, taken < set, "{taken} of {all}");
        }
    }
}
