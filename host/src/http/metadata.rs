//! What `GET /v1.0/metadata` says, in the shape of Dapr 1.18 (`pkg/api/http/metadata.go`).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::sidecar::{ComponentInfo, Metadata, RUNTIME_VERSION};

/// The document.
pub(super) fn to_json(metadata: &Metadata) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Document {
        id: metadata.app_id(),
        runtime_version: RUNTIME_VERSION,
        actors: [],
        components: metadata.components().iter().map(Component::from).collect(),
        extended: metadata.extended(),
        subscriptions: [],
        http_endpoints: [],
        app_connection_properties: AppConnection {},
        actor_runtime: ActorRuntime { runtime_status: "DISABLED", host_ready: false },
    })
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
