//! Takes a lock unless it is held: `SET key owner NX` with an expiry.

use crate::{
    reply::{Nonsense, Reply},
    resp::decimal,
};

/// When a lock expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// At this time of the server's clock, in milliseconds since 1970, however late the server runs the
    /// command. Needs Redis 6.2.
    At(u64),
    /// This many milliseconds after the server has run the command.
    After(u64),
}

impl Expiry {
    /// The option of `SET`, and its milliseconds.
    pub(crate) fn option(self) -> (&'static str, u64) {
        match self {
            Self::At(time) => ("PXAT", time),
            Self::After(ttl) => ("PX", ttl),
        }
    }
}

/// The outcome of an acquire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The key was free and was set to the owner's value. With [`Expiry::At`] a time that is over, it was
    /// deleted again at once.
    Granted,
    /// The key is set, by this owner or another.
    Held,
}

/// Passes the words of the command that sets `key` to `owner` to `send`.
pub fn words<T>(key: &str, owner: &str, expiry: Expiry, send: impl FnOnce(&[&str]) -> T) -> T {
    let (option, milliseconds) = expiry.option();
    let mut digits = [0; 20];
    send(&["SET", key, owner, "NX", option, decimal(milliseconds, &mut digits)])
}

/// Whether the server refused [`Expiry::At`] because it does not know it.
pub fn expiry_is_unknown(error: &str) -> bool {
    // Redis 6.2 and older say it in the middle of the line if it was a script that set the lock.
    error.starts_with("ERR") && error.contains("ERR syntax error")
}

impl Acquired {
    /// Reads the reply.
    ///
    /// # Errors
    ///
    /// [`Nonsense`] for a reply that `SET` cannot have. An error line is one of these: its meaning is
    /// [`Again::after`](crate::refusal::Again::after)'s to tell.
    pub fn read(reply: &Reply) -> Result<Self, Nonsense> {
        match reply {
            Reply::Okay => Ok(Self::Granted),
            Reply::Nil => Ok(Self::Held),
            _ => Err(Nonsense),
        }
    }
}

/// The cause for a caller whose lock was granted and has expired already.
pub const RAN_OUT: &str = "the lock ran out before the reply came";

/// The cause for a caller whose lock has an expiry that the server's clock made wrong.
pub const CLOCK_WAS_SET: &str = "the server's clock was set while the lock was taken";

#[cfg(test)]
mod tests {
    use alloc::{
        string::{String, ToString},
        vec::Vec,
    };

    use super::*;

    fn owned(key: &str, owner: &str, expiry: Expiry) -> Vec<String> {
        words(key, owner, expiry, |words| words.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_words_are_in_redis_order() {
        let expected = ["SET", "lock||k", "o w", "NX", "PX", "18446744073709551615"];
        assert_eq!(owned("lock||k", "o w", Expiry::After(u64::MAX)), expected);
        let expected = ["SET", "k", "o", "NX", "PXAT", "1700000000000"];
        assert_eq!(owned("k", "o", Expiry::At(1_700_000_000_000)), expected);
    }

    #[test]
    fn only_ok_is_a_grant() {
        for (reply, expected) in [
            (Reply::Okay, Ok(Acquired::Granted)),
            (Reply::Nil, Ok(Acquired::Held)),
            (Reply::Status, Err(Nonsense)),
            (Reply::Integer(1), Err(Nonsense)),
            (Reply::Text("OK".into()), Err(Nonsense)),
            (Reply::Error("ERR no".into()), Err(Nonsense)),
        ] {
            assert_eq!(Acquired::read(&reply), expected, "{reply:?}");
        }
    }
}
