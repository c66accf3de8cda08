//! The options of daprd: which of them `serve` has, and why it lacks the others.
//!
//! The table in `docs/from-dapr.md` says the same, and a test compares both.

use self::{Form::*, Here::*};

/// An option of daprd 1.18 (`cmd/daprd/options/options.go`).
#[derive(Clone, Copy, Debug)]
pub struct DaprdOption {
    /// Its name, without the dashes.
    pub name: &'static str,
    /// How it is written.
    pub form: Form,
    /// What `serve` makes of it.
    pub here: Here,
    /// Why, or what to use instead; may be empty.
    pub reason: &'static str,
}

/// How an option is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With a value: `--name value` or `--name=value`.
    Value,
    /// Without one, or as `--name=true` and `--name=false`.
    Switch,
}

/// What `serve` makes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Here {
    /// It has the option, with the same meaning.
    Same,
    /// It takes the option, which has no effect, and warns.
    Ignored,
    /// It takes the option with this value only, which has no effect, and warns.
    Only(&'static str),
    /// It refuses the option.
    Refused,
}

/// All options of daprd.
pub const OPTIONS: &[DaprdOption] = &[
    option("app-id", Value, Same, "also `APP_ID`"),
    option("resources-path", Value, Same, "may be given more than once, or as a list"),
    option("components-path", Value, Same, "has no effect with `--resources-path`"),
    option("dapr-http-port", Value, Same, "also `DAPR_HTTP_PORT`"),
    option("dapr-grpc-port", Value, Same, "also `DAPR_GRPC_PORT`"),
    option("dapr-listen-addresses", Value, Same, "also `DAPR_LISTEN_ADDRESSES`"),
    option("dapr-public-port", Value, Same, ""),
    option("dapr-public-listen-address", Value, Same, ""),
    option("unix-domain-socket", Value, Same, ""),
    option("dapr-graceful-shutdown-seconds", Value, Same, ""),
    option("dapr-block-shutdown-duration", Value, Same, "health checks fail meanwhile"),
    option("log-level", Value, Same, ""),
    option("log-as-json", Switch, Same, ""),
    option("enable-metrics", Switch, Same, ""),
    option("metrics-port", Value, Same, "also `DAPR_METRICS_PORT`"),
    option("metrics-listen-address", Value, Same, ""),
    option("version", Switch, Refused, "use `holdfast --version`"),
    option("build-info", Switch, Refused, "use `holdfast --version`"),
    option("wait", Switch, Refused, "use `holdfast health`, which asks once"),
    option("log-file", Value, Refused, "the log goes to stderr"),
    option("allowed-origins", Value, Only("*"), "there is no CORS"),
    option("mode", Value, Only("standalone"), "there is no control plane"),
    option("enable-api-logging", Switch, Ignored, "`--log-level debug` logs each call"),
    option("max-body-size", Value, Ignored, "a body may have 4 MiB"),
    option("dapr-http-max-request-size", Value, Ignored, "a body may have 4 MiB"),
    option("read-buffer-size", Value, Ignored, NO_BUFFER),
    option("dapr-http-read-buffer-size", Value, Ignored, NO_BUFFER),
    option("config", Value, Ignored, "a configuration says nothing about locks"),
    option("dapr-internal-grpc-port", Value, Ignored, NO_PEERS),
    option("dapr-internal-grpc-listen-address", Value, Ignored, NO_PEERS),
    option("enable-mtls", Switch, Ignored, NO_PEERS),
    option("app-port", Value, Ignored, NO_APP),
    option("app-protocol", Value, Ignored, NO_APP),
    option("app-ssl", Switch, Ignored, NO_APP),
    option("app-channel-address", Value, Ignored, NO_APP),
    option("app-max-concurrency", Value, Ignored, NO_APP),
    option("app-binding-options-timeout", Value, Ignored, NO_APP),
    option("enable-app-health-check", Switch, Ignored, NO_APP),
    option("app-health-check-path", Value, Ignored, NO_APP),
    option("app-health-probe-interval", Value, Ignored, NO_APP),
    option("app-health-probe-timeout", Value, Ignored, NO_APP),
    option("app-health-threshold", Value, Ignored, NO_APP),
    option("disable-init-endpoints", Value, Ignored, NO_APP),
    option("control-plane-address", Value, Ignored, NO_CONTROL_PLANE),
    option("control-plane-trust-domain", Value, Ignored, NO_CONTROL_PLANE),
    option("control-plane-namespace", Value, Ignored, NO_CONTROL_PLANE),
    option("sentry-address", Value, Ignored, NO_CONTROL_PLANE),
    option("sentry-request-jwt-audiences", Value, Ignored, NO_CONTROL_PLANE),
    option("placement-host-address", Value, Ignored, NO_ACTORS),
    option("actors-service", Value, Ignored, NO_ACTORS),
    option("actors-disseminate-timeout", Value, Ignored, NO_ACTORS),
    option("reminders-service", Value, Ignored, NO_ACTORS),
    option("scheduler-host-address", Value, Ignored, NO_JOBS),
    option("scheduler-job-streams", Value, Ignored, NO_JOBS),
    option("hot-reload-reconcile-interval", Value, Ignored, "files are read at the start"),
    option("disable-builtin-k8s-secret-store", Switch, Ignored, "there is none"),
    option("enable-profiling", Switch, Ignored, "there is no profiler"),
    option("profile-port", Value, Ignored, "there is no profiler"),
];

const NO_APP: &str = "the application is never called";
const NO_PEERS: &str = "sidecars do not talk to each other";
const NO_CONTROL_PLANE: &str = "there is no control plane";
const NO_ACTORS: &str = "there are no actors";
const NO_JOBS: &str = "there are no jobs";
const NO_BUFFER: &str = "the buffers have a fixed size";

const fn option(name: &'static str, form: Form, here: Here, reason: &'static str) -> DaprdOption {
    DaprdOption { name, form, here, reason }
}

/// The option of this name, without the dashes.
pub fn find(name: &str) -> Option<&'static DaprdOption> {
    OPTIONS.iter().find(|option| option.name == name)
}
