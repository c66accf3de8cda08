//! Makes a lock last longer if the owner holds it, by the script `extend.lua`.

use core::time::Duration;

use crate::{
    reply::{Nonsense, Reply},
    resp::decimal,
};

/// The script. It is sent in full, so it is described here: Redis compiles it once, and a lost script needs no second
/// try. It makes a lock last longer if the owner holds it.
///
/// | | |
/// |---|---|
/// | `KEYS[1]` | the key of the lock |
/// | `ARGV[1]` | the owner |
/// | `ARGV[2]` | for how many milliseconds the lock lasts from now on |
/// | `ARGV[3]` | when it ends at the latest, in milliseconds since 1970, however late this runs; 0 if that is not known |
/// | `ARGV[4]` | 1 if a lock that would last longer ends earlier now, else 0 |
///
/// Returns how many milliseconds are left at least; -1 if the lock is not set, -2 if another owner holds it.
pub const EXTEND_LUA: &str = include_str!("extend.lua");

/// The command.
#[derive(Clone, Copy, Debug)]
pub struct Extend<'a> {
    /// The lock's key.
    pub key: &'a str,
    /// The value that the key must have.
    pub owner: &'a str,
    /// The time to live from now on, in milliseconds.
    pub ttl: u64,
    /// Whether a lock that would last longer ends earlier.
    pub may_shorten: bool,
}

/// The outcome of an extend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extended {
    /// The lock lasts this long from the moment that the server ran the command, at least.
    Extended(Duration),
    /// The key is not set.
    Missing,
    /// The key has another owner's value and was left alone.
    HeldByOther,
}

/// Passes the words of the command to `send`. `end` is when the lock ends at the latest, in milliseconds since 1970 by
/// the server's clock, however late the server runs the command; `None` if that clock is not known.
pub fn words<T>(extend: Extend<'_>, end: Option<u64>, send: impl FnOnce(&[&str]) -> T) -> T {
    let Extend { key, owner, ttl, may_shorten } = extend;
    let (mut ttl_digits, mut end_digits) = ([0; 20], [0; 20]);
    send(&[
        "EVAL",
        EXTEND_LUA,
        "1",
        key,
        owner,
        decimal(ttl, &mut ttl_digits),
        decimal(end.unwrap_or(0), &mut end_digits),
        if may_shorten { "1" } else { "0" },
    ])
}

impl Extended {
    /// Reads the reply.
    ///
    /// # Errors
    ///
    /// [`Nonsense`] for a reply that the script does not give.
    pub fn read(reply: &Reply) -> Result<Self, Nonsense> {
        match reply {
            Reply::Integer(-1) => Ok(Self::Missing),
            Reply::Integer(-2) => Ok(Self::HeldByOther),
            Reply::Integer(left) => {
                // The server counts a millisecond that has begun as a whole one.
                let left = u64::try_from(*left).map_err(|_| Nonsense)?.saturating_sub(1);
                Ok(Self::Extended(Duration::from_millis(left)))
            }
            _ => Err(Nonsense),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_in_the_scripts_order() {
        let extend = Extend { key: "k", owner: "o", ttl: 5, may_shorten: false };
        words(extend, None, |words| {
            assert_eq!(words, ["EVAL", EXTEND_LUA, "1", "k", "o", "5", "0", "0"]);
        });
        words(Extend { may_shorten: true, ..extend }, Some(9), |words| {
            assert_eq!(words, ["EVAL", EXTEND_LUA, "1", "k", "o", "5", "9", "1"]);
        });
    }

    #[test]
    fn the_scripts_numbers_have_their_meaning() {
        for (reply, expected) in [
            (Reply::Integer(1_000), Ok(Extended::Extended(Duration::from_millis(999)))),
            (Reply::Integer(0), Ok(Extended::Extended(Duration::ZERO))),
            (Reply::Integer(-1), Ok(Extended::Missing)),
            (Reply::Integer(-2), Ok(Extended::HeldByOther)),
            (Reply::Integer(-3), Err(Nonsense)),
            (Reply::Nil, Err(Nonsense)),
        ] {
            assert_eq!(Extended::read(&reply), expected, "{reply:?}");
        }
    }
}
