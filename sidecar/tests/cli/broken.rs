//! Resource files that are broken: `check` exits with 2 and says what is wrong, and where.

use std::fs;

use holdfast_tests::resources::{Resources, definition, in_memory};

use crate::run;

/// A store in Redis with these settings. Nobody listens at its address.
fn redis(settings: &[(&str, &str)]) -> String {
    definition("lockstore", "lock.redis", &[&[("redisHost", "127.0.0.1:1")], settings].concat())
}

/// A store whose only setting is its address.
fn at(address: &str) -> String {
    definition("lockstore", "lock.redis", &[("redisHost", address)])
}

/// A store in memory, with more lines at its end.
fn memory_and(lines: &str) -> String {
    in_memory("lockstore") + lines
}

/// Files, and the line that `check` prints about each.
fn broken() -> Vec<(Vec<u8>, &'static str)> {
    let value_and_reference = redis(&[]) + "    secretKeyRef:\n      name: A\n      key: A\n";
    let other_kind = "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata:\n  name: c\n";
    let timeouts = "---\napiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata:\n  name: r\nspec:\n  \
                    policies:\n    timeouts:\n      fast: soon\n";
    let secret = "---\napiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: lockstore\nspec:\n  \
                  type: lock.redis\n  version: v1\n  metadata:\n  - name: redisHost\n    secretKeyRef:\n      \
                  name: A\n      key: A\nauth:\n  secretStore: nowhere\n";
    let edge_lock = "---\napiVersion: holdfast.lock/v1alpha1\nkind: EdgeLock\nmetadata:\n  name: e\nspec:\n  \
                     store: lockstore\n  resource: \"{:authority}{:path}\"\n  ttl: 60s\n";
    let texts = [
        ("kind: [\n".to_owned(), "document 1: not valid YAML"),
        ("kind: Component\nmetadata:\n\tname: x\n".to_owned(), "tabs disallowed"),
        (in_memory("lockstore").replace("  name: lockstore\n", ""), "metadata.name: is missing"),
        (in_memory("a") + &in_memory("a"), "duplicate component name a"),
        (definition("a", "\"\"", &[]), "spec.type: is missing"),
        (definition("a", "lok.redis", &[]), "incorrect type lok.redis (did you mean lock.redis?)"),
        (
            definition("a", "LOCK.REDIS", &[]),
            "incorrect type LOCK.REDIS (did you mean lock.redis?)",
        ),
        (definition("a", "lock.etcd", &[]), "the types are lock.redis and lock.in-memory"),
        (memory_and("  type: lock.redis\n"), "spec.type: is given twice"),
        (redis(&[("redisHost", "b:1")]), "spec.metadata[1]: redisHost is set twice"),
        (redis(&[("REDISHOST", "b:1")]), "spec.metadata[1]: REDISHOST is set twice"),
        (value_and_reference, "redisHost has both value and secretKeyRef: leave one out"),
        (secret.to_owned(), "redisHost: secret store nowhere not found"),
        (definition("a", "lock.redis", &[]), "redisHost is empty"),
        (
            at("redis://localhost:6379"),
            "redisHost is a URL of Redis: write localhost:6379, and the URL's user, password and database in \
             redisUsername, redisPassword and redisDB",
        ),
        (
            at("https://cache.example.net"),
            "redisHost is a URL of https, which is not the protocol of Redis: write the host:port of a Redis server",
        ),
        (
            at("localhost:99999"),
            "redisHost has a port that is not from 1 to 65535: \"localhost:99999\"",
        ),
        (
            redis(&[("redisPort", "99999")]),
            "redisPort has a port that is not from 1 to 65535: \"99999\"",
        ),
        (redis(&[("enableTLS", "perhaps")]), "enableTLS is not true or false: \"perhaps\""),
        (
            redis(&[("redisMaxRetries", "many")]),
            "redisMaxRetries is not a whole number, or -1 for no retries: \"many\"",
        ),
        (
            redis(&[("readTimeout", "soon")]),
            "readTimeout is not a duration, such as 5s or 1m30s, or a number of milliseconds: \"soon\"",
        ),
        (redis(&[("redisDB", "-1")]), "redisDB is not a whole number from 0: \"-1\""),
        (redis(&[("fencing", "maybe")]), "fencing is not true or false: \"maybe\""),
        (
            redis(&[("redisType", "ring")]),
            "redisType is not node, sentinel, cluster or quorum: \"ring\"",
        ),
        (redis(&[("clientCert", "x"), ("enableTLS", "true")]), "clientCert needs clientKey"),
        (redis(&[("redisMaxRetries", "-1")]), "redis 127.0.0.1:1: connection refused"),
        (definition("a", "lock.in-memory", &[("keyPrefix", "a||b")]), "can't contain '||'"),
        (memory_and("scopes:\n- other\n"), "the app id \"app1\" is not among them"),
        (memory_and(timeouts), "spec.policies.timeouts.fast: must be a number of milliseconds"),
        (memory_and(&edge_lock.replace('"', "")), "holdfast: "),
        (
            memory_and(&edge_lock.replace("kind: EdgeLock\n", "")),
            "kind: is missing, and must be EdgeLock here",
        ),
        (other_kind.to_owned(), " define no lock store that can be used"),
    ];
    let texts = texts.into_iter().map(|(text, words)| (text.into_bytes(), words));
    texts.chain([(b"kind: \xff\n".to_vec(), "document 1: not valid UTF-8 (line 1)")]).collect()
}

#[test]
fn check_says_what_is_wrong_and_exits_with_2() {
    for (file, words) in broken() {
        let folder = Resources::new(&[]);
        fs::write(folder.folder().join("store.yaml"), &file).unwrap();
        let args = ["check", "--app-id", "app1", "--resources-path", folder.path()];
        let (code, table, messages) = run(&args);
        let output = table + &messages;
        let file = String::from_utf8_lossy(&file);
        assert_eq!(code, 2, "{file}\n{output}");
        assert!(output.contains(words), "{words}\n{file}\n{output}");
    }
}

/// A list of these documents, as `kubectl get -o yaml` prints them.
fn list(documents: &[&str]) -> String {
    let item = |document: &&str| {
        let lines = document.lines().filter(|line| *line != "---");
        let text: Vec<String> = lines.map(|line| format!("  {line}")).collect();
        text.join("\n").replacen("  ", "- ", 1) + "\n"
    };
    let items: String = documents.iter().map(item).collect();
    format!("apiVersion: v1\nkind: List\nitems:\n{items}")
}

#[test]
fn a_broken_list_of_documents_is_reported() {
    let one = in_memory("lockstore");
    for (file, words) in [
        (list(&[&one, &one]), "document 1, items[0] and "),
        (list(&[&list(&[&one])]), "items[0].kind: is List inside a List, which is not read"),
        (
            list(&[&one]).replace("items:", "itmes:"),
            "unknown field itmes, so it has no effect (did you mean items?)",
        ),
        ("apiVersion: v1\nkind: List\n".to_owned(), "document 1, items: is missing"),
    ] {
        let folder = Resources::new(&[("store.yaml", &file)]);
        let (code, table, messages) = run(&["check", "--resources-path", folder.path()]);
        let output = table + &messages;
        assert_eq!(code, 2, "{file}\n{output}");
        assert!(output.contains(words), "{words}\n{file}\n{output}");
    }
}

#[test]
fn a_likely_mistake_is_a_warning() {
    let metadata =
        |field: &str| in_memory("lockstore").replace("  name:", &format!("  {field}\n  name:"));
    let prefix = |prefix: &str| definition("lockstore", "lock.in-memory", &[("keyPrefix", prefix)]);
    let both = prefix("") + "    envRef: HOME\n";
    for (file, words) in [
        (
            metadata("scopes: [other]"),
            "metadata.scopes: has no effect here: it belongs to the top level",
        ),
        (
            metadata("lables: {}"),
            "metadata.lables: unknown field lables, so it has no effect (did you mean labels?)",
        ),
        (
            list(&[&metadata("scopes: [other]")]),
            "items[0].metadata.scopes: has no effect here: it belongs to the top level",
        ),
        (both, "keyPrefix is empty: its value comes before the environment variable HOME"),
        (prefix("{uuid}"), "keyPrefix contains {uuid}, which differs at each start"),
        (prefix("{apId}"), "keyPrefix contains a brace, which is used as it is"),
    ] {
        let folder = Resources::new(&[("store.yaml", &file)]);
        let check = ["check", "--resources-path", folder.path()];
        let (code, _, messages) = run(&check);
        assert_eq!(code, 0, "{file}\n{messages}");
        assert!(messages.contains(words), "{words}\n{file}\n{messages}");
        let strict = ["--strict", "--log-level", "error"];
        let (code, _, messages) = run(&[&check[..], &strict].concat());
        assert_eq!(code, 2, "{file}\n{messages}");
        assert!(messages.contains(words), "{words}\n{file}\n{messages}");
    }
}

#[test]
fn what_a_store_warns_of_is_shown_when_it_decides_the_exit_code() {
    let redis = holdfast_tests::redis_server::RedisServer::start_with(&[
        "--maxmemory-policy",
        "allkeys-lru",
    ]);
    let folder = Resources::in_redis(&redis, &[]);
    let check = ["check", "--resources-path", folder.path(), "--strict", "--log-level", "error"];
    let (code, _, messages) = run(&check);
    assert_eq!(code, 2, "{messages}");
    assert!(messages.contains("allkeys-lru"), "{messages}");
}
