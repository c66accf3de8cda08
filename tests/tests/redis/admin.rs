//! Calls of operators for the locks in Redis.

use std::collections::HashMap;

use holdfast::store::{Failure, HeldKey, Released, Store, redis::RedisStore};
use holdfast_tests::{
    MINUTE, SECOND, assert_granted,
    redis_server::RedisServer,
    redis_store::{behind_proxy, connect, locker},
};

use crate::not_done;

/// All keys with this prefix, page by page, and how many pages there were.
async fn all(store: &RedisStore, prefix: &str, limit: u32) -> (HashMap<String, HeldKey>, usize) {
    let (mut all, mut cursor, mut pages) = (HashMap::new(), None, 0);
    loop {
        let page = store.list(prefix, cursor.as_deref(), limit).await.unwrap();
        all.extend(page.keys.into_iter().map(|held| (held.key.clone(), held)));
        pages += 1;
        cursor = page.next;
        if cursor.is_none() {
            return (all, pages);
        }
    }
}

#[tokio::test]
async fn every_lock_is_listed_among_many_other_keys() {
    let server = RedisServer::start();
    let store = connect(&server, &[]).await.unwrap();
    server.run::<()>(&[
        "EVAL",
        "for i = 1, 20000 do redis.call('SET', 'other' .. i, 'x') end
         for i = 1, 500 do redis.call('SET', 'lock||app||' .. i, 'me' .. i, 'EX', '60') end",
        "0",
    ]);
    for (limit, fewest) in [(1_000, 1), (10, 20)] {
        let (held, pages) = all(&store, "lock||app||", limit).await;
        assert_eq!(held.len(), 500);
        assert!(pages >= fewest, "{pages} pages of {limit}");
        let some = &held["lock||app||17"];
        assert_eq!(some.owner, "me17");
        assert!(some.time_left.is_some_and(|left| (50_000..=60_000).contains(&left)), "{some:?}");
    }
    assert_eq!(all(&store, "lock||app||49", 1_000).await.0.len(), 11);
    assert!(store.list("nothing", None, 1).await.unwrap().keys.is_empty());
}

#[tokio::test]
async fn a_prefix_is_compared_exactly_and_what_is_no_lock_is_left_out() {
    let server = RedisServer::start();
    let store = connect(&server, &[]).await.unwrap();
    let strange = ["*", "?", "[a-z]", "\\", "^", "{}", "\u{e4}\n"];
    for id in strange {
        assert_granted(store.acquire(&format!("k{id}"), "me", MINUTE).await);
    }
    for id in strange {
        let prefix = format!("k{id}");
        let (held, _) = all(&store, &prefix, 10).await;
        assert_eq!(held.keys().collect::<Vec<_>>(), [&prefix]);
    }
    server.run::<()>(&["LPUSH", "klist", "x"]);
    server.run::<()>(&["SET", "kforever", "somebody's"]);
    server.run::<()>(&["SET", "klong", &"x".repeat(10_000), "PX", "60000"]);
    let (held, _) = all(&store, "k", 100).await;
    assert_eq!(held.len(), strange.len() + 2);
    assert_eq!(held["kforever"].time_left, None);
    assert_eq!(held["klong"].owner, "x".repeat(256));
    assert!(store.is_cursor("17"));
    assert!(!store.is_cursor("x"));
    assert!(
        not_done(store.list("k", Some("x"), 10).await)
            .contains("the cursor does not come from an earlier page")
    );
}

#[tokio::test]
async fn a_lock_is_taken_from_whoever_holds_it() {
    let server = RedisServer::start();
    let store = connect(&server, &[]).await.unwrap();
    assert_eq!(store.force_release("k").await, Ok(None));
    assert_granted(store.acquire("k", "me", MINUTE).await);
    assert_eq!(store.force_release("k").await, Ok(Some("me".to_owned())));
    assert_eq!(store.release("k", "me").await, Ok(Released::Missing));
    server.run::<()>(&["SET", "k", "daprd's", "EX", "60", "NX"]);
    assert_eq!(store.force_release("k").await, Ok(Some("daprd's".to_owned())));

    server.run::<()>(&["LPUSH", "k", "x"]);
    let cause = not_done(store.force_release("k").await);
    assert!(cause.contains("WRONGTYPE"), "{cause}");
    assert!(server.exists("k"));
}

#[tokio::test]
async fn a_forced_release_without_a_reply_is_unknown_and_sent_once() {
    let (server, proxy, store) = behind_proxy(&[("readTimeout", "200ms")]).await;
    assert_granted(store.acquire("k", "me", MINUTE).await);
    proxy.hold_replies();
    let outcome = store.force_release("k").await;
    assert!(matches!(outcome, Err(Failure::Unknown(_))), "{outcome:?}");
    assert!(!server.exists("k"));
    assert_eq!(server.calls("eval"), 1);
}

#[tokio::test]
async fn a_user_who_may_only_lock_is_refused_with_the_missing_permission() {
    let server = RedisServer::start();
    let login = locker(&server, "s3cret-word", "+ping +set +get +del +eval +info");
    let store = connect(&server, &login).await.unwrap();
    assert_granted(store.acquire("lock||k", "me", SECOND).await);
    let cause = not_done(store.list("lock||", None, 10).await);
    assert!(cause.contains("can't run this command") || cause.contains("'scan'"), "{cause}");
    assert_eq!(store.force_release("lock||k").await, Ok(Some("me".to_owned())));
}
