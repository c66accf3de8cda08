//! What it takes to connect: passwords, users, TLS, and servers that locks cannot be trusted to.

use std::{
    env, fs, io,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use holdfast::store::{
    Acquired, Failure, Grant, Released, Store,
    redis::{ConnectError, RedisStore},
};
use holdfast_tests::{
    certificates::{Authority, Certified},
    eventually,
    redis_server::{RedisServer, free_port, temporary_dir},
};

mod common;
use common::{connect, connect_to};

const ONCE: (&str, &str) = ("redisMaxRetries", "-1");
const SECRET: &str = "s3cret-word";

async fn assert_works(store: &RedisStore) {
    let granted = Acquired::Granted(Grant::default());
    let minute = Duration::from_secs(60);
    assert_eq!(store.acquire("lock||k", "me", minute).await, Ok(granted));
    assert_eq!(store.release("lock||k", "me").await, Ok(Released::Released));
}

fn refused(outcome: Result<RedisStore, ConnectError>, server: &RedisServer) -> String {
    let error = outcome.expect_err("a refusal").to_string();
    assert!(error.starts_with(&format!("redis {}: ", server.address())), "{error}");
    assert!(!error.contains(SECRET), "{error}");
    error
}

#[tokio::test]
async fn the_password_must_be_right() {
    let server = RedisServer::start_with_password(SECRET);
    let store = connect(&server, &[("redisPassword", SECRET)]).await.unwrap();
    assert_works(&store).await;

    let wrong = connect(&server, &[("redisPassword", "wrong")]).await;
    assert!(refused(wrong, &server).contains("WRONGPASS"));
    let none = connect(&server, &[]).await;
    assert!(refused(none, &server).contains("NOAUTH"));
}

#[tokio::test]
async fn a_user_needs_only_the_commands_of_a_lock() {
    let server = RedisServer::start();
    let password = format!(">{SECRET}");
    server.run::<()>(&[
        "ACL", "SETUSER", "locker", "on", &password, "~lock||*", "-@all", "+set", "+get", "+del",
        "+evalsha", "+eval", "+ping",
    ]);
    let login = [("redisUsername", "locker"), ("redisPassword", SECRET)];
    let store = connect(&server, &login).await.unwrap();
    assert_works(&store).await;

    let elsewhere = store.acquire("other", "me", Duration::from_secs(60)).await;
    let Err(Failure::NotDone { cause }) = elsewhere else {
        panic!("{elsewhere:?}");
    };
    assert!(cause.contains("NOPERM"), "{cause}");

    let wrong = [("redisUsername", "locker"), ("redisPassword", "wrong")];
    assert!(refused(connect(&server, &wrong).await, &server).contains("WRONGPASS"));
}

#[tokio::test]
async fn a_changed_password_is_no_reason_to_hang() {
    let server = RedisServer::start();
    let password = format!(">{SECRET}");
    let user = ["ACL", "SETUSER", "u", "on", "~*", "+@all"];
    server.run::<()>(&[&user[..], &[&password]].concat());
    let login = [("redisUsername", "u"), ("redisPassword", SECRET)];
    let store = connect(&server, &login).await.unwrap();
    server.run::<()>(&["ACL", "SETUSER", "u", "resetpass", ">another"]);
    server.run::<()>(&["CLIENT", "KILL", "USER", "u"]);
    let (server, store) = (&server, &store);
    eventually("the refusal names the reason", || async {
        let outcome = store.acquire("k", "me", Duration::from_secs(60)).await;
        matches!(outcome, Err(Failure::NotDone { cause }) if cause.contains("WRONGPASS"))
    })
    .await;
    server.run::<()>(&["ACL", "SETUSER", "u", "resetpass", &password]);
    eventually("the store recovers", || async {
        matches!(store.release("k", "me").await, Ok(Released::Missing))
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_down_is_named() {
    let address = format!("127.0.0.1:{}", free_port());
    let quick = [ONCE, ("redisPassword", SECRET)];
    let error = connect_to(&address, &quick).await.unwrap_err();
    assert_eq!(error.to_string(), format!("redis {address}: connection refused"));
}

#[tokio::test]
async fn a_server_that_comes_up_within_the_retries_is_waited_for() {
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
async fn a_server_that_does_not_answer_is_given_up() {
    let server = RedisServer::start();
    server.suspend();
    let quick = [ONCE, ("dialTimeout", "200ms")];
    let error = refused(connect(&server, &quick).await, &server);
    assert!(error.ends_with("no connection within 200ms"), "{error}");
    server.resume();
}

#[tokio::test]
async fn a_server_that_is_full_is_tried_again() {
    let server = RedisServer::start();
    let first = connect(&server, &[]).await.unwrap();
    server.run::<()>(&["CONFIG", "SET", "maxclients", "2"]);
    let second = connect(&server, &[]).await.unwrap();
    let full = connect(&server, &[ONCE]).await;
    refused(full, &server);
    let patient =
        [("redisMaxRetries", "1000"), ("redisMaxRetryInterval", "10"), ("poolTimeout", "20s")];
    let (store, ()) = tokio::join!(connect(&server, &patient), first.close());
    assert_works(&store.unwrap()).await;
    second.close().await;
}

#[tokio::test]
async fn a_server_with_replicas_is_refused() {
    let server = RedisServer::start();
    let replica = RedisServer::start();
    replica.run::<()>(&["REPLICAOF", "127.0.0.1", &server.port().to_string()]);
    let server_ref = &server;
    eventually("the replica is connected", || async {
        let info: String = server_ref.run(&["INFO", "replication"]);
        info.contains("connected_slaves:1")
    })
    .await;
    let error = refused(connect(&server, &[]).await, &server);
    assert!(error.contains("replication is not supported"), "{error}");
    assert!(error.contains("failover"), "{error}");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the log").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_server_that_may_evict_locks_is_warned_about() {
    for (policy, warned) in [("noeviction", false), ("allkeys-lru", true)] {
        let server = RedisServer::start_with(&["--maxmemory-policy", policy]);
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let guard = tracing::subscriber::set_default(subscriber);
        connect(&server, &[]).await.unwrap();
        drop(guard);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.contains("allkeys-lru"), warned, "{text}");
        assert_eq!(text.contains("WARN"), warned, "{text}");
    }
}

struct TlsServer {
    server: RedisServer,
    port: u16,
    authority: Authority,
}

impl TlsServer {
    fn start(ask_for_client: bool) -> Self {
        let (authority, dir) = (Authority::new(), temporary_dir());
        let own = authority.certify("127.0.0.1");
        for (file, text) in [
            ("ca.pem", &authority.certificate()),
            ("server.pem", &own.certificate),
            ("server.key", &own.key),
        ] {
            fs::write(dir.path().join(file), text).expect("a file");
        }
        let port = free_port();
        let ask = if ask_for_client { "yes" } else { "no" };
        let arguments = [
            "--tls-port",
            &port.to_string(),
            "--tls-ca-cert-file",
            "ca.pem",
            "--tls-cert-file",
            "server.pem",
            "--tls-key-file",
            "server.key",
            "--tls-auth-clients",
            ask,
        ];
        let server = RedisServer::start_in(dir, &arguments, &[]);
        Self { server, port, authority }
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

const TLS: (&str, &str) = ("enableTLS", "true");
const ANY: (&str, &str) = ("insecureSkipTLSVerify", "true");

#[tokio::test]
async fn tls_without_verification_takes_any_server() {
    let tls = TlsServer::start(false);
    let store = connect_to(&tls.address(), &[TLS, ANY]).await.unwrap();
    assert_works(&store).await;
    // Without TLS the same port is no use.
    assert!(connect_to(&tls.address(), &[ONCE]).await.is_err());
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let tls = TlsServer::start(true);
    let Certified { certificate, key } = tls.authority.certify("client");
    let shown = [TLS, ANY, ("clientCert", &certificate), ("clientKey", &key)];
    assert_works(&connect_to(&tls.address(), &shown).await.unwrap()).await;

    assert!(connect_to(&tls.address(), &[TLS, ANY, ONCE]).await.is_err());
    let stranger = Authority::new().certify("client");
    let (certificate, key) = (stranger.certificate.as_str(), stranger.key.as_str());
    let strange = [TLS, ANY, ONCE, ("clientCert", certificate), ("clientKey", key)];
    assert!(connect_to(&tls.address(), &strange).await.is_err());
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

/// The trusted certificates are the process's, so this runs itself again with each set of them.
#[tokio::test]
async fn tls_verifies_the_server() {
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
    let outcome = |trusted: &Authority, address: &str| {
        let file = tls.server.dir().join("trusted.pem");
        fs::write(&file, trusted.certificate()).unwrap();
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "tls_verifies_the_server", "--nocapture"])
            .env(ADDRESS, address)
            .env("SSL_CERT_FILE", file)
            .env_remove("SSL_CERT_DIR")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let works = outcome(&tls.authority, &tls.address());
    assert!(works.contains("outcome: works"), "{works}");
    let stranger = outcome(&Authority::new(), &tls.address());
    assert!(stranger.contains("TLS: invalid peer certificate"), "{stranger}");
    let other_name = outcome(&tls.authority, &format!("localhost:{}", tls.port));
    assert!(other_name.contains("TLS: invalid peer certificate"), "{other_name}");
}
