//! Properties that must hold for any input. Each target is a function that panics if one does not hold.
//!
//! | target | its input |
//! |---|---|
//! | [`component_files`] | a YAML file of Dapr's resources |
//! | [`component_values`] | a JSON value, as a setting in such a file |
//! | [`durations`] | a duration, as settings and policies have them |
//! | [`http_paths`] | the first line of a request |
//! | [`json_calls`] | the body of a call |
//! | [`redis_replies`] | the replies of a Redis server |
//! | [`redis_settings`] | settings of a Redis store, one a line |
//!
//! The module `components` loads a file of resources for the first two.
//!
//! `corpus/` has inputs for each. A test runs the targets with them, and with changes of them. The programs in
//! `targets/` run the same functions on what libFuzzer makes of them: `cargo xtask fuzz`.

pub mod component_files;
pub mod component_values;
mod components;
pub mod durations;
pub mod http_paths;
pub mod json_calls;
pub mod redis_replies;
pub mod redis_settings;

/// A function that panics if a property that must hold for any input does not.
pub type Target = fn(&[u8]);

/// All targets, by the names of their corpora and programs.
pub const TARGETS: [(&str, Target); 7] = [
    ("component_files", component_files::run),
    ("component_values", component_values::run),
    ("durations", durations::run),
    ("http_paths", http_paths::run),
    ("json_calls", json_calls::run),
    ("redis_replies", redis_replies::run),
    ("redis_settings", redis_settings::run),
];
