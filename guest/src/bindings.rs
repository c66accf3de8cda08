//! The traits of the exports and the imported store, generated from `wit/`. Nothing is written here by
//! hand.

#![allow(unsafe_code, missing_docs, clippy::all)]

wit_bindgen::generate!({
    path: "wit",
    world: "guest",
    with: { "holdfast:lock/types@0.1.0": holdfast_rules::types },
});

pub use exports::holdfast::lock::{json, lease, lock, steps};
pub use holdfast::lock::store;
