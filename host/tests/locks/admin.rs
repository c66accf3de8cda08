//! The verbs of operators: the locks of all owners, and ending any hold.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use holdfast::{
    Error, HeldLock, LeaseOptions, Locks, Lost, Resource, UnlockStatus, Verb,
    store::memory::MemoryStore,
};
use holdfast_tests::{
    MINUTE,
    calls::take,
    fake_store::{Answer, FakeStore},
};

const R: Resource<'static> = Resource { store: "s", id: "r" };

fn in_memory() -> Locks {
    let store = Arc::new(MemoryStore::new());
    Locks::builder().store("s", store).app_id("app1").build().unwrap()
}

/// All locks, page by page.
async fn all(locks: &Locks, prefix: &str, limit: u32) -> Vec<HeldLock> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = locks.list("s", prefix, cursor.as_deref(), limit).await.unwrap();
        assert!(page.locks.len() <= limit as usize, "{page:?}");
        all.extend(page.locks);
        cursor = page.next;
        if cursor.is_none() {
            return all;
        }
    }
}

fn ids(locks: &[HeldLock]) -> Vec<&str> {
    locks.iter().map(|lock| lock.resource_id.as_str()).collect()
}

fn said<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    outcome.unwrap_err().to_string()
}

#[tokio::test(start_paused = true)]
async fn an_operator_sees_only_the_locks_of_the_application() {
    let locks = in_memory();
    assert_eq!(all(&locks, "", 10).await, []);
    let strange = ["a*", "a?b", "[a]", "a|b", "{a}", "\u{e4}"];
    for id in ["a1", "a2", "b1"].into_iter().chain(strange) {
        assert!(take(&locks, "s", id, "me", 60).await.unwrap());
    }
    let other = locks.scoped("app2", &["s"]).unwrap();
    assert!(take(&other, "s", "a3", "you", 60).await.unwrap());
    // Its keys begin as those of all applications do.
    let without = locks.scoped("", &["s"]).unwrap();
    assert!(take(&without, "s", "a4", "nobody's", 60).await.unwrap());

    assert_eq!(ids(&all(&locks, "a", 2).await), ["a*", "a1", "a2", "a?b", "a|b"]);
    assert_eq!(ids(&all(&locks, "a*", 2).await), ["a*"]);
    assert_eq!(all(&locks, "", 1).await.len(), 9);
    assert_eq!(ids(&all(&other, "", 10).await), ["a3"]);
    assert_eq!(ids(&all(&without, "", 3).await), ["a4"]);

    tokio::time::advance(Duration::from_secs(20)).await;
    let held = &all(&locks, "b", 10).await[0];
    assert_eq!((held.owner.as_str(), held.time_left), ("me", Some(40_000)));
    tokio::time::advance(MINUTE).await;
    assert_eq!(all(&locks, "", 10).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_forced_release_says_whose_the_lock_was_and_wakes_who_waits() {
    let locks = in_memory();
    assert_eq!(locks.force_release(R).await, Ok(None));
    let lease = locks.keep(R, &LeaseOptions::new(MINUTE), None).await.unwrap().unwrap();
    let wait = LeaseOptions::new(MINUTE).owner("next").wait(MINUTE);
    let waiting = tokio::spawn({
        let locks = locks.clone();
        async move { locks.acquire(R, &wait).await }
    });
    tokio::task::yield_now().await;

    let owner = lease.owner().to_owned();
    assert_eq!(locks.force_release(R).await, Ok(Some(owner)));
    assert_eq!(waiting.await.unwrap().unwrap().unwrap().owner, "next");
    let lost = lease.lost().await;
    assert!(matches!(lost, Lost::Gone | Lost::HeldByOther), "{lost:?}");
    assert_eq!(lease.release().await, Ok(UnlockStatus::LockBelongsToOthers));
    assert_eq!(locks.force_release(R).await, Ok(Some("next".to_owned())));

    // A lock that has expired has no owner.
    assert!(take(&locks, "s", "r", "me", 60).await.unwrap());
    tokio::time::advance(MINUTE).await;
    assert_eq!(locks.force_release(R).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn an_operator_sees_how_many_wait_for_which_lock() {
    let locks = in_memory();
    let other = locks.scoped("app2", &["s"]).unwrap();
    for (locks, id) in [(&locks, "r"), (&locks, "a"), (&other, "r")] {
        assert!(take(locks, "s", id, "me", 60).await.unwrap());
    }
    let wait = LeaseOptions::new(MINUTE).wait(MINUTE);
    let mut waiting = Vec::new();
    for (locks, id) in [(&locks, "r"), (&locks, "r"), (&locks, "a"), (&other, "r")] {
        waiting.push(Box::pin(locks.acquire(Resource { store: "s", id }, &wait)));
        assert!(waiting.last_mut().unwrap().now_or_never().is_none());
    }
    let mut all = locks.waiting("s", "").unwrap();
    all.sort();
    assert_eq!(all, [("a".to_owned(), 1), ("r".to_owned(), 2)]);
    assert_eq!(locks.waiting("s", "r"), Ok(vec![("r".to_owned(), 2)]));
    assert_eq!(other.waiting("s", ""), Ok(vec![("r".to_owned(), 1)]));
    drop(waiting);
    assert_eq!(locks.waiting("s", ""), Ok(Vec::new()));
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let locks = in_memory();
    let unknown = Resource { store: "x", id: "r" };
    let empty = Resource { store: "s", id: "" };
    let reserved = Resource { store: "s", id: "a||b" };
    for (said, expected) in [
        (said(locks.list("x", "", None, 10).await), "lock store x not found"),
        (said(locks.waiting("x", "")), "lock store x not found"),
        (said(locks.list("s", "", None, 0).await), "limit is not from 1 to 1000 in lock store s"),
        (
            said(locks.list("s", "", None, 1_001).await),
            "limit is not from 1 to 1000 in lock store s",
        ),
        (
            said(locks.list("s", "a||", None, 10).await),
            "failed to list locks: input key/keyPrefix 'a||' can't contain '||'",
        ),
        (said(locks.force_release(unknown).await), "lock store x not found"),
        (said(locks.force_release(empty).await), "ResourceId is empty in lock store s"),
        (
            said(locks.force_release(reserved).await),
            "failed to force-release lock: input key/keyPrefix 'a||b' can't contain '||'",
        ),
    ] {
        assert_eq!(said, expected);
    }
    let none = Locks::builder().build().unwrap();
    assert_eq!(said(none.list("s", "", None, 10).await), "lock store is not configured");
    let plain = Locks::builder().store("s", FakeStore::always(Answer::Yes)).build().unwrap();
    assert_eq!(
        said(plain.list("s", "", None, 10).await),
        "failed to list locks: this store cannot list its locks"
    );
    assert_eq!(
        said(plain.force_release(R).await),
        "failed to force-release lock: this store cannot release a lock of somebody else"
    );
}

#[tokio::test]
async fn in_json_form_there_are_no_verbs_for_operators() {
    let locks = in_memory();
    for verb in [Verb::ListLocks, Verb::ForceRelease] {
        let reply = locks.json(verb, "s", br#"{"resourceId":"r"}"#).await.unwrap();
        let body = String::from_utf8(reply.body).unwrap();
        assert_eq!(reply.status, 500, "{body}");
        assert!(body.contains("it has no JSON form"), "{body}");
    }
}
