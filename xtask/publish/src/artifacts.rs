//! The components of a release. Whoever adds one to `cargo xtask components` names it here.

/// A component, and how it is published.
pub struct Artifact {
    /// Its file's name without `.wasm`; also the component's own name.
    pub name: &'static str,
    /// The package in a registry. The contract is `holdfast:lock`.
    pub package: &'static str,
    /// What it is, in a line.
    pub description: &'static str,
    /// The workspace's packages that it is made of; the first one's version is the artifact's.
    pub crates: &'static [&'static str],
}

/// All of them.
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
