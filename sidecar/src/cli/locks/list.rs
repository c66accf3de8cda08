//! The locks that are held now, as a table or a document.

use std::process::ExitCode;

use anyhow::{Result, bail};
use holdfast::{HeldLock, Locks};
use serde_json::{Value, json};

use super::{
    super::{
        arguments::ListLocks, exit::SUCCESS, lock::with_locks, naming::named, output,
        printable::printable, table::table,
    },
    time::time,
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
    with_locks(&args.stores, args.store.as_deref(), &args.log, async |locks| {
        let all = chosen(locks, args)?;
        let mut held = Vec::new();
        for store in all {
            held.push(OfStore { store, locks: list(locks, store, &args.prefix).await? });
        }
        let text = if args.json { document(&held) } else { rows(&held) };
        output::print(text.as_bytes())?;
        Ok(SUCCESS)
    })
}

/// The stores to look at.
pub fn chosen<'a>(locks: &'a Locks, args: &'a ListLocks) -> Result<Vec<&'a str>> {
    let all: Vec<&str> = match &args.store {
        Some(store) => vec![store],
        None => locks.store_names().collect(),
    };
    if all.is_empty() {
        bail!("the resource files define no lock store");
    }
    Ok(all)
}

/// All locks of a store, in the order of their resource ids.
async fn list(locks: &Locks, store: &str, prefix: &str) -> Result<Vec<HeldLock>> {
    let (mut held, mut cursor) = (Vec::new(), None);
    loop {
        let page = locks.list(store, prefix, cursor.as_deref(), PAGE).await;
        let page = page.map_err(|error| named(error, locks, store))?;
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
