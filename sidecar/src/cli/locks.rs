//! `holdfast locks`: which locks are held, by whom and for how long.

use std::process::ExitCode;

use anyhow::{Result, bail};
use holdfast::{HeldLock, Locks};
use serde_json::{Value, json};

use super::{
    arguments::ListLocks,
    exit::YES,
    lock::{naming, with_locks},
    printable::printable,
    table::table,
};
use crate::admin::form;

/// How many locks are asked for at a time.
const PAGE: u32 = 1_000;

const HEADINGS: [&str; 4] = ["STORE", "RESOURCE", "TIME LEFT", "OWNER"];

/// The locks of one store.
struct OfStore<'a> {
    store: &'a str,
    locks: Vec<HeldLock>,
}

pub fn run(args: &ListLocks) -> Result<ExitCode> {
    with_locks(&args.stores, &args.log, async |locks| {
        let all: Vec<&str> = match &args.store {
            Some(store) => vec![store],
            None => locks.store_names().collect(),
        };
        if all.is_empty() {
            bail!("the resource files define no lock store");
        }
        let mut held = Vec::new();
        for store in all {
            held.push(OfStore { store, locks: list(locks, store, &args.prefix).await? });
        }
        let text = if args.json { document(&held) } else { rows(&held) };
        Ok((text.into_bytes(), YES))
    })
}

/// All locks of a store, in the order of their resource ids.
async fn list(locks: &Locks, store: &str, prefix: &str) -> Result<Vec<HeldLock>> {
    let (mut held, mut cursor) = (Vec::new(), None);
    loop {
        let page = locks.list(store, prefix, cursor.as_deref(), PAGE).await.map_err(naming)?;
        held.extend(page.locks);
        cursor = page.next;
        if cursor.is_none() {
            held.sort_by(|a: &HeldLock, b| a.resource_id.cmp(&b.resource_id));
            // A lock that was taken or freed meanwhile can be in several pages.
            held.dedup_by(|a, b| a.resource_id == b.resource_id);
            return Ok(held);
        }
    }
}

fn rows(held: &[OfStore<'_>]) -> String {
    let rows: Vec<[String; 4]> = held
        .iter()
        .flat_map(|OfStore { store, locks }| locks.iter().map(move |lock| (store, lock)))
        .map(|(store, lock)| {
            let left = lock.time_left.map_or("for ever".to_owned(), time);
            [(*store).to_owned(), printable(&lock.resource_id), left, printable(&lock.owner)]
        })
        .collect();
    if rows.is_empty() { "no lock is held\n".to_owned() } else { table(HEADINGS, &rows) }
}

/// In seconds, or in minutes and seconds, or longer units.
fn time(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match seconds {
        0..60 => format!("{seconds}.{}s", milliseconds / 100 % 10),
        60..3_600 => format!("{minutes}m {}s", seconds % 60),
        3_600..86_400 => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

fn document(held: &[OfStore<'_>]) -> String {
    let locks: Vec<Value> = held
        .iter()
        .flat_map(|OfStore { store, locks }| locks.iter().map(move |lock| (store, lock)))
        .map(|(store, lock)| {
            let mut object = form::lock(lock);
            object["storeName"] = json!(store);
            object
        })
        .collect();
    format!("{}\n", json!({ "locks": locks }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (milliseconds, text) in [
            (0, "0.0s"),
            (59_990, "59.9s"),
            (61_000, "1m 1s"),
            (7_260_000, "2h 1m"),
            (90_000_000, "1d 1h"),
            (2_147_483_647_000, "24855d 3h"),
        ] {
            assert_eq!(time(milliseconds), text);
        }
    }
}
