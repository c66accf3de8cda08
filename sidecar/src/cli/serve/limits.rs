//! The limits of `serve`.

use std::time::Duration;

use anyhow::{Error, anyhow};
use holdfast::{BuildError, Limits, resources::OpenError};

use super::super::{
    argument_error::ArgumentError,
    arguments::{self, Stores, parse::Given},
    stores,
};

/// The library's names of the limits, and the arguments that set them.
const NAMES: [(&str, &str); 6] = [
    ("instances", "guest_instances"),
    ("warm_instances", "guest_warm_instances"),
    ("instance_memory", "guest_memory"),
    ("step_deadline", "guest_step_deadline"),
    ("in_flight", "max_in_flight"),
    ("waiting", "max_waiting"),
];

/// The limits of the arguments, else the library's.
pub fn limits(given: &arguments::Limits) -> Limits {
    let mut limits = Limits::default();
    if let Some(instances) = given.guest_instances {
        limits.instances = instances;
        limits.warm_instances = limits.warm_instances.min(instances);
    }
    if let Some(warm) = given.guest_warm_instances {
        limits.warm_instances = warm;
    }
    if let Some(mebibytes) = given.guest_memory {
        limits.instance_memory = mebibytes.saturating_mul(1 << 20);
    }
    if let Some(milliseconds) = given.guest_step_deadline {
        limits.step_deadline = Duration::from_millis(milliseconds);
    }
    if let Some(in_flight) = given.max_in_flight {
        limits.in_flight = in_flight;
    }
    if let Some(waiting) = given.max_waiting {
        limits.waiting = waiting;
    }
    limits
}

/// The error for people, in which limits have the names that were typed.
pub fn explained(error: &OpenError, stores: &Stores, given: &Given) -> Error {
    let OpenError::Build(BuildError::Limit { limit, problem }) = error else {
        return stores::explained(stores, error);
    };
    match NAMES.iter().find(|(name, _)| name == limit) {
        Some((_, argument)) => ArgumentError(format!("{} {problem}", given.name(argument))).into(),
        None => anyhow!("{error}"),
    }
}
