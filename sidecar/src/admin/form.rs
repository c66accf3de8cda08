//! The answers to operators, in the JSON form of protocol buffers.

use holdfast::{HeldLock, LockPage};
use holdfast_rules::json::duration;
use holdfast_timing::go_duration::parse_go_duration;
use serde_json::{Value, json};

use crate::lasting::watch::{Event, Report};

/// How many locks a page has by default.
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

/// The result of a forced release: the owner that held the lock. The numbers are those of an unlock.
pub(crate) fn released(owner: Option<String>) -> Value {
    match owner {
        Some(owner) => json!({"status": 0, "lockOwner": owner}),
        None => json!({"status": 1}),
    }
}

/// A report about a store. `problem` gives a failure its form.
pub(crate) fn report<E>(store: &str, report: Report<E>, problem: impl FnOnce(E) -> Value) -> Value {
    let mut object = match report {
        Report::Began => json!({"began": {}}),
        Report::Event(Event::Taken(lock)) => json!({"taken": self::lock(&lock)}),
        Report::Event(Event::Extended(lock)) => json!({"extended": self::lock(&lock)}),
        Report::Event(Event::Freed(lock)) => json!({"freed": self::lock(&lock)}),
        Report::Event(Event::Waiting { resource_id, calls }) => {
            json!({"waiting": {"resourceId": resource_id, "calls": calls}})
        }
        Report::Event(Event::Synced) => json!({"synced": {}}),
        Report::Failed(error) => json!({"failed": problem(error)}),
    };
    object["storeName"] = json!(store);
    object
}

/// The store and the report in such an object; `None` if it has another form.
pub(crate) fn read_report(mut object: Value) -> Option<(String, Report<String>)> {
    let store = object["storeName"].as_str()?.to_owned();
    let (kind, value) =
        object.as_object_mut()?.iter_mut().find(|(name, _)| *name != "storeName")?;
    let event = match kind.as_str() {
        "began" => return Some((store, Report::Began)),
        "failed" => return Some((store, Report::Failed(value["message"].as_str()?.to_owned()))),
        "taken" => Event::Taken(read_lock(value)?),
        "extended" => Event::Extended(read_lock(value)?),
        "freed" => Event::Freed(read_lock(value)?),
        "waiting" => Event::Waiting {
            resource_id: value["resourceId"].as_str()?.to_owned(),
            calls: value["calls"].as_u64()?.try_into().ok()?,
        },
        "synced" => Event::Synced,
        _ => return None,
    };
    Some((store, Report::Event(event)))
}

fn read_lock(object: &Value) -> Option<HeldLock> {
    let time_left = match object.get("timeLeft") {
        // A time that does not fit, of some 292 years, counts as for ever.
        Some(left) => parse_go_duration(left.as_str()?).and_then(|left| u64::try_from(left).ok()),
        None => None,
    };
    let time_left = time_left.map(|nanoseconds| nanoseconds / 1_000_000);
    let text = |name| Some(object[name].as_str()?.to_owned());
    Some(HeldLock { resource_id: text("resourceId")?, owner: text("lockOwner")?, time_left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let lock =
            |time_left| HeldLock { resource_id: "r".to_owned(), owner: "me".to_owned(), time_left };
        let waiting = Event::Waiting { resource_id: "r".to_owned(), calls: 3 };
        let all = [
            Report::Began,
            Report::Event(Event::Taken(lock(Some(12_345)))),
            Report::Event(Event::Extended(lock(None))),
            Report::Event(Event::Freed(lock(Some(0)))),
            Report::Event(waiting),
            Report::Event(Event::Synced),
            Report::Failed("why".to_owned()),
        ];
        for one in all {
            let before = format!("{one:?}");
            let object =
                report("s", one, |message| json!({"errorCode": "ERR_X", "message": message}));
            let (store, read) = read_report(object).unwrap();
            assert_eq!((store.as_str(), format!("{read:?}")), ("s", before));
        }
        for wrong in [json!({}), json!({"storeName": "s"}), json!({"storeName": "s", "taken": {}})]
        {
            assert!(read_report(wrong).is_none());
        }
    }
}
