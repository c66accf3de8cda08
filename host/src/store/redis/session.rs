//! A connection for questions: one command at a time, replies of any form, and messages that the server sends unasked.
//!
//! The codec of the crate `redis` reads the replies: `redis-protocol` overflows its stack on arrays in arrays.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use holdfast_redis_rules::{
    address::Address,
    login::{Login, knows_no_users},
    reply::Nonsense,
    resp,
};
use redis::{ServerError, Value, ValueCodec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::codec::Decoder;

use super::{
    answer::Cause,
    dial_error::DialError,
    driver::Timeouts,
    stream::{NEEDS_TLS, NO_TLS, Stream, Streams},
    time_limit::within,
};

/// The longest reply in bytes.
const MAX_REPLY_BYTES: usize = 1 << 20;

/// An open connection.
pub(super) struct Session {
    stream: Stream,
    codec: ValueCodec,
    received: BytesMut,
    timeouts: Timeouts,
    /// Whether a server at this address has ever sent anything that makes sense.
    answered: Arc<AtomicBool>,
}

impl Session {
    /// Opens a connection and logs it in. Sets `shaking_hands` while the TLS handshake runs.
    pub(super) async fn open(
        streams: &Streams,
        address: &Address,
        login: &Login<'_>,
        timeouts: Timeouts,
        shaking_hands: &AtomicBool,
    ) -> Result<Self, DialError> {
        let stream = streams.open(address, shaking_hands).await?;
        let (codec, received) = (ValueCodec::default(), BytesMut::new());
        let answered = streams.answered(address);
        let mut session = Self { stream, codec, received, timeouts, answered };
        session.log_in(login).await?;
        Ok(session)
    }

    async fn log_in(&mut self, login: &Login<'_>) -> Result<(), DialError> {
        self.introduce(login).await.map_err(|error| {
            let error = DialError { cause: login.with_advice(error.cause), ..error };
            // The server read the first bytes as a handshake, and has closed the connection.
            let is_plain = matches!(self.stream, Stream::Left(_));
            if !is_plain || self.answered.load(Ordering::Relaxed) {
                return error;
            }
            DialError { cause: format!("{} ({NEEDS_TLS})", error.cause), ..error }
        })
    }

    async fn introduce(&mut self, login: &Login<'_>) -> Result<(), DialError> {
        if let Some(words) = login.authentication() {
            match (self.accepted(&words).await, login.older_authentication()) {
                (Err(error), Some(words)) if knows_no_users(&error.cause) => {
                    self.accepted(&words).await?;
                }
                (accepted, _) => accepted?,
            }
        }
        for words in login.commands() {
            self.accepted(&words).await?;
        }
        Ok(())
    }

    /// Runs a command whose reply matters only if it is an error.
    pub(super) async fn accepted(&mut self, words: &[&str]) -> Result<(), DialError> {
        self.ask(words).await.map(drop)
    }

    /// Runs a command. No other command may be under way, and the server must send nothing unasked.
    pub(super) async fn ask(&mut self, words: &[&str]) -> Result<Value, DialError> {
        self.send(words).await?;
        let reply = within(self.timeouts.reply, self.next()).await;
        match reply.map_err(|limit| DialError::passing(Cause::TimedOut(limit).to_string()))?? {
            Value::ServerError(error) => Err(DialError::from(line(&error))),
            reply => Ok(reply),
        }
    }

    /// Sends a command.
    pub(super) async fn send(&mut self, words: &[&str]) -> Result<(), DialError> {
        let mut bytes = Vec::new();
        resp::push(&mut bytes, words);
        let sending = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        match within(self.timeouts.send, sending).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(DialError::passing(Cause::SendTimedOut.to_string())),
        }
    }

    /// The next reply or message of the server. Nothing is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Value, DialError> {
        loop {
            if let Some(value) = self.codec.decode(&mut self.received).map_err(|_| nonsense())? {
                self.answered.store(true, Ordering::Relaxed);
                return Ok(value);
            }
            if self.received.len() > MAX_REPLY_BYTES {
                return Err(nonsense());
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(DialError::passing(Cause::Lost.to_string()));
            }
        }
    }
}

/// An error as the line that the server sent.
pub(super) fn line(error: &ServerError) -> String {
    format!("{} {}", error.code(), error.details().unwrap_or_default()).trim_end().to_owned()
}

/// Limits the time for opening a connection and the first questions on it. `shaking_hands` is whether the TLS handshake
/// runs.
pub(super) async fn bounded<T>(
    limit: Option<Duration>,
    opening: impl Future<Output = Result<T, DialError>>,
    shaking_hands: &AtomicBool,
) -> Result<T, DialError> {
    within(limit, opening).await.unwrap_or_else(|limit| {
        // A server that does not speak TLS may wait for the end of a command.
        let hint = if shaking_hands.load(Ordering::Relaxed) { NO_TLS } else { "" };
        Err(DialError::passing(format!("no connection within {limit:?}{hint}")))
    })
}

/// The error of a reply that no command can have.
pub(super) fn nonsense() -> DialError {
    DialError::passing(Nonsense::TEXT.to_owned())
}

#[cfg(test)]
mod tests {
    use holdfast_redis_rules::login::LoginNames;
    use tokio::net::TcpListener;

    use super::*;
    use crate::store::redis::settings::RedisSettings;

    #[tokio::test]
    async fn a_server_that_has_answered_is_not_asked_for_tls_when_it_closes_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let address = Address { host: address.ip().to_string(), port: address.port() };
        let settings = RedisSettings::new("127.0.0.1").password("word").checked().unwrap();
        let streams = Streams::new(None, None).unwrap();
        let mut causes = Vec::new();
        for answers in [false, true, false] {
            let serving = async {
                let (mut client, _) = listener.accept().await.unwrap();
                assert_ne!(client.read(&mut [0; 1024]).await.unwrap(), 0);
                // One for each command of the login. The connection ends unless it is kept.
                let replies = b"+OK\r\n".repeat(3);
                if answers {
                    client.write_all(&replies).await.unwrap();
                }
                answers.then_some(client)
            };
            let login = Login::new(&settings.common, LoginNames::DAPR);
            let (timeouts, hands) = (settings.timeouts(), AtomicBool::new(false));
            let opening = Session::open(&streams, &address, &login, timeouts, &hands);
            let (opened, _kept) = tokio::join!(opening, serving);
            causes.push(opened.err().map_or_else(String::new, |error| error.cause));
        }
        assert!(causes[0].contains("enableTLS"), "{causes:?}");
        assert_eq!(causes[1], "");
        assert!(!causes[2].is_empty() && !causes[2].contains("enableTLS"), "{causes:?}");
    }
}
