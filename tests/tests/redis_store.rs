//! The component `adapters/redis-store`, in what the other stores have not: its environment, its
//! connection between calls, and its size.

use std::time::Duration;

use holdfast::store::{Acquired, Failure, Grant, Released, Store};
use holdfast_tests::redis_server::RedisServer;

#[path = "common/adapter.rs"]
mod adapter;
use adapter::Adapter;

const GRANTED: Acquired = Acquired::Granted(Grant { fencing_token: None });
const MINUTE: Duration = Duration::from_secs(60);

async fn start(variables: &[(&str, &str)]) -> Adapter {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Adapter::start(1, &variables.iter().map(owned).collect::<Vec<_>>()).await
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, Failure>) -> String {
    match outcome {
        Err(Failure::NotDone { cause }) => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_connection_serves_all_calls() {
    let server = RedisServer::start();
    let store = start(&[("REDIS_HOST", &server.address())]).await;
    assert_eq!(server.clients(), 0);
    for _ in 0..3 {
        assert_eq!(store.acquire("k", "me", MINUTE).await, Ok(GRANTED));
        assert_eq!(store.acquire("k", "you", MINUTE).await, Ok(Acquired::Held));
        assert_eq!(store.release("k", "you").await, Ok(Released::HeldByOther));
        assert_eq!(store.release("k", "me").await, Ok(Released::Released));
        assert_eq!(store.release("k", "me").await, Ok(Released::Missing));
        assert_eq!(server.clients(), 1);
    }
    let accepted: String = server.run(&["CLIENT", "LIST"]);
    assert!(accepted.contains("cmd=evalsha"), "{accepted}");
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_named_at_every_call() {
    let store = start(&[("REDIS_HOST", "127.0.0.1:1"), ("ENABLE_TLS", "true")]).await;
    let expected = "lock store lockstore: environment variable ENABLE_TLS asks for TLS, which this \
                    component does not speak";
    for _ in 0..2 {
        assert_eq!(refusal(store.acquire("k", "me", MINUTE).await), expected);
        assert_eq!(refusal(store.release("k", "me").await), expected);
    }
    let stores = store.stores().await;
    assert_eq!(stores, [("lockstore".to_owned(), String::new(), String::new())]);
}
