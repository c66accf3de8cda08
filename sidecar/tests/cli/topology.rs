//! The servers that `check` finds, and a store behind Redis Sentinel as `serve` has it.

use std::net::TcpListener;

use holdfast_tests::{
    holdfast::Holdfast,
    http_api::{ACQUIRED, HELD},
    redis_cluster::{ClusterOptions, RedisCluster},
    redis_server::RedisServer,
    resources::{Resources, definition, redis},
    sentinel_group::SentinelGroup,
};

use crate::{HOLDFAST, run};

/// The rows of the table of servers: address, role and findings.
fn servers(output: &str) -> Vec<[String; 3]> {
    let (_, table) =
        output.split_once("Servers of lockstore:\n").unwrap_or_else(|| panic!("{output}"));
    let rows = table.lines().skip(1).take_while(|line| !line.is_empty());
    rows.map(|row| {
        let mut words = row.split_whitespace();
        let [address, role] = [(); 2].map(|()| words.next().unwrap().to_owned());
        [address, role, words.collect::<Vec<_>>().join(" ")]
    })
    .collect()
}

fn check(resources: &Resources) -> String {
    let (code, output, stderr) = run(&["check", "--resources-path", resources.path()]);
    assert_eq!(code, 0, "{output}{stderr}");
    output
}

/// A component file as Dapr's documentation has it for Redis Sentinel.
fn behind_sentinel(group: &SentinelGroup) -> Resources {
    let text = format!(
        r#"apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: lockstore
spec:
  type: lock.redis
  version: v1
  metadata:
  - name: redisHost
    value: "{}"
  - name: redisPassword
    value: ""
  - name: failover
    value: "true"
  - name: sentinelMasterName
    value: "mymaster"
"#,
        group.hosts()
    );
    Resources::new(&[("lockstore.yaml", &text)])
}

#[tokio::test]
async fn a_standalone_server_is_reported() {
    let server = RedisServer::start();
    let output = check(&Resources::new(&[("s.yaml", &redis("lockstore", &server, &[]))]));
    let [[address, role, about]] = &servers(&output)[..] else { panic!("{output}") };
    assert_eq!((address, role.as_str()), (&server.address(), "alone"));
    assert!(about.starts_with("Redis ") && about.contains("no replicas"), "{about}");
    assert!(output.contains("\nlockstore: A lock is as safe as this one server: "), "{output}");
}

#[tokio::test]
async fn master_replicas_and_sentinels_are_reported() {
    let group = SentinelGroup::start().await;
    let resources = behind_sentinel(&group);
    let output = check(&resources);
    let mut found = servers(&output);
    let master = found.remove(0);
    assert_eq!((&master[0], master[1].as_str()), (&group.node_address(0), "master"));
    let with = |role: &str| {
        let of_role = found.iter().filter(|server| server[1] == role);
        let mut reported: Vec<_> =
            of_role.map(|server| (server[0].clone(), server[2].clone())).collect();
        reported.sort();
        reported
    };
    let expected = |addresses: Vec<String>, about: &str| {
        let mut expected: Vec<_> =
            addresses.into_iter().map(|address| (address, about.to_owned())).collect();
        expected.sort();
        expected
    };
    let replicas = [1, 2].map(|node| group.node_address(node)).to_vec();
    assert_eq!(with("replica"), expected(replicas, "online"));
    let about = format!("the master is {}", group.node_address(0));
    assert_eq!(with("sentinel"), expected(group.addresses(), &about));
    assert!(output.contains("a failover can lose a lock"), "{output}");
}

#[tokio::test]
async fn the_masters_and_replicas_of_a_cluster_are_also_reported_as_json() {
    let options = ClusterOptions { replicas: 1, ..ClusterOptions::default() };
    let cluster = RedisCluster::start_with(options).await;
    let hosts = cluster.hosts();
    let settings = [("redisHost", hosts.as_str()), ("redisType", "cluster"), ("minReplicas", "1")];
    let file = definition("lockstore", "lock.redis", &settings);
    let resources = Resources::new(&[("lockstore.yaml", &file)]);
    let found = servers(&check(&resources));
    let count = |role: &str| found.iter().filter(|server| server[1] == role).count();
    assert_eq!((count("master"), count("replica")), (3, 3));
    let slots = found.iter().filter_map(|server| server[2].split_once(" slots, "));
    assert_eq!(slots.map(|(slots, _)| slots.parse::<u32>().unwrap()).sum::<u32>(), 16_384);

    let (code, document, _) = run(&["check", "--json", "--resources-path", resources.path()]);
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let store = &document["stores"][0];
    assert_eq!((code, store["servers"].as_array().unwrap().len()), (0, 6));
    assert_eq!(store["servers"][0]["role"], "master");
    let promise = store["promise"].as_str().unwrap();
    assert!(promise.contains("1 replica has a lock"), "{promise}");
}

#[tokio::test]
async fn a_component_file_of_dapr_for_sentinel_works_unchanged_through_a_failover() {
    let group = SentinelGroup::start().await;
    let resources = behind_sentinel(&group);
    let arguments = ["--app-id", "app1", "--resources-path", resources.path()];
    let holdfast = Holdfast::serve(HOLDFAST, &arguments);
    holdfast.wait_for("a failover can lose a lock that was just taken");
    assert_eq!(holdfast.try_lock("lockstore", "r", "o", 60).await, ACQUIRED);
    assert_eq!(group.master().run::<String>(&["GET", "lock||app1||r"]), "o");
    group.replicated().await;
    let new = group.failover().await;
    holdfast.wait_for(&format!("the master is {}", group.node_address(new)));
    let held = holdfast.try_lock("lockstore", "r", "other", 60).await;
    assert_eq!(held, HELD);
}

#[tokio::test]
async fn a_quorum_is_reported_and_served() {
    let persistent = ["--appendonly", "yes", "--appendfsync", "always"];
    let redis: [RedisServer; 3] = std::array::from_fn(|_| RedisServer::start_with(&persistent));
    let hosts = redis.iter().map(RedisServer::address).collect::<Vec<_>>().join(",");
    let settings = [("redisHost", hosts.as_str()), ("redisType", "quorum")];
    let file = definition("lockstore", "lock.redis", &settings);
    let resources = Resources::new(&[("lockstore.yaml", &file)]);
    let output = check(&resources);
    let found = servers(&output);
    assert_eq!(found.iter().filter(|server| server[1] == "alone").count(), 3);
    assert!(
        output.contains("\nlockstore: A lock is held where 2 of 3 servers have it"),
        "{output}"
    );

    let holdfast = Holdfast::serve(HOLDFAST, &["--resources-path", resources.path()]);
    assert_eq!(holdfast.try_lock("lockstore", "r", "o", 60).await, ACQUIRED);
    redis[0].suspend();
    assert_eq!(holdfast.try_lock("lockstore", "r", "other", 60).await, HELD);
    assert_eq!(holdfast.try_lock("lockstore", "s", "o", 60).await, ACQUIRED);
    redis[0].resume();
    let body = r#"{"resourceId":"r","lockOwner":"o","expiryInSeconds":61}"#;
    let (status, refused) = holdfast.post("/v1.0-alpha1/lock/lockstore", body).await;
    assert_eq!(status, 500);
    assert!(refused.contains("quorumMaxTtl"), "{refused}");
}

#[test]
fn a_store_that_opens_too_late_is_reported_with_what_it_waits_for() {
    // The system accepts the connections; nobody answers.
    let silent: [TcpListener; 3] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let mut addresses = silent.each_ref().map(|it| it.local_addr().unwrap().to_string());
    // The causes are sorted, too.
    addresses.sort();
    let [one, two, three] = addresses.each_ref().map(String::as_str);
    let (pair, all) = (format!("{one},{two}"), addresses.join(","));
    let sentinel = [("failover", "true"), ("sentinelMasterName", "m")];
    let tls = [("enableTLS", "true")];
    for (settings, dial_timeout, expected) in [
        (
            [&[("redisHost", &*pair)], &sentinel[..]].concat(),
            "600ms",
            format!("no sentinel reported the master: {one}: no connection within 300ms; {two}: "),
        ),
        (
            [&[("redisHost", &*pair)], &sentinel[..]].concat(),
            "60s",
            "no sentinel has reported the master yet".to_owned(),
        ),
        (vec![("redisHost", one)], "60s", format!("redis {one}: no connection yet\n")),
        (
            [&[("redisHost", one)], &tls[..]].concat(),
            "60s",
            format!("redis {one}: no connection yet (does the server speak TLS on this port?"),
        ),
        (
            [&[("redisHost", one), ("redisType", "cluster")], &tls[..]].concat(),
            "60s",
            "no node has reported the slots yet (does the server speak TLS on this port?"
                .to_owned(),
        ),
        (
            [&[("redisHost", one)], &sentinel[..], &tls[..]].concat(),
            "60s",
            "no sentinel has reported the master yet (does the server speak TLS on this port?"
                .to_owned(),
        ),
        (
            vec![("redisHost", &*all), ("redisType", "quorum")],
            "60s",
            format!(
                "only 0 of 3 servers can be used: {one}: no connection yet; {two}: no connection yet; {three}: "
            ),
        ),
    ] {
        let settings = [settings, vec![("dialTimeout", dial_timeout)]].concat();
        let file = definition("lockstore", "lock.redis", &settings) + "  initTimeout: 1s\n";
        let resources = Resources::new(&[("lockstore.yaml", &file)]);
        let (code, output, stderr) = run(&["check", "--resources-path", resources.path()]);
        assert_eq!(code, 2, "{output}{stderr}");
        let (_, cause) =
            output.split_once("not opened within its initTimeout of 1s: ").unwrap_or_else(|| {
                panic!("{output}{stderr}");
            });
        assert!(cause.contains(&expected), "{output}");
    }
}
