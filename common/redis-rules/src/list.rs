//! Lists the locks that are held, by the script `list.lua`. One call looks at a part of the keys, so that it does not
//! block the server for long.

use alloc::{string::String, vec::Vec};

use crate::reply::{Nonsense, Reply};

/// The script. It is sent in full: Redis compiles it once, and a lost script needs no second try.
pub const LIST_LUA: &str = include_str!("list.lua");

/// About how many keys one call looks at, locks or not. It takes the server about 0.1 ms.
const KEYS_A_CALL: &str = "256";

/// The locks of one part of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The locks.
    pub locks: Vec<Listed>,
    /// The cursor of the next part; `None` after the last one.
    pub next: Option<String>,
}

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: String,
    /// The owner, cut after 256 bytes.
    pub owner: String,
    /// How many milliseconds are left; `None` if the lock never expires.
    pub left: Option<u64>,
}

/// The pattern of the keys that begin with `prefix`.
pub fn pattern(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for character in prefix.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('*');
    pattern
}

/// The words of the command. `cursor` is the cursor of the part before; `None` to begin.
pub fn words<'a>(pattern: &'a str, cursor: Option<&'a str>) -> [&'a str; 6] {
    ["EVAL", LIST_LUA, "0", cursor.unwrap_or("0"), pattern, KEYS_A_CALL]
}

/// Whether a text can be a cursor of the server.
pub fn is_cursor(text: &str) -> bool {
    text.parse::<u64>().is_ok()
}

/// Reads the reply.
///
/// # Errors
///
/// [`Nonsense`] for a reply that the script does not give.
pub fn read(reply: Reply) -> Result<Part, Nonsense> {
    let Reply::Texts(texts) = reply else { return Err(Nonsense) };
    let mut texts = texts.into_iter();
    let next = texts.next().filter(|cursor| is_cursor(cursor)).ok_or(Nonsense)?;
    let mut locks = Vec::new();
    while let Some(key) = texts.next() {
        let (Some(owner), Some(left)) = (texts.next(), texts.next()) else { return Err(Nonsense) };
        match left.parse::<i64>().map_err(|_| Nonsense)? {
            // The lock has expired meanwhile.
            -2 => {}
            left => locks.push(Listed { key, owner, left: u64::try_from(left).ok() }),
        }
    }
    Ok(Part { locks, next: Some(next).filter(|cursor| cursor != "0") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Reply {
        Reply::Texts(texts.iter().map(|text| (*text).into()).collect())
    }

    #[test]
    fn what_the_script_returns_is_read() {
        let listed = |key: &str, left| Listed { key: key.into(), owner: "o".into(), left };
        let reply = texts(&["17", "a", "o", "5", "b", "o", "-1", "c", "o", "-2"]);
        let part = Part {
            locks: [listed("a", Some(5)), listed("b", None)].into(),
            next: Some("17".into()),
        };
        assert_eq!(read(reply), Ok(part));
        assert_eq!(read(texts(&["0"])), Ok(Part { locks: Vec::new(), next: None }));
        for reply in [
            Reply::Nil,
            texts(&[]),
            texts(&["x"]),
            texts(&["1", "k"]),
            texts(&["1", "k", "o"]),
            texts(&["1", "k", "o", "soon"]),
        ] {
            assert_eq!(read(reply.clone()), Err(Nonsense), "{reply:?}");
        }
    }

    #[test]
    fn a_prefix_is_no_pattern() {
        assert_eq!(pattern(""), "*");
        assert_eq!(pattern("lock||a*b?[c]\\-^"), "lock||a\\*b\\?\\[c\\]\\\\\\-\\^*");
    }
}
