//! Policies.

use std::{fs, time::Duration};

use holdfast::{
    policy::{Backoff, Resiliency, Retry},
    resources::{Level, Notice, Options, Resources, load},
};
use tempfile::TempDir;

const SECOND: Duration = Duration::from_secs(1);

/// The outcome of loading a folder that has a store named `lockstore` and other files.
struct Outcome {
    resiliency: Resiliency,
    notices: Vec<Notice>,
    folder: TempDir,
}

impl Outcome {
    fn of(files: &[(&str, &str)]) -> Self {
        Self::for_app("app1", files)
    }

    fn for_app(app_id: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: lockstore\n\
            spec:\n  type: lock.in-memory\n";
        for (name, text) in files.iter().chain(&[("store.yaml", store)]) {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut notices = Vec::new();
        let options = Options::new([folder.path()]).app_id(app_id).environment(|_| None);
        let resources = load(&options, &mut |notice| notices.push(notice));
        let Resources { stores, resiliency, .. } = resources.unwrap();
        assert_eq!(stores.len(), 1);
        Self { resiliency, notices, folder }
    }

    fn warnings(&self) -> Vec<String> {
        self.of_level(Level::Warning)
    }

    fn errors(&self) -> Vec<String> {
        self.of_level(Level::Error)
    }

    /// The notices of a level, without the folder's path.
    fn of_level(&self, level: Level) -> Vec<String> {
        let folder = format!("{}/", self.folder.path().display());
        let notices = self.notices.iter().filter(|notice| notice.level == level);
        notices.map(|notice| notice.to_string().replace(&folder, "")).collect()
    }

    /// The names of the policies of the store, and the policies.
    fn applied(&self) -> (String, String) {
        let (names, policy) =
            (self.resiliency.names_for("lockstore"), self.resiliency.policy_for("lockstore"));
        (names.to_string(), policy.to_string())
    }
}

/// A document with a `spec`, and with further fields at the top level.
fn document(spec: &str, more: &str) -> String {
    let spec = spec.replace('\n', "\n  ");
    format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata:\n  name: myres\n{more}\nspec:\n  {spec}\n"
    )
}

/// Named policies, and a target that uses three of them.
const GUIDE: &str = "policies:
  timeouts:
    fast: 200ms
  retries:
    often:
      policy: constant
      duration: 1s
      maxRetries: 3
  circuitBreakers:
    simpleCB:
      maxRequests: 2
      interval: 8s
      timeout: 45s
      trip: consecutiveFailures > 8
targets:
  apps:
    appB: {timeout: general}
  components:
    lockstore:
      outbound:
        timeout: fast
        retry: often
        circuitBreaker: simpleCB
      inbound:
        timeout: other";

#[test]
fn the_resiliency_file_of_daprs_guide_is_read() {
    let outcome = Outcome::of(&[("res.yaml", &document(GUIDE, "scopes: [other, app1]"))]);
    assert!(outcome.notices.is_empty(), "{:?}", outcome.notices);
    let policy = outcome.resiliency.policy_for("lockstore");
    assert_eq!(policy.timeout, Some(Duration::from_millis(200)));
    let often = Retry { backoff: Backoff::Constant(SECOND), max_retries: Some(3) };
    assert_eq!(policy.retry, Some(often));
    let breaker = policy.circuit_breaker.unwrap();
    assert_eq!(breaker.name, "simpleCB");
    assert_eq!((breaker.max_requests, breaker.timeout), (2, 45 * SECOND));
    assert_eq!(breaker.interval, Some(8 * SECOND));
    assert_eq!(breaker.trip.unwrap().to_string(), "consecutiveFailures > 8");

    let other = outcome.resiliency.policy_for("another");
    assert_eq!(other.to_string(), "");
}

#[test]
fn missing_fields_have_daprs_defaults() {
    let spec = "policies:
  retries: {constant: {}, exponential: {policy: Exponential}, none:}
  circuitBreakers: {cb: {}}
targets: {components: {lockstore: {outbound: {retry: constant, circuitBreaker: cb}}}}";
    let outcome = Outcome::of(&[("res.yaml", &document(spec, ""))]);
    assert!(outcome.notices.is_empty(), "{:?}", outcome.notices);
    let (names, policy) = outcome.applied();
    assert_eq!(names, "retry constant; circuitBreaker cb");
    assert_eq!(
        policy,
        "retry every 5s, without limit; circuitBreaker opens when consecutiveFailures > 5, for 60s"
    );
    let exponential = spec.replace("retry: constant", "retry: exponential");
    let outcome = Outcome::of(&[("res.yaml", &document(&exponential, ""))]);
    let retry = outcome.resiliency.policy_for("lockstore").retry.unwrap();
    assert_eq!(retry.backoff, Backoff::exponential(60 * SECOND));
    assert_eq!(retry.max_retries, None);
}

#[test]
fn values_are_read_as_daprd_reads_them() {
    let applied = |policies: &str, outbound: &str| {
        let spec = format!(
            "policies: {policies}\ntargets: {{components: {{lockstore: {{outbound: {outbound}}}}}}}"
        );
        let outcome = Outcome::of(&[("res.yaml", &document(&spec, ""))]);
        assert_eq!(outcome.warnings(), [""; 0], "{policies}");
        outcome.resiliency.policy_for("lockstore")
    };
    for (text, timeout) in [
        ("200ms", Some(Duration::from_millis(200))),
        ("1m30s", Some(90 * SECOND)),
        ("1500", Some(Duration::from_millis(1500))),
        ("\"1500\"", Some(Duration::from_millis(1500))),
        ("0", None),
        ("-1", None),
        ("-5s", None),
    ] {
        let policy = applied(&format!("{{TimeOuts: {{t: {text}}}}}"), "{timeout: t}");
        assert_eq!(policy.timeout, timeout, "{text}");
    }
    for (text, max_retries) in
        [("3", Some(3)), ("0", Some(0)), ("-1", None), ("-9", None), ("null", None)]
    {
        let policy = applied(&format!("{{retries: {{r: {{maxRetries: {text}}}}}}}"), "{retry: r}");
        assert_eq!(policy.retry.unwrap().max_retries, max_retries, "{text}");
    }
    let policy = applied(
        "{retries: {r: {policy: exponential, duration: 1s, maxInterval: 2s, matching: {httpStatusCodes: 5}}}}",
        "{retry: r}",
    );
    assert_eq!(policy.retry.unwrap().backoff, Backoff::exponential(2 * SECOND));
    let policy =
        applied("{circuitBreakers: {c: {maxRequests: 0, timeout: 0s}}}", "{circuitBreaker: c}");
    assert_eq!(policy.circuit_breaker.unwrap().timeout, 60 * SECOND);
    let policy = applied("{}", "{retry: DaprBuiltInServiceRetries}");
    assert_eq!(policy.retry.unwrap().to_string(), "every 1s, 3 times");
}

#[test]
fn a_document_with_a_mistake_has_no_effect_and_the_error_names_the_place() {
    for (from, to, expected) in [
        (
            "fast: 200ms",
            "fast: soon",
            "spec.policies.timeouts.fast: must be a number of milliseconds or a duration",
        ),
        ("fast: 200ms", "fast:", "spec.policies.timeouts.fast: is missing"),
        ("fast: 200ms", "fast: 99999999999999999s", "spec.policies.timeouts.fast: must be"),
        ("duration: 1s", "duration: 1", ""),
        ("duration: 1s", "duration: 1 s", "spec.policies.retries.often.duration: must be"),
        (
            "policy: constant",
            "policy: linear",
            "spec.policies.retries.often.policy: must be constant or exponential",
        ),
        (
            "maxRetries: 3",
            "maxRetries: three",
            "spec.policies.retries.often.maxRetries: must be a whole number",
        ),
        (
            "maxRetries: 3",
            "maxRetries: 1.5",
            "spec.policies.retries.often.maxRetries: must be a whole number",
        ),
        (
            "maxRetries: 3",
            "maxInterval: [1]",
            "spec.policies.retries.often.maxInterval: must be text",
        ),
        (
            "maxRequests: 2",
            "maxRequests: -1",
            "spec.policies.circuitBreakers.simpleCB.maxRequests: must be from 0",
        ),
        ("interval: 8s", "interval: x", "spec.policies.circuitBreakers.simpleCB.interval: must be"),
        ("timeout: 45s", "timeout: x", "spec.policies.circuitBreakers.simpleCB.timeout: must be"),
        (
            "trip: consecutiveFailures > 8",
            "trip: consecutiveFailures >",
            "spec.policies.circuitBreakers.simpleCB.trip: is not a CEL expression: ",
        ),
        (
            "timeout: fast",
            "timeout: [fast]",
            "spec.targets.components.lockstore.outbound.timeout: must be text",
        ),
        ("policies:", "policies: [1]\n  other:", "spec.policies: must be a mapping"),
        ("name: myres", "name: [x]", "metadata.name: must be text"),
    ] {
        let text = document(GUIDE, "").replacen(from, to, 1);
        assert!(text.contains(to), "{from}");
        let bad = Outcome::of(&[("res.yaml", &text)]);
        if expected.is_empty() {
            assert!(bad.warnings().is_empty() && bad.errors().is_empty(), "{to}");
            continue;
        }
        let [error] = &bad.errors()[..] else {
            panic!("{to}: {:?}", bad.notices);
        };
        let place = if to.contains("[x]") { "" } else { ", resiliency myres" };
        let start = format!("res.yaml, document 1{place}, {expected}");
        assert!(error.starts_with(&start), "{to}: {error}");
        assert_eq!(bad.applied(), (String::new(), String::new()), "{to}");
    }
}

#[test]
fn a_mistake_affects_only_its_document() {
    let bad = document("policies: {timeouts: {fast: soon}}", "");
    let good = document("policies: {timeouts: {DefaultTimeoutPolicy: 1s}}", "");
    let outcome = Outcome::of(&[("res.yaml", &format!("{bad}---\n{good}"))]);
    assert_eq!(outcome.errors().len(), 1);
    assert_eq!(outcome.applied().1, "timeout 1s");
}

#[test]
fn defaults_apply_by_name_the_most_specific_first() {
    let names = [
        "DefaultTimeoutPolicy",
        "DefaultComponentTimeoutPolicy",
        "DefaultComponentOutboundTimeoutPolicy",
        "DefaultLockComponentOutboundTimeoutPolicy",
    ];
    for most in 1..=names.len() {
        let timeouts: String = names[..most].iter().map(|name| format!("{name}: 1s, ")).collect();
        let spec = format!(
            "policies: {{timeouts: {{{timeouts} DefaultAppTimeoutPolicy: 1s, \
             DefaultComponentInboundTimeoutPolicy: 1s}}, \
             retries: {{DefaultComponentRetryPolicy: {{}}}}, \
             circuitBreakers: {{DefaultCircuitBreakerPolicy: {{}}}}}}"
        );
        let outcome = Outcome::of(&[("res.yaml", &document(&spec, ""))]);
        let expected = format!(
            "timeout {}; retry DefaultComponentRetryPolicy; circuitBreaker DefaultCircuitBreakerPolicy",
            names[most - 1]
        );
        assert_eq!(outcome.applied().0, expected);
        // A component that is a target has only the policies of the target.
        let target = format!("{spec}\ntargets: {{components: {{lockstore: {{inbound: {{}}}}}}}}");
        let outcome = Outcome::of(&[("res.yaml", &document(&target, ""))]);
        assert_eq!(outcome.applied().0, "");
    }
}

#[test]
fn files_are_merged_and_the_later_one_counts() {
    let first = document(GUIDE, "");
    let second = document(
        "policies: {timeouts: {fast: 1s}, retries: {DaprBuiltInServiceRetries: {maxRetries: 7}}}
targets: {components: {lockstore: {outbound: {timeout: fast}}}}",
        "",
    );
    let outcome = Outcome::of(&[("a.yaml", &first), ("b.yaml", &second)]);
    assert_eq!(outcome.applied(), ("timeout fast".to_owned(), "timeout 1s".to_owned()));
    let warnings = outcome.warnings();
    for (warning, path) in
        warnings.iter().zip(["spec.policies.timeouts.fast", "spec.targets.components.lockstore"])
    {
        let start = format!("b.yaml, document 1, resiliency myres, {path}: replaces the one in ");
        assert!(warning.starts_with(&start), "{warning}");
        assert!(warning.ends_with("a.yaml, document 1"), "{warning}");
    }
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}

#[test]
fn scopes_select_applications() {
    let text = document(GUIDE, "scopes: [app1]");
    let outcome = Outcome::for_app("app2", &[("res.yaml", &text)]);
    assert_eq!(outcome.applied().0, "");
    assert_eq!(
        outcome.of_level(Level::Info),
        [r#"res.yaml, document 1, resiliency myres, scopes: the app id "app2" is not among them"#]
    );
    // daprd ignores the namespace and the version of the API.
    let text = document(GUIDE, "").replace("name: myres", "namespace: elsewhere");
    let outcome = Outcome::of(&[("res.yaml", &text.replace("v1alpha1", "v2"))]);
    assert!(outcome.applied().0.contains("timeout fast"));
    assert_eq!(
        outcome.warnings(),
        ["res.yaml, document 1, apiVersion: should be dapr.io/v1alpha1; it is read anyway"]
    );
}

#[test]
fn a_policy_without_effect_causes_a_warning() {
    let spec = "policies:
  retries:
    DaprBuiltInServiceRetries: {maxRetries: 1}
    DaprBuiltInActorRetries: {}
    DaprBuiltInActorNotFoundRetries: {maxRetries: 9}
    coded: {matching: {httpStatusCodes: '500-599'}}
  circuitBreakers:
    cb: {trip: failures > 3}
targets:
  components:
    lockstore: {outbound: {timeout: none, retry: nor, circuitBreaker: this}}
    elsewhere: {outbound: {retry: DaprBuiltInActorNotFoundRetries}}";
    let outcome = Outcome::of(&[("res.yaml", &document(spec, ""))]);
    let at = "res.yaml, document 1, resiliency myres, spec";
    let target = format!("{at}.targets.components.lockstore.outbound");
    assert_eq!(
        outcome.warnings(),
        [
            format!(
                "{at}.policies.retries.DaprBuiltInActorNotFoundRetries: is a policy of Dapr's own that cannot be changed"
            ),
            format!(
                "{at}.policies.retries.DaprBuiltInActorRetries.maxRetries: must be at least 3 for a policy of Dapr's own; taking 3"
            ),
            format!(
                "{at}.policies.retries.DaprBuiltInServiceRetries.maxRetries: must be at least 3 for a policy of Dapr's own; taking 3"
            ),
            format!(
                "{at}.policies.circuitBreakers.cb.trip: unknown count failures (the counts are requests, totalSuccesses, totalFailures, consecutiveSuccesses, consecutiveFailures)"
            ),
            format!("{target}.timeout: policy none not found, so none applies"),
            format!("{target}.retry: policy nor not found, so none applies"),
            format!("{target}.circuitBreaker: policy this not found, so none applies"),
        ]
    );
    assert_eq!(
        outcome.of_level(Level::Info),
        [
            format!(
                "{at}.policies.retries.coded.matching: has no effect: the calls of a lock store have no status codes"
            ),
            format!("{at}.targets.components.elsewhere: no lock store has this name"),
        ]
    );
    assert_eq!(outcome.applied(), (String::new(), String::new()));
    let retry = outcome.resiliency.policy_for("elsewhere").retry.unwrap();
    assert_eq!(retry.to_string(), "every 1s, 5 times");
}

#[test]
fn names_that_are_almost_those_of_others_are_warnings() {
    let spec = "policies: {retries: {often: {maxRetries: 5}}}
targets: {components: {lockstor: {outbound: {retry: Often}}}}";
    let metadata = document(spec, "").replace("name: myres", "name: myres\n  scopes: [other]");
    let outcome = Outcome::of(&[("res.yaml", &metadata)]);
    let target = "spec.targets.components.lockstor";
    let at = "res.yaml, document 1, resiliency myres, ";
    let expected = [
        format!("{at}metadata.scopes: has no effect here: it belongs to the top level"),
        format!("{at}{target}: no lock store has this name (did you mean lockstore?)"),
        format!(
            "{at}{target}.outbound.retry: policy Often not found, so none applies (did you mean often?)"
        ),
    ];
    assert_eq!(outcome.warnings(), expected);
}

#[test]
fn an_unknown_field_is_a_warning_that_names_the_nearest() {
    let spec = "policies:
  circuitBreaker: {}
  retries:
    r: {polcy: constant, maxRetry: 3, duration: 1s}
  circuitBreakers:
    cb: {trips: consecutiveFailures > 3}
targets:
  component: {}
  apps: {}
  components:
    lockstore: {outbounds: {}, outbound: {timeouts: f}}";
    let outcome = Outcome::of(&[("res.yaml", &document(spec, "scope: [app1]\n"))]);
    let at = "res.yaml, document 1, resiliency myres, ";
    let mut warnings = outcome.warnings();
    warnings.sort();
    let no_effect = |path: &str, name: &str, nearest: &str| {
        format!(
            "{at}{path}{name}: unknown field {name}, so it has no effect (did you mean {nearest}?)"
        )
    };
    let expected = [
        no_effect("", "scope", "scopes"),
        no_effect("spec.policies.", "circuitBreaker", "circuitBreakers"),
        no_effect("spec.policies.circuitBreakers.cb.", "trips", "trip"),
        no_effect("spec.policies.retries.r.", "maxRetry", "maxRetries"),
        no_effect("spec.policies.retries.r.", "polcy", "policy"),
        no_effect("spec.targets.", "component", "components"),
        no_effect("spec.targets.components.lockstore.outbound.", "timeouts", "timeout"),
        no_effect("spec.targets.components.lockstore.", "outbounds", "outbound"),
    ];
    assert_eq!(warnings, expected);
}
