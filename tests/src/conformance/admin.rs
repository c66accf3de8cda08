//! Calls of operators: listing locks, and ending any hold.

use std::{collections::BTreeMap, sync::Arc};

use holdfast::store::{Released, Store};

use super::steps::{assert_released, take};
use crate::eventually;

/// More than a page.
const LOCKS: usize = 25;

const PAGE: u32 = 10;

/// The listed keys and their owners. Each is listed once.
async fn listed(store: &dyn Store, prefix: &str) -> BTreeMap<String, String> {
    let (mut listed, mut cursor) = (BTreeMap::new(), None);
    loop {
        let page = store.list(prefix, cursor.as_deref(), PAGE).await.expect("a page");
        for held in page.keys {
            assert!(held.time_left.is_some_and(|left| left <= 61_000), "{held:?}");
            assert_eq!(listed.insert(held.key, held.owner), None);
        }
        let Some(next) = page.next else { return listed };
        assert!(store.is_cursor(&next), "{next}");
        cursor = Some(next);
    }
}

pub(super) async fn list(store: Arc<dyn Store>) {
    let mut expected = BTreeMap::new();
    for number in 0..LOCKS {
        let (key, owner) = (format!("lock||app||r{number}"), format!("owner {number}"));
        take(&*store, &key, &owner).await;
        expected.insert(key, owner);
    }
    take(&*store, "lock||other||r", "me").await;
    // A store of several servers may still be at work.
    eventually("all locks are listed", async || listed(&*store, "lock||app||").await == expected)
        .await;
    assert_eq!(listed(&*store, "lock||none||").await, BTreeMap::new());
    assert!(
        !store.is_cursor("no cursor") || store.list("lock||", Some("no cursor"), 1).await.is_ok()
    );
}

pub(super) async fn force_release(store: Arc<dyn Store>) {
    assert_eq!(store.force_release("k").await, Ok(None));
    take(&*store, "k", "me").await;
    assert_eq!(store.force_release("k").await, Ok(Some("me".to_owned())));
    assert_released(&*store, "k", "me", Released::Missing).await;
    assert_eq!(store.inspect("k").await, Ok(None));
    take(&*store, "k", "you").await;
}
