//! The definitions of lock stores and secret stores.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use holdfast::resources::{Level, LoadError, Notice, Options, StoreDefinition, load};
use tempfile::TempDir;

/// A value that no message may contain.
const SECRET: &str = "hunter2";

/// The folders, the environment and the app id of a test.
#[derive(Default)]
struct Case {
    folders: Vec<TempDir>,
    env: HashMap<String, String>,
    app_id: Option<&'static str>,
}

struct Outcome {
    result: Result<Vec<StoreDefinition>, LoadError>,
    notices: Vec<Notice>,
}

impl Case {
    fn of(text: impl AsRef<[u8]>) -> Self {
        Self::default().folder(&[("a.yaml", text.as_ref())])
    }

    fn folder(mut self, files: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        self.folders.push(folder);
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    fn app(mut self, app_id: &'static str) -> Self {
        self.app_id = Some(app_id);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folders[0].path().join(name)
    }

    fn load(&self) -> Outcome {
        let folders: Vec<&Path> = self.folders.iter().map(TempDir::path).collect();
        let mut notices = Vec::new();
        let env = self.env.clone();
        let options = Options::new(folders)
            .app_id(self.app_id.unwrap_or_default())
            .environment(move |name| env.get(name).cloned());
        let result = load(&options, &mut |notice| notices.push(notice));
        let result = result.map(|resources| resources.stores);
        for notice in &notices {
            assert!(!format!("{notice} {notice:?}").contains(SECRET), "{notice}");
        }
        let shown = match &result {
            Ok(stores) => format!("{stores:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!shown.contains(SECRET), "{shown}");
        Outcome { result, notices }
    }
}

impl Outcome {
    fn stores(&self) -> &[StoreDefinition] {
        self.result.as_deref().unwrap()
    }

    fn names(&self) -> Vec<&str> {
        self.stores().iter().map(|store| store.name.as_str()).collect()
    }

    fn error(&self) -> String {
        self.result.as_ref().unwrap_err().to_string()
    }

    fn warnings(&self) -> Vec<String> {
        self.notices_of(Level::Warning)
    }

    fn errors(&self) -> Vec<String> {
        self.notices_of(Level::Error)
    }

    fn notices_of(&self, level: Level) -> Vec<String> {
        self.notices.iter().filter(|notice| notice.level == level).map(Notice::to_string).collect()
    }

    /// The value of [`SETTING`] in the only component.
    fn value(&self) -> String {
        let [component] = self.stores() else {
            panic!("{:?}", self.names());
        };
        component.properties.get(SETTING).unwrap().to_owned()
    }
}

/// The definition of a lock store.
fn lock(name: &str) -> String {
    format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\nspec:\n  type: lock.redis\n  version: v1\n"
    )
}

/// The definition of a lock store with an entry named [`SETTING`], and with further fields at the top level.
fn with_setting(entry: &str, top_level: &str) -> String {
    format!("{}  metadata:\n  - name: {SETTING}\n    {entry}\n{top_level}\n", lock("l"))
}

/// The definition of a secret store named `vault`.
fn vault(component_type: &str, settings: &str) -> String {
    format!(
        "---\napiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: vault\nspec:\n  type: {component_type}\n  version: v1\n  metadata: [{settings}]\n"
    )
}

/// A setting that may have any text.
const SETTING: &str = "clientKey";

const AUTH: &str = "auth:\n  secretStore: vault";

#[test]
fn the_component_file_of_daprs_guide_is_read() {
    let outcome = Case::of(
        "apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: lockstore
spec:
  type: lock.redis
  version: v1
  metadata:
  - name: redisHost
    value: localhost:6379
  - name: redisPassword
    value: hunter2
",
    )
    .load();
    let [component] = outcome.stores() else {
        panic!("{:?}", outcome.names());
    };
    assert_eq!(component.name, "lockstore");
    assert_eq!(component.component_type, "lock.redis");
    assert_eq!(component.version, "v1");
    assert_eq!(component.properties.get("redisHost"), Some("localhost:6379"));
    assert_eq!(component.properties.get("REDISPASSWORD"), Some("hunter2"));
    assert!(!component.ignore_errors);
    assert_eq!(component.init_timeout, Duration::from_secs(5));
    assert!(component.source.to_string().ends_with("a.yaml, document 1"));
    assert!(outcome.notices.is_empty());
}

#[test]
fn files_are_read_in_order_and_subfolders_are_not() {
    let case = Case::default()
        .folder(&[
            ("b.yml", lock("b").as_bytes()),
            ("a.yaml", format!("{}---\n{}", lock("a1"), lock("a2")).as_bytes()),
            ("C.YAML", lock("c").as_bytes()),
            ("notes.txt", b"x"),
            (".yaml", lock("hidden").as_bytes()),
        ])
        .folder(&[("a.yaml", lock("z").as_bytes())]);
    fs::create_dir(case.path("sub.yaml")).unwrap();
    fs::write(case.path("sub.yaml/x.yaml"), lock("below")).unwrap();
    let outcome = case.load();
    assert_eq!(outcome.names(), ["hidden", "c", "a1", "a2", "b", "z"]);
    assert_eq!(outcome.warnings(), [""; 0]);
    assert!(outcome.notices_of(Level::Info)[0].contains("notes.txt: not a YAML file"));
}

#[test]
fn without_a_folder_there_is_no_component() {
    assert!(Case::default().load().stores().is_empty());
    assert!(Case::default().folder(&[]).load().stores().is_empty());
}

#[test]
fn a_missing_folder_is_fatal() {
    let mut case = Case::of(lock("a"));
    let gone = tempfile::tempdir().unwrap();
    fs::remove_dir(gone.path()).unwrap();
    case.folders.push(gone);
    let error = case.load().error();
    assert!(error.contains("cannot read the resources folder"), "{error}");
    assert!(error.contains(case.folders[1].path().to_str().unwrap()), "{error}");
}

#[test]
fn a_duplicate_name_is_fatal_and_names_both_places() {
    let other = lock("a").replace("lock.redis", "state.redis");
    let case = Case::of(lock("a"))
        .folder(&[("b.yaml", format!("# c\n---\n{}---\n{other}", lock("x")).as_bytes())]);
    let error = case.load().error();
    assert!(error.starts_with("duplicate component name a: "), "{error}");
    assert!(error.contains("a.yaml, document 1 and "), "{error}");
    assert!(error.ends_with("b.yaml, document 2"), "{error}");
}

#[test]
fn a_folder_that_is_given_twice_is_named() {
    let outer = tempfile::tempdir().unwrap();
    fs::create_dir(outer.path().join("c")).unwrap();
    fs::write(outer.path().join("c/a.yaml"), lock("a")).unwrap();
    std::os::unix::fs::symlink("c", outer.path().join("link")).unwrap();
    for other in ["c", "c/../c", "link"] {
        let folders = ["c", other].map(|name| outer.path().join(name));
        let error = load(&Options::new(folders.to_vec()), &mut |_| {}).unwrap_err().to_string();
        let [first, second] = folders.map(|folder| folder.display().to_string());
        assert_eq!(error, format!("a resources folder is given twice: {first} and {second}"));
    }
}

const EDGE_LOCK: &str = r#"apiVersion: holdfast.lock/v1alpha1
kind: EdgeLock
metadata:
  name: reports
spec:
  store: l
  resource: "{:authority}{:path}"
  ttl: 60s
"#;

/// Without it, requests that should wait would pass.
#[test]
fn an_edge_lock_that_cannot_be_read_stops_the_start() {
    let version = "apiVersion: holdfast.lock/v1alpha1\n";
    let changed = |from: &str, to: &str| EDGE_LOCK.replacen(from, to, 1).into_bytes();
    let indented = EDGE_LOCK.replace('\n', "\n  ");
    let list = |item: &str| format!("kind: List\nitems:\n- {item}\n").into_bytes();
    let not_utf8 = EDGE_LOCK.bytes().map(|byte| if byte == b'{' { 0xff } else { byte }).collect();
    let utf16: Vec<u8> =
        format!("\u{feff}{EDGE_LOCK}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, expected) in [
        (changed("\"{:authority}{:path}\"", "{:authority}{:path}"), ": not valid YAML: "),
        (changed("  ttl", "\tttl"), ": not valid YAML: tabs disallowed"),
        (changed(version, "apiVersion: [\n"), ": not valid YAML: "),
        (changed("kind: EdgeLock", "kind: ]"), ": not valid YAML: "),
        (changed("spec:", "{}\n\nspec:"), ": not valid YAML: "),
        (changed("kind: EdgeLock\n", ""), ", kind: is missing, and must be EdgeLock here"),
        (changed("EdgeLock", "''"), ", kind: is missing, and must be EdgeLock here"),
        (changed("EdgeLock", "Component"), ", kind: is Component, and must be EdgeLock here"),
        (changed("EdgeLock", "Resiliency"), ", kind: is Resiliency, and must be EdgeLock here"),
        (changed("EdgeLock", "[EdgeLock]"), ", kind: must be text"),
        (changed("kind", "kin"), ", kind: is missing, and must be EdgeLock here"),
        (
            EDGE_LOCK.replace(version, "").replace("kind", "kin").into_bytes(),
            ", kin: unknown field kin",
        ),
        (format!("- {indented}").into_bytes(), ": the document must be a mapping"),
        (
            list(&indented.replace("  kind: EdgeLock\n", "")),
            ", items[0].kind: is missing, and must be EdgeLock here",
        ),
        (
            list(&format!("kind: List\n  items: [{{{}}}]", version.trim_end())),
            "is List inside a List",
        ),
        (
            String::from_utf8(list(&indented)).unwrap().replace("items", "itmes").into(),
            ", itmes: unknown field",
        ),
        (not_utf8, ": not valid UTF-8 (line 7)"),
        ([EDGE_LOCK.as_bytes(), b"# \xff"].concat(), ": not valid UTF-8 (line 9)"),
        (utf16, ": in UTF-16: save it in UTF-8"),
    ] {
        let store = lock("l");
        let outcome = Case::default()
            .folder(&[("a.yaml", store.as_bytes()), ("b.yaml", bytes.as_slice())])
            .load();
        let text = String::from_utf8_lossy(&bytes);
        assert!(outcome.result.is_err(), "{text}");
        let error = outcome.error();
        assert!(
            error.contains("b.yaml, document 1") && error.contains(expected),
            "{text}: {error}"
        );
    }
    let case = Case::of(lock("l") + "---\n" + EDGE_LOCK).load();
    assert_eq!((case.names(), case.errors()), (vec!["l"], vec![]));
}

#[test]
fn a_comment_does_not_make_a_document_an_edge_locks() {
    for bad in ["# as in the EdgeLock\na: [", "a: ]\n  # holdfast.lock/v1alpha1"] {
        let outcome = Case::of(format!("{}---\n{bad}", lock("l"))).load();
        assert_eq!(outcome.names(), ["l"]);
        assert!(outcome.errors()[0].contains("document 2: not valid YAML: "), "{bad}");
    }
}

#[test]
fn a_bad_document_does_not_affect_the_others() {
    let wrong_type = |from: &str, to: &str| lock("bad").replace(from, to);
    for (bad, expected) in [
        ("a: [1".to_owned(), "document 2: not valid YAML: "),
        ("a: b: c".to_owned(), "document 2: not valid YAML: "),
        ("a: {".to_owned(), "(line 10)"),
        ("- hunter2".to_owned(), "document 2: the document must be a mapping"),
        ("hunter2".to_owned(), "document 2: the document must be a mapping"),
        ("a: b".to_owned(), "document 2, kind: is missing"),
        (
            wrong_type("dapr.io/v1alpha1", "dapr.io/v2"),
            "document 2, apiVersion: must be dapr.io/v1alpha1",
        ),
        (wrong_type("apiVersion: dapr.io/v1alpha1", ""), "document 2, apiVersion: must be"),
        (wrong_type("name: bad", ""), "document 2, metadata.name: is missing"),
        (wrong_type("name: bad", "name: [hunter2]"), "metadata.name: must be text"),
        (wrong_type("name: bad", "name: a/b"), "metadata.name: may not contain"),
        (wrong_type("name: bad", "name: .."), "metadata.name: may not be"),
        (wrong_type("version: v1", "version: {a: hunter2}"), "spec.version: must be text"),
        (
            wrong_type("version: v1", "ignoreErrors: \"true\""),
            "spec.ignoreErrors: must be true or false",
        ),
        (
            wrong_type("version: v1", "ignoreErrors: hunter2"),
            "spec.ignoreErrors: must be true or false",
        ),
        (wrong_type("version: v1", "metadata: hunter2"), "spec.metadata: must be a list"),
        (wrong_type("version: v1", "metadata: [hunter2]"), "spec.metadata[0]: must be a mapping"),
        (
            wrong_type("version: v1", "metadata: [{}, {name: x, secretKeyRef: hunter2}]"),
            "spec.metadata[1].secretKeyRef: must be a mapping",
        ),
        (
            wrong_type("version: v1", "metadata: [{name: x, envRef: [hunter2]}]"),
            "spec.metadata[0].envRef: must be text",
        ),
        (wrong_type("kind:", "scopes: hunter2\nkind:"), "document 2, scopes: must be a list"),
        (wrong_type("kind:", "scopes: [[hunter2]]\nkind:"), "document 2, scopes[0]: must be text"),
        (wrong_type("kind:", "auth: hunter2\nkind:"), "document 2, auth: must be a mapping"),
    ] {
        let outcome =
            Case::of(format!("{}---\n{bad}\n---\n{}", lock("first"), lock("last"))).load();
        assert_eq!(outcome.names(), ["first", "last"], "{bad}");
        let [error] = &outcome.errors()[..] else {
            panic!("{bad}: {:?}", outcome.errors());
        };
        assert!(error.contains("a.yaml, document 2"), "{error}");
        assert!(error.contains(expected), "{error} - {expected}");
    }
}

#[test]
fn line_ends_byte_order_marks_comments_and_empty_documents_are_ignored() {
    let crlf = format!(
        "\u{feff}# licence\r\n\r\n---\r\n{}---\r\n---\r\n# nothing\r\n---\r\n{}...\r\n",
        lock("a"),
        lock("b")
    )
    .replace("\r\n", "\n")
    .replace('\n', "\r\n");
    for (text, names, last_document) in [
        (crlf, &["a", "b"][..], 4),
        (format!("--- # first\n{}\n--- \n{}---", lock("a"), lock("b")), &["a", "b"], 2),
        (format!("---\n{}", lock("a").trim_end()), &["a"], 1),
    ] {
        let outcome = Case::of(&text).load();
        assert_eq!(outcome.names(), names, "{text}");
        assert_eq!(outcome.stores().last().unwrap().source.document, last_document, "{text}");
        assert!(outcome.notices.is_empty(), "{text}");
    }
    for text in ["", "\u{feff}", "# only\n# comments\n", "---\n", "---\n---\n", "\r\n\r\n"] {
        let outcome = Case::of(text).load();
        assert!(outcome.stores().is_empty() && outcome.notices.is_empty(), "{text:?}");
    }
}

#[test]
fn invalid_utf8_affects_only_its_document() {
    let mut file = lock("a").into_bytes();
    file.extend(b"---\nx: \xff\xfe\n---\n");
    file.extend(lock("b").into_bytes());
    let outcome = Case::of(file).load();
    assert_eq!(outcome.names(), ["a", "b"]);
    assert!(outcome.errors()[0].ends_with("a.yaml, document 2: not valid UTF-8 (line 9)"));
}

#[test]
fn a_file_in_utf_16_is_named_as_such() {
    for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        let file: Vec<u8> =
            format!("\u{feff}{}", lock("a")).encode_utf16().flat_map(to_bytes).collect();
        let outcome = Case::of(file).load();
        assert!(outcome.stores().is_empty());
        let error = &outcome.errors()[0];
        assert!(error.ends_with("a.yaml, document 1: in UTF-16: save it in UTF-8"), "{error}");
    }
}

/// They are a document of their own for daprd.
#[test]
fn directives_before_the_first_document_are_no_mistake() {
    for directives in ["%YAML 1.1\n", "# c\n%YAML 1.2\n%TAG ! x:\n"] {
        let outcome = Case::of(format!("{directives}---\n{}", lock("a"))).load();
        assert_eq!(outcome.names(), ["a"]);
        assert!(outcome.notices.is_empty(), "{:?}", outcome.notices);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_passed_over() {
    let huge = "#".repeat((1 << 20) + 1);
    let case =
        Case::default().folder(&[("a.yaml", huge.as_bytes()), ("b.yaml", lock("b").as_bytes())]);
    let outcome = case.load();
    assert_eq!(outcome.names(), ["b"]);
    assert!(outcome.errors()[0].ends_with("a.yaml: cannot be read: it is larger than 1 MiB"));
}

#[cfg(unix)]
#[test]
fn symbolic_links_to_files_are_followed() {
    let case = Case::default().folder(&[("data", lock("a").as_bytes())]);
    std::os::unix::fs::symlink(case.path("data"), case.path("a.yaml")).unwrap();
    std::os::unix::fs::symlink(case.path("gone"), case.path("b.yaml")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", case.path("c.yaml")).unwrap();
    let outcome = case.load();
    assert_eq!(outcome.names(), ["a"]);
    assert!(outcome.errors()[0].contains("b.yaml: cannot be read"));
    assert!(outcome.errors()[1].contains("c.yaml: cannot be read: it is not a regular file"));
}

#[test]
fn an_alias_bomb_is_one_bad_document() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        bomb +=
            &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", "));
    }
    let outcome = Case::of(format!("{bomb}---\n{}", lock("a"))).load();
    assert_eq!(outcome.names(), ["a"]);
    assert!(outcome.errors()[0].contains("too large with its aliases"));
}

#[test]
fn documents_of_other_kinds_are_skipped() {
    let other = "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {name: c}\n";
    let state = lock("s").replace("lock.redis", "state.redis");
    let unknown = lock("u").replace("lock.redis", "lock.Foo");
    let outcome = Case::of(format!("{other}---\n{state}---\n{unknown}")).load();
    assert_eq!(outcome.names(), ["u"]);
    assert_eq!(outcome.stores()[0].component_type, "lock.Foo");
    assert_eq!(outcome.warnings(), [""; 0]);
    assert_eq!(outcome.notices_of(Level::Info).len(), 2);
}

#[test]
fn a_misspelt_kind_is_reported() {
    let of = |kind: &str, version: &str| {
        format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: c}}\n---\n{}", lock("l"))
    };
    for (kind, meant) in [
        ("component", "Component"),
        ("Componet", "Component"),
        ("Components", "Component"),
        ("resiliency", "Resiliency"),
        ("RESILIENCY", "Resiliency"),
        ("Resilency", "Resiliency"),
        ("edgelock", "EdgeLock"),
        ("Edgelocks", "EdgeLock"),
        ("list", "List"),
        ("ComponentList", "List"),
        ("ResiliencyList", "List"),
        ("Configration", "Configuration"),
        ("Subscripton", "Subscription"),
        ("HttpEndpoint", "HTTPEndpoint"),
    ] {
        for version in ["dapr.io/v1alpha1", "dapr.io/v1alpha2", "''"] {
            let outcome = Case::of(of(kind, version)).load();
            assert_eq!(outcome.names(), ["l"]);
            let [warning] = &outcome.warnings()[..] else {
                panic!("{kind} {version}: {:?}", outcome.warnings())
            };
            let expected = format!(
                "a.yaml, document 1, kind: unknown kind {kind}, so it is not read (did you mean {meant}?)"
            );
            assert!(warning.ends_with(&expected), "{warning} - {expected}");
        }
    }
    for (kind, version) in [
        ("Configuration", "dapr.io/v1alpha1"),
        ("Subscription", "dapr.io/v2alpha1"),
        ("HTTPEndpoint", "dapr.io/v1alpha1"),
        ("WorkflowAccessPolicy", "dapr.io/v1alpha1"),
        ("Deployment", "apps/v1"),
        ("ComponentStatus", "v1"),
        ("ComponentStatusList", "v1"),
        ("configuration", "example.net/v1"),
        ("Components", "example.net/v1"),
    ] {
        let outcome = Case::of(of(kind, version)).load();
        assert_eq!((outcome.names(), outcome.warnings()), (vec!["l"], vec![]), "{kind}");
    }
}

#[test]
fn unknown_fields_other_case_and_anchors_are_accepted() {
    let text = "x-base: &base {type: lock.redis, version: v1}
APIVERSION: dapr.io/v1alpha1
kind: Component
metadata: {name: 123, labels: {a: b}}
spec:
  <<: *base
  extra: 1
  metadata:
  - {Name: clientKey, VALUE: 5, more: x}
";
    let outcome = Case::of(text).load();
    assert_eq!(outcome.names(), ["123"]);
    assert_eq!(outcome.value(), "5");
}

/// YAML keeps the key that precedes `<<`, and Dapr's library the one that is merged in.
#[test]
fn a_key_before_a_merge_that_has_it_too_is_ambiguous() {
    let entry = |lines: &str| format!("{}  metadata:\n  - {lines}\n", lock("a"));
    let merge = "<<: {name: keyPrefix, value: name}";
    let case = Case::of(entry(&format!("name: keyPrefix\n    value: none\n    {merge}")));
    let error = case.load().error();
    assert!(
        error.ends_with(
            "spec.metadata[0].value: is given twice, the second time by the `<<` below it: put `<<` first"
        ),
        "{error}"
    );
    let case = Case::of(entry(&format!("{merge}\n    value: none")));
    assert_eq!(case.load().stores()[0].properties.get("keyPrefix"), Some("none"));
}

#[test]
fn only_the_initial_versions_are_accepted() {
    for version in ["", "v0", "v1", "V1", "null"] {
        let outcome = Case::of(lock("a").replace("v1\n", &format!("{version}\n"))).load();
        assert!(outcome.result.is_ok() || version.is_empty(), "{version}");
    }
    let text = lock("a").replace("version: v1", "version: v2");
    let error = Case::of(&text).load().error();
    assert!(error.ends_with("a.yaml, document 1, component a, spec.version: lock.redis/v2 is not supported: leave the version out or write v1"), "{error}");
    let outcome = Case::of(format!("{text}  ignoreErrors: true\n---\n{}", lock("b"))).load();
    assert_eq!(outcome.names(), ["b"]);
    assert!(outcome.warnings()[0].contains("component a, spec.version"));
}

#[test]
fn the_error_names_every_component_that_cannot_be_resolved() {
    let bad = |name| lock(name).replace("version: v1", "version: v2");
    let error = Case::of(format!("{}---\n{}", bad("a"), bad("b"))).load().error();
    assert_eq!(error.lines().count(), 2, "{error}");
}

#[test]
fn init_timeouts_are_go_durations() {
    for (text, expected, warnings) in [
        ("1m30s", Duration::from_secs(90), 0),
        ("250ms", Duration::from_millis(250), 0),
        ("null", Duration::from_secs(5), 0),
        ("5", Duration::from_secs(5), 1),
        ("0s", Duration::from_secs(5), 1),
        ("-1s", Duration::from_secs(5), 1),
        ("soon", Duration::from_secs(5), 1),
    ] {
        let outcome = Case::of(format!("{}  initTimeout: {text}\n", lock("a"))).load();
        assert_eq!(outcome.stores()[0].init_timeout, expected, "{text}");
        let found = outcome.warnings();
        assert_eq!(found.len(), warnings, "{text}");
        assert!(found.iter().all(|w| w.contains("component a, spec.initTimeout: ")), "{found:?}");
    }
}

/// The start must not end before a connection that may take longer.
#[test]
fn the_default_init_timeout_is_as_long_as_a_connection_may_take() {
    for (dial_timeout, expected) in [
        ("10s", Duration::from_secs(10)),
        ("30000", Duration::from_secs(30)),
        ("1s", Duration::from_secs(5)),
        ("0", Duration::from_secs(5)),
        ("-1", Duration::from_secs(5)),
        ("soon", Duration::from_secs(5)),
    ] {
        let settings = format!("  metadata: [{{name: dialTimeout, value: \"{dial_timeout}\"}}]\n");
        let of =
            |more: &str| Case::of(lock("a") + &settings + more).load().stores()[0].init_timeout;
        assert_eq!(of(""), expected, "{dial_timeout}");
        assert_eq!(of("  initTimeout: 0s\n"), expected, "{dial_timeout}");
        assert_eq!(of("  initTimeout: 1s\n"), Duration::from_secs(1), "{dial_timeout}");
    }
}

#[test]
fn values_become_text() {
    for (value, expected) in [
        ("6379", "6379"),
        ("\"6379\"", "6379"),
        ("true", "true"),
        ("yes", "true"),
        ("'yes'", "yes"),
        ("1.50", "1.5"),
        ("null", ""),
        ("", ""),
        ("'\"quoted\"'", "\"quoted\""),
        ("[1, a]", "[1,\"a\"]"),
        ("{b: 1, a: null}", "{\"a\":null,\"b\":1}"),
        ("[a&b]", r#"["a\u0026b"]"#),
        ("!!binary aGVsbG8=", "hello"),
        ("|\n      -----BEGIN\n      x\n", "-----BEGIN\nx\n"),
    ] {
        let outcome = Case::of(with_setting(&format!("value: {value}"), "")).load();
        assert_eq!(outcome.value(), expected, "{value}");
    }
}

#[test]
fn an_entry_without_a_name_is_skipped() {
    let outcome = Case::of(with_setting("value: first\n  - value: hunter2", "")).load();
    assert_eq!(outcome.value(), "first");
    assert!(outcome.warnings()[0].contains("component l, spec.metadata[1].name: is missing"));
}

#[test]
fn a_document_that_says_two_things_at_once_stops_the_start() {
    let twice = |entry: &str| with_setting(entry, AUTH);
    let text = |from: &str, to: &str| lock("l").replace(from, to);
    for (text, expected) in [
        (
            twice("value: a\n  - name: CLIENTKEY\n    value: b"),
            "component l, spec.metadata[1]: CLIENTKEY is set twice: spec.metadata[0] sets clientKey",
        ),
        (
            twice("value: a\n  - name: clientKey\n    value: a"),
            "component l, spec.metadata[1]: clientKey is set twice: spec.metadata[0] sets clientKey",
        ),
        (
            twice("value: a\n    secretKeyRef: {name: PW}"),
            "document 1, spec.metadata[0]: clientKey has both value and secretKeyRef: leave one out",
        ),
        (twice("value: a\n    envRef: PW"), "clientKey has both value and envRef: leave one out"),
        (
            twice("envRef: PW\n    secretKeyRef: {name: PW}"),
            "clientKey has both secretKeyRef and envRef: leave one out",
        ),
        (
            twice("value: a\n    VALUE: b"),
            "document 1, spec.metadata[0].value: is given twice, as VALUE and value",
        ),
        (twice("value: a\n    value: a"), "spec.metadata[0].value: is given twice"),
        (text("type:", "type: lock.in-memory\n  type:"), "spec.type: is given twice"),
        (text("spec:", "Spec: {}\nspec:"), "spec: is given twice, as Spec and spec"),
        (text("kind:", "scopes: [a]\nscopes: [b]\nkind:"), "scopes: is given twice"),
        (text("name: l", "name: l\n  name: m"), "metadata.name: is given twice"),
    ] {
        let error = Case::of(format!("{text}---\n{}", lock("other"))).load().error();
        assert!(error.ends_with(expected), "{error} - {expected}");
    }
    // Another building block's mistakes are not ours.
    let state = twice("value: a\n    VALUE: b").replace("lock.redis", "state.redis");
    assert!(Case::of(state).load().stores().is_empty());
}

#[test]
fn a_type_that_dapr_does_not_know_stops_the_start() {
    for (written, expected) in [
        ("lok.redis", "incorrect type lok.redis (did you mean lock.redis?)"),
        ("LOCK.REDIS", "incorrect type LOCK.REDIS (did you mean lock.redis?)"),
        ("Lock.redis", "incorrect type Lock.redis (did you mean lock.redis?)"),
        ("redis", "incorrect type redis (the types of locks are lock.redis and lock.in-memory)"),
        ("lock", "incorrect type lock (the types of locks are lock.redis and lock.in-memory)"),
        ("pubsubs.kafka", "incorrect type pubsubs.kafka (the types of locks are "),
        ("", "is missing"),
    ] {
        let text = lock("l").replace("type: lock.redis", &format!("type: {written}"));
        let error = Case::of(format!("{text}  ignoreErrors: true\n")).load().error();
        let expected = format!("a.yaml, document 1, component l, spec.type: {expected}");
        assert!(error.contains(&expected), "{error} - {expected}");
    }
    let elsewhere = lock("l").replace("lock.redis", "lok.redis") + "scopes: [other]\n";
    assert!(Case::of(elsewhere).app("app").load().stores().is_empty());
}

#[test]
fn settings_without_effect_are_reported() {
    let setting = |name: &str| format!("  metadata: [{{name: {name}, value: hunter2}}]\n");
    for (more, expected) in [
        (
            setting("keyPrefx"),
            "spec.metadata[0]: unknown setting keyPrefx, so it has no effect (did you mean keyPrefix?)",
        ),
        (
            setting("enableSSL"),
            "unknown setting enableSSL, so it has no effect (did you mean enableTLS?)",
        ),
        (setting("colour"), "unknown setting colour, so it has no effect"),
        (
            "  scopes: [app1]\n".into(),
            "spec.scopes: has no effect here: it belongs to the top level",
        ),
        ("  auth: {secretStore: s}\n".into(), "spec.auth: has no effect here: it belongs to"),
        (
            "  ignoreError: true\n".into(),
            "spec.ignoreError: unknown field ignoreError, so it has no",
        ),
        (
            "scope: [app1]\n".into(),
            "scope: unknown field scope, so it has no effect (did you mean scopes?)",
        ),
        (
            "  scopez: [app1]\n".into(),
            "spec.scopez: unknown field scopez, so it has no effect (did you mean scopes, which belongs to the top \
             level?)",
        ),
        ("ignoreErrors: true\n".into(), "ignoreErrors: has no effect here: it belongs to spec"),
        (
            "initTimout: 5s\n".into(),
            "initTimout: unknown field initTimout, so it has no effect (did you mean initTimeout, which belongs to \
             spec?)",
        ),
        ("  secretStore: s\n".into(), "spec.secretStore: has no effect here: it belongs to auth"),
        (
            "  metadata: [{name: redisDB, secretKey: x}]\n".into(),
            "spec.metadata[0].secretKey: unknown field secretKey, so it has no effect (did you mean secretKeyRef?)",
        ),
        (
            "  metadata: [{name: redisDB, val: 1}]\n".into(),
            "spec.metadata[0].val: unknown field val",
        ),
        ("auth: {secretstorage: x}\n".into(), "auth.secretstorage: unknown field secretstorage"),
        (
            "  metadata: [{name: redisDB, secretKeyRef: {nmae: s, key: k}}]\n".into(),
            "spec.metadata[0].secretKeyRef.nmae: unknown field nmae, so it has no effect (did you mean name?)",
        ),
        (
            "  metadata: [{name: redisDB, secretKeyRef: {key: k}}]\n".into(),
            "spec.metadata[0].secretKeyRef: has no name, so it has no effect",
        ),
        (
            "  metadata: [{name: ignoreErrors, value: true}]\n".into(),
            "spec.metadata[0]: ignoreErrors is not a setting: move it to spec",
        ),
        (setting("tls"), "unknown setting tls, so it has no effect (did you mean enableTLS?)"),
    ] {
        let outcome = Case::of(lock("l") + &more).load();
        assert_eq!(outcome.names(), ["l"], "{more}");
        let [warning] = &outcome.warnings()[..] else { panic!("{:?}", outcome.warnings()) };
        assert!(warning.contains("component l, "), "{warning}");
        assert!(warning.contains(expected), "{warning} - {expected}");
    }
    let vault = vault("secretstores.local.env", "{name: prefx, value: A_}");
    assert!(Case::of(vault).load().warnings()[0].contains("(did you mean prefix?)"));
    // As `kubectl get -o yaml` writes it.
    let quiet =
        lock("l").replace("name: l", "name: l\n  uid: x\n  labels: {a: b}") + "status: {}\n";
    assert_eq!(Case::of(quiet).load().warnings(), [""; 0]);
}

#[test]
fn misspelt_keys_of_a_document_are_errors_that_name_the_nearest() {
    for (from, to, expected) in [
        ("kind:", "knid:", "knid: unknown field knid, so it has no effect (did you mean kind?)"),
        ("apiVersion:", "apiVerson:", "apiVerson: unknown field apiVerson, so it has no effect"),
        ("metadata:", "metdata:", "metdata: unknown field metdata, so it has no effect"),
        ("name: l", "nam: l", "metadata.nam: unknown field nam, so it has no effect"),
    ] {
        let outcome = Case::of(lock("l").replacen(from, to, 1)).load();
        let [error] = &outcome.errors()[..] else { panic!("{to} {:?}", outcome.errors()) };
        assert!(error.contains(&format!("a.yaml, document 1, {expected}")), "{error}");
    }
}

#[test]
fn what_follows_a_document_stops_the_start() {
    for more in ["...\na: b\n".to_owned(), format!("...\n---x\n{}", lock("m"))] {
        let error = Case::of(lock("l") + &more).load().error();
        assert!(error.contains("a.yaml, document 1: more follows the document (line "), "{error}");
    }
    let one = r#"{"apiVersion": "dapr.io/v1alpha1", "kind": "Component"}"#;
    let error = Case::of(format!("{one}\n{one}\n")).load().error();
    assert!(error.contains("more follows the document (line 2): put a line ---"), "{error}");
    assert_eq!(Case::of(lock("l") + "...\n").load().names(), ["l"]);
}

#[test]
fn a_list_with_unknown_fields_is_an_error() {
    let list = "apiVersion: v1\nkind: List\nitems: []\nitemss: []\n";
    let outcome = Case::of(list).load();
    let [error] = &outcome.errors()[..] else { panic!("{:?}", outcome.errors()) };
    assert!(error.contains("itemss: unknown field itemss, so it has no effect"), "{error}");
}

#[test]
fn an_empty_key_prefix_is_reported() {
    for value in ["\"\"", "null", "~", ""] {
        let text = format!("{}  metadata: [{{name: keyPrefix, value: {value}}}]\n", lock("l"));
        let outcome = Case::of(text).load();
        assert_eq!(outcome.stores()[0].properties.get("keyPrefix"), Some(""), "{value}");
        let warning = &outcome.warnings()[0];
        assert!(
            warning.contains("keyPrefix is empty, so that the keys start with lock||||"),
            "{warning}"
        );
    }
}

#[test]
fn a_master_name_without_failover_is_reported_and_has_no_effect() {
    let with = |more: &str| {
        let settings = format!(
            "  metadata: [{{name: redisHost, value: a}}, {{name: SentinelMasterName, value: m}}{more}]\n"
        );
        Case::of(lock("l") + &settings).load().warnings()
    };
    for more in ["", ", {name: failover, value: \"false\"}", ", {name: redisType, value: node}"] {
        let warnings = with(more);
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        let expected = "spec.metadata[1]: sentinelMasterName has no effect without failover";
        assert!(warning.contains(expected), "{warning}");
    }
    assert_eq!(with(", {name: failover, value: \"true\"}"), [""; 0]);
    assert_eq!(with(", {name: redisType, value: sentinel}"), [""; 0]);
}

#[test]
fn settings_without_the_one_they_require_are_reported_and_have_no_effect() {
    let sentinel = "{name: failover, value: \"true\"}, {name: sentinelMasterName, value: m}";
    for (setting, needed, expected) in [
        (
            "{name: redisUsername, value: u}",
            "{name: redisPassword, value: p}",
            "redisUsername has no effect without redisPassword",
        ),
        (
            "{name: insecureSkipTLSVerify, value: \"true\"}",
            "{name: enableTLS, value: \"true\"}",
            "insecureSkipTLSVerify has no effect without enableTLS",
        ),
        (
            "{name: sentinelPassword, value: p}",
            sentinel,
            "sentinelPassword has no effect without failover",
        ),
        (
            "{name: minIdleConns, value: \"60000\"}",
            "{name: poolSize, value: \"60000\"}",
            "minIdleConns has no effect above poolSize",
        ),
    ] {
        let with = |more: &str| {
            let settings =
                format!("  metadata: [{{name: redisHost, value: a}}, {setting}, {more}]\n");
            Case::of(lock("l") + &settings).load().warnings()
        };
        let warnings = with("");
        let [warning] = &warnings[..] else { panic!("{setting}: {warnings:?}") };
        assert!(warning.ends_with(&format!("spec.metadata[1]: {expected}")), "{warning}");
        assert_eq!(with(needed), [""; 0], "{setting}");
    }
}

#[test]
fn a_list_is_read_as_its_items() {
    let indented = |text: String| {
        let lines: Vec<String> = text.lines().map(|line| format!("  {line}\n")).collect();
        format!("-{}", lines.concat().split_at(1).1)
    };
    let (one, two) = (indented(lock("one")), indented(lock("two")));
    let text =
        format!("apiVersion: v1\nkind: List\nitems:\n{one}{two}- hunter2\n---\n{}", lock("three"));
    let outcome = Case::of(text).load();
    assert_eq!(outcome.names(), ["one", "two", "three"]);
    assert_eq!(outcome.stores()[1].source.document, 1);
    let [error] = &outcome.errors()[..] else { panic!("{:?}", outcome.errors()) };
    assert!(error.ends_with("a.yaml, document 1, items[2]: must be a mapping"), "{error}");
}

#[test]
fn templates_are_filled_in() {
    let case = |value| {
        Case::of(with_setting(&format!("value: '{value}'"), ""))
            .app("app1")
            .env("POD_NAME", "pod-0")
    };
    assert_eq!(case("{appID}-{podName}-{namespace}").load().value(), "app1-pod-0-default.app1");
    assert_eq!(case("{namespace}").env("NAMESPACE", "prod").load().value(), "prod.app1");
    let uuids = case("{uuid}{uuid}").load().value();
    assert_eq!(uuids.len(), 72);
    assert_ne!(uuids[..36], uuids[36..]);
    let error = Case::of(with_setting("value: '{podName}'", "")).load().error();
    assert!(
        error.contains("component l, spec.metadata[0].value: clientKey refers to {podName}"),
        "{error}"
    );
}

#[test]
fn env_ref_reads_the_environment() {
    let case = |variable: &str| Case::of(with_setting(&format!("envRef: {variable}"), ""));
    assert_eq!(case("PW").env("PW", SECRET).load().value(), SECRET);
    assert_eq!(case("PW").env("PW", r#""h\x75nter2""#).load().value(), SECRET);
    assert_eq!(case("PW").env("PW", "'k'").load().value(), "k");
    assert_eq!(case("PW").env("PW", "").load().value(), "");

    for (variable, expected) in [
        ("PW", "PW is not set, so clientKey is empty"),
        ("DAPR_API_TOKEN", "may not be referred to"),
        ("dapr_x", "may not be referred to"),
        ("App_Api_Token", "may not be referred to"),
        ("'A B'", "may not be referred to"),
    ] {
        let mut case = case(variable);
        if variable != "PW" {
            case = case.env(variable.trim_matches('\''), SECRET);
        }
        let outcome = case.load();
        assert_eq!(outcome.value(), "", "{variable}");
        let warning = &outcome.warnings()[0];
        assert!(
            warning.contains("component l, spec.metadata[0].envRef: ")
                && warning.contains(expected),
            "{warning}"
        );
    }

    let listed = |keys| case("PW").env("PW", SECRET).env("DAPR_ENV_KEYS", keys).load().value();
    assert_eq!(listed("A PW B"), SECRET);
    assert_eq!(listed("PWD APW"), "");
    assert_eq!(listed(""), SECRET);
}

#[test]
fn scopes_and_namespaces_select_components() {
    let scoped = format!("{}scopes: [app1, 7]\n", lock("a"));
    assert_eq!(Case::of(&scoped).app("app1").load().names(), ["a"]);
    assert_eq!(Case::of(&scoped).app("7").load().names(), ["a"]);
    for case in [Case::of(&scoped).app("app2"), Case::of(&scoped)] {
        let outcome = case.load();
        assert!(outcome.stores().is_empty());
        assert!(outcome.notices_of(Level::Info)[0].contains("component a, scopes: "));
    }
    assert_eq!(Case::of(format!("{}scopes: []\n", lock("a"))).load().names(), ["a"]);
    let theirs = format!("{scoped}---\n{}scopes: [app2]\n", lock("a"));
    assert_eq!(Case::of(theirs).app("app2").load().stores()[0].source.document, 2);

    let spaced = lock("a").replace("name: a", "name: a\n  namespace: prod");
    assert_eq!(Case::of(&spaced).load().names(), ["a"]);
    assert_eq!(Case::of(&spaced).env("NAMESPACE", "").load().names(), ["a"]);
    assert_eq!(Case::of(&spaced).env("NAMESPACE", "prod").load().names(), ["a"]);
    assert_eq!(Case::of(lock("a")).env("NAMESPACE", "prod").load().names(), ["a"]);
    assert!(Case::of(&spaced).env("NAMESPACE", "dev").load().stores().is_empty());
}

#[test]
fn secrets_come_from_the_environment() {
    let entry = "secretKeyRef: {name: PW}";
    let local_env = |settings: &str| {
        let lock = with_setting(entry, AUTH);
        let vault = vault("secretstores.local.env", settings);
        Case::default().folder(&[("a.yaml", lock.as_bytes()), ("b.yaml", vault.as_bytes())])
    };
    assert_eq!(local_env("").env("PW", SECRET).load().value(), SECRET);
    assert_eq!(local_env("{name: PREFIX, value: MY_}").env("MY_PW", SECRET).load().value(), SECRET);
    assert_eq!(
        local_env("{name: prefix, envRef: P}").env("P", "MY_").env("MY_PW", SECRET).load().value(),
        SECRET
    );
    assert_eq!(local_env("").env("PW", "'hunter2'").load().value(), "'hunter2'");
    assert_eq!(local_env("").env("PW", r#""hunter\062""#).load().value(), SECRET);
    assert_eq!(local_env("").env("PW", "\"tab\tx\"").load().value(), "tab\tx");
    assert_eq!(local_env("").env("PW", r#""a\/b""#).load().value(), r#""a\/b""#);
    assert_eq!(local_env("").env("PW", "").load().value(), "");

    let error = local_env("").load().error();
    assert!(error.ends_with("a.yaml, document 1, component l, spec.metadata[0].secretKeyRef: clientKey: the environment variable PW is not set"), "{error}");
    let error = local_env("{name: prefix, value: DAPR_}").env("DAPR_PW", SECRET).load().error();
    assert!(error.contains("DAPR_PW may not be read as a secret"), "{error}");

    let keyed = format!(
        "{}{}",
        with_setting("secretKeyRef: {name: PW, key: K}", AUTH),
        vault("SecretStores.local.env".replace("SecretStores", "secretstores").as_str(), "")
    );
    assert!(Case::of(keyed).env("PW", SECRET).load().error().contains("leave out the key K"));
    let ignored =
        with_setting(entry, AUTH).replace("  metadata:", "  ignoreErrors: true\n  metadata:");
    let outcome = Case::of(format!("{ignored}{}", vault("secretstores.local.env", ""))).load();
    assert!(outcome.stores().is_empty());
    assert!(outcome.warnings()[0].contains("component l, spec.metadata[0].secretKeyRef"));
}

#[test]
fn secrets_come_from_a_file() {
    let json = r#"{"pw": "hunter2", "port": 6379, "on": true, "none": null,
        "redis": {"pw": "hunter2a", "more": ["hunter2b", 1e3]}, "list": ["x"],
        "": {"a": "of nothing"}}"#;
    let load = |reference: &str, settings: &str| {
        let case = Case::default().folder(&[("secrets.json", json.as_bytes())]);
        let path = case.path("secrets.json");
        let settings = format!("{{name: secretsFile, value: '{}'}}, {settings}", path.display());
        let lock = with_setting(&format!("secretKeyRef: {reference}"), AUTH);
        case.folder(&[(
            "a.yaml",
            format!("{lock}{}", vault("secretstores.local.file", &settings)).as_bytes(),
        )])
        .load()
    };
    for (reference, settings, expected) in [
        ("{name: pw}", "", "hunter2"),
        ("{name: pw, key: pw}", "", "hunter2"),
        ("{name: 'redis:pw'}", "", "hunter2a"),
        ("{name: 'redis:more:0'}", "", "hunter2b"),
        ("{name: redis.pw}", "{name: nestedSeparator, value: .}", "hunter2a"),
        ("{name: ':a'}", "", "of nothing"),
        ("{name: redis, key: pw}", "{name: multiValued, value: true}", "hunter2a"),
        ("{name: redis, key: 'more:0'}", "{name: multiValued, value: 'Yes'}", "hunter2b"),
        ("{name: pw}", "{name: multiValued, value: '1'}", "hunter2"),
    ] {
        assert_eq!(load(reference, settings).value(), expected, "{reference} {settings}");
    }
    for (reference, settings, expected) in [
        ("{name: gone}", "", "the secrets file has no secret gone"),
        ("{name: pw, key: gone}", "", "the secret pw has no key gone"),
        ("{name: redis, key: pw}", "", "the secrets file has no secret redis"),
        ("{name: list, key: '0'}", "{name: multiValued, value: true}", "no secret list"),
        ("{name: redis}", "{name: multiValued, value: true}", "the secret redis has no key redis"),
        ("{name: port}", "", "the secret port is a number, and not a string: write it in quotes"),
        ("{name: 'on'}", "", "the secret on is a boolean, and not a string: write it in quotes"),
        ("{name: none}", "", "the secret none is null, and not a string"),
        (
            "{name: redis, key: 'more:1'}",
            "{name: multiValued, value: true}",
            "the key more:1 of the secret redis is a number, and not a string: write it in quotes",
        ),
    ] {
        let error = load(reference, settings).error();
        assert!(
            error.contains("component l, spec.metadata[0].secretKeyRef: clientKey: "),
            "{error}"
        );
        assert!(error.ends_with(expected), "{error} - {expected}");
    }
}

/// As for daprd.
#[test]
fn a_misspelt_flag_of_a_secret_store_is_false_and_reported() {
    let load = |value: &str| {
        let case = Case::default().folder(&[("secrets.json", br#"{"pw": "hunter2"}"#)]);
        let file = case.path("secrets.json");
        let file = format!("{{name: secretsFile, value: '{}'}}", file.display());
        let settings = format!("{file}, {{name: MultiValued, value: {value}}}");
        let lock = with_setting("secretKeyRef: {name: pw}", AUTH);
        let vault = vault("secretstores.local.file", &settings);
        case.folder(&[("a.yaml", format!("{lock}{vault}").as_bytes())]).load()
    };
    let of_vault = |outcome: &Outcome| -> Vec<String> {
        let warnings = outcome.warnings().into_iter();
        warnings.filter(|warning| warning.contains("component vault")).collect()
    };
    for (value, hint) in [
        ("ture", " (did you mean true?)"),
        ("Flase", " (did you mean false?)"),
        ("yess", " (did you mean yes?)"),
        ("2", ""),
    ] {
        let outcome = load(value);
        assert_eq!(outcome.value(), SECRET, "{value}");
        let [warning] = &of_vault(&outcome)[..] else { panic!("{:?}", outcome.warnings()) };
        let expected = format!(
            "component vault, spec.metadata[1]: MultiValued is neither true nor false, so it counts as false{hint}"
        );
        assert!(warning.ends_with(&expected), "{warning} - {expected}");
    }
    for value in ["true", "'Yes'", "1", "off", "'F'", "'0'", "' no '", "''", "null"] {
        assert_eq!(of_vault(&load(value)), [""; 0], "{value}");
    }
}

#[test]
fn a_secret_store_that_cannot_be_opened_is_an_error_of_its_own() {
    let bad_json = Case::default().folder(&[("s.json", br#"{"pw": "hunter2""#)]);
    let bad_json = bad_json.path("s.json");
    for (settings, expected) in [
        (String::new(), "spec.metadata: secretsFile is not set"),
        ("{name: secretsFile, value: /no/such}".into(), "cannot read the secrets file /no/such"),
        (format!("{{name: secretsFile, value: '{}'}}", bad_json.display()), "is not a JSON object"),
        (
            "{name: secretsFile, value: /dev/zero}".into(),
            "cannot read the secrets file /dev/zero: it is not a regular file",
        ),
        (
            "{name: secretsFile, secretKeyRef: {name: x}}".into(),
            "cannot take its own settings from a secret store",
        ),
    ] {
        let text = vault("secretstores.local.file", &settings);
        let error = Case::of(&text).load().error();
        assert!(
            error.contains("a.yaml, document 1, component vault, ") && error.contains(expected),
            "{error}"
        );
        let text = format!("{}  ignoreErrors: true\n---\n{}", text, lock("b"));
        let outcome = Case::of(text).load();
        assert_eq!(outcome.names(), ["b"]);
        assert!(outcome.warnings()[0].contains(expected));
    }
    let text = vault("secretstores.local.env", "").replace("v1\n  m", "v7\n  m");
    assert!(Case::of(text).load().error().contains("secretstores.local.env/v7 is not supported"));
}

#[test]
fn a_secrets_file_that_is_no_object_is_refused() {
    let utf16: Vec<u8> =
        "\u{feff}{\"pw\": \"hunter2\"}".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let cases: &[(&[u8], &str)] = &[
        (b"[]", ""),
        (b"\"hunter2\"", ""),
        (b"", ": it is empty"),
        (b" \r\n", ": it is empty"),
        (b"{\"pw\": \"hunter2\"", ": EOF while parsing an object at line 1 column 16"),
        (b"{\n\"pw\": \"hunter2\",\n}", ": trailing comma at line 3 column 1"),
        (b"{\"pw\": \"hunter2\"} // hunter2", ": trailing characters at line 1 column 19"),
        (b"{\"pw\": \"hunter2\"}\n{}", ": trailing characters at line 2 column 1"),
        (b"{\"pw\": hunter2}", ": expected value at line 1 column 8"),
        (
            b"{\"pw\": \"hunter2\n\"}",
            ": control character (\\u0000-\\u001F) found while parsing a string at line 2 column 0",
        ),
        (b"{\"hunter2\": \"\xff\"}", ": invalid unicode code point at line 1 column 14"),
        (b"pw: hunter2\n", ": expected value at line 1 column 1"),
        (
            b"\xef\xbb\xbf{\"pw\": \"hunter2\"}",
            ": it begins with a byte order mark: save it in UTF-8 without one",
        ),
        (&utf16, ": in UTF-16: save it in UTF-8"),
    ];
    for (json, why) in cases {
        let case = Case::default().folder(&[("s.json", json)]);
        let settings = format!("{{name: secretsFile, value: '{}'}}", case.path("s.json").display());
        let case =
            case.folder(&[("a.yaml", vault("secretstores.local.file", &settings).as_bytes())]);
        let error = case.load().error();
        assert!(error.ends_with(&format!("s.json is not a JSON object{why}")), "{why}: {error}");
    }
}

#[test]
fn a_secrets_file_that_says_two_things_at_once_is_refused() {
    let multi = ", {name: multiValued, value: 'true'}";
    let dots = ", {name: nestedSeparator, value: .}";
    for (json, settings, expected) in [
        (r#"{"a": "hunter2", "a": "hunter2b"}"#, "", "has a twice"),
        (r#"{"a": "hunter2", "\u0061": 1}"#, multi, "has a twice"),
        (r#"{"a": [{}, {"b": {"c": 1, "d": 2, "c": 1}}]}"#, "", "has a[1].b.c twice"),
        (r#"{"a": {"b": "x"}, "a": {"c": "x"}}"#, multi, "has a twice"),
        (
            r#"{"a": {"b": "hunter2"}, "a:b": "hunter2b"}"#,
            "",
            r#"has the secret a:b twice, as ["a","b"] and as ["a:b"]"#,
        ),
        (
            r#"{"a": {"b": {"c": 1}, "b.c": null}}"#,
            dots,
            r#"has the secret a.b.c twice, as ["a","b","c"] and as ["a","b.c"]"#,
        ),
        (
            r#"{"a": ["x"], "a:0": "y"}"#,
            "",
            r#"has the secret a:0 twice, as ["a",0] and as ["a:0"]"#,
        ),
        (
            r#"{"a": ["x"], "b": {"c": ["x"], "c:0": "y"}}"#,
            multi,
            r#"has in the secret b the key c:0 twice, as ["c",0] and as ["c:0"]"#,
        ),
    ] {
        let case = Case::default().folder(&[("s.json", json.as_bytes())]);
        let file = case.path("s.json");
        let settings = format!("{{name: secretsFile, value: '{}'}}{settings}", file.display());
        let vault = vault("secretstores.local.file", &settings);
        let error = case.folder(&[("a.yaml", vault.as_bytes())]).load().error();
        let expected = format!("the secrets file {} {expected}", file.display());
        assert!(error.ends_with(&expected), "{error} - {expected}");
    }
    // Two secrets may have the same keys, and neither is there twice.
    let json = r#"{"a": {"b": "x"}, "a:b": "y"}"#;
    let case = Case::default().folder(&[("s.json", json.as_bytes())]);
    let settings =
        format!("{{name: secretsFile, value: '{}'}}{multi}", case.path("s.json").display());
    let vault = vault("secretstores.local.file", &settings);
    let lock = with_setting("secretKeyRef: {name: 'a:b'}", AUTH);
    let outcome = case.folder(&[("a.yaml", (lock + &vault).as_bytes())]).load();
    assert_eq!(outcome.value(), "y");
}

#[test]
fn a_secret_needs_a_supported_secret_store() {
    for (top_level, others, expected) in [
        ("", String::new(), "names no secret store"),
        ("auth: {secretStore: kubernetes}", String::new(), "built into Dapr on Kubernetes only"),
        (AUTH, String::new(), "secret store vault not found for this app"),
        (
            AUTH,
            format!("{}scopes: [app2]\n", vault("secretstores.local.env", "")),
            "secret store vault not found for this app",
        ),
        (
            AUTH,
            vault("secretstores.azure.keyvault", ""),
            "is of type secretstores.azure.keyvault; Holdfast supports secretstores.local.env and",
        ),
        (
            AUTH,
            format!("{}  ignoreErrors: true\n", vault("secretstores.local.file", "")),
            "the secret store vault could not be opened",
        ),
        (AUTH, format!("---\n{}", lock("vault")), "secret store vault not found"),
    ] {
        let text = format!("{}{others}", with_setting("secretKeyRef: {name: PW}", top_level));
        let error = Case::of(text).app("app1").env("PW", SECRET).load().error();
        assert!(error.contains("component l, auth.secretStore: clientKey: "), "{error}");
        assert!(error.contains(expected), "{error} - {expected}");
    }
}

#[test]
fn an_empty_value_leaves_room_for_a_secret() {
    let text = format!(
        "{}{}",
        with_setting("value: ''\n    secretKeyRef: {name: PW}", AUTH),
        vault("secretstores.local.env", "")
    );
    assert_eq!(Case::of(text).env("PW", SECRET).load().value(), SECRET);
    assert_eq!(Case::of(with_setting("value: x\n    secretKeyRef: {}", "")).load().value(), "x");
}

#[test]
fn debug_shows_names_and_no_values() {
    let outcome = Case::of(with_setting("value: hunter2", "")).load();
    let shown = format!("{:?}", outcome.stores());
    assert!(shown.contains("clientkey") && !shown.contains(SECRET), "{shown}");
}
