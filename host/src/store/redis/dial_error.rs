//! Why no connection could be opened.

use std::io;

use holdfast_redis_rules::{
    fitness::Unfit,
    refusal::{self, RefusedLogin},
};

use super::{answer::Cause, tls};

/// Why no connection could be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DialError {
    pub(super) cause: String,
    /// Whether a later attempt may succeed. A wrong password stays wrong.
    pub(super) may_pass: bool,
    /// Why a server that answered may keep no locks; `None` for any other error.
    pub(super) refused: Option<Refused>,
    /// How the server refused the login, if it did. With several servers: one of their refusals.
    pub(super) login: Option<RefusedLogin>,
}

/// Why a server that answered may keep no locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Locks are not safe with the server.
    Unfit(Unfit),
    /// The server is another node of the quorum, and would count twice.
    Twin,
}

impl DialError {
    pub(super) fn closed() -> Self {
        Self::lasting(Cause::Closed.to_string())
    }

    pub(super) fn passing(cause: String) -> Self {
        Self { cause, may_pass: true, refused: None, login: None }
    }

    /// An error after which another attempt would fail too.
    pub(super) fn lasting(cause: String) -> Self {
        Self { cause, may_pass: false, refused: None, login: None }
    }

    /// An error of the network, or of TLS after its handshake, if the server refuses the client's certificate.
    pub(super) fn of_network(error: &io::Error) -> Self {
        match (error.kind(), tls::refusal(error)) {
            (_, Some(refusal)) => Self::lasting(refusal),
            (io::ErrorKind::ConnectionRefused, None) => {
                Self::passing("connection refused".to_owned())
            }
            _ => Self::passing(error.to_string()),
        }
    }

    pub(super) fn unfit(unfit: Unfit) -> Self {
        let refused = Some(Refused::Unfit(unfit));
        Self { cause: unfit.to_string(), may_pass: unfit.may_pass(), refused, login: None }
    }

    /// The server is also the node `first` of the quorum.
    pub(super) fn twin_of(first: &str) -> Self {
        let cause =
            format!("it is the same server as {first}: each of redisHost must be another one");
        Self { refused: Some(Refused::Twin), ..Self::lasting(cause) }
    }

    /// The same error, with the name of a server.
    pub(super) fn about(self, server: impl std::fmt::Display) -> Self {
        Self { cause: format!("{server}: {}", self.cause), ..self }
    }
}

/// The error line of the server.
impl From<String> for DialError {
    fn from(line: String) -> Self {
        Self {
            may_pass: refusal::may_pass(&line),
            login: refusal::refused_login(&line),
            cause: line,
            refused: None,
        }
    }
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        Self::of_network(&error)
    }
}
