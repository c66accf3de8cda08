//! What Dapr counts of components at the start.

use super::definitions::{COMPONENT_INIT, COMPONENT_INIT_FAIL, COMPONENT_LOADED};
use crate::resources::open::{OpenCause, OpenError, OpenStore};

/// Counts one application's components as they are opened.
#[derive(Clone, Debug)]
pub struct ComponentMetrics {
    app_id: String,
}

impl ComponentMetrics {
    /// For the application with this id; empty for none.
    pub fn new(app_id: impl Into<String>) -> Self {
        Self { app_id: app_id.into() }
    }

    /// A component was read, and it was tried to open its store.
    pub fn opened(&self, outcome: &Result<OpenStore, OpenError>) {
        COMPONENT_LOADED.counter(&[&self.app_id]).increment(1);
        match outcome {
            Ok(OpenStore { component_type, .. }) => {
                COMPONENT_INIT.counter(&[&self.app_id, component_type]).increment(1);
            }
            Err(OpenError { component, component_type, cause, .. }) => {
                let reason = match cause {
                    OpenCause::UnknownType => "creation",
                    OpenCause::Setting(_) | OpenCause::Redis(_) | OpenCause::Timeout(_) => "init",
                };
                let labels = [&self.app_id, component_type, reason, component];
                COMPONENT_INIT_FAIL.counter(&labels).increment(1);
            }
        }
    }
}
