//! The needs of the library's store to connect: passwords, users, TLS, and a server that can keep locks.

use std::{
    env, fs,
    process::{Command, Stdio},
};

use holdfast::store::{
    Failure, Released, Store,
    redis::{ConnectError, RedisSettings, RedisStore, RefusedLogin},
};
use holdfast_tests::{
    MINUTE, assert_granted,
    certificates::{Authority, Certified, self_signed},
    eventually, free_port,
    proxy::Proxy,
    redis_options::RedisOptions,
    redis_server::RedisServer,
    redis_store::{ONCE, Setting, connect, connect_to, locker, unconnected},
};

use tokio::{io::AsyncReadExt, net::TcpListener};

use crate::{QUICK_RETRIES, log::Log, not_done};

const SECRET: &str = "s3cret-word";
const TLS: Setting = ("enableTLS", "true");
const ANY: Setting = ("insecureSkipTLSVerify", "true");

async fn assert_works(store: &RedisStore) {
    assert_granted(store.acquire("lock||k", "me", MINUTE).await);
    assert_eq!(store.release("lock||k", "me").await, Ok(Released::Released));
}

/// The error of a refused connection, which names the server and not the password.
fn refused(outcome: Result<RedisStore, ConnectError>, server: &RedisServer) -> ConnectError {
    let error = outcome.expect_err("a refusal");
    let text = error.to_string();
    assert!(text.starts_with(&format!("redis {}: ", server.address())), "{text}");
    assert!(!text.contains(SECRET), "{text}");
    error
}

/// Why a server is not reached, and how it refuses the login if it does.
fn unreachable(
    outcome: Result<RedisStore, ConnectError>,
    server: &RedisServer,
) -> (String, Option<RefusedLogin>) {
    match refused(outcome, server) {
        ConnectError::Unreachable { cause, login, .. } => (cause, login),
        other => panic!("{other:?}"),
    }
}

/// Why a server that is reached cannot keep locks.
fn unfit(outcome: Result<RedisStore, ConnectError>, server: &RedisServer) -> String {
    match refused(outcome, server) {
        ConnectError::Unfit { cause, .. } => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_password_must_be_right() {
    let server = RedisServer::start_with_password(SECRET);
    let store = connect(&server, &[("redisPassword", SECRET)]).await.unwrap();
    assert_works(&store).await;

    let wrong = connect(&server, &[("redisPassword", "wrong")]).await;
    let missing = connect(&server, &[]).await;
    for (outcome, expected, hint) in [
        (wrong, RefusedLogin::Wrong, " (see redisUsername and redisPassword)"),
        (missing, RefusedLogin::Missing, " (set redisPassword)"),
    ] {
        let (cause, login) = unreachable(outcome, &server);
        assert_eq!(login, Some(expected), "{cause}");
        assert!(cause.ends_with(hint), "{cause}");
    }
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    // It listens on 127.0.0.1 only, and `localhost` may have ::1 as well.
    let server = RedisServer::start();
    let store = connect_to(&format!("localhost:{}", server.port()), &[ONCE]).await.unwrap();
    assert_works(&store).await;
}

#[tokio::test]
async fn settings_may_be_a_url_or_setters() {
    let server = RedisServer::start_with_password(SECRET);
    let url = format!("redis://:{SECRET}@{}/3", server.address());
    let from_url = RedisSettings::from_url(&url).unwrap();
    assert_works(&RedisStore::connect("locks", from_url).await.unwrap()).await;

    let set = RedisSettings::new("127.0.0.1").port(server.port()).db(3);
    let store = RedisStore::connect("locks", set.clone().password(SECRET)).await.unwrap();
    assert_works(&store).await;
    let (_, login) = unreachable(RedisStore::connect("locks", set).await, &server);
    assert_eq!(login, Some(RefusedLogin::Missing));
}

#[tokio::test]
async fn a_setter_that_went_wrong_is_an_error_of_connecting() {
    let Certified { certificate, key } = Authority::new().certify("client");
    for (settings, expected) in [
        (RedisSettings::new("h").port(0), "RedisSettings::port: the port is 0"),
        (
            RedisSettings::new("h").client_certificate(&certificate, &key),
            "RedisSettings::client_certificate: a client certificate needs TLS",
        ),
    ] {
        let error = RedisStore::connect("locks", settings).await.unwrap_err();
        assert!(matches!(error, ConnectError::Setting(_)), "{error}");
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_user_needs_only_the_commands_of_a_lock() {
    let server = RedisServer::start();
    let login = locker(&server, SECRET, "+set +get +del +evalsha +eval +ping");
    let store = connect(&server, &login).await.unwrap();
    assert_works(&store).await;

    let cause = not_done(store.acquire("other", "me", MINUTE).await);
    assert!(cause.contains("NOPERM"), "{cause}");

    // The log says if the user could not try a lock. With the keys of the store the user can.
    server.run::<()>(&["ACL", "SETUSER", "locker", "resetkeys", "~lock||shop||*", "+info"]);
    for (start, warned) in [("lock||", true), ("lock||shop||", false)] {
        let settings = RedisSettings::new("127.0.0.1").port(server.port());
        let settings = settings.username("locker").password(SECRET).check_key_prefix(start);
        let (log, guard) = Log::start();
        RedisStore::connect("locks", settings).await.unwrap();
        drop(guard);
        let text = log.text();
        let warning = format!("may not use the key {start}holdfast-check-");
        assert_eq!(text.contains(&warning), warned, "{text}");
    }

    let wrong = [("redisUsername", "locker"), ("redisPassword", "wrong")];
    let (_, login) = unreachable(connect(&server, &wrong).await, &server);
    assert_eq!(login, Some(RefusedLogin::Wrong));
}

#[tokio::test]
async fn a_user_who_may_do_what_daprd_needs_is_enough() {
    let server = RedisServer::start();
    let login = locker(&server, SECRET, "+ping +set +get +del +eval +info");
    assert_works(&connect(&server, &login).await.unwrap()).await;
    // Only the script in full was accepted, and only the time to live.
    assert_eq!((server.calls("evalsha"), server.calls("time")), (0, 0));
}

#[tokio::test]
async fn a_user_who_cannot_release_a_lock_is_refused() {
    let server = RedisServer::start();
    let login = locker(&server, SECRET, "+ping +set +get +del +info +time");
    let cause = unfit(connect(&server, &login).await, &server);
    assert!(cause.starts_with("a lock cannot be released: NOPERM "), "{cause}");
}

#[tokio::test]
async fn a_user_who_releases_locks_only_by_a_script_that_the_server_remembers_is_refused() {
    let server = RedisServer::start();
    let login = locker(&server, SECRET, "+ping +set +get +del +info +time +evalsha +script|load");
    let cause = unfit(connect(&server, &login).await, &server);
    assert!(cause.starts_with("a lock cannot be released: NOPERM "), "{cause}");
    assert!(cause.contains("'eval'"), "{cause}");
}

#[tokio::test]
async fn a_permission_that_a_script_lacks_is_named() {
    let server = RedisServer::start();
    let login = locker(&server, SECRET, "+ping +set +get +eval +info +time");
    let cause = unfit(connect(&server, &login).await, &server);
    assert!(cause.starts_with("a lock cannot be released: ERR "), "{cause}");
    assert!(cause.contains("(the user needs +get +del to release locks"), "{cause}");
}

#[tokio::test]
async fn a_server_that_gives_nothing_back_causes_one_warning() {
    const WARNING: &str = "is not given back, but expires (ERR ";
    let renamed = RedisServer::start_with(&["--rename-command", "PEXPIRETIME", ""]);
    let server = RedisServer::start();
    let login = [("redisUsername", "u"), ("redisPassword", SECRET)];
    let password = format!(">{SECRET}");
    for (server, permissions, login, warnings) in [
        (&renamed, None, &[][..], 1),
        (&server, Some("-pexpiretime"), &login[..], 1),
        (&server, Some("+pexpiretime"), &login[..], 0),
        // Nothing is given back then, whatever else is missing: the warning about the clock says so.
        (&server, Some("-time -pexpiretime"), &login[..], 0),
    ] {
        if let Some(permissions) = permissions {
            let user = ["ACL", "SETUSER", "u", "reset", "on", &password, "~lock||*", "+@all"];
            let permissions: Vec<&str> = permissions.split(' ').collect();
            server.run::<()>(&[&user[..], &permissions].concat());
        }
        let (log, guard) = Log::start();
        let store = connect(server, login).await.unwrap();
        assert_works(&store).await;
        drop(guard);
        let text = log.text();
        assert_eq!(text.matches(WARNING).count(), warnings, "{text}");
        // The lock of the question is released.
        assert_eq!(server.run::<Vec<String>>(&["KEYS", "*"]), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_password_is_accepted_by_a_server_without_one() {
    let server = RedisServer::start();
    assert_works(&connect(&server, &[("redisPassword", SECRET)]).await.unwrap()).await;
}

#[tokio::test]
async fn a_replica_and_a_node_of_a_cluster_are_refused() {
    let replica = RedisServer::start();
    replica.run::<()>(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    let cause = unfit(connect(&replica, &[ONCE]).await, &replica);
    assert_eq!(cause, "the server is a replica, which cannot take locks");

    let node = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    let cause = unfit(connect(&node, &[ONCE]).await, &node);
    assert!(cause.contains("Redis Cluster"), "{cause}");
}

#[tokio::test]
async fn a_store_waits_longer_than_a_call_for_its_server() {
    let mut server = RedisServer::start();
    server.kill();
    let settings = [
        ("redisMaxRetries", "1000"),
        ("redisMaxRetryInterval", "10ms"),
        ("poolTimeout", "100ms"),
        ("dialTimeout", "200ms"),
    ];
    let address = server.address();
    let calling = unconnected(&address, &settings);
    let connecting = tokio::spawn(async move { connect_to(&address, &settings).await });
    not_done(calling.acquire("k", "me", MINUTE).await);
    assert!(!connecting.is_finished());
    server.restart();
    assert_works(&connecting.await.unwrap().unwrap()).await;
}

#[tokio::test]
async fn a_changed_password_fails_calls_until_it_is_changed_back() {
    let server = RedisServer::start();
    let password = format!(">{SECRET}");
    let user = ["ACL", "SETUSER", "u", "on", "~*", "+@all"];
    server.run::<()>(&[&user[..], &[&password]].concat());
    let login = [("redisUsername", "u"), ("redisPassword", SECRET)];
    let store = connect(&server, &login).await.unwrap();
    server.run::<()>(&["ACL", "SETUSER", "u", "resetpass", ">another"]);
    server.run::<()>(&["CLIENT", "KILL", "USER", "u"]);
    eventually("the failure names the reason", async || {
        let outcome = store.acquire("k", "me", MINUTE).await;
        matches!(outcome, Err(Failure::NotDone(cause)) if cause.contains("WRONGPASS"))
    })
    .await;
    server.run::<()>(&["ACL", "SETUSER", "u", "resetpass", &password]);
    eventually("the store recovers", async || {
        matches!(store.release("k", "me").await, Ok(Released::Missing))
    })
    .await;
}

#[tokio::test]
async fn the_error_names_a_server_that_is_down() {
    let address = format!("127.0.0.1:{}", free_port());
    let quick = [ONCE, ("redisPassword", SECRET)];
    let error = connect_to(&address, &quick).await.unwrap_err();
    assert_eq!(error.to_string(), format!("redis {address}: connection refused"));
}

#[tokio::test]
async fn connecting_waits_for_a_server_that_starts_within_the_retries() {
    let mut server = RedisServer::start();
    server.kill();
    let patient = [("redisMaxRetries", "1000"), ("poolTimeout", "20s")];
    let address = server.address();
    let restarting = tokio::task::spawn_blocking(move || {
        server.restart();
        server
    });
    let (store, server) = tokio::join!(connect_to(&address, &patient), restarting);
    assert_works(&store.unwrap()).await;
    drop(server);
}

#[tokio::test]
async fn connecting_tries_another_lock_when_no_reply_came() {
    let server = RedisServer::start();
    server.pause_writes();
    let settings = [("redisMaxRetries", "1000"), QUICK_RETRIES, ("readTimeout", "100ms")];
    let address = server.address();
    let (store, ()) = tokio::join!(connect_to(&address, &settings), async {
        let waiting = |clients: String| clients.matches("cmd=set").count();
        eventually("two locks wait", async || waiting(server.run(&["CLIENT", "LIST"])) >= 2).await;
        server.unpause();
    });
    assert_works(&store.unwrap()).await;
}

#[tokio::test]
async fn connecting_to_a_server_that_does_not_answer_times_out() {
    let server = RedisServer::start();
    server.suspend();
    let quick = [ONCE, ("dialTimeout", "200ms")];
    let (cause, login) = unreachable(connect(&server, &quick).await, &server);
    assert_eq!(login, None, "{cause}");
    assert!(cause.ends_with("no connection within 200ms"), "{cause}");
    server.resume();
}

#[tokio::test]
async fn connecting_to_a_server_without_room_for_clients_is_retried() {
    let server = RedisServer::start();
    let first = connect(&server, &[]).await.unwrap();
    server.run::<()>(&["CONFIG", "SET", "maxclients", "2"]);
    let second = connect_to(&server.address(), &[]).await.unwrap();
    let full = connect_to(&server.address(), &[ONCE]).await;
    refused(full, &server);
    let patient =
        [("redisMaxRetries", "1000"), ("redisMaxRetryInterval", "10"), ("poolTimeout", "20s")];
    let address = server.address();
    let (store, ()) = tokio::join!(connect_to(&address, &patient), first.close());
    assert_works(&store.unwrap()).await;
    second.close().await;
}

#[tokio::test]
async fn a_server_with_replicas_is_refused() {
    let server = RedisServer::start();
    let replica = RedisServer::start();
    replica.run::<()>(&["REPLICAOF", "127.0.0.1", &server.port().to_string()]);
    eventually("the replica is connected", async || {
        server.run::<String>(&["INFO", "replication"]).contains("connected_slaves:1")
    })
    .await;
    let error = refused(connect(&server, &[]).await, &server);
    assert!(matches!(error, ConnectError::Replicated { replicas: 1, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("set failover if Redis Sentinel names the server"), "{text}");
}

#[tokio::test]
async fn a_server_that_may_lose_locks_causes_a_warning() {
    let not_in_rewrites = ["--no-appendfsync-on-rewrite", "yes"];
    for (policy, persists, writes, more, warned) in [
        ("noeviction", "yes", "always", &[][..], None),
        ("allkeys-lru", "yes", "always", &[], Some("allkeys-lru")),
        ("noeviction", "no", "always", &[], Some("set appendonly to yes")),
        ("noeviction", "yes", "everysec", &[], Some("set appendfsync to always")),
        ("noeviction", "yes", "always", &not_in_rewrites, Some("no-appendfsync-on-rewrite to no")),
    ] {
        let persistence = ["--appendonly", persists, "--appendfsync", writes];
        let eviction = ["--maxmemory-policy", policy];
        let server = RedisServer::start_with(&[&eviction[..], &persistence, more].concat());
        let (log, guard) = Log::start();
        connect(&server, &[]).await.unwrap();
        drop(guard);
        let text = log.text();
        assert_eq!(text.matches("WARN").count(), usize::from(warned.is_some()), "{text}");
        assert!(warned.is_none_or(|warned| text.contains(warned)), "{text}");
    }
}

/// A server that speaks TLS on a port of its own.
struct TlsServer {
    server: RedisServer,
    authority: Authority,
}

impl TlsServer {
    fn start(ask_for_client: bool) -> Self {
        let authority = Authority::new();
        let own = authority.certify("127.0.0.1");
        Self::start_with(authority, &own, ask_for_client)
    }

    /// Starts a server that shows `own`.
    fn start_with(authority: Authority, own: &Certified, ask_for_client: bool) -> Self {
        let options = RedisOptions::new().tls(&authority, own, ask_for_client);
        Self { server: RedisServer::start_by_options(options), authority }
    }

    fn address(&self) -> String {
        self.server.client_address()
    }
}

#[tokio::test]
async fn tls_without_verification_accepts_any_server() {
    let tls = TlsServer::start(false);
    let store = connect_to(&tls.address(), &[TLS, ANY]).await.unwrap();
    assert_works(&store).await;
    // The port does not accept connections without TLS.
    let error = connect_to(&tls.address(), &[ONCE]).await.unwrap_err().to_string();
    assert!(error.contains("enableTLS: true"), "{error}");
}

#[tokio::test]
async fn tls_to_a_port_without_it_says_so() {
    let server = RedisServer::start();
    let quick = [TLS, ANY, ONCE, ("dialTimeout", "1s")];
    let (cause, _) = unreachable(connect(&server, &quick).await, &server);
    assert!(cause.contains("enableTLS"), "{cause}");
}

#[tokio::test]
async fn nobody_is_told_to_switch_tls_off_for_a_server_that_has_spoken_it() {
    let tls = TlsServer::start(false);
    let proxy = Proxy::to(tls.server.tls_port()).await;
    let store = connect_to(&proxy.address(), &[TLS, ANY, ONCE]).await.unwrap();
    assert_works(&store).await;
    // A front that accepts connections, and closes each of them without an answer.
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    proxy.lead_to(front.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = front.accept().await {
            let _ = client.read(&mut [0; 4096]).await;
        }
    });
    proxy.cut();
    eventually("the handshake fails", async || {
        let Err(failure) = store.acquire("k", "me", MINUTE).await else { return false };
        let text = format!("{failure:?}");
        assert!(!text.contains("enableTLS"), "{text}");
        text.contains("TLS: tls handshake eof")
    })
    .await;
    // A store that has not seen the server does not know better.
    let error = connect_to(&proxy.address(), &[TLS, ANY, ONCE]).await.unwrap_err().to_string();
    assert!(error.contains("set enableTLS to false"), "{error}");
}

#[tokio::test]
async fn the_client_certificate_is_sent_to_a_server_that_requires_one() {
    let tls = TlsServer::start(true);
    let Certified { certificate, key } = tls.authority.certify("client");
    let shown = [TLS, ANY, ("clientCert", &certificate), ("clientKey", &key)];
    assert_works(&connect_to(&tls.address(), &shown).await.unwrap()).await;
    let url = format!("rediss://{}#insecure", tls.address());
    let set = RedisSettings::from_url(&url).unwrap().client_certificate(&certificate, &key);
    assert_works(&RedisStore::connect("locks", set).await.unwrap()).await;

    let error = connect_to(&tls.address(), &[TLS, ANY]).await.unwrap_err().to_string();
    assert!(error.contains("needs clientCert and clientKey"), "{error}");
    assert!(!error.contains("enableTLS"), "{error}");
    let stranger = Authority::new().certify("client");
    let (certificate, key) = (stranger.certificate.as_str(), stranger.key.as_str());
    let strange = [TLS, ANY, ONCE, ("clientCert", certificate), ("clientKey", key)];
    let error = connect_to(&tls.address(), &strange).await.unwrap_err().to_string();
    assert!(!error.contains("enableTLS") && !error.contains("needs clientCert"), "{error}");
    let mixed = [
        TLS,
        ANY,
        ONCE,
        ("clientCert", &tls.authority.certify("x").certificate),
        ("clientKey", key),
    ];
    let error = connect_to(&tls.address(), &mixed).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    drop(tls.server);
}

// The trusted certificates belong to the process, so the test runs itself in a new one for each set of them.
#[tokio::test]
async fn tls_verifies_the_server() {
    const NAME: &str = "connect::tls_verifies_the_server";
    const ADDRESS: &str = "HOLDFAST_TEST_TLS_ADDRESS";
    if let Ok(address) = env::var(ADDRESS) {
        match connect_to(&address, &[TLS, ONCE]).await {
            Ok(store) => {
                assert_works(&store).await;
                println!("outcome: works");
            }
            Err(error) => println!("outcome: {error}"),
        }
        return;
    }
    let tls = TlsServer::start(false);
    let outcome = |trusted: &str, address: &str| {
        let file = tls.server.dir().join("trusted.pem");
        fs::write(&file, trusted).unwrap();
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(ADDRESS, address)
            .env("SSL_CERT_FILE", file)
            .env_remove("SSL_CERT_DIR")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let works = outcome(&tls.authority.certificate(), &tls.address());
    assert!(works.contains("outcome: works"), "{works}");
    let stranger = outcome(&Authority::new().certificate(), &tls.address());
    assert!(stranger.contains("TLS: invalid peer certificate"), "{stranger}");
    let other_name =
        outcome(&tls.authority.certificate(), &format!("localhost:{}", tls.server.tls_port()));
    assert!(other_name.contains("TLS: invalid peer certificate"), "{other_name}");

    // A certificate that is trusted itself, as its own authority, gets advice.
    let own = self_signed("127.0.0.1");
    let lone = TlsServer::start_with(Authority::new(), &own, false);
    let advice = outcome(&own.certificate, &lone.address());
    assert!(advice.contains("the server's certificate is its own authority"), "{advice}");
}
