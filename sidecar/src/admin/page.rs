//! A page of locks: its bounds, and its form in JSON.

use std::time::Duration;

use holdfast::{HeldLock, LockPage};
use holdfast_rules::json::duration;
use serde_json::{Value, json};

/// How many locks a page has if nobody says it.
pub(super) const DEFAULT_LIMIT: u32 = 100;

/// The page in the JSON form of protocol buffers.
pub(super) fn to_json(page: LockPage) -> Value {
    let locks: Vec<Value> = page.locks.iter().map(lock).collect();
    let mut object = json!({ "locks": locks });
    if let Some(next) = page.next {
        object["next"] = Value::String(next);
    }
    object
}

fn lock(lock: &HeldLock) -> Value {
    let mut object = json!({"resourceId": lock.resource_id, "lockOwner": lock.owner});
    if let Some(left) = lock.time_left {
        object["timeLeft"] = Value::String(duration(left));
    }
    object
}

/// A time that is left.
pub(super) fn time_left(lock: &HeldLock) -> Option<Duration> {
    lock.time_left.map(Duration::from_millis)
}
