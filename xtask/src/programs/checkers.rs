//! Programs that check the product: the server against the documents of its API, and custom resources of Kubernetes.
//! They come from PyPI, and the definitions of custom resources from modules of Go.

use std::process::Command;

use anyhow::Result;

use super::{
    group::{Group, Place, Program},
    packages::{PYTHON, venv},
};
use crate::process::run;

pub const CHECKERS: Group = Group {
    choice: "HOLDFAST_CHECKERS",
    directory: "HOLDFAST_CHECKER_",
    what: "the checker",
    made: "checkers",
    shared: None,
    programs: &[
        Program {
            name: "kubernetes",
            sources: &["tests/kubernetes/packages"],
            tools: &["go", "python3"],
            version: PYTHON,
            prepare: kubernetes,
        },
        Program {
            name: "schemathesis",
            sources: &["tests/schemathesis/packages"],
            tools: &["python3"],
            version: PYTHON,
            prepare: venv,
        },
    ],
};

/// Puts the definitions of custom resources into `modules`, beside the packages of Python.
fn kubernetes(place: &Place) -> Result<()> {
    venv(place)?;
    let mut go = Command::new("go");
    // A cache that is read-only could not be removed.
    go.args(["mod", "download"]).current_dir(place.source()).env("GOFLAGS", "-modcacherw");
    run(go.env("GOMODCACHE", place.made.join("modules")))
}
