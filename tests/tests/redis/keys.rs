//! The keys that resource files ask for. They must be daprd's, so that both exclude each other.

use std::time::Duration;

use holdfast::{
    Attempt, Resource,
    resources::{Options, open},
};
use holdfast_tests::{STORE, redis_server::RedisServer, redis_store::locker, resources::Resources};

/// The definition of a store with one more setting, or several.
fn defined(server: &RedisServer, settings: &str) -> Resources {
    let text = format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: {STORE}}}\nspec:\n  type: \
         lock.redis\n  metadata:\n  - {{name: redisHost, value: '{}'}}\n{settings}",
        server.address()
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
        let (attempt, number) = locks.try_lock_numbered(resource, "me", minute).await.unwrap();
        assert_eq!((attempt, number.is_some()), (Attempt::Acquired, numbered), "{setting}");
        let held = locks.try_lock_numbered(resource, "me", minute).await;
        assert_eq!(held, Ok((Attempt::Held, None)));
        assert!(!numbered || number > last, "{number:?} after {last:?}");
        last = number;
        locks.unlock(resource, "me").await.unwrap();
    }

    let resources = defined(&server, "  - {name: fencing, value: yes please}\n");
    let refused = open(&options(&resources)).await.unwrap_err().to_string();
    assert!(refused.contains("metadata property fencing is not true or false"), "{refused}");
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

#[tokio::test]
async fn a_password_without_quotes_is_told_when_the_login_fails() {
    let server = RedisServer::start_with_password("0123");
    let password =
        |value| defined(&server, &format!("  - {{name: redisPassword, value: {value}}}\n"));
    assert!(open(&options(&password("'0123'"))).await.is_ok());
    for value in ["0123", "1e3", "yes"] {
        let error = open(&options(&password(value))).await.unwrap_err().to_string();
        assert!(error.contains("WRONGPASS"), "{error}");
        assert!(error.contains("redisPassword is written without quotes"), "{error}");
    }
    let error = open(&options(&password("'wrong'"))).await.unwrap_err().to_string();
    assert!(error.contains("WRONGPASS") && !error.contains("quotes"), "{error}");
}
