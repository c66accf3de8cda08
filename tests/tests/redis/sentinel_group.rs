//! The master, replicas and sentinels that tests start: their reactions to orders of a test.

use std::time::Duration;

use holdfast_tests::{
    redis_server::RedisServer,
    sentinel_group::{SentinelGroup, SentinelOptions},
};

const SECRET: &str = "s3cret-word";

/// Writes to a server, which must take it.
fn write(server: &RedisServer, value: &str) {
    server.run::<()>(&["SET", "k", value]);
}

fn read(server: &RedisServer) -> Option<String> {
    server.run(&["GET", "k"])
}

/// The master that a sentinel names.
fn named(group: &SentinelGroup, sentinel: usize) -> String {
    let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", group.name()];
    let (host, port): (String, u16) = group.sentinels()[sentinel].run(&words);
    format!("{host}:{port}")
}

#[tokio::test]
async fn a_failover_moves_the_master_with_its_data() {
    let group = SentinelGroup::start().await;
    assert_eq!((group.nodes().len(), group.addresses().len()), (3, 3));
    assert_eq!(group.hosts().split(',').collect::<Vec<_>>(), group.addresses());
    write(group.master(), "before");
    group.replicated().await;

    let new = group.failover().await;
    assert_ne!(new, 0);
    assert_eq!(group.master_index(), new);
    for sentinel in 0..3 {
        assert_eq!(named(&group, sentinel), group.node_address(new));
    }
    assert_eq!(read(group.master()).as_deref(), Some("before"));
    let refused = group.nodes()[0].try_command::<()>(&["SET", "k", "after"]).unwrap_err();
    assert_eq!(refused.code(), Some("READONLY"), "{refused}");
}

#[tokio::test]
async fn a_master_that_was_killed_is_replaced_and_comes_back_as_a_replica() {
    let options = SentinelOptions { replicas: 1, ..SentinelOptions::default() };
    let mut group = SentinelGroup::start_with(options).await;
    write(group.master(), "before");
    group.replicated().await;

    assert_eq!(group.kill_master().await, 0);
    assert_eq!(group.master_index(), 1);
    assert_eq!(read(group.master()).as_deref(), Some("before"));

    group.restart_node(0);
    assert_eq!(group.settled().await, 1);
    assert_eq!(read(&group.nodes()[0]).as_deref(), Some("before"));
}

#[tokio::test]
async fn an_isolated_master_takes_writes_that_are_lost() {
    let mut group = SentinelGroup::start().await;
    let old = group.isolate_master().await;
    let new = group.master_index();
    assert_ne!(new, old);
    write(&group.nodes()[old], "lost");
    write(&group.nodes()[new], "kept");

    group.rejoin(old);
    assert_eq!(group.settled().await, new);
    assert_eq!(read(&group.nodes()[old]).as_deref(), Some("kept"));
}

#[tokio::test]
async fn an_isolated_master_that_asks_for_replicas_refuses_writes() {
    let options = SentinelOptions { min_replicas: 1, ..SentinelOptions::default() };
    let mut group = SentinelGroup::start_with(options).await;
    write(group.master(), "taken");
    group.isolate(0);
    let refused = group.nodes()[0].try_command::<()>(&["SET", "k", "no"]).unwrap_err();
    assert_eq!(refused.code(), Some("NOREPLICAS"), "{refused}");
    assert_eq!(read(&group.nodes()[0]).as_deref(), Some("taken"));
}

#[tokio::test]
async fn a_suspended_master_is_replaced() {
    let group = SentinelGroup::start().await;
    group.nodes()[0].suspend();
    let new = group.promoted(0).await;
    group.nodes()[0].resume();
    assert_eq!(group.settled().await, new);
}

#[tokio::test]
async fn sentinels_come_and_go() {
    let mut group = SentinelGroup::start().await;
    group.stop_sentinel(0);
    assert_ne!(group.failover().await, 0);
    group.restart_sentinel(0);
    let master = group.settled().await;
    assert_eq!(named(&group, 0), group.node_address(master));

    assert_eq!(group.add_sentinel().await, 3);
    assert_eq!(group.addresses().len(), 4);
    assert_eq!(named(&group, 3), group.node_address(master));
}

#[tokio::test]
async fn passwords_and_tls_hold_through_a_failover() {
    let options = SentinelOptions {
        name: "locks".to_owned(),
        replicas: 1,
        down_after: Duration::from_millis(500),
        password: Some(SECRET.to_owned()),
        sentinel_user: Some("asker".to_owned()),
        sentinel_password: Some("another-word".to_owned()),
        tls: true,
        ..SentinelOptions::default()
    };
    let mut group = SentinelGroup::start_with(options).await;
    let sentinel = &group.sentinels()[0];
    assert_eq!(group.addresses()[0], format!("127.0.0.1:{}", sentinel.tls_port()));
    for server in [sentinel, group.master()] {
        let client = redis::Client::open(format!("redis://{}/", server.address())).unwrap();
        let refused = redis::cmd("INFO").query::<()>(&mut client.get_connection().unwrap());
        assert_eq!(refused.unwrap_err().code(), Some("NOAUTH"));
    }
    write(group.master(), "before");
    group.replicated().await;
    group.kill_master().await;
    assert_eq!(named(&group, 2), format!("127.0.0.1:{}", group.nodes()[1].tls_port()));
    assert_eq!(read(group.master()).as_deref(), Some("before"));
}
