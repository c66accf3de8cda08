//! The Durable Objects of `examples/workers/`: waiters are served in order, the grant of a caller that leaves is given
//! back, and nothing stays behind.

use std::{net::SocketAddr, time::Duration};

use holdfast::store::{Extended, Released, Store};
use holdfast_tests::{
    LONG, MINUTE, assert_granted,
    durable_object::{Arrived, DurableObjects},
    eventually,
    http_client::{post, request},
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// The door's arguments for a wait for the lock `k` for as long as a test lasts.
fn waiting(owner: &str) -> Value {
    let (ttl, wait) = (MINUTE.as_secs() * 1_000, LONG.as_secs() * 2_000);
    json!({ "key": "k", "owner": owner, "ttl": ttl, "wait": wait, "fenced": false })
}

/// The grant of the lock, after a wait.
async fn granted(address: SocketAddr, owner: &str) -> Value {
    let answer = post(address, "/acquire", waiting(owner).to_string()).await;
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    answer["outcome"]["owner"].clone()
}

/// A caller who waits for the lock, and who can reset the connection.
async fn caller(address: SocketAddr, owner: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = request("POST", "/acquire", "", waiting(owner).to_string().as_bytes());
    connection.write_all(&request).await.unwrap();
    connection
}

/// Resets a connection. workerd does not notice a caller that only closes its sending side.
fn leave(connection: TcpStream) {
    connection.set_zero_linger().unwrap();
    drop(connection);
}

async fn acquires(objects: &DurableObjects, expected: u64) {
    eventually("the acquire arrives", async || objects.arrived("k").await.acquires == expected)
        .await;
}

async fn leaves(objects: &DurableObjects, expected: u64) {
    eventually("the caller has left", async || objects.arrived("k").await.leaves == expected).await;
}

#[tokio::test]
async fn waiters_are_served_in_the_order_of_their_arrival() {
    let Some(objects) = DurableObjects::start() else { return };
    let address = objects.address();
    assert_granted(objects.acquire("k", "holder", MINUTE).await);
    let mut callers = Vec::new();
    for (caller, owner) in ["a", "b", "c"].into_iter().enumerate() {
        callers.push(tokio::spawn(granted(address, owner)));
        acquires(&objects, caller as u64 + 2).await;
    }
    let mut holder = "holder";
    for (caller, owner) in callers.into_iter().zip(["a", "b", "c"]) {
        assert_eq!(objects.release("k", holder).await, Ok(Released::Released));
        assert_eq!(caller.await.unwrap(), owner);
        let now = objects.inspect("k").await.unwrap().unwrap();
        assert_eq!(now.owner, owner);
        holder = owner;
    }
}

#[tokio::test]
async fn a_caller_that_leaves_loses_its_place_in_the_line() {
    let Some(objects) = DurableObjects::start() else { return };
    assert_granted(objects.acquire("k", "holder", MINUTE).await);
    let gone = caller(objects.address(), "gone").await;
    acquires(&objects, 2).await;
    let stays = tokio::spawn(granted(objects.address(), "stays"));
    acquires(&objects, 3).await;
    leave(gone);
    leaves(&objects, 1).await;
    assert_eq!(objects.release("k", "holder").await, Ok(Released::Released));
    assert_eq!(stays.await.unwrap(), "stays");
}

#[tokio::test]
async fn what_was_granted_to_a_caller_who_has_left_is_given_back() {
    let Some(objects) = DurableObjects::start() else { return };
    // The object grants, and the answer is withheld.
    let gone = caller(objects.address(), "withheld").await;
    acquires(&objects, 1).await;
    assert_eq!(objects.inspect("k").await.unwrap().unwrap().owner, "withheld");
    leave(gone);
    leaves(&objects, 1).await;
    assert_eq!(objects.inspect("k").await, Ok(None));
    assert_granted(objects.acquire("k", "next", MINUTE).await);
}

#[tokio::test]
async fn a_caller_who_leaves_keeps_what_another_call_took_for_the_same_owner() {
    let Some(objects) = DurableObjects::start() else { return };
    assert_granted(objects.acquire("k", "same", MINUTE).await);
    let gone = caller(objects.address(), "same").await;
    acquires(&objects, 2).await;
    leave(gone);
    leaves(&objects, 1).await;
    assert_eq!(objects.inspect("k").await.unwrap().unwrap().owner, "same");
    assert_eq!(objects.arrived("k").await, Arrived { acquires: 2, leaves: 1 });
}

#[tokio::test]
async fn an_object_that_ends_leaves_open_what_became_of_those_who_wait_and_keeps_the_lock() {
    let Some(objects) = DurableObjects::start() else { return };
    let address = objects.address();
    assert_granted(objects.acquire("k", "holder", MINUTE).await);
    let body = waiting("waits").to_string();
    let waits = tokio::spawn(async move { post(address, "/acquire", body).await.body });
    acquires(&objects, 2).await;
    post(address, "/end", json!({ "key": "k" }).to_string()).await;
    let answer: Value = serde_json::from_str(&waits.await.unwrap()).unwrap();
    let failure = &answer["failure"];
    assert_eq!(failure["tag"], "unknown", "{answer}");
    let cause = failure["val"]["cause"].as_str().unwrap();
    assert!(cause.contains("Durable Object") && cause.ends_with("(the owner is waits)"), "{cause}");
    assert!(failure["val"]["heldUntil"].is_u64(), "{answer}");

    leaves(&objects, 1).await;
    assert_eq!(objects.release("k", "holder").await, Ok(Released::Released));
    assert_granted(objects.acquire("k", "next", MINUTE).await);
}

#[tokio::test]
async fn an_object_whose_lock_ran_out_keeps_nothing() {
    let Some(objects) = DurableObjects::start() else { return };
    assert_granted(objects.acquire("k", "me", MINUTE).await);
    assert!(objects.keeps_anything("k").await);
    let shortened = objects.extend("k", "me", Duration::from_millis(50), true).await;
    assert!(matches!(shortened, Ok(Extended::Extended(_))), "{shortened:?}");
    eventually("the alarm empties the object", async || !objects.keeps_anything("k").await).await;
}
