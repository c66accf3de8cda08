//! Loading a file of Dapr's resources as `holdfast serve` does, and the results.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use holdfast::{
    policy::Resiliency,
    resources::{self, Options, Resources, StoreDefinition},
};

/// The result of loading a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The definitions, or the error.
    pub result: Result<Defined, String>,
    /// The problems that did not stop the loading.
    pub notices: Vec<String>,
}

/// The definitions of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defined {
    pub stores: Vec<Store>,
    /// All policies.
    pub policies: String,
}

/// A store's definition without the place that it was found in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    pub name: String,
    pub component_type: String,
    pub version: String,
    pub settings: BTreeMap<String, String>,
    pub ignore_errors: bool,
    pub init_timeout: Duration,
    /// The policies that apply to it.
    pub policies: String,
}

/// The application's id.
pub const APP_ID: &str = "app1";

/// Loads a file. Variables of the environment have the value `secret`, and so have the secrets of the file that
/// `SECRETS_FILE` names; a few have a meaning to Dapr, and `UNSET` is not set.
pub fn load(file: &str, secret: &str) -> Loaded {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let secrets = folder.path().join("secrets.json");
    let secrets_text = format!(r#"{{"redis":{{"password":"{secret}"}},"flat":"{secret}"}}"#);
    write(&folder.path().join("resources.yaml"), file);
    write(&secrets, &secrets_text);
    let (secret, secrets) = (secret.to_owned(), secrets.to_string_lossy().into_owned());
    let options =
        Options::new([folder.path()]).app_id(APP_ID).environment(move |name| match name {
            "NAMESPACE" => Some("prod".to_owned()),
            "POD_NAME" => Some("pod-0".to_owned()),
            "SECRETS_FILE" => Some(secrets.clone()),
            "DAPR_ENV_KEYS" | "UNSET" => None,
            "QUOTED" => Some(format!("\"{secret}\"")),
            _ => Some(secret.clone()),
        });

    let mut notices = Vec::new();
    let result = resources::load(&options, &mut |notice| notices.push(notice.to_string()));
    let without_folder = |text: String| text.replace(&*folder.path().to_string_lossy(), "");
    Loaded {
        result: result
            .map(|Resources { stores, resiliency, .. }| Defined {
                stores: stores.iter().map(|store| Store::of(store, &resiliency)).collect(),
                policies: format!("{resiliency:?}"),
            })
            .map_err(|error| without_folder(error.to_string())),
        notices: notices.into_iter().map(without_folder).collect(),
    }
}

fn write(file: &Path, text: &str) {
    fs::write(file, text).expect("a file in a temporary directory");
}

impl Store {
    fn of(definition: &StoreDefinition, resiliency: &Resiliency) -> Self {
        let StoreDefinition { name, component_type, version, properties, .. } = definition;
        let settings = properties.names().map(|name| {
            let value = properties.get(name).unwrap_or_default();
            (name.to_owned(), value.to_owned())
        });
        Self {
            name: name.clone(),
            component_type: component_type.clone(),
            version: version.clone(),
            settings: settings.collect(),
            ignore_errors: definition.ignore_errors,
            init_timeout: definition.init_timeout,
            policies: format!("{} {}", resiliency.names_for(name), resiliency.policy_for(name)),
        }
    }
}
