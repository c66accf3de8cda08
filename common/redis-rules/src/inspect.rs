//! Reads the holder of a lock, by the script `inspect.lua`.

use alloc::string::String;

use crate::reply::{Nonsense, Reply};

/// The script. It is sent in full, so it is described here: Redis compiles it once, and a lost script needs no second
/// try.
///
/// `KEYS[1]` is the key of the lock. `KEYS[2]` is the key of the resource's latest fencing token, if it is wanted. Returns
/// nil if nobody holds the lock, or the first 4,096 bytes of the owner, the milliseconds that are left (-1 for ever),
/// and the fencing token, if there is one.
pub const INSPECT_LUA: &str = include_str!("inspect.lua");

/// The holder of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The owner, cut after 4,096 bytes.
    pub owner: String,
    /// How many milliseconds are left; `None` if the lock never expires.
    pub left: Option<u64>,
    /// The resource's latest fencing token, if the server has one.
    pub fencing_token: Option<u64>,
}

/// The words of the command. `token_key` is the key of the resource's latest fencing token.
pub fn words<'a>(key: &'a str, token_key: &'a str) -> [&'a str; 5] {
    ["EVAL", INSPECT_LUA, "2", key, token_key]
}

/// The words of the command without the fencing token.
pub fn words_without_token(key: &str) -> [&str; 4] {
    ["EVAL", INSPECT_LUA, "1", key]
}

/// Reads the reply; `None` if nobody holds the lock.
///
/// # Errors
///
/// [`Nonsense`] for a reply that the script does not give.
pub fn read(reply: Reply) -> Result<Option<Holding>, Nonsense> {
    let texts = match reply {
        Reply::Nil => return Ok(None),
        Reply::Texts(texts) => texts,
        _ => return Err(Nonsense),
    };
    let mut texts = texts.into_iter();
    let (Some(owner), Some(left), fencing_token, None) =
        (texts.next(), texts.next(), texts.next(), texts.next())
    else {
        return Err(Nonsense);
    };
    let left = left.parse::<i64>().map_err(|_| Nonsense)?;
    // Another program may have written a value that is not a number.
    let fencing_token = fencing_token.and_then(|token| token.parse().ok());
    Ok(Some(Holding { owner, left: u64::try_from(left).ok(), fencing_token }))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn what_the_script_returns_is_read() {
        let texts =
            |texts: &[&str]| Reply::Texts(texts.iter().map(|text| (*text).into()).collect());
        let holding =
            |left, fencing_token| Ok(Some(Holding { owner: "o".into(), left, fencing_token }));
        for (reply, expected) in [
            (Reply::Nil, Ok(None)),
            (texts(&["o", "1000"]), holding(Some(1_000), None)),
            (texts(&["o", "-1", "17"]), holding(None, Some(17))),
            (texts(&["o", "5", "x"]), holding(Some(5), None)),
            (texts(&["o", "soon"]), Err(Nonsense)),
            (texts(&["o"]), Err(Nonsense)),
            (Reply::Texts(Vec::new()), Err(Nonsense)),
            (texts(&["o", "1", "2", "3"]), Err(Nonsense)),
            (Reply::Integer(1), Err(Nonsense)),
        ] {
            assert_eq!(read(reply.clone()), expected, "{reply:?}");
        }
    }
}
