//! Releases a lock of any owner, by the script `force_release.lua`.

use alloc::string::String;

use crate::reply::{Nonsense, Reply};

/// The script. It is sent in full: Redis compiles it once, and a lost script needs no second try.
pub const FORCE_RELEASE_LUA: &str = include_str!("force_release.lua");

/// The words of the command.
pub fn words(key: &str) -> [&str; 4] {
    ["EVAL", FORCE_RELEASE_LUA, "1", key]
}

/// Reads the reply: the owner, cut after 4,096 bytes; `None` if nobody held the lock.
///
/// # Errors
///
/// [`Nonsense`] for a reply that the script does not give.
pub fn read(reply: Reply) -> Result<Option<String>, Nonsense> {
    match reply {
        Reply::Nil => Ok(None),
        Reply::Text(owner) => Ok(Some(owner)),
        _ => Err(Nonsense),
    }
}
