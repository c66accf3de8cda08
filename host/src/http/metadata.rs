//! What `GET /v1.0/metadata` says of this process, in the shape of Dapr 1.18
//! (`pkg/api/http/metadata.go`).

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

/// The version of Dapr whose API this is, which clients compare, and as build metadata, which does
/// not take part in comparisons, our own.
const RUNTIME_VERSION: &str = concat!("1.18.0+holdfast.", env!("CARGO_PKG_VERSION"));

/// A component as the metadata lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComponentInfo {
    /// Its name, which is unique.
    pub name: String,
    /// Its type, as in `lock.redis`.
    #[serde(rename = "type")]
    pub component_type: String,
    /// Its version; may be empty.
    pub version: String,
}

/// What there is to say, and what callers have added to it.
#[derive(Debug)]
pub(super) struct Metadata {
    app_id: String,
    components: Vec<ComponentInfo>,
    extended: Mutex<BTreeMap<String, String>>,
}

impl Metadata {
    pub(super) fn new(app_id: String, components: Vec<ComponentInfo>) -> Self {
        Self { app_id, components, extended: Mutex::default() }
    }

    pub(super) fn app_id(&self) -> &str {
        &self.app_id
    }

    pub(super) fn set(&self, key: &str, value: String) {
        self.extended().insert(key.to_owned(), value);
    }

    pub(super) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut extended = self.extended().clone();
        extended.insert("daprRuntimeVersion".to_owned(), RUNTIME_VERSION.to_owned());
        serde_json::to_vec(&Document {
            id: &self.app_id,
            runtime_version: RUNTIME_VERSION,
            actors: [],
            components: self.components.iter().map(Component::from).collect(),
            extended,
            subscriptions: [],
            http_endpoints: [],
            app_connection_properties: AppConnection {},
            actor_runtime: ActorRuntime { runtime_status: "DISABLED", host_ready: false },
        })
    }

    fn extended(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // Every change is a single call: a panic elsewhere cannot leave it half done.
        self.extended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    id: &'a str,
    runtime_version: &'static str,
    actors: [(); 0],
    components: Vec<Component<'a>>,
    extended: BTreeMap<String, String>,
    subscriptions: [(); 0],
    http_endpoints: [(); 0],
    app_connection_properties: AppConnection,
    actor_runtime: ActorRuntime,
}

#[derive(Serialize)]
struct Component<'a> {
    #[serde(flatten)]
    info: &'a ComponentInfo,
    capabilities: [(); 0],
}

impl<'a> From<&'a ComponentInfo> for Component<'a> {
    fn from(info: &'a ComponentInfo) -> Self {
        Self { info, capabilities: [] }
    }
}

#[derive(Serialize)]
struct AppConnection {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActorRuntime {
    runtime_status: &'static str,
    host_ready: bool,
}
