//! Programs in `examples/` that run the lock component in runtimes other than wasmtime.

use super::{
    group::{Group, Program},
    packages::{PYTHON, npm, venv},
};

pub const HOSTS: Group = Group {
    choice: "HOLDFAST_HOSTS",
    directory: "HOLDFAST_HOST_",
    what: "the lock component's host for",
    made: "hosts",
    shared: None,
    programs: &[
        Program {
            name: "node",
            sources: &["examples/node-store"],
            tools: &["node", "npm"],
            version: &["node", "--version"],
            prepare: npm,
        },
        Program {
            name: "python",
            sources: &["examples/python-store"],
            tools: &["python3"],
            version: PYTHON,
            prepare: venv,
        },
        Program {
            name: "workerd",
            sources: &["examples/workers"],
            tools: &["node", "npm"],
            version: &["node", "--version"],
            prepare: npm,
        },
    ],
};
