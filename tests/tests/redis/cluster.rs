//! The library's store in a Redis Cluster: each lock is at the node that has its slot, wherever that goes.

use std::{
    cell::Cell,
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{FutureExt, future::join_all};
use holdfast::{
    Lease, LeaseOptions, Locks, Lost, Resource,
    store::{
        Acquired, Extended, Failure, Released, Store,
        redis::{ConnectError, RedisStore, RefusedLogin},
    },
};
use holdfast_tests::{
    LONG, MINUTE, assert_granted, eventually, free_port, is_granted,
    redis_cluster::{ClusterOptions, RedisCluster},
    redis_server::RedisServer,
    redis_store::{ONCE, Setting, connect_to, unconnected},
    scripted_node::{ScriptedNode, View},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::{SHORT_LIVED, assert_replaced, has_set_on_a_replaced_connection, not_done};

const CLUSTER: Setting = ("redisType", "cluster");

async fn connect(hosts: &str, settings: &[Setting<'_>]) -> Result<RedisStore, ConnectError> {
    connect_to(hosts, &[&[CLUSTER], settings].concat()).await
}

/// A cluster of three masters without replicas, and a store that knows one of its nodes.
async fn masters() -> (RedisCluster, RedisStore) {
    let cluster =
        RedisCluster::start_with(ClusterOptions { replicas: 0, ..ClusterOptions::default() }).await;
    let store = connect(&cluster.addresses()[0], &[]).await.unwrap();
    (cluster, store)
}

/// The fencing token of a grant.
fn token(outcome: Result<Acquired, holdfast::store::Failure>) -> u64 {
    match outcome {
        Ok(Acquired::Granted(grant)) => grant.fencing_token.expect("a token"),
        other => panic!("{other:?}"),
    }
}

/// Another master than the one with the key.
fn another(cluster: &RedisCluster, key: &str) -> usize {
    let owner = cluster.owner_of(cluster.slot_of(key));
    (0..3).find(|node| *node != owner).unwrap()
}

#[tokio::test]
async fn a_node_at_an_address_that_leads_nowhere_is_named_with_the_node_that_reported_it() {
    let nowhere = format!("127.0.0.1:{}", free_port());
    let port = nowhere.split_once(':').unwrap().1;
    let announced = ["--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", port];
    let node = RedisServer::start_with(&[&["--cluster-enabled", "yes"], &announced[..]].concat());
    node.run::<()>(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let error = connect(&node.address(), &[ONCE]).await.unwrap_err().to_string();
    let expected = format!(
        "redis {nowhere}: connection refused (redisHost does not list this address: {} named it. ",
        node.address()
    );
    assert!(error.starts_with(&expected) && error.contains("cluster-announce-ip"), "{error}");

    // Calls say so as well.
    let store = unconnected(&node.address(), &[CLUSTER, ONCE]);
    let cause = not_done(store.acquire("k", "me", MINUTE).await);
    assert!(cause.starts_with(&expected), "{cause}");

    // A setting lists the address, so there is nothing to explain.
    let both = format!("{},{nowhere}", node.address());
    let error = connect(&both, &[ONCE]).await.unwrap_err().to_string();
    assert_eq!(error, format!("redis {nowhere}: connection refused"));
}

#[tokio::test]
async fn every_verb_works_whichever_node_has_the_key() {
    let (cluster, store) = masters().await;
    let mut nodes = HashSet::new();
    for round in 0..30 {
        let key = format!("lock||app||r{round}");
        nodes.insert(cluster.owner_of(cluster.slot_of(&key)));
        assert_granted(store.acquire(&key, "me", MINUTE).await);
        assert_eq!(store.acquire(&key, "you", MINUTE).await, Ok(Acquired::Held));
        assert!(cluster.node_of(&key).exists(&key));
        let extended = store.extend(&key, "me", MINUTE * 2, false).await;
        assert!(matches!(extended, Ok(Extended::Extended(_))), "{extended:?}");
        assert_eq!(store.inspect(&key).await.unwrap().unwrap().owner, "me");
        assert_eq!(store.release(&key, "you").await, Ok(Released::HeldByOther));
        assert_eq!(store.release(&key, "me").await, Ok(Released::Released));
        let first = token(store.acquire_fenced(&key, "me", MINUTE).await);
        assert_eq!(store.force_release(&key).await, Ok(Some("me".to_owned())));
        assert!(token(store.acquire_fenced(&key, "me", MINUTE).await) > first);
    }
    assert_eq!(nodes.len(), 3);
}

#[tokio::test]
async fn a_list_has_the_locks_of_all_nodes() {
    let (_cluster, store) = masters().await;
    let keys: HashSet<String> = (0..50).map(|round| format!("lock||app||r{round}")).collect();
    for key in &keys {
        assert_granted(store.acquire(key, "me", MINUTE).await);
    }
    assert_granted(store.acquire("lock||other||r", "me", MINUTE).await);
    let (mut listed, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.list("lock||app||", cursor.as_deref(), 7).await.unwrap();
        listed.extend(page.keys.into_iter().map(|held| held.key));
        let Some(next) = page.next else { break };
        assert!(store.is_cursor(&next), "{next}");
        cursor = Some(next);
    }
    assert_eq!(listed.len(), 50);
    assert_eq!(listed.into_iter().collect::<HashSet<_>>(), keys);
    for wrong in ["", "0", "@", "x@127.0.0.1:1", "1@"] {
        assert!(!store.is_cursor(wrong), "{wrong}");
    }
    // A node that is gone: the list goes on with the next.
    assert!(store.list("lock||app||", Some("5@127.0.0.1:0"), 7).await.is_ok());
}

#[tokio::test]
async fn a_slot_that_has_moved_is_found() {
    let (cluster, store) = masters().await;
    assert_granted(store.acquire("k", "me", MINUTE).await);
    let to = another(&cluster, "k");
    cluster.move_slot(cluster.slot_of("k"), to).await;
    assert_eq!(store.acquire("k", "you", MINUTE).await, Ok(Acquired::Held));
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    assert_granted(store.acquire("k", "you", MINUTE).await);
    assert!(cluster.nodes()[to].exists("k"));
}

#[tokio::test]
async fn nodes_may_report_their_names_or_no_address() {
    let preferred = |what| ["--cluster-preferred-endpoint-type", what];
    for (arguments, host) in [
        (
            [&preferred("hostname")[..], &["--cluster-announce-hostname", "localhost"]].concat(),
            "localhost",
        ),
        // Nobody has set a name.
        (preferred("hostname").to_vec(), "127.0.0.1"),
        (preferred("unknown-endpoint").to_vec(), "127.0.0.1"),
    ] {
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        let options = ClusterOptions { replicas: 0, arguments, ..ClusterOptions::default() };
        let cluster = RedisCluster::start_with(options).await;
        let store = connect(&cluster.addresses()[0], &[]).await.unwrap();
        let about = store.describe();
        for node in cluster.nodes() {
            assert!(about.contains(&format!("{host}:{}", node.port())), "{about}");
        }
        assert_granted(store.acquire("{k}", "me", MINUTE).await);
        let (slot, to) = (cluster.slot_of("{k}"), another(&cluster, "{k}"));
        cluster.begin_migration(slot, to);
        assert_granted(store.acquire("{k}on its way", "me", MINUTE).await);
        assert!(cluster.nodes()[to].run::<i64>(&["DBSIZE"]) > 0);
        cluster.migrate_keys(slot);
        cluster.end_migration(slot).await;
        assert_eq!(store.acquire("{k}", "you", MINUTE).await, Ok(Acquired::Held));
        assert_eq!(store.release("{k}", "me").await, Ok(Released::Released));
        let after = store.describe();
        assert_eq!(after, about, "no node has a second name");
    }
}

#[tokio::test]
async fn a_lock_on_its_way_is_held_and_a_new_one_goes_where_its_slot_goes() {
    let (cluster, store) = masters().await;
    let (there, new) = ("lock||{t}||there", "lock||{t}||new");
    assert_granted(store.acquire(there, "me", MINUTE).await);
    let to = another(&cluster, there);
    let slot = cluster.slot_of(there);
    cluster.begin_migration(slot, to);
    assert_eq!(store.acquire(there, "you", MINUTE).await, Ok(Acquired::Held));
    assert_granted(store.acquire(new, "me", MINUTE).await);
    assert_eq!(store.acquire(new, "you", MINUTE).await, Ok(Acquired::Held));
    assert_eq!(store.inspect(new).await.unwrap().unwrap().owner, "me");
    let extended = store.extend(new, "me", MINUTE * 2, false).await;
    assert!(matches!(extended, Ok(Extended::Extended(_))), "{extended:?}");
    cluster.migrate_keys(slot);
    assert_eq!(store.acquire(there, "you", MINUTE).await, Ok(Acquired::Held));
    assert_eq!(store.release(there, "me").await, Ok(Released::Released));
    assert_eq!(store.force_release(new).await, Ok(Some("me".to_owned())));
    cluster.end_migration(slot).await;
    assert_granted(store.acquire(there, "you", MINUTE).await);
}

#[tokio::test]
async fn a_lock_on_its_way_that_too_few_replicas_have_is_given_back() {
    let (cluster, _) = masters().await;
    // A store that connects tries out a lock, and would be refused.
    let settings = [CLUSTER, ONCE, ("minReplicas", "1"), ("readTimeout", "3s")];
    let store = unconnected(&cluster.hosts(), &settings);
    let to = another(&cluster, "k");
    cluster.begin_migration(cluster.slot_of("k"), to);
    // The node refuses to say whether it has the key, without ASKING.
    let keys = || cluster.nodes()[to].run::<i64>(&["DBSIZE"]);
    let before = keys();
    let cause = not_done(store.acquire("k", "me", MINUTE).await);
    assert!(cause.contains("only 0 of 1 replicas have the lock"), "{cause}");
    assert!(cluster.nodes()[to].calls("asking") > 0);
    assert_eq!(keys(), before);
}

#[tokio::test]
async fn fencing_tokens_grow_while_their_slot_moves() {
    let (cluster, store) = masters().await;
    let key = "lock||app||r";
    let (slot, to) = (cluster.slot_of(key), another(&cluster, key));
    let mut last = token(store.acquire_fenced(key, "me", MINUTE).await);
    let mut next = async || {
        assert_eq!(store.release(key, "me").await, Ok(Released::Released));
        let outcome = store.acquire_fenced(key, "me", MINUTE).await;
        let token = token(outcome);
        assert!(token > last, "{token} after {last}");
        last = token;
    };
    next().await;
    cluster.move_slot(slot, to).await;
    next().await;
}

#[tokio::test]
async fn a_numbered_lock_whose_slot_is_on_its_way_is_tried_again() {
    let (cluster, store) = masters().await;
    let hasty = connect(&cluster.hosts(), &[ONCE]).await.unwrap();
    let key = "lock||app||r";
    let (slot, to) = (cluster.slot_of(key), another(&cluster, key));
    let first = token(store.acquire_fenced(key, "me", MINUTE).await);
    assert_eq!(store.release(key, "me").await, Ok(Released::Released));
    cluster.begin_migration(slot, to);
    // The number is at this node, and the lock would be at the other.
    let cause = not_done(hasty.acquire_fenced(key, "me", MINUTE).await);
    assert!(cause.contains("TRYAGAIN"), "{cause}");
    cluster.migrate_keys(slot);
    let trying = store.acquire_fenced(key, "me", MINUTE);
    let (outcome, ()) = tokio::join!(trying, cluster.end_migration(slot));
    assert!(token(outcome) > first);
}

#[tokio::test]
async fn the_replica_of_a_lost_master_takes_over() {
    let mut cluster = RedisCluster::start().await;
    let store = connect(&cluster.hosts(), &[]).await.unwrap();
    let slot = cluster.slot_of("k");
    let owner = cluster.owner_of(slot);
    assert_granted(store.acquire("k", "me", MINUTE).await);
    cluster.kill(owner);
    cluster.promoted(slot, owner).await;
    let tries = Cell::new(0);
    eventually("a lock of the slot is taken", async || {
        tries.set(tries.get() + 1);
        let key = format!("{{k}}{}", tries.get());
        is_granted(&store.acquire(&key, "me", MINUTE).await)
    })
    .await;
}

#[tokio::test]
async fn a_call_that_finds_a_hanging_master_goes_on_at_the_replica() {
    let cluster = RedisCluster::start().await;
    let settings = [("readTimeout", "300ms"), ("dialTimeout", "8s"), ("redisMaxRetries", "1000")];
    let store = connect(&cluster.hosts(), &settings).await.unwrap();
    let (slot, owner) = (cluster.slot_of("{k}"), cluster.owner_of(cluster.slot_of("{k}")));
    cluster.nodes()[owner].suspend();
    let unanswered = store.acquire("{k}first", "me", MINUTE).await.unwrap_err();
    assert!(matches!(unanswered, Failure::Unknown(_)), "{unanswered:?}");
    cluster.promoted(slot, owner).await;
    // It waits for a connection to the node that it knows, and has time left for the one that took its place.
    assert_granted(store.acquire("{k}next", "me", MINUTE).await);
}

/// A node that does not report the slots, and answers so only when the test allows it.
async fn answer_late(
    mut client: TcpStream,
    asked: Arc<AtomicUsize>,
    mut may: watch::Receiver<bool>,
) {
    let mut bytes = [0; 1_024];
    while let Ok(read @ 1..) = client.read(&mut bytes).await {
        let reply = if bytes[..read].ends_with(b"SLOTS\r\n") {
            asked.fetch_add(1, Ordering::SeqCst);
            // The test has ended if this fails.
            let _ = may.wait_for(|may| *may).await;
            "-LOADING Redis is loading the dataset in memory\r\n"
        } else {
            "+PONG\r\n"
        };
        if client.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn those_who_wait_for_the_slots_ask_once_and_share_a_failure_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = unconnected(&listener.local_addr().unwrap().to_string(), &[CLUSTER, ONCE]);
    let (asked, (answer, answered)) = (Arc::new(AtomicUsize::new(0)), watch::channel(false));
    let count = asked.clone();
    let node = tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(answer_late(client, count.clone(), answered.clone()));
        }
    });
    let assert_not_told = |outcome: Result<Acquired, Failure>| {
        let cause = not_done(outcome);
        assert!(cause.contains("no node reported the slots: "), "{cause}");
    };
    let mut leaves = store.acquire("leaves", "me", MINUTE);
    assert!((&mut leaves).now_or_never().is_none());
    let others = join_all(["a", "b", "c", "d"].map(|key| store.acquire(key, "me", MINUTE)));
    let (outcomes, ()) = tokio::join!(others, async {
        eventually("the node is asked", async || asked.load(Ordering::SeqCst) > 0).await;
        // The call that began the question leaves. The others still get the answer.
        drop(leaves);
        answer.send_replace(true);
    });
    outcomes.into_iter().for_each(assert_not_told);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_not_told(store.acquire("later", "me", MINUTE).await);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    node.abort();
}

#[tokio::test]
async fn a_planned_failover_moves_the_locks() {
    let cluster = RedisCluster::start().await;
    let store = connect(&cluster.hosts(), &[("minReplicas", "1")]).await.unwrap();
    let slot = cluster.slot_of("k");
    let owner = cluster.owner_of(slot);
    assert_granted(store.acquire("k", "me", MINUTE).await);
    let replica = (0..6)
        .find(|node| {
            let about: String = cluster.nodes()[*node].run(&["INFO", "replication"]);
            let port = cluster.nodes()[owner].port();
            about.contains("role:slave") && about.contains(&format!("master_port:{port}"))
        })
        .unwrap();
    cluster.failover(replica).await;
    assert_eq!(store.acquire("k", "you", MINUTE).await, Ok(Acquired::Held));
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    assert!(cluster.nodes()[replica].calls("set") > 0);
}

#[tokio::test]
async fn a_node_that_is_added_gets_locks() {
    let (mut cluster, store) = masters().await;
    assert_granted(store.acquire("before", "me", MINUTE).await);
    let added = cluster.add_master().await;
    cluster.move_slot(cluster.slot_of("k"), added).await;
    assert_granted(store.acquire("k", "me", MINUTE).await);
    assert!(cluster.nodes()[added].exists("k"));
}

#[tokio::test]
async fn slots_without_a_node_are_refused_by_name() {
    let options = ClusterOptions { replicas: 0, full_coverage: false, ..ClusterOptions::default() };
    let mut cluster = RedisCluster::start_with(options).await;
    let store = connect(&cluster.hosts(), &[ONCE]).await.unwrap();
    let gone = cluster.owner_of(cluster.slot_of("k"));
    let other = (0..)
        .map(|round| format!("k{round}"))
        .find(|key| cluster.owner_of(cluster.slot_of(key)) != gone)
        .unwrap();
    cluster.kill(gone);
    eventually("its locks are refused", async || {
        let outcome = store.acquire("k", "me", MINUTE).await;
        outcome.is_err_and(|failure| failure.cause().ends_with(": connection refused"))
    })
    .await;
    assert_granted(store.acquire(&other, "me", MINUTE).await);
}

#[tokio::test]
async fn logins_and_tls_are_those_of_all_nodes() {
    let options = ClusterOptions {
        password: Some("node-word".to_owned()),
        tls: true,
        replicas: 0,
        ..ClusterOptions::default()
    };
    let cluster = RedisCluster::start_with(options).await;
    let tls = [("enableTLS", "true"), ("insecureSkipTLSVerify", "true")];
    let password = ("redisPassword", "node-word");
    let store = connect(&cluster.hosts(), &[&tls[..], &[password]].concat()).await.unwrap();
    for round in 0..10 {
        assert_granted(store.acquire(&format!("k{round}"), "me", MINUTE).await);
    }
    let refused = connect(&cluster.hosts(), &tls).await.map(drop).unwrap_err();
    let missing = Some(RefusedLogin::Missing);
    assert!(
        matches!(&refused, ConnectError::Unreachable { login, .. } if *login == missing),
        "{refused}"
    );
}

#[tokio::test]
async fn what_is_no_cluster_is_named() {
    let server = RedisServer::start();
    let refused = connect(&server.address(), &[ONCE]).await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("ERR This instance has cluster support disabled"), "{refused}");
    let (cluster, _store) = masters().await;
    let node = &cluster.addresses()[0];
    let refused = connect_to(node, &[ONCE]).await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("set redisType to cluster"), "{refused}");
}

#[tokio::test]
async fn the_node_notifies_waiters_and_holders_survive_a_slot_move() {
    let (cluster, store) = masters().await;
    let locks = Locks::builder().store("s", Arc::new(store)).build().unwrap();
    let resource = Resource { store: "s", id: "r" };
    let slot = cluster.slot_of("lock||r");
    let options = LeaseOptions::new(MINUTE).wait(LONG);
    let lease = locks.keep(resource, &options, None).await.unwrap().expect("a lease");
    let waiting = {
        let (locks, options) = (locks.clone(), LeaseOptions::new(MINUTE).wait(LONG));
        tokio::spawn(async move { locks.acquire(resource, &options).await })
    };
    cluster.move_slot(slot, another(&cluster, "lock||r")).await;
    lease.release().await.unwrap();
    let waited = tokio::time::timeout(LONG, waiting).await.unwrap().unwrap();
    assert!(waited.unwrap().is_some());

    let other = Resource { store: "s", id: "other" };
    let lease = locks.keep(other, &LeaseOptions::new(MINUTE), None).await.unwrap().unwrap();
    cluster.node_of("lock||other").run::<()>(&["DEL", "lock||other"]);
    assert_eq!(tokio::time::timeout(LONG / 2, lease.lost()).await.unwrap(), Lost::Gone);
}

/// Locks of a store of their own, and a lease that is renewed so rarely that only the store can report its loss.
async fn rarely_renewed(cluster: &RedisCluster, settings: &[Setting<'_>]) -> (Locks, Lease) {
    let store = connect(&cluster.hosts(), settings).await.unwrap();
    let locks = Locks::builder().store("s", Arc::new(store)).build().unwrap();
    let resource = Resource { store: "s", id: "r" };
    let lease = locks.keep(resource, &LeaseOptions::new(10 * MINUTE), None).await;
    let lease = lease.unwrap().expect("a lease");
    (locks, lease)
}

/// Another program frees a lock, and its owner learns of it.
async fn assert_loss_is_noticed(others: &RedisStore, key: &str, lease: Lease) {
    assert!(others.force_release(key).await.unwrap().is_some());
    assert_eq!(tokio::time::timeout(LONG / 2, lease.lost()).await.unwrap(), Lost::Gone);
}

#[tokio::test]
async fn a_loss_is_noticed_wherever_the_slot_of_its_lock_has_gone() {
    let (cluster, others) = masters().await;
    let (_locks, lease) = rarely_renewed(&cluster, &[]).await;
    let slot = cluster.slot_of("lock||r");
    cluster.move_slot(slot, another(&cluster, "lock||r")).await;
    assert_loss_is_noticed(&others, "lock||r", lease).await;
    // A lock that was taken where its slot goes.
    cluster.begin_migration(slot, another(&cluster, "lock||r"));
    let (_locks, lease) = rarely_renewed(&cluster, &[]).await;
    assert_loss_is_noticed(&others, "lock||r", lease).await;
}

#[tokio::test]
async fn a_loss_is_noticed_after_the_replica_of_a_lost_master_took_over() {
    let mut cluster = RedisCluster::start().await;
    let (_locks, lease) = rarely_renewed(&cluster, &[("minReplicas", "1")]).await;
    let others = connect(&cluster.hosts(), &[]).await.unwrap();
    let slot = cluster.slot_of("lock||r");
    let owner = cluster.owner_of(slot);
    cluster.kill(owner);
    cluster.promoted(slot, owner).await;
    assert_loss_is_noticed(&others, "lock||r", lease).await;
}

#[tokio::test]
async fn locks_are_never_given_twice_while_slots_move() {
    let (cluster, store) = masters().await;
    let store = Arc::new(store);
    let held: Arc<Vec<AtomicUsize>> = Arc::new((0..4).map(|_| AtomicUsize::new(0)).collect());
    let turns: Arc<Vec<AtomicUsize>> = Arc::new((0..4).map(|_| AtomicUsize::new(0)).collect());
    let callers: Vec<JoinHandle<()>> = (0..16)
        .map(|caller: usize| {
            let (store, held, turns) = (store.clone(), held.clone(), turns.clone());
            tokio::spawn(async move {
                for round in 0.. {
                    let (lock, owner) = (caller % 4, format!("{caller}-{round}"));
                    let key = format!("lock||{{t}}||{lock}");
                    match store.acquire(&key, &owner, MINUTE).await {
                        Ok(Acquired::Held) => continue,
                        Ok(Acquired::Granted(_)) => {
                            assert_eq!(held[lock].fetch_add(1, Ordering::SeqCst), 0, "{key} twice");
                            tokio::task::yield_now().await;
                            held[lock].fetch_sub(1, Ordering::SeqCst);
                            turns[lock].fetch_add(1, Ordering::SeqCst);
                        }
                        // A node that stands still for a while may have granted it.
                        Err(_) => {}
                    }
                    while store.release(&key, &owner).await.is_err() {
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    let slot = cluster.slot_of("lock||{t}||0");
    for _ in 0..6 {
        let before: Vec<_> = turns.iter().map(|turns| turns.load(Ordering::SeqCst)).collect();
        let to = another(&cluster, "lock||{t}||0");
        cluster.move_slot(slot, to).await;
        eventually("every lock is taken again", async || {
            assert!(callers.iter().all(|caller| !caller.is_finished()), "a lock was held twice");
            turns.iter().zip(&before).all(|(now, before)| now.load(Ordering::SeqCst) > *before)
        })
        .await;
    }
    callers.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn an_error_names_the_node_that_failed_and_not_those_of_the_settings() {
    let (mut cluster, store) = masters().await;
    let listed = cluster.addresses()[0].clone();
    let elsewhere = |key: &String| cluster.owner_of(cluster.slot_of(key)) != 0;
    let key = (0..).map(|number| format!("lock||app1||{number}")).find(elsewhere).unwrap();
    let owner = cluster.owner_of(cluster.slot_of(&key));
    let node = cluster.addresses()[owner].clone();
    assert_ne!(node, listed);

    cluster.node_of(&key).run::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let cause = not_done(store.acquire(&key, "me", MINUTE).await);
    assert!(cause.starts_with(&format!("redis {node}: OOM ")), "{cause}");
    for other in cluster.nodes() {
        other.run::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    }
    let refused = connect(&cluster.hosts(), &[]).await.map(drop).unwrap_err().to_string();
    let named = |address: &String| refused.starts_with(&format!("redis {address}: a lock cannot "));
    assert!(cluster.addresses().iter().any(named), "{refused}");

    cluster.kill(owner);
    let expected = format!("redis {node}: connection refused");
    eventually("the node is known to be down", async || {
        let outcome = store.acquire(&key, "me", MINUTE).await;
        outcome.is_err_and(|failure| failure.cause().starts_with(&expected))
    })
    .await;
    let (mut pages, mut cursor) = (0, None);
    let failure = loop {
        match store.list("lock||", cursor.as_deref(), 10).await {
            Ok(page) => cursor = Some(page.next.expect("a page of the node that is down")),
            Err(failure) => break failure,
        }
        pages += 1;
    };
    assert!(failure.cause().starts_with(&expected), "after {pages} pages: {}", failure.cause());
}

/// Two clusters of one node each, which has all slots, and a node that says which of them is the cluster: at first the
/// first one.
async fn old_and_new() -> (RedisCluster, RedisCluster, ScriptedNode) {
    let options = ClusterOptions { masters: 1, replicas: 0, ..ClusterOptions::default() };
    let old = RedisCluster::start_with(options.clone()).await;
    let new = RedisCluster::start_with(options).await;
    let node = ScriptedNode::start(View::new(old.nodes()[0].port(), 5)).await;
    (old, new, node)
}

#[tokio::test]
async fn a_call_on_a_connection_that_gets_no_more_ends_with_the_slots_of_its_node() {
    let (old, new, node) = old_and_new().await;
    let (old, new) = (&old.nodes()[0], &new.nodes()[0]);
    let store = Arc::new(connect(&node.address(), &SHORT_LIVED).await.unwrap());
    old.pause_writes();
    let call = {
        let store = store.clone();
        tokio::spawn(async move { store.acquire("k", "me", MINUTE).await })
    };
    eventually("its connection is replaced", async || has_set_on_a_replaced_connection(old)).await;
    node.say(View::new(new.port(), 6));
    // It begins with the question for the slots.
    store.list("lock||", None, 10).await.unwrap();
    assert_replaced(tokio::time::timeout(LONG, call).await.unwrap().unwrap());
    old.unpause();
    assert_granted(store.acquire("k", "you", MINUTE).await);
    assert!(new.exists("k"));
}

#[tokio::test]
async fn a_node_that_is_asked_while_it_learns_of_a_change_names_no_old_master() {
    let (old, new, node) = old_and_new().await;
    node.say_after_the_next_answer(View::new(new.nodes()[0].port(), 6));
    let store = connect(&node.address(), &[]).await.unwrap();
    assert_granted(store.acquire("k", "me", MINUTE).await);
    assert!(new.nodes()[0].exists("k") && !old.nodes()[0].exists("k"));
}

#[tokio::test]
async fn a_cluster_that_was_made_anew_is_believed() {
    let (mut old, new, node) = old_and_new().await;
    let store = connect(&node.address(), &[ONCE]).await.unwrap();
    assert_granted(store.acquire("before", "me", MINUTE).await);
    old.kill(0);
    node.say(View::new(new.nodes()[0].port(), 1));
    let tries = Cell::new(0);
    let key = || format!("try{}", tries.get());
    eventually("a lock is taken", async || {
        tries.set(tries.get() + 1);
        is_granted(&store.acquire(&key(), "me", MINUTE).await)
    })
    .await;
    assert!(new.nodes()[0].exists(&key()));
}
