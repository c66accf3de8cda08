//! The document that `GET /v1.0/metadata` returns, in the shape of Dapr 1.18
//! (`pkg/api/http/metadata.go`).

use alloc::{borrow::ToOwned, collections::BTreeMap, string::String, vec::Vec};

use serde::Serialize;

/// The version of Dapr whose API Holdfast serves, for clients that compare it, and Holdfast's version as build
/// metadata, which comparisons ignore.
pub const RUNTIME_VERSION: &str = concat!("1.18.0+holdfast.", env!("CARGO_PKG_VERSION"));

/// A component as the document lists it.
#[derive(Clone, Copy, Debug)]
pub struct Component<'a> {
    /// Its name, which is unique.
    pub name: &'a str,
    /// Its type, as in `lock.redis`.
    pub component_type: &'a str,
    /// Its version; may be empty.
    pub version: &'a str,
}

/// The entries that callers have added, and the version.
pub fn extended(mut added: BTreeMap<String, String>) -> BTreeMap<String, String> {
    added.insert("daprRuntimeVersion".to_owned(), RUNTIME_VERSION.to_owned());
    added
}

/// The document as JSON.
///
/// # Errors
///
/// None in practice: every value is a string.
pub fn to_json<'a>(
    app_id: &str,
    components: impl IntoIterator<Item = Component<'a>>,
    extended: &BTreeMap<String, String>,
) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Document {
        id: app_id,
        runtime_version: RUNTIME_VERSION,
        enabled_features: [],
        components: components.into_iter().map(Listed::from).collect(),
        extended,
        app_connection_properties: AppConnection {},
        actor_runtime: ActorRuntime { runtime_status: "DISABLED", host_ready: false },
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    id: &'a str,
    runtime_version: &'static str,
    /// The features that are on by default. daprd leaves out empty fields, but never this list.
    enabled_features: [(); 0],
    components: Vec<Listed<'a>>,
    extended: &'a BTreeMap<String, String>,
    /// daprd has this field even if the application has no port, because Go never takes a struct for empty.
    app_connection_properties: AppConnection,
    actor_runtime: ActorRuntime,
}

#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    component_type: &'a str,
    version: &'a str,
}

impl<'a> From<Component<'a>> for Listed<'a> {
    fn from(Component { name, component_type, version }: Component<'a>) -> Self {
        Self { name, component_type, version }
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
