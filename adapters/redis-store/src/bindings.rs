//! The contract's types and traits, generated from `wit/`.

#![allow(unsafe_code, missing_docs, clippy::all)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "store-provider",
    additional_derives: [PartialEq, Eq],
    pub_export_macro: false,
});

pub use exports::holdfast::lock::store::Guest;
pub use holdfast::lock::types::{
    AcquireCommand, Acquired, ExtendCommand, Extended, Failure, Grant, Holding, InspectCommand,
    ReleaseCommand, Released, StoreInfo, UnknownOutcome,
};
