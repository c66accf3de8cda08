//! The Redis Cluster that tests start: its reactions to orders of a test.

use holdfast_tests::{
    redis_cluster::{ClusterOptions, RedisCluster},
    redis_server::RedisServer,
};

/// A server's answer about a key that it does not have: `MOVED` or `ASK`, the slot and the address.
fn redirected(server: &RedisServer, key: &str) -> (String, String) {
    let error = server.try_command::<()>(&["GET", key]).unwrap_err();
    let (address, slot) = error.redirect_node().unwrap();
    (error.code().unwrap().to_owned(), format!("{slot} {address}"))
}

fn read(server: &RedisServer, key: &str) -> Option<String> {
    server.run(&["GET", key])
}

#[tokio::test]
async fn nodes_share_the_slots_and_name_each_others() {
    let cluster = RedisCluster::start().await;
    assert_eq!(cluster.nodes().len(), 6);
    assert_eq!(cluster.hosts().split(',').collect::<Vec<_>>(), cluster.addresses());
    assert_eq!(
        [0, 5_460, 5_461, 10_922, 10_923, 16_383].map(|slot| cluster.owner_of(slot)),
        [0, 0, 1, 1, 2, 2]
    );
    let slot = cluster.slot_of("foo");
    assert_eq!((slot, cluster.owner_of(slot)), (12_182, 2));
    cluster.node_of("foo").run::<()>(&["SET", "foo", "bar"]);
    let there = format!("{slot} {}", cluster.addresses()[2]);
    for other in [0, 1, 5] {
        assert_eq!(redirected(&cluster.nodes()[other], "foo"), ("MOVED".to_owned(), there.clone()));
    }
}

#[tokio::test]
async fn a_slot_moves_with_its_keys() {
    let options = ClusterOptions { replicas: 0, ..ClusterOptions::default() };
    let mut cluster = RedisCluster::start_with(options).await;
    let slot = cluster.slot_of("{foo}a");
    let (old, new) = (cluster.owner_of(slot), cluster.add_master().await);
    assert_eq!((old, new), (2, 3));
    for i in 0..250 {
        cluster.nodes()[old].run::<()>(&["SET", &format!("{{foo}}{i}"), "x"]);
    }
    let there = format!("{slot} {}", cluster.addresses()[new]);

    cluster.begin_migration(slot, new);
    assert_eq!(redirected(&cluster.nodes()[old], "{foo}a"), ("ASK".to_owned(), there.clone()));
    assert_eq!(read(&cluster.nodes()[old], "{foo}0").as_deref(), Some("x"));
    assert_eq!(cluster.migrate_keys(slot).len(), 250);
    assert_eq!(redirected(&cluster.nodes()[old], "{foo}0"), ("ASK".to_owned(), there.clone()));
    assert_eq!(cluster.owner_of(slot), old);

    cluster.end_migration(slot).await;
    assert_eq!(cluster.owner_of(slot), new);
    assert_eq!(redirected(&cluster.nodes()[old], "{foo}0"), ("MOVED".to_owned(), there));
    assert_eq!(read(&cluster.nodes()[new], "{foo}249").as_deref(), Some("x"));
}

#[tokio::test]
async fn a_master_that_was_killed_is_replaced_and_comes_back_as_a_replica() {
    let mut cluster = RedisCluster::start().await;
    let slot = cluster.slot_of("foo");
    let old = cluster.owner_of(slot);
    cluster.kill(old);
    let new = cluster.promoted(slot, old).await;
    assert_eq!(new, old + 3);
    cluster.nodes()[new].run::<()>(&["SET", "foo", "bar"]);

    cluster.restart(old);
    cluster.settled().await;
    assert_eq!(cluster.owner_of(slot), new);
    let there = format!("{slot} {}", cluster.addresses()[new]);
    assert_eq!(redirected(&cluster.nodes()[old], "foo"), ("MOVED".to_owned(), there));
}

#[tokio::test]
async fn a_replica_takes_over_while_its_master_runs() {
    let options = ClusterOptions { masters: 1, ..ClusterOptions::default() };
    let mut cluster = RedisCluster::start_with(options).await;
    cluster.nodes()[0].run::<()>(&["SET", "foo", "bar"]);
    cluster.failover(1).await;
    assert_eq!(read(cluster.node_of("foo"), "foo").as_deref(), Some("bar"));
    assert_eq!(cluster.owner_of(0), 1);
    assert_eq!(cluster.add_replica(1).await, 2);
    assert_eq!(redirected(&cluster.nodes()[2], "foo").0, "MOVED");
}

#[tokio::test]
async fn without_full_coverage_the_other_slots_stay_usable() {
    for full_coverage in [false, true] {
        let options = ClusterOptions { replicas: 0, full_coverage, ..ClusterOptions::default() };
        let mut cluster = RedisCluster::start_with(options).await;
        cluster.kill(0);
        let state = |wanted: &str| {
            let info: String = cluster.nodes()[2].run(&["CLUSTER", "INFO"]);
            let bad = !info.contains("cluster_slots_fail:0\r\n");
            bad && info.contains(&format!("cluster_state:{wanted}\r\n"))
        };
        let wanted = if full_coverage { "fail" } else { "ok" };
        holdfast_tests::eventually(wanted, async || state(wanted)).await;
        let got = cluster.nodes()[2].try_command::<Option<String>>(&["GET", "foo"]);
        assert_eq!(got.is_ok(), !full_coverage, "{got:?}");
    }
}

#[tokio::test]
async fn passwords_and_tls_hold_while_slots_move() {
    let options = ClusterOptions {
        password: Some("s3cret-word".to_owned()),
        tls: true,
        ..ClusterOptions::default()
    };
    let mut cluster = RedisCluster::start_with(options).await;
    let slot = cluster.slot_of("foo");
    assert_eq!(cluster.addresses()[0], format!("127.0.0.1:{}", cluster.nodes()[0].tls_port()));
    cluster.nodes()[2].run::<()>(&["SET", "foo", "bar"]);
    cluster.move_slot(slot, 0).await;
    assert_eq!(read(&cluster.nodes()[0], "foo").as_deref(), Some("bar"));
    cluster.kill(0);
    assert_eq!(cluster.promoted(slot, 0).await, 3);
}
