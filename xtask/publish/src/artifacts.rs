//! The components of a release. A component that is added to `cargo xtask components` is named here.

/// A component of a release.
pub struct Artifact {
    /// The name of the component, and of its file without `.wasm`.
    pub name: &'static str,
    /// The package in the registry. `holdfast:lock` is the contract.
    pub package: &'static str,
    /// A description of one line.
    pub description: &'static str,
    /// The packages of the workspace that it is made of. It has the version of the first.
    pub crates: &'static [&'static str],
}

/// All components.
pub const ARTIFACTS: &[Artifact] = &[
    Artifact {
        name: "holdfast-lock",
        package: "holdfast:lock-component",
        description: "The rules of a distributed lock, over a store that a host lends",
        crates: &["holdfast-guest"],
    },
    Artifact {
        name: "holdfast-lock-redis",
        package: "holdfast:lock-redis",
        description: "A distributed lock in Redis, for plugins and stock runtimes",
        crates: &["holdfast-guest", "holdfast-redis-store"],
    },
    Artifact {
        name: "holdfast-lock-http",
        package: "holdfast:lock-http",
        description: "A distributed lock in Redis, with Dapr's HTTP API as a handler of wasi:http",
        crates: &["holdfast-guest", "holdfast-redis-store", "holdfast-dapr-http"],
    },
    Artifact {
        name: "holdfast-lock-cli",
        package: "holdfast:lock-cli",
        description: "A distributed lock in Redis, as a command",
        crates: &["holdfast-guest", "holdfast-redis-store", "holdfast-cli"],
    },
];
