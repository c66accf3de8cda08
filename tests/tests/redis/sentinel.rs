//! The library's store behind Redis Sentinel: it finds the master, follows it, and reports a master that it cannot
//! find.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use holdfast::{
    LeaseOptions, Locks, Lost, Resource,
    store::{
        Acquired, Released, Store,
        redis::{ConnectError, RedisStore},
    },
};
use holdfast_tests::{
    LONG, MINUTE, assert_granted, eventually, is_granted,
    proxy::Proxy,
    redis_options::RedisOptions,
    redis_server::RedisServer,
    redis_store::{ONCE, Setting, connect_to},
    scripted_node::{ScriptedNode, View},
    sentinel_group::{SentinelGroup, SentinelOptions},
};
use tokio::task::JoinHandle;

use crate::{SHORT_LIVED, assert_replaced, has_set_on_a_replaced_connection};

const FAILOVER: Setting = ("failover", "true");
const NAME: Setting = ("sentinelMasterName", "mymaster");
const R: Resource<'static> = Resource { store: "s", id: "r" };

/// Connects by a list of sentinels, as daprd's component file has it.
async fn connect(hosts: &str, settings: &[Setting<'_>]) -> Result<RedisStore, ConnectError> {
    connect_to(hosts, &[&[FAILOVER, NAME], settings].concat()).await
}

async fn refusal(hosts: &str, settings: &[Setting<'_>]) -> String {
    connect(hosts, settings).await.map(drop).expect_err("a refusal").to_string()
}

fn over(store: RedisStore) -> Locks {
    Locks::builder().store("s", Arc::new(store)).build().unwrap()
}

/// Which node has the key.
fn holders(group: &SentinelGroup, key: &str) -> Vec<usize> {
    let has = |node: &RedisServer| node.runs() && node.exists(key);
    (0..group.nodes().len()).filter(|node| has(&group.nodes()[*node])).collect()
}

/// A sentinel that knows the master at this port, and that no other sentinel knows.
fn cut_off_sentinel(port: u16) -> RedisServer {
    let monitor = format!("sentinel monitor mymaster 127.0.0.1 {port} 9\n");
    let options = RedisOptions::new().settings(&monitor).arguments(&["--sentinel"]);
    RedisServer::start_by_options(options)
}

#[tokio::test]
async fn a_server_of_another_kind_than_the_settings_say_names_the_setting() {
    const CLUSTER: Setting = ("redisType", "cluster");
    const NO_NODE: &str = "with redisType: cluster, redisHost lists nodes of a Redis Cluster";
    let plain = RedisServer::start();
    let sentinel = cut_off_sentinel(plain.port());
    for (server, settings, expected) in [
        (&sentinel, &[ONCE][..], "set failover to true"),
        (&sentinel, &[ONCE, CLUSTER], NO_NODE),
        (&plain, &[ONCE, CLUSTER], NO_NODE),
        (&plain, &[ONCE, FAILOVER, NAME], "with failover, redisHost lists sentinels"),
    ] {
        let error = connect_to(&server.address(), settings).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{settings:?}: {error}");
    }
}

/// The master that is not this node.
fn group_master(group: &SentinelGroup, old: usize) -> usize {
    let is_master = |node: &usize| {
        *node != old && group.nodes()[*node].run::<String>(&["INFO"]).contains("role:master")
    };
    (0..group.nodes().len()).find(is_master).unwrap()
}

/// Takes a lock as soon as there is a master that takes it. Returns its key.
async fn take_in_time(store: &RedisStore) -> String {
    let tries = Cell::new(0);
    let key = || format!("try{}", tries.get());
    // The outcome of an earlier try may be unknown.
    eventually("a lock is taken", async || {
        tries.set(tries.get() + 1);
        is_granted(&store.acquire(&key(), "me", MINUTE).await)
    })
    .await;
    key()
}

#[tokio::test]
async fn a_lock_is_kept_by_the_master_that_the_sentinels_name() {
    let group = SentinelGroup::start().await;
    let store = connect(&group.hosts(), &[]).await.unwrap();
    assert_granted(store.acquire("k", "me", MINUTE).await);
    assert_eq!(store.acquire("k", "you", MINUTE).await, Ok(Acquired::Held));
    group.replicated().await;
    assert_eq!(holders(&group, "k"), [0, 1, 2]);

    let new = group.failover().await;
    let key = take_in_time(&store).await;
    assert!(group.nodes()[new].exists(&key));
    // It was on the replica.
    assert_eq!(store.acquire("k", "you", MINUTE).await, Ok(Acquired::Held));
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
}

#[tokio::test]
async fn sentinels_may_report_host_names() {
    let options = SentinelOptions { replicas: 1, host_names: true, ..SentinelOptions::default() };
    let group = SentinelGroup::start_with(options).await;
    // The sentinel names the others.
    let store = connect(&group.addresses()[0], &[]).await.unwrap();
    let survey = store.survey().await;
    let is_surveyed = |address: &str| survey.servers.iter().any(|server| server.address == address);
    assert!(is_surveyed(&group.node_address(0)), "{survey:?}");
    assert!(is_surveyed(&group.addresses()[1].replace("127.0.0.1", "localhost")), "{survey:?}");
    assert_granted(store.acquire("k", "me", MINUTE).await);
    group.replicated().await;
    let new = group.failover().await;
    let key = take_in_time(&store).await;
    assert!(group.nodes()[new].exists(&key));
    assert_eq!(store.acquire("k", "you", MINUTE).await, Ok(Acquired::Held));
}

#[tokio::test]
async fn calls_go_on_once_a_lost_master_is_replaced() {
    let mut group = SentinelGroup::start().await;
    let store = connect(&group.hosts(), &[]).await.unwrap();
    group.kill_master().await;
    let key = take_in_time(&store).await;
    group.replicated().await;
    assert_eq!(holders(&group, &key), [1, 2]);
}

#[tokio::test]
async fn a_master_that_was_replaced_is_left_though_it_answers() {
    let mut group = SentinelGroup::start().await;
    let store = connect(&group.hosts(), &[]).await.unwrap();
    assert_granted(store.acquire("before", "me", MINUTE).await);
    let old = group.isolate_master().await;
    eventually("a lock is taken on the new master", async || {
        assert!(is_granted(&store.acquire("k", "me", MINUTE).await));
        let on_the_new = !holders(&group, "k").contains(&old);
        assert!(matches!(store.release("k", "me").await, Ok(Released::Released)));
        on_the_new
    })
    .await;
    let clients: String = group.nodes()[old].run(&["CLIENT", "LIST"]);
    // Sentinels and replicas have users of their own, and the test asks.
    let left = clients.lines().filter(|client| client.contains("user=default")).count() - 1;
    assert_eq!(left, 0, "{clients}");
}

#[tokio::test]
async fn a_sentinel_with_an_old_configuration_does_not_count() {
    let mut group = SentinelGroup::start().await;
    let old = group.isolate_master().await;
    let port = group.nodes()[old].port();
    let stale = cut_off_sentinel(port);
    let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"];
    assert_eq!(stale.run::<(String, u16)>(&words).1, port);

    let hosts = format!("{},{}", stale.address(), group.hosts());
    let store = connect(&hosts, &[]).await.unwrap();
    assert_granted(store.acquire("k", "me", MINUTE).await);
    assert!(!holders(&group, "k").contains(&old));
}

#[tokio::test]
async fn a_quick_sentinel_with_an_old_configuration_does_not_outrun_the_others() {
    let mut group = SentinelGroup::start().await;
    let old = group.isolate_master().await;
    let stale = cut_off_sentinel(group.nodes()[old].port());
    let mut slow = Vec::new();
    for sentinel in group.sentinels() {
        let proxy = Proxy::to(sentinel.port()).await;
        // Each reply comes later than others are waited for once a majority has answered.
        proxy.delay_replies(Duration::from_millis(300));
        slow.push(proxy);
    }
    let hosts: Vec<String> = slow.iter().map(Proxy::address).collect();
    let hosts = format!("{},{}", stale.address(), hosts.join(","));
    let store = connect(&hosts, &[ONCE, ("dialTimeout", "60s")]).await.unwrap();
    assert_granted(store.acquire("k", "me", MINUTE).await);
    assert!(!holders(&group, "k").contains(&old));
}

#[tokio::test]
async fn nobody_returns_to_a_master_that_was_replaced_because_a_few_sentinels_are_left() {
    let mut group = SentinelGroup::start().await;
    let old = group.isolate_master().await;
    let stale = cut_off_sentinel(group.nodes()[old].port());
    let hosts = format!("{},{}", stale.address(), group.hosts());
    let store = connect(&hosts, &[ONCE]).await.unwrap();
    for sentinel in 0..3 {
        group.stop_sentinel(sentinel);
    }
    group.nodes()[group_master(&group, old)].kill_connections();
    eventually("the sentinel that is left is not believed", async || {
        let outcome = store.acquire("k", "me", MINUTE).await;
        assert!(!group.nodes()[old].exists("k"));
        outcome.is_err_and(|failure| failure.cause().contains("have an old configuration"))
    })
    .await;
}

#[tokio::test]
async fn sentinels_that_are_not_listed_are_found() {
    let mut group = SentinelGroup::start().await;
    let store = connect(&group.addresses()[0], &[]).await.unwrap();
    let added = group.add_sentinel().await;
    // Each connection that is opened asks for the other sentinels.
    group.nodes()[0].kill_connections();
    take_in_time(&store).await;
    for gone in [0, 1] {
        group.stop_sentinel(gone);
    }
    // Nobody may promote another with half of the sentinels: the two remaining sentinels only answer.
    group.nodes()[0].kill_connections();
    take_in_time(&store).await;
    assert!(group.sentinels()[added].runs());
}

#[tokio::test]
async fn all_sentinels_may_come_back() {
    let mut group = SentinelGroup::start().await;
    let store = connect(&group.hosts(), &[ONCE]).await.unwrap();
    for sentinel in 0..3 {
        group.stop_sentinel(sentinel);
    }
    // The way to the master is open.
    assert_granted(store.acquire("k", "me", MINUTE).await);
    group.nodes()[0].kill_connections();
    eventually("nobody reports the master", async || {
        let outcome = store.acquire("lost", "me", MINUTE).await;
        outcome.is_err_and(|failure| failure.cause().contains("no sentinel reported the master"))
    })
    .await;
    group.restart_sentinel(1);
    take_in_time(&store).await;
}

#[tokio::test]
async fn logins_and_tls_are_those_of_both() {
    let options = SentinelOptions {
        password: Some("node-word".to_owned()),
        sentinel_user: Some("asker".to_owned()),
        sentinel_password: Some("sentinel-word".to_owned()),
        tls: true,
        ..SentinelOptions::default()
    };
    let group = SentinelGroup::start_with(options).await;
    let tls = [("enableTLS", "true"), ("insecureSkipTLSVerify", "true")];
    let master = ("redisPassword", "node-word");
    let sentinel = [("sentinelUsername", "asker"), ("sentinelPassword", "sentinel-word")];
    let all = [&tls[..], &[master], &sentinel].concat();
    let store = connect(&group.hosts(), &all).await.unwrap();
    assert_granted(store.acquire("k", "me", MINUTE).await);

    let without = refusal(&group.hosts(), &[&tls[..], &[master]].concat()).await;
    assert!(
        without.contains("NOAUTH Authentication required. (set sentinelPassword)"),
        "{without}"
    );
    let wrong = [("sentinelUsername", "asker"), ("sentinelPassword", "wrong")];
    let wrong = refusal(&group.hosts(), &[&tls[..], &[master], &wrong].concat()).await;
    let settings = "(see sentinelUsername and sentinelPassword)";
    assert!(wrong.contains("WRONGPASS") && wrong.contains(settings), "{wrong}");
    let no_master = refusal(&group.hosts(), &[&tls[..], &sentinel].concat()).await;
    assert!(no_master.contains("NOAUTH") && !no_master.contains("sentinelPassword"), "{no_master}");
    let plain = refusal(&group.hosts(), &[&[ONCE, master][..], &sentinel].concat()).await;
    assert!(plain.contains("enableTLS"), "{plain}");
}

#[tokio::test]
async fn what_cannot_be_found_is_named() {
    let group = SentinelGroup::start().await;
    let hosts = group.hosts();
    let other = [FAILOVER, ("sentinelMasterName", "other")];
    let refused = connect_to(&hosts, &other).await.map(drop).unwrap_err().to_string();
    let start = format!("redis other at {hosts}: no sentinel reported the master: ");
    assert!(refused.starts_with(&start), "{refused}");
    let first = format!("{}: it knows no master named other", group.addresses()[0]);
    assert!(refused.contains(&first), "{refused}");

    let node = group.node_address(0);
    let refused = refusal(&node, &[ONCE]).await;
    assert!(refused.contains(&format!("{node}: ERR unknown command 'SENTINEL'")), "{refused}");
    let refused = refusal("127.0.0.1:1", &[ONCE]).await;
    assert!(refused.contains("127.0.0.1:1: connection refused"), "{refused}");
}

#[tokio::test]
async fn waiters_and_holders_survive_a_failover() {
    let group = SentinelGroup::start().await;
    // A failover may take longer than the tries of a call: the one that waits would fail then.
    let patient = [("redisMaxRetries", "1000"), ("dialTimeout", "60s")];
    let locks = over(connect(&group.hosts(), &patient).await.unwrap());
    let options = LeaseOptions::new(MINUTE).wait(LONG);
    let lease = locks.keep(R, &options, None).await.unwrap().expect("a lease");
    let waiting = {
        let locks = locks.clone();
        tokio::spawn(async move { locks.acquire(R, &options).await })
    };
    group.replicated().await;
    let new = group.failover().await;
    // The hold continues although nothing reports the lock on the earlier connection.
    eventually("the new master is used", async || group.nodes()[new].clients() > 0).await;
    let ended_early = waiting.is_finished();
    lease.release().await.unwrap();
    match tokio::time::timeout(LONG, waiting).await.unwrap().unwrap() {
        Ok(waited) => assert!(waited.is_some() && !ended_early, "{waited:?}"),
        // A try that was on its way when the connection broke has an unknown outcome.
        Err(error) => assert!(error.is_indeterminate(), "{error}"),
    }
}

#[tokio::test]
async fn a_holder_learns_that_the_new_master_has_no_such_lock() {
    let mut group = SentinelGroup::start().await;
    let locks = over(connect(&group.hosts(), &[]).await.unwrap());
    group.isolate(0);
    // The old master alone has it.
    let lease = locks.keep(R, &LeaseOptions::new(MINUTE), None).await.unwrap().expect("a lease");
    group.promoted(0).await;
    let lost = tokio::time::timeout(LONG / 2, lease.lost()).await.expect("the loss is reported");
    assert_eq!(lost, Lost::Gone);
}

#[tokio::test]
async fn a_failover_under_load_stops_nobody() {
    let group = SentinelGroup::start().await;
    let store = Arc::new(connect(&group.hosts(), &[]).await.unwrap());
    let taken: Arc<Vec<AtomicUsize>> = Arc::new((0..16).map(|_| AtomicUsize::new(0)).collect());
    let callers = (0..16).map(|caller| {
        let (store, taken) = (store.clone(), taken.clone());
        tokio::spawn(async move {
            for round in 0.. {
                let key = format!("k{caller}-{round}");
                if is_granted(&store.acquire(&key, "me", MINUTE).await) {
                    taken[caller].fetch_add(1, Ordering::Relaxed);
                }
                let _ = store.release(&key, "me").await;
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    let each_takes_more = async || {
        let before: Vec<_> = taken.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        eventually("each takes another lock", async || {
            let now = taken.iter().map(|count| count.load(Ordering::Relaxed));
            now.zip(&before).all(|(now, before)| now > *before)
        })
        .await;
    };
    each_takes_more().await;
    let new = group.failover().await;
    each_takes_more().await;
    callers.iter().for_each(JoinHandle::abort);
    assert_granted(store.acquire("after", "me", MINUTE).await);
    assert!(group.nodes()[new].exists("after"));
}

/// Three sentinels that report this view.
async fn scripted(view: &View) -> Vec<ScriptedNode> {
    let mut sentinels = Vec::new();
    for _ in 0..3 {
        sentinels.push(ScriptedNode::start(view.clone()).await);
    }
    sentinels
}

fn hosts(sentinels: &[ScriptedNode]) -> String {
    sentinels.iter().map(ScriptedNode::address).collect::<Vec<_>>().join(",")
}

/// Lets all sentinels report this view from now on.
fn all_say(sentinels: &[ScriptedNode], view: &View) {
    sentinels.iter().for_each(|sentinel| sentinel.say(view.clone()));
}

/// The same, and the sentinel that a store listens to reports that the master has moved.
fn switch(sentinels: &[ScriptedNode], view: &View) {
    all_say(sentinels, view);
    sentinels.iter().for_each(|sentinel| sentinel.report_a_switch(NAME.1));
}

/// Waits until a store listens to a sentinel.
async fn listened_to(sentinels: &[ScriptedNode]) {
    let listens = || sentinels.iter().any(|sentinel| sentinel.subscribers() > 0);
    eventually("a sentinel is listened to", async || listens()).await;
}

/// Closes one of the connections of clients.
fn kill_one(server: &RedisServer) {
    let clients: String = server.run(&["CLIENT", "LIST"]);
    let client = clients.lines().find(|client| !client.contains(" cmd=client")).unwrap();
    let id = client.split([' ', '=']).nth(1).unwrap();
    server.run::<i64>(&["CLIENT", "KILL", "ID", id]);
}

#[tokio::test]
async fn a_call_on_a_connection_that_gets_no_more_ends_with_its_master() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let sentinels = scripted(&View::new(old.port(), 1)).await;
    let store = Arc::new(connect(&hosts(&sentinels), &SHORT_LIVED).await.unwrap());
    listened_to(&sentinels).await;
    old.pause_writes();
    let call = {
        let store = store.clone();
        tokio::spawn(async move { store.acquire("k", "me", MINUTE).await })
    };
    eventually("its connection is replaced", async || has_set_on_a_replaced_connection(&old)).await;
    switch(&sentinels, &View::new(new.port(), 2));
    assert_replaced(tokio::time::timeout(LONG, call).await.unwrap().unwrap());
    old.unpause();
    assert_granted(store.acquire("k", "you", MINUTE).await);
    assert!(new.exists("k"));
}

/// Fails if this takes so long that the sentinels are asked anyway.
async fn before_a_look(condition: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(8), condition).await.unwrap();
}

#[tokio::test]
async fn an_attempt_to_connect_that_learns_of_a_new_master_ends_all_connections_to_the_old_one() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let sentinels = scripted(&View::new(old.port(), 1)).await;
    // Only an attempt to open a connection asks for the master.
    sentinels.iter().for_each(ScriptedNode::refuse_subscriptions);
    let store = connect(&hosts(&sentinels), &[("minIdleConns", "2")]).await.unwrap();
    eventually("both connections are open", async || old.clients() == 2).await;
    all_say(&sentinels, &View::new(new.port(), 2));
    kill_one(&old);
    before_a_look(eventually("the other one is closed", async || old.clients() == 0)).await;
    assert_granted(store.acquire("k", "me", MINUTE).await);
    assert!(new.exists("k"));
}

#[tokio::test]
async fn a_watch_that_learns_of_a_new_master_ends_the_connections_to_the_old_one() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let sentinels = scripted(&View::new(old.port(), 1)).await;
    sentinels.iter().for_each(ScriptedNode::refuse_subscriptions);
    let store = connect(&hosts(&sentinels), &[]).await.unwrap();
    all_say(&sentinels, &View::new(new.port(), 2));
    assert!(store.watch("k").await.is_some());
    before_a_look(eventually("the connection is closed", async || old.clients() == 0)).await;
    assert_granted(store.acquire("k", "me", MINUTE).await);
    assert!(new.exists("k"));
}

#[tokio::test]
async fn a_master_that_was_replaced_is_left_though_no_sentinel_reports_it() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let sentinels = scripted(&View::new(old.port(), 1)).await;
    sentinels.iter().for_each(ScriptedNode::refuse_subscriptions);
    let store = connect(&hosts(&sentinels), &[]).await.unwrap();
    assert_granted(store.acquire("before", "me", MINUTE).await);
    all_say(&sentinels, &View::new(new.port(), 2));
    eventually("the old master is left", async || old.clients() == 0).await;
    assert_granted(store.acquire("k", "me", MINUTE).await);
    assert!(new.exists("k"));
}

#[tokio::test]
async fn sentinels_that_are_asked_while_they_take_over_a_new_master_name_no_old_one() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let sentinels = scripted(&View::new(old.port(), 6)).await;
    for sentinel in &sentinels {
        // A store that asks again would notice the change.
        sentinel.refuse_subscriptions();
        sentinel.say_after_the_next_answer(View::new(new.port(), 7));
    }
    let store = connect(&hosts(&sentinels), &[]).await.unwrap();
    assert_granted(store.acquire("k", "me", MINUTE).await);
    assert!(new.exists("k") && !old.exists("k"));
}

#[tokio::test]
async fn answers_of_before_a_failover_that_come_after_it_do_not_lead_back() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let sentinels = scripted(&View::new(old.port(), 6)).await;
    // Sentinels have half of `dialTimeout`.
    let settings = [("minIdleConns", "2"), ("dialTimeout", "60s")];
    let store = connect(&hosts(&sentinels), &settings).await.unwrap();
    listened_to(&sentinels).await;
    // Once for each connection, and once by the listener.
    let asked_by_all = || sentinels.iter().all(|sentinel| sentinel.asked() >= 3);
    eventually("nobody asks", async || asked_by_all() && old.clients() == 2).await;

    // A new connection is to be opened. A majority does not answer before the failover.
    let slow = &sentinels[1..];
    let held: Vec<_> = slow.iter().map(ScriptedNode::hold_answers).collect();
    let asked: Vec<usize> = sentinels.iter().map(ScriptedNode::asked).collect();
    kill_one(&old);
    let asked_again =
        || sentinels.iter().zip(&asked).all(|(sentinel, before)| sentinel.asked() > *before);
    eventually("all are asked for the master", async || asked_again()).await;
    slow.iter().for_each(ScriptedNode::answer_at_once);
    switch(&sentinels, &View::new(new.port(), 7));
    eventually("the old master is left", async || old.clients() == 0).await;

    drop(held);
    assert_granted(store.acquire("k", "me", MINUTE).await);
    assert!(new.exists("k") && !old.exists("k"));
}

#[tokio::test]
async fn sentinels_that_were_all_made_anew_are_believed() {
    // The number of sentinels in the settings, and the ports that their first views named, on which nobody listens now.
    for (listed, gone) in [(3, &[1, 2, 3][..]), (1, &[1, 2])] {
        let (old, new) = (RedisServer::start(), RedisServer::start());
        let first = View { others: gone.to_vec(), ..View::new(old.port(), 5) };
        let sentinels = scripted(&first).await;
        let store = connect(&hosts(&sentinels[..listed]), &[]).await.unwrap();
        assert_granted(store.acquire("before", "me", MINUTE).await);

        let others = sentinels.iter().map(ScriptedNode::port).collect();
        all_say(&sentinels, &View { others, ..View::new(new.port(), 1) });
        old.kill_connections();
        let key = take_in_time(&store).await;
        assert!(new.exists(&key), "{listed} are listed");
    }
}
