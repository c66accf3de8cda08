//! Warnings of `check` about a server that answers: locks that could not be tried, or may be lost.

use holdfast_tests::{
    redis_server::RedisServer,
    redis_store::Setting,
    resources::{Resources, definition},
};
use serde_json::Value;

use crate::run;

/// A server that loses no lock.
const LASTING: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// The document that `check` prints for the server, for the application `app1`. Its store must be fit.
fn check(server: &RedisServer, settings: &[Setting<'_>]) -> Value {
    let address = server.address();
    let settings = [&[("redisHost", address.as_str())], settings].concat();
    let file = definition("lockstore", "lock.redis", &settings);
    let folder = Resources::new(&[("lockstore.yaml", &file)]);
    let arguments = ["check", "--json", "--app-id", "app1", "--resources-path", folder.path()];
    let (code, document, stderr) = run(&arguments);
    assert_eq!(code, 0, "{document}{stderr}");
    serde_json::from_str(&document).expect("JSON")
}

/// Checks that there is one warning, which has these words, or none.
fn assert_warns(document: &Value, expected: Option<&str>) {
    let warnings = document["warnings"].as_array().expect("warnings");
    let text = warnings.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
    assert_eq!(warnings.len(), usize::from(expected.is_some()), "{expected:?}: {text}");
    assert!(expected.is_none_or(|expected| text.contains(expected)), "{expected:?}: {text}");
}

#[test]
fn a_user_who_may_not_use_the_keys_of_the_store_is_found() {
    const UNTRIED: Option<&str> = Some("may not use the key lock||app1||holdfast-check-");
    const UNNUMBERED: Option<&str> = Some("could not give a grant a fencing token");
    let server = RedisServer::start_with(&LASTING);
    let word: Setting<'_> = ("keyPrefix", "Orders");
    let fencing: Setting<'_> = ("fencing", "true");
    for (keys, settings, expected) in [
        (&["~lock||*"][..], &[][..], None),
        (&["~lock||app1||*"], &[], None),
        (&["~lock||orders||*"], &[word], None),
        (&["~lock||app1||*", "~lock||fence||*"], &[fencing], None),
        (&["~other*"], &[], UNTRIED),
        (&["%R~lock||*"], &[], UNTRIED),
        (&["~lock||app2||*", "~lock||holdfast-check||*"], &[], UNTRIED),
        (&["~lock||app1||*"], &[word], Some("may not use the key lock||orders||holdfast-check-")),
        (&["~lock||app1||*"], &[fencing], UNNUMBERED),
    ] {
        let user = ["ACL", "SETUSER", "u", "reset", "on", ">secret", "+@all"];
        server.run::<()>(&[&user[..], keys].concat());
        let login = [("redisUsername", "u"), ("redisPassword", "secret")];
        assert_warns(&check(&server, &[&login[..], settings].concat()), expected);
    }
    let left: Vec<String> = server.run(&["KEYS", "lock||*"]);
    assert!(left.iter().all(|key| key.starts_with("lock||fence||")), "{left:?}");
}

#[test]
fn a_server_that_may_lose_locks_is_reported_with_the_setting_to_change() {
    let everysec = Some("appendfsync is everysec");
    for (arguments, commands, about, expected) in [
        (&LASTING[..], "+@all", "an append-only file, appendfsync always", None),
        (&["--appendonly", "yes"], "+@all", "an append-only file, appendfsync everysec", everysec),
        (
            &["--appendonly", "yes", "--appendfsync", "no"],
            "+@all",
            "an append-only file, appendfsync no",
            Some("set appendfsync to always"),
        ),
        // The server does not report its `appendfsync`.
        (&["--appendonly", "yes"], "+@all -config", "an append-only file, maxmemory-policy", None),
        (&["--appendonly", "no"], "+@all", "no append-only file", Some("set appendonly to yes")),
        (&LASTING, "+@all -info", "NOPERM", Some("replicas")),
    ] {
        let server = RedisServer::start_with(arguments);
        let user = ["ACL", "SETUSER", "u", "on", ">secret", "~*"];
        let commands: Vec<&str> = commands.split(' ').collect();
        server.run::<()>(&[&user[..], &commands].concat());
        let document = check(&server, &[("redisUsername", "u"), ("redisPassword", "secret")]);
        assert_warns(&document, expected);
        let described =
            document["stores"][0]["servers"][0]["about"].as_str().expect("a description");
        assert!(described.contains(about), "{described}");
    }
}

#[test]
fn a_renamed_info_command_is_reported() {
    let arguments = [&LASTING[..], &["--rename-command", "INFO", "about"]].concat();
    let server = RedisServer::start_with(&arguments);
    let expected = "the server does not describe itself (ERR unknown command 'INFO'";
    assert_warns(&check(&server, &[]), Some(expected));
}
