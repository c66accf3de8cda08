//! A plugin that takes and frees locks and describes each result in words, for the tests.

#![no_std]

extern crate alloc;
extern crate holdfast_abi as _;

use alloc::{
    format,
    string::{String, ToString},
};

use bindings::holdfast::lock::{
    lock::{try_lock, unlock},
    types::{Error, UnlockStatus},
};

/// Bindings of the plugin's world.
#[allow(unsafe_code, missing_docs, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit", "wit"],
        world: "holdfast:test/program",
        generate_all,
    });

    #[cfg(target_family = "wasm")]
    mod exported {
        super::export!(Program with_types_in super);
        use crate::Program;
    }
}

/// The plugin.
pub struct Program;

impl bindings::Guest for Program {
    fn begin(store: String, resource: String, node: String, seconds: i32) -> String {
        match try_lock(&store, &resource, &node, seconds) {
            Ok(true) => "mine".to_string(),
            Ok(false) => "another node's".to_string(),
            Err(error) => describe(error),
        }
    }

    fn end(store: String, resource: String, node: String) -> String {
        match unlock(&store, &resource, &node) {
            Ok(UnlockStatus::Success) => "freed".to_string(),
            Ok(other) => format!("{other:?}"),
            Err(error) => describe(error),
        }
    }

    fn run() -> String {
        let [store, resource, node] = ["lockstore", "greeting", "plugin"].map(str::to_string);
        let begun = Self::begin(store.clone(), resource.clone(), node.clone(), 60);
        format!("{begun}, {}", Self::end(store, resource, node))
    }
}

fn describe(error: Error) -> String {
    match error {
        Error::Indeterminate(outcome) => format!("unknown: {}", outcome.message),
        other => format!("{other:?}"),
    }
}
