//! Locks that a majority of several servers holds: servers that fail, and come back without their locks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use holdfast::{
    Error, LeaseOptions, Locks, Lost, Resource,
    store::{
        Acquired, Extended, Failure, Released, Store,
        properties::Properties,
        quorum::{Node, QuorumSettings, QuorumStore},
        redis::{self, RedisSettings, RedisStore},
    },
};
use holdfast_tests::{
    LONG, MINUTE, SECOND, STORE, assert_granted,
    clock::Clock,
    eventually, is_granted,
    proxy::Proxy,
    redis_quorum,
    redis_server::RedisServer,
    redis_store::{self, ONCE, Setting, locker},
};
use tokio::time::timeout;

use crate::{log::Log, not_done};

/// In milliseconds, as clocks are set.
const HOUR: i64 = 3_600_000;

const KEY: &str = "lock||app||r";

fn servers<const N: usize>() -> [RedisServer; N] {
    std::array::from_fn(|_| RedisServer::start())
}

/// A store over these servers, whose restarts do not matter.
fn over(servers: &[RedisServer]) -> QuorumStore {
    redis_quorum::over(&servers.iter().collect::<Vec<_>>(), MINUTE, None)
}

fn holders(servers: &[RedisServer], key: &str) -> usize {
    servers.iter().filter(|server| server.exists(key)).count()
}

async fn number(store: &QuorumStore, owner: &str) -> u64 {
    number_of(store, KEY, owner).await
}

async fn number_of(store: &QuorumStore, key: &str, owner: &str) -> u64 {
    match store.acquire_fenced(key, owner, MINUTE).await {
        Ok(Acquired::Granted(grant)) => grant.fencing_token.unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn assert_works(store: &QuorumStore) {
    // A new key each time: a server that stood still may have the keys of earlier calls.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let key = &*format!("lock||app||{}", NEXT.fetch_add(1, Ordering::Relaxed));
    assert_granted(store.acquire(key, "me", MINUTE).await);
    assert_eq!(store.acquire(key, "you", MINUTE).await, Ok(Acquired::Held));
    assert_eq!(store.release(key, "you").await, Ok(Released::HeldByOther));
    let extended = store.extend(key, "me", MINUTE, false).await;
    assert!(matches!(extended, Ok(Extended::Extended(50_000..=60_000))), "{extended:?}");
    assert_eq!(store.inspect(key).await.unwrap().unwrap().owner, "me");
    assert_eq!(store.release(key, "me").await, Ok(Released::Released));
    let number = number_of(store, key, "you").await;
    eventually("all who look find the token", async || {
        store.inspect(key).await.unwrap().unwrap().fencing_token == Some(number)
    })
    .await;
    assert_eq!(store.force_release(key).await, Ok(Some("you".to_owned())));
    assert_eq!(store.inspect(key).await, Ok(None));
}

#[tokio::test]
async fn locks_go_on_without_two_of_five_servers() {
    let mut servers = servers::<5>();
    let store = over(&servers);
    assert_works(&store).await;
    servers[0].suspend();
    servers[3].kill();
    assert_works(&store).await;
    servers[0].resume();
    servers[3].restart();
    servers[1].kill();
    servers[2].suspend();
    let again = "lock||app||again";
    eventually("the others are there again", async || {
        let outcome = store.acquire(again, "me", MINUTE).await;
        let is_granted = is_granted(&outcome);
        assert!(store.release(again, "me").await.is_ok() || !is_granted);
        is_granted
    })
    .await;
    assert_works(&store).await;
    servers[2].resume();
}

#[tokio::test]
async fn without_three_of_five_servers_a_lock_is_refused_and_nothing_is_left() {
    let mut servers = servers::<5>();
    let store = over(&servers);
    assert_works(&store).await;
    servers[..3].iter_mut().for_each(RedisServer::kill);
    // A slow server may still have the lock of the calls above.
    let key = "lock||app||other";
    let acquire =
        async || timeout(LONG, store.acquire(key, "me", MINUTE)).await.expect("an answer in time");
    // The first call finds that its connections have ended.
    eventually("the servers are known to be down", async || {
        matches!(acquire().await, Err(Failure::NotDone(_)))
    })
    .await;
    let cause = not_done(acquire().await);
    let expected =
        "no majority of the 5 nodes: 2 granted the lock, 0 said that it is held, 3 failed (";
    assert!(cause.starts_with(expected), "{cause}");
    for server in &servers[..3] {
        let refused = format!("redis {}: connection refused", server.address());
        assert!(cause.contains(&refused), "{cause}");
    }
    assert_eq!(holders(&servers[3..], key), 0);
}

#[tokio::test]
async fn what_servers_that_stand_still_take_later_is_given_back_or_bounded() {
    let servers = servers::<5>();
    let store = over(&servers);
    assert_works(&store).await;
    servers[..3].iter().for_each(RedisServer::suspend);
    let outcome = timeout(LONG, store.acquire(KEY, "me", MINUTE)).await.expect("an answer");
    let Err(Failure::Unknown(unknown)) = outcome else { panic!("{outcome:?}") };
    let expected =
        "no majority of the 5 nodes: 2 granted the lock, 0 said that it is held, 3 failed (";
    assert!(unknown.cause.starts_with(expected), "{}", unknown.cause);
    assert!(unknown.held_until().is_some());
    servers[..3].iter().for_each(RedisServer::resume);
    eventually("nothing is left", async || holders(&servers, KEY) == 0).await;
    // Not by the same owner at once: its releases may come late.
    eventually("another owner has it", async || {
        is_granted(&store.acquire(KEY, "you", MINUTE).await)
    })
    .await;
}

/// Takes a lock at the first two of three servers, has the second forget it in a restart, and returns whether somebody
/// else then has it as well.
async fn is_taken_twice(rejoin_after: Option<Duration>) -> Result<Acquired, Failure> {
    const TTL: Duration = Duration::from_secs(6);
    let mut servers = servers::<3>();
    let all: Vec<_> = servers.iter().collect();
    let (mine, yours) = [(); 2].map(|()| redis_quorum::over(&all, TTL, rejoin_after)).into();
    eventually("all servers run for long enough", async || {
        let is_granted = is_granted(&mine.acquire("other", "me", TTL).await);
        let all = holders(&servers, "other") == servers.len();
        is_granted && mine.release("other", "me").await.is_ok() && all
    })
    .await;
    assert_granted(mine.acquire(KEY, "me", TTL).await);
    eventually("all servers have it", async || holders(&servers, KEY) == 3).await;
    servers[2].run::<()>(&["DEL", KEY]);
    servers[1].kill();
    servers[1].restart();
    // The first call finds that a connection has ended.
    let first = yours.acquire(KEY, "you", TTL).await;
    let outcome = if is_granted(&first) { first } else { yours.acquire(KEY, "they", TTL).await };
    assert_eq!(servers[0].run::<String>(&["GET", KEY]), "me");
    outcome
}

#[tokio::test]
async fn a_server_that_restarted_empty_takes_part_in_no_second_majority() {
    let longest = Some(Duration::from_secs(6));
    let outcome = is_taken_twice(longest).await;
    assert!(!is_granted(&outcome), "{outcome:?}");
    // Without that, it does.
    let outcome = is_taken_twice(None).await;
    assert!(is_granted(&outcome), "{outcome:?}");
}

async fn node(server: &RedisServer, rejoin_after: Duration, login: Option<&str>) -> RedisStore {
    let mut settings =
        RedisSettings::new("127.0.0.1").port(server.port()).rejoin_after(rejoin_after).retries(0);
    if let Some(password) = login {
        settings = settings.username("locker").password(password);
    }
    RedisStore::connect(STORE, settings).await.unwrap()
}

#[tokio::test]
async fn a_server_stays_out_after_its_start_unless_it_loses_nothing() {
    let all = "+ping +set +get +del +eval +time";
    for (arguments, commands, stays_out) in [
        (&["--appendonly", "no"][..], None, true),
        (&["--appendonly", "yes", "--appendfsync", "everysec"], None, true),
        (&["--appendonly", "yes", "--appendfsync", "always"], None, false),
        // Locks of the time of a rewrite may not be on the disk.
        (
            &[
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--no-appendfsync-on-rewrite",
                "yes",
            ],
            None,
            true,
        ),
        (
            &["--appendonly", "yes", "--appendfsync", "always"],
            Some(format!("{all} +info +config|get")),
            false,
        ),
        // The server does not report its `appendfsync`, or its uptime.
        (&["--appendonly", "yes", "--appendfsync", "always"], Some(format!("{all} +info")), true),
        (&["--appendonly", "yes", "--appendfsync", "always"], Some(all.to_owned()), true),
    ] {
        let server = RedisServer::start_with(arguments);
        let login = commands.as_ref().map(|commands| {
            locker(&server, "s3cret-word", commands);
            "s3cret-word"
        });
        let store = node(&server, MINUTE, login).await;
        let outcome = store.acquire("lock||k", "me", MINUTE).await;
        let context = format!("{arguments:?} {commands:?}: {outcome:?}");
        assert_eq!(is_granted(&outcome), !stays_out, "{context}");
        if stays_out {
            let cause = not_done(outcome);
            assert!(cause.contains("may have lost locks: it takes part again in "), "{context}");
            assert!(!server.exists("lock||k"), "{context}");
            // Its locks are released and inspected as ever.
            server.run::<()>(&["SET", "lock||k", "me"]);
            assert_eq!(store.release("lock||k", "me").await, Ok(Released::Released));
        }
    }
}

#[tokio::test]
async fn a_server_takes_part_again_when_the_locks_that_it_forgot_would_have_ended() {
    let mut server = RedisServer::start();
    let store = node(&server, 3 * SECOND, None).await;
    for _ in 0..2 {
        eventually("it takes part", async || is_granted(&store.acquire("k", "me", MINUTE).await))
            .await;
        server.kill();
        server.restart();
        eventually("it stays out", async || {
            let outcome = store.acquire("k", "me", MINUTE).await;
            assert!(!is_granted(&outcome), "{outcome:?}");
            not_done_or_lost(outcome).contains("the server restarted ")
        })
        .await;
    }
}

/// The cause of a failure.
fn not_done_or_lost(outcome: Result<Acquired, Failure>) -> String {
    outcome.map(|it| format!("{it:?}")).unwrap_or_else(|failure| failure.cause().to_owned())
}

#[tokio::test]
async fn tokens_grow_though_the_clocks_of_the_servers_are_hours_apart() {
    let Some(mut clocks) = (0..3).map(|_| Clock::make()).collect::<Option<Vec<_>>>() else {
        return;
    };
    for (clock, ahead) in clocks.iter_mut().zip([HOUR, 0, -HOUR]) {
        clock.step(ahead);
    }
    let servers: Vec<_> = clocks.iter().map(|clock| RedisServer::start_by(clock, &[])).collect();
    let store = over(&servers);
    let mut latest = 0;
    // Each majority follows each other one.
    for without in [2, 0, 1, 2, 1, 0, 2] {
        servers[without].suspend();
        let owner = without.to_string();
        let number = number(&store, &owner).await;
        assert!(number > latest, "{number} after {latest}, without server {without}");
        latest = number;
        assert_eq!(store.release(KEY, &owner).await, Ok(Released::Released));
        servers[without].resume();
        eventually("nothing is left", async || holders(&servers, KEY) == 0).await;
        eventually("all servers answer again", async || {
            let before = servers.iter().map(|server| server.calls("set")).collect::<Vec<_>>();
            assert_granted(store.acquire("other", "me", MINUTE).await);
            assert_eq!(store.release("other", "me").await, Ok(Released::Released));
            servers.iter().zip(before).all(|(server, before)| server.calls("set") > before)
        })
        .await;
    }
}

#[tokio::test]
async fn a_token_that_was_raised_is_kept_and_never_falls() {
    let server = RedisServer::start();
    let store = RedisStore::connect(STORE, RedisSettings::new("127.0.0.1").port(server.port()));
    let store = store.await.unwrap();
    let fence = "lock||fence||{lock||app||r}";
    let ahead = 4_000_000_000_000_000;
    for (raised, expected) in [(5, 5), (ahead, ahead), (7, ahead)] {
        assert_eq!(store.raise_fencing_token(KEY, raised).await, Ok(()));
        assert_eq!(server.run::<u64>(&["GET", fence]), expected);
    }
    let hours = server.run::<u64>(&["PTTL", fence]) / 3_600_000;
    assert!((30 * 24 - 1..=30 * 24).contains(&hours), "{hours}");
    // A fencing token that is kept for longer stays so.
    server.run::<()>(&["PEXPIRE", fence, "9000000000"]);
    assert_eq!(store.raise_fencing_token(KEY, 8).await, Ok(()));
    assert!(server.run::<u64>(&["PTTL", fence]) > 8_000_000_000);
    let outcome = store.acquire_fenced(KEY, "me", MINUTE).await;
    let Ok(Acquired::Granted(grant)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(grant.fencing_token, Some(ahead + 1));
    let cause = not_done(store.raise_fencing_token(KEY, u64::MAX).await);
    assert!(cause.contains("is too large"), "{cause}");
}

const R: Resource<'static> = Resource { store: STORE, id: "r" };

fn locks(store: QuorumStore) -> Locks {
    Locks::builder().store(STORE, Arc::new(store)).build().unwrap()
}

#[tokio::test]
async fn a_waiter_is_served_when_the_holder_releases() -> Result<(), Error> {
    let mut servers = servers::<3>();
    let (mine, yours) = (locks(over(&servers)), locks(over(&servers)));
    let lease = mine.keep(R, &LeaseOptions::new(MINUTE), None).await?.unwrap();
    // Also with a server less.
    servers[1].kill();
    let options = LeaseOptions::new(MINUTE).wait(LONG);
    let waiting = tokio::spawn(async move { yours.acquire(R, &options).await });
    eventually("somebody waits", async || {
        servers[0].run::<String>(&["CLIENT", "LIST"]).matches("flags=t").count() > 0
    })
    .await;
    lease.release().await?;
    assert!(waiting.await.unwrap()?.is_some());
    Ok(())
}

#[tokio::test]
async fn a_lease_that_is_kept_is_lost_with_a_majority_and_not_before() -> Result<(), Error> {
    let servers = servers::<3>();
    let locks = locks(over(&servers));
    let lease = locks.keep(R, &LeaseOptions::new(MINUTE), None).await?.unwrap();
    eventually("all servers have it", async || holders(&servers, "lock||r") == 3).await;
    let extends = || servers[1].calls("eval");
    let before = extends();
    servers[0].run::<()>(&["FLUSHALL"]);
    eventually("it is extended because it changed", async || extends() > before).await;
    assert_eq!(holders(&servers, "lock||r"), 2);
    servers[1].run::<()>(&["FLUSHALL"]);
    assert_eq!(timeout(LONG, lease.lost()).await, Ok(Lost::Gone));
    Ok(())
}

/// Connects as a component file does, with these settings too.
async fn connect(
    servers: &[RedisServer],
    settings: &[Setting<'_>],
) -> Result<Arc<dyn Store>, String> {
    let hosts: Vec<String> = servers.iter().map(RedisServer::address).collect();
    connect_to(&hosts.iter().map(String::as_str).collect::<Vec<_>>(), settings).await
}

async fn connect_to(hosts: &[&str], settings: &[Setting<'_>]) -> Result<Arc<dyn Store>, String> {
    let mut properties: Properties = settings.iter().copied().collect();
    properties.insert("redisHost", hosts.join(","));
    properties.insert("redisType", "quorum");
    let settings = RedisSettings::parse(&properties).map_err(|error| error.to_string())?;
    redis::connect(STORE, settings).await.map_err(|error| error.to_string())
}

/// Servers that lose nothing in a restart.
fn lasting<const N: usize>() -> [RedisServer; N] {
    let arguments = ["--appendonly", "yes", "--appendfsync", "always"];
    std::array::from_fn(|_| RedisServer::start_with(&arguments))
}

#[tokio::test]
async fn a_quorum_is_opened_by_its_settings_and_by_a_majority_of_its_servers() {
    let mut servers = lasting::<3>();
    let store = connect(&servers, &[]).await.unwrap();
    assert_granted(store.acquire(KEY, "me", MINUTE).await);
    assert_eq!(holders(&servers, KEY), 3);
    let survey = store.survey().await;
    assert_eq!(survey.servers.len(), 3);
    assert!(
        survey.promise.contains("2 of 3 servers have it: any 1 of them may fail"),
        "{survey:?}"
    );

    servers[2].kill();
    let store = connect(&servers, &[]).await.unwrap();
    assert_eq!(store.acquire(KEY, "you", MINUTE).await, Ok(Acquired::Held));
    servers[2].restart();
    assert_eq!(store.release(KEY, "me").await, Ok(Released::Released));
    eventually("all servers take part", async || {
        assert_granted(store.acquire(KEY, "me", MINUTE).await);
        let all = holders(&servers, KEY) == 3;
        assert_eq!(store.release(KEY, "me").await, Ok(Released::Released));
        all
    })
    .await;

    for server in &mut servers[1..] {
        server.kill();
    }
    let refused = connect(&servers, &[]).await.map(drop).unwrap_err();
    assert!(refused.contains("only 1 of 3 servers can be used: "), "{refused}");
    assert!(
        refused.contains(&format!("{}: connection refused", servers[1].address())),
        "{refused}"
    );
}

#[tokio::test]
async fn a_server_that_cannot_keep_locks_is_refused_in_a_quorum_too() {
    let servers = lasting::<3>();
    servers[1].run::<()>(&["REPLICAOF", "127.0.0.1", &servers[0].port().to_string()]);
    let refused = connect(&servers, &[]).await.map(drop).unwrap_err();
    assert!(refused.contains("replica"), "{refused}");
}

#[tokio::test]
async fn one_server_under_two_names_is_refused() {
    let servers = lasting::<2>();
    let [first, second] = servers.each_ref().map(RedisServer::address);
    let alias = format!("localhost:{}", servers[0].port());
    let refused = connect_to(&[&first, &second, &alias], &[]).await.map(drop).unwrap_err();
    // Both are connected at once, and the later one is refused.
    let twin = |one: &str, other: &str| format!("redis {one}: it is the same server as {other}: ");
    let named = [twin(&alias, &first), twin(&first, &alias)];
    assert!(named.iter().any(|named| refused.starts_with(named)), "{refused}");
}

#[tokio::test]
async fn a_server_that_is_found_later_to_be_another_of_them_takes_no_part() {
    let mut servers = lasting::<2>();
    let [first, second] = servers.each_ref().map(RedisServer::address);
    let proxy = Proxy::to(servers[0].port()).await;
    // There is no answer from there at the start.
    proxy.swallow();
    let store = connect_to(&[&first, &second, &proxy.address()], &[]).await.unwrap();
    assert_granted(store.acquire(KEY, "me", MINUTE).await);
    servers[1].kill();
    proxy.mend();
    // Connections that were opened before stay silent.
    proxy.cut();
    let twin = format!("it is the same server as {first}");
    eventually("it is known for what it is", async || {
        // Two answers of one server would be a majority.
        let failure = store.extend(KEY, "me", MINUTE, false).await.unwrap_err();
        failure.cause().contains(&twin)
    })
    .await;
    servers[1].restart();
    eventually("the others go on", async || {
        matches!(store.extend(KEY, "me", MINUTE, false).await, Ok(Extended::Extended(_)))
    })
    .await;
}

#[tokio::test]
async fn in_a_quorum_of_any_stores_too_one_server_under_two_names_counts_once() {
    let settings = [ONCE, ("redisMaxRetryInterval", "20ms")];
    for is_connected in [false, true] {
        let mut servers = lasting::<2>();
        let [first, second] = servers.each_ref().map(RedisServer::address);
        let alias = format!("localhost:{}", servers[0].port());
        let mut nodes = Vec::new();
        for (name, host) in [("one", first), ("alias", alias), ("other", second)] {
            let store = match is_connected {
                true => redis_store::connect_to(&host, &settings).await.unwrap(),
                false => redis_store::unconnected(&host, &settings),
            };
            nodes.push(Node::new(name, Arc::new(store)));
        }
        let patient = QuorumSettings::new().node_timeout(2 * SECOND);
        let store = QuorumStore::new(STORE, nodes, patient).unwrap();
        assert_granted(store.acquire(KEY, "me", MINUTE).await);
        assert_eq!(holders(&servers, KEY), 2);
        servers[1].kill();
        eventually("it is found out", async || {
            // Two answers of one server would be a majority.
            let failure = store.extend(KEY, "me", MINUTE, false).await.unwrap_err();
            let cause = failure.cause();
            ["one", "alias"]
                .iter()
                .any(|first| cause.contains(&format!("it is the same server as {first}: ")))
        })
        .await;
        let outcome = store.acquire("lock||app||other", "me", MINUTE).await;
        assert!(outcome.is_err(), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_the_login_is_reported_as_such() {
    for (settings, code) in [(&[][..], "NOAUTH"), (&[("redisPassword", "mine")], "WRONGPASS")] {
        let servers = lasting::<3>();
        servers[1].run::<()>(&["CONFIG", "SET", "requirepass", "other"]);
        let (log, guard) = Log::start();
        let store = connect(&servers, settings).await.unwrap();
        drop(guard);
        assert_granted(store.acquire(KEY, "me", MINUTE).await);
        let text = log.text();
        let refuses = "a server of the quorum refuses the login (redisUsername, redisPassword)";
        let mut lines = text.lines().filter(|line| line.contains(refuses));
        let line = lines.next().unwrap_or_else(|| panic!("{text}"));
        assert!(line.contains(&servers[1].address()) && line.contains(code), "{text}");
        assert_eq!((lines.next(), text.contains("cannot be reached")), (None, false), "{text}");

        servers[2].run::<()>(&["CONFIG", "SET", "requirepass", "other"]);
        let refused = connect(&servers, settings).await.map(drop).unwrap_err();
        let expected = format!(
            "only 1 of 3 servers can be used: {}: it refuses the login (redisUsername, redisPassword): {code} ",
            servers[1].address()
        );
        assert!(refused.contains(&expected), "{refused}");
    }
}

#[tokio::test]
async fn a_time_to_live_beyond_the_longest_is_refused_by_the_name_of_its_setting() {
    let servers = lasting::<3>();
    let store = connect(&servers, &[("quorumMaxTtl", "5s")]).await.unwrap();
    let refused = not_done(store.acquire(KEY, "me", 6 * SECOND).await);
    assert!(refused.contains("longer than quorumMaxTtl, 5s"), "{refused}");
    assert_granted(store.acquire(KEY, "me", 5 * SECOND).await);
}

#[tokio::test]
async fn servers_that_have_just_started_take_no_locks_at_first() {
    let servers = servers::<3>();
    let store = connect(&servers, &[]).await.unwrap();
    let refused = not_done(store.acquire(KEY, "me", MINUTE).await);
    assert!(refused.contains("may have lost locks: it takes part again in"), "{refused}");
    let soon = connect(&servers, &[("quorumMaxTtl", "4s")]).await.unwrap();
    eventually("they take part", async || is_granted(&soon.acquire(KEY, "me", SECOND).await)).await;
}
