//! The components and modules of a release. Add each new one of `cargo xtask components` here.

/// A component or a module of a release.
pub struct Artifact {
    /// Its name, and that of its file without `.wasm`.
    pub name: &'static str,
    /// The package in the registry. `holdfast:lock` is the contract.
    pub package: &'static str,
    /// A description of one line.
    pub description: &'static str,
    /// The packages of the workspace that it is made of. It has the version of the first.
    pub crates: &'static [&'static str],
    /// The kind of runtime that it is for.
    pub form: Form,
}

/// The kind of runtime for a component or a module, which also decides its form in a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Runtimes of components.
    Component,
    /// Proxies, as a proxy-wasm filter.
    Filter,
}

/// All components and modules.
pub const ARTIFACTS: &[Artifact] = &[
    Artifact {
        name: "holdfast-lock",
        package: "holdfast:lock-component",
        description: "The rules of a distributed lock, over a store that a host lends",
        crates: &["holdfast-guest"],
        form: Form::Component,
    },
    Artifact {
        name: "holdfast-lock-redis",
        package: "holdfast:lock-redis",
        description: "A distributed lock in Redis, for plugins and stock runtimes",
        crates: &["holdfast-guest", "holdfast-redis-store"],
        form: Form::Component,
    },
    Artifact {
        name: "holdfast-lock-http",
        package: "holdfast:lock-http",
        description: "A distributed lock in Redis, with Dapr's HTTP API as a handler of wasi:http",
        crates: &["holdfast-guest", "holdfast-redis-store", "holdfast-dapr-http"],
        form: Form::Component,
    },
    Artifact {
        name: "holdfast-lock-cli",
        package: "holdfast:lock-cli",
        description: "A distributed lock in Redis, as a command",
        crates: &["holdfast-guest", "holdfast-redis-store", "holdfast-cli"],
        form: Form::Component,
    },
    Artifact {
        name: "holdfast-filter",
        package: "holdfast:filter",
        description: "A lock around each request of Envoy, as a proxy-wasm filter",
        crates: &["holdfast-filter"],
        form: Form::Filter,
    },
];
