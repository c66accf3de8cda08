//! Every message that a caller can get, word for word as Dapr 1.18 gives it.
//!
//! Source: Dapr 1.18, `pkg/messages/predefined.go` and `pkg/api/universal/lock.go`.

use alloc::{
    format,
    string::{String, ToString},
};

use crate::bindings::UnknownOutcome;

/// Which of the two calls a message speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// try-lock
    TryLock,
    /// unlock
    Unlock,
}

impl Call {
    /// How every message about a failed store call begins.
    fn failed(self) -> &'static str {
        match self {
            Call::TryLock => "failed to try acquiring lock",
            Call::Unlock => "failed to release lock",
        }
    }
}

/// There is no lock store at all.
pub fn store_not_configured() -> String {
    "lock store is not configured".to_string()
}

/// There is no store of that name.
pub fn store_not_found(store_name: &str) -> String {
    format!("lock store {store_name} not found")
}

/// The resource id is empty.
pub fn resource_id_empty(store_name: &str) -> String {
    format!("ResourceId is empty in lock store {store_name}")
}

/// The lock owner is empty.
pub fn lock_owner_empty(store_name: &str) -> String {
    format!("LockOwner is empty in lock store {store_name}")
}

/// The expiry is zero, negative or missing.
pub fn expiry_not_positive(store_name: &str) -> String {
    format!("ExpiryInSeconds is not positive in lock store {store_name}")
}

/// The resource id contains `||`.
pub fn resource_id_reserved(call: Call, resource_id: &str) -> String {
    store_failed(call, &format!("input key/keyPrefix '{resource_id}' can't contain '||'"))
}

/// The store failed or refused.
pub fn store_failed(call: Call, cause: &str) -> String {
    format!("{}: {cause}", call.failed())
}

/// The body is not the JSON that it should be.
pub fn malformed_request(cause: &str) -> String {
    format!("failed deserializing HTTP body: {cause}")
}

/// The reply was lost. Dapr has no such message: it would call a taken lock `false`.
pub fn indeterminate(call: Call, outcome: &UnknownOutcome) -> String {
    let consequence = match (call, outcome.held_until.and_then(rfc3339)) {
        (Call::TryLock, Some(time)) => format!("the lock may be held until {time}"),
        (Call::TryLock, None) => "the lock may be held".to_string(),
        (Call::Unlock, _) => "the lock may be free or still held".to_string(),
    };
    format!("{}: {}; the outcome is unknown: {consequence}", call.failed(), outcome.cause)
}

/// A time in milliseconds since 1970, as people read it; `None` beyond the calendar.
fn rfc3339(milliseconds: u64) -> Option<String> {
    const END_OF_YEAR_9999: u64 = 253_402_300_800;
    let seconds = i64::try_from(milliseconds / 1000)
        .ok()
        .filter(|_| milliseconds / 1000 < END_OF_YEAR_9999)?;
    let (year, month, day, hour, minute, second) = datealgo::secs_to_datetime(seconds);
    let fraction = milliseconds % 1000;
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z"))
}
