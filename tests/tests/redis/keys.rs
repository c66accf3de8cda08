//! The keys that resource files ask for. They must be daprd's, so that both exclude each other.

use std::time::Duration;

use holdfast::{
    Attempt, Resource,
    resources::{OpenCause, OpenError, Options, open},
    store::redis::{ConnectError, RefusedLogin},
};
use holdfast_tests::{
    STORE,
    redis_cluster::{ClusterOptions, RedisCluster},
    redis_server::RedisServer,
    redis_store::locker,
    resources::Resources,
    sentinel_group::{SentinelGroup, SentinelOptions},
};

/// The definition of a store with one more setting, or several.
fn defined(server: &RedisServer, settings: &str) -> Resources {
    defined_at(&server.address(), settings)
}

/// The definition of a store at these hosts.
fn defined_at(hosts: &str, settings: &str) -> Resources {
    let text = format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: {STORE}}}\nspec:\n  type: \
         lock.redis\n  metadata:\n  - {{name: redisHost, value: '{hosts}'}}\n{settings}"
    );
    Resources::new(&[("lockstore.yaml", &text)])
}

fn options(resources: &Resources) -> Options {
    Options::new([resources.folder()])
        .app_id("app1")
        .environment(|name| (name == "EMPTY").then(String::new))
}

#[tokio::test]
async fn the_prefix_makes_the_key_that_daprd_makes() {
    let server = RedisServer::start();
    for (setting, key) in [
        ("", "lock||app1||r"),
        ("value: appid", "lock||app1||r"),
        ("value: APPID", "lock||app1||r"),
        ("value: name", "lock||lockstore||r"),
        ("value: none", "lock||r"),
        ("value: Word", "lock||word||r"),
        ("value: ' word '", "lock|| word ||r"),
        ("value: ''", "lock||||r"),
        ("value: null", "lock||||r"),
        ("value: ~", "lock||||r"),
        ("value:", "lock||||r"),
        ("envRef: EMPTY", "lock||||r"),
        ("envRef: MISSING", "lock||||r"),
        ("envRef: APP_API_TOKEN", "lock||||r"),
        ("envRef: DAPR_HTTP_PORT", "lock||||r"),
        ("value: İSTANBUL", "lock||istanbul||r"),
        ("value: ΟΔΟΣ", "lock||οδοσ||r"),
    ] {
        let settings = match setting {
            "" => String::new(),
            setting => format!("  - {{name: keyPrefix, {setting}}}\n"),
        };
        let resources = defined(&server, &settings);
        let locks = open(&options(&resources)).await.unwrap().locks;
        let resource = Resource { store: STORE, id: "r" };
        let attempt = locks.try_lock(resource, "me", Duration::from_secs(60)).await;
        assert_eq!(attempt, Ok(Attempt::Acquired), "{setting}");
        assert_eq!(server.run::<Vec<String>>(&["KEYS", "*"]), [key], "{setting}");
        locks.unlock(resource, "me").await.unwrap();
    }
}

#[tokio::test]
async fn a_store_with_fencing_numbers_every_grant() {
    let server = RedisServer::start();
    let resource = Resource { store: STORE, id: "r" };
    let minute = Duration::from_secs(60);
    let mut last = None;
    for (setting, numbered) in [
        ("", false),
        ("  - {name: fencing, value: 'false'}\n", false),
        ("  - {name: fencing, value: ''}\n", false),
        ("  - {name: fencing, value: 'true'}\n", true),
        ("  - {name: Fencing, value: 'T'}\n", true),
    ] {
        let resources = defined(&server, setting);
        let locks = open(&options(&resources)).await.unwrap().locks;
        let (attempt, number) = locks.try_lock_fenced(resource, "me", minute).await.unwrap();
        assert_eq!((attempt, number.is_some()), (Attempt::Acquired, numbered), "{setting}");
        let held = locks.try_lock_fenced(resource, "me", minute).await;
        assert_eq!(held, Ok((Attempt::Held, None)));
        assert!(!numbered || number > last, "{number:?} after {last:?}");
        last = number;
        locks.unlock(resource, "me").await.unwrap();
    }

    let resources = defined(&server, "  - {name: fencing, value: yes please}\n");
    let refused = open(&options(&resources)).await.unwrap_err().to_string();
    let expected = "metadata property fencing is not true or false: \"yes please\"";
    assert!(refused.contains(expected), "{refused}");
    let [(_, user), (_, password)] = locker(&server, "s3cret-word", "+ping +set +get +del +eval");
    let resources = defined(
        &server,
        &format!(
            "  - {{name: redisUsername, value: {user}}}\n  - {{name: redisPassword, value: {password}}}\n  \
             - {{name: fencing, value: 'true'}}\n"
        ),
    );
    let refused = open(&options(&resources)).await.unwrap_err().to_string();
    assert!(refused.contains("metadata property fencing cannot be true: redis"), "{refused}");
}

/// Why the only store of the files cannot be opened.
async fn refused(resources: &Resources) -> OpenCause {
    match open(&options(resources)).await {
        Err(OpenError::Stores(mut errors)) if errors.len() == 1 => errors.remove(0).cause,
        other => panic!("{other:?}"),
    }
}

/// How the server refused the login.
fn login(error: &ConnectError) -> Option<RefusedLogin> {
    match error {
        ConnectError::Unreachable { login, .. } => *login,
        _ => None,
    }
}

#[tokio::test]
async fn an_unquoted_password_is_reported_when_the_login_fails() {
    let server = RedisServer::start_with_password("0123");
    let password =
        |value| defined(&server, &format!("  - {{name: redisPassword, value: {value}}}\n"));
    assert!(open(&options(&password("'0123'"))).await.is_ok());
    for value in ["0123", "1e3", "yes"] {
        let cause = refused(&password(value)).await;
        let OpenCause::UnquotedPassword { error, setting: "redisPassword" } = &cause else {
            panic!("{cause:?}")
        };
        assert_eq!(login(error), Some(RefusedLogin::Wrong), "{cause}");
        let hint = "redisPassword is written without quotes";
        assert!(cause.to_string().contains(hint), "{cause}");
    }
    let cause = refused(&password("'wrong'")).await;
    let OpenCause::Redis(error) = &cause else { panic!("{cause:?}") };
    assert_eq!(login(error), Some(RefusedLogin::Wrong), "{cause}");
    for value in ["~", "null", ""] {
        let cause = refused(&password(value)).await;
        let OpenCause::MissingPassword { error, setting: "redisPassword" } = &cause else {
            panic!("{cause:?}")
        };
        assert_eq!(login(error), Some(RefusedLogin::Missing), "{cause}");
        let hint = "redisPassword has no value: YAML reads ~, null and nothing as none, so write it in quotes";
        assert!(cause.to_string().contains(hint), "{cause}");
    }
    let cause = refused(&password("''")).await;
    let OpenCause::Redis(error) = &cause else { panic!("{cause:?}") };
    assert_eq!(login(error), Some(RefusedLogin::Missing), "{cause}");
}

#[tokio::test]
async fn an_unquoted_password_is_reported_for_every_topology() {
    const PASSWORD: &str = "0123";
    let password = || Some(PASSWORD.to_owned());
    let quorum: [_; 3] = std::array::from_fn(|_| RedisServer::start_with_password(PASSWORD));
    let of_quorum = quorum.each_ref().map(RedisServer::address).join(",");
    let cluster = ClusterOptions { replicas: 0, password: password(), ..Default::default() };
    let cluster = RedisCluster::start_with(cluster).await;
    let group = SentinelOptions {
        replicas: 1,
        password: password(),
        sentinel_password: password(),
        ..SentinelOptions::default()
    };
    let group = SentinelGroup::start_with(group).await;
    let sentinel = [("failover", "'true'"), ("sentinelMasterName", group.name())];
    let (right, wrong) = ("'0123'", PASSWORD);
    for (hosts, settings, setting) in [
        (of_quorum, vec![("redisType", "quorum"), ("redisPassword", wrong)], "redisPassword"),
        (
            cluster.hosts(),
            vec![("redisType", "cluster"), ("redisPassword", wrong)],
            "redisPassword",
        ),
        (
            group.hosts(),
            [&sentinel[..], &[("sentinelPassword", right), ("redisPassword", wrong)]].concat(),
            "redisPassword",
        ),
        (
            group.hosts(),
            [&sentinel[..], &[("sentinelPassword", wrong), ("redisPassword", right)]].concat(),
            "sentinelPassword",
        ),
    ] {
        let lines = settings.iter();
        let lines = lines.map(|(name, value)| format!("  - {{name: {name}, value: {value}}}\n"));
        let resources = defined_at(&hosts, &lines.collect::<String>());
        let cause = refused(&resources).await;
        let OpenCause::UnquotedPassword { error, setting: named } = &cause else {
            panic!("{cause:?}")
        };
        assert_eq!((login(error), *named), (Some(RefusedLogin::Wrong), setting), "{cause}");
    }
}
