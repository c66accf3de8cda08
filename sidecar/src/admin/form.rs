//! What operators are told, in the JSON form of protocol buffers.

use holdfast::{HeldLock, LockPage};
use holdfast_rules::json::duration;
use serde_json::{Value, json};

/// How many locks a page has if nobody says it.
pub(super) const DEFAULT_LIMIT: u32 = 100;

/// A page of locks.
pub(super) fn page(page: LockPage) -> Value {
    let locks: Vec<Value> = page.locks.iter().map(lock).collect();
    let mut object = json!({ "locks": locks });
    if let Some(next) = page.next {
        object["next"] = Value::String(next);
    }
    object
}

/// A lock.
pub(crate) fn lock(lock: &HeldLock) -> Value {
    let mut object = json!({"resourceId": lock.resource_id, "lockOwner": lock.owner});
    if let Some(left) = lock.time_left {
        object["timeLeft"] = Value::String(duration(left));
    }
    object
}

/// What came of a forced release: the owner that the lock was taken from. The numbers are those of an unlock.
pub(crate) fn released(owner: Option<String>) -> Value {
    match owner {
        Some(owner) => json!({"status": 0, "lockOwner": owner}),
        None => json!({"status": 1}),
    }
}
