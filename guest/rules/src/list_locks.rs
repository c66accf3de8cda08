//! list-locks: lists the locks that are held.

use crate::{
    check, message,
    scope::Choice,
    types::{Error, ListStep, Verb},
};

/// The largest `limit` of a page.
pub const MAX_PAGE_LOCKS: u32 = 1_000;

/// Checks a request for about `limit` locks whose resource ids begin with `prefix`.
///
/// # Errors
///
/// The first check that fails, in the order of a try-lock; then that of the limit.
pub fn begin(choice: Choice<'_>, prefix: &str, limit: u32) -> Result<ListStep, Error> {
    let store = check::store(choice)?;
    let Some(key_prefix) = store.key(prefix) else {
        return Err(Error::ResourceIdReserved(message::resource_id_reserved(
            Verb::ListLocks,
            prefix,
        )));
    };
    if !(1..=MAX_PAGE_LOCKS).contains(&limit) {
        return Err(Error::MalformedRequest(message::limit_out_of_range(
            choice.name(),
            MAX_PAGE_LOCKS,
        )));
    }
    Ok(ListStep { key_start: store.key_start().into(), key_prefix, limit })
}
