//! Programs that run the lock component, or a composition, in runtimes other than wasmtime. Those in `examples/` are
//! programs of ours; Deno and Bun are from PyPI, and run the one for Node.

use super::{
    group::{Group, Program},
    packages::{PYTHON, npm, npm_and_venv, venv},
};

pub const HOSTS: Group = Group {
    choice: "HOLDFAST_HOSTS",
    directory: "HOLDFAST_HOST_",
    what: "the lock component's host for",
    made: "hosts",
    shared: None,
    programs: &[
        Program {
            name: "bun",
            sources: &["examples/node-store", "tests/hosts/bun"],
            tools: &["npm", "python3"],
            version: PYTHON,
            prepare: npm_and_venv,
        },
        Program {
            name: "deno",
            sources: &["examples/node-store", "tests/hosts/deno"],
            tools: &["npm", "python3"],
            version: PYTHON,
            prepare: npm_and_venv,
        },
        Program {
            name: "jco",
            sources: &["tests/hosts/jco"],
            tools: &["node", "npm"],
            version: &["node", "--version"],
            prepare: npm,
        },
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
