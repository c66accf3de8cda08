//! The programs below `examples/` that run the lock component in hosts which are not ours.

use crate::programs::{Group, PYTHON, Program, npm, venv};

pub const HOSTS: Group = Group {
    choice: "HOLDFAST_HOSTS",
    directory: "HOLDFAST_HOST_",
    what: "the lock component's host",
    made: "hosts",
    shared: None,
    programs: &[
        Program {
            name: "node",
            source: Some("examples/node-store"),
            tools: &["node", "npm"],
            version: &["node", "--version"],
            prepare: npm,
        },
        Program {
            name: "python",
            source: Some("examples/python-store"),
            tools: &["python3"],
            version: PYTHON,
            prepare: venv,
        },
    ],
};
