//! The metrics of opening stores. Dapr counts its components in the same way when it starts.

use super::{
    open_error::{OpenCause, StoreError},
    opened::OpenedStore,
};
use crate::metrics::{
    AppLabels, COMPONENT_INIT, COMPONENT_INIT_FAIL, COMPONENT_LOADED, ComponentFailLabels,
    ComponentLabels,
};

/// Counts the lock store definitions of one application as their stores are opened.
pub(super) struct ComponentMetrics {
    app_id: String,
}

impl ComponentMetrics {
    /// `app_id` is the application's id, empty for none.
    pub(super) fn new(app_id: impl Into<String>) -> Self {
        Self { app_id: app_id.into() }
    }

    /// Counts a definition that was read, and the result of opening its store.
    pub(super) fn opened(&self, outcome: &Result<OpenedStore, StoreError>) {
        let app_id = &self.app_id;
        COMPONENT_LOADED.with(AppLabels { app_id }).increment(1);
        match outcome {
            Ok(OpenedStore { component_type: component, .. }) => {
                COMPONENT_INIT.with(ComponentLabels { app_id, component }).increment(1);
            }
            Err(StoreError {
                component: component_name, component_type: component, cause, ..
            }) => {
                let reason = match cause {
                    OpenCause::UnknownType => "creation",
                    OpenCause::Setting(_)
                    | OpenCause::Refused(_)
                    | OpenCause::Redis(_)
                    | OpenCause::UnquotedPassword { .. }
                    | OpenCause::MissingPassword { .. }
                    | OpenCause::Timeout { .. } => "init",
                };
                let labels = ComponentFailLabels { app_id, component, reason, component_name };
                COMPONENT_INIT_FAIL.with(labels).increment(1);
            }
        }
    }
}
