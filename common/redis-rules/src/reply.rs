//! The replies of a server to the commands of a lock.

use alloc::{string::String, vec::Vec};
use core::{error::Error, fmt};

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`.
    Okay,
    /// Any other status, such as `+PONG`.
    Status,
    /// The server refused the command and did nothing: the error line without its leading `-`.
    Error(String),
    /// An integer.
    Integer(i64),
    /// A bulk string.
    Text(String),
    /// The null bulk string.
    Nil,
    /// An array of bulk strings.
    Texts(Vec<String>),
    /// An array of integers, at least one.
    Integers(Vec<i64>),
}

/// The reply is not one that the command can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonsense;

impl fmt::Display for Nonsense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::TEXT)
    }
}

impl Error for Nonsense {}

impl Nonsense {
    /// The error's text.
    pub const TEXT: &str = "unexpected reply from the server";
}
