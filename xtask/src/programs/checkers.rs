//! Programs that hold a server to the documents of its API, from PyPI.

use super::{
    group::{Group, Program},
    packages::{PYTHON, venv},
};

pub const CHECKERS: Group = Group {
    choice: "HOLDFAST_CHECKERS",
    directory: "HOLDFAST_CHECKER_",
    what: "the checker",
    made: "checkers",
    shared: None,
    programs: &[Program {
        name: "schemathesis",
        sources: &["tests/schemathesis/packages"],
        tools: &["python3"],
        version: PYTHON,
        prepare: venv,
    }],
};
