//! Resource files: which stores there are, as Dapr's component YAML says it, and which policies
//! their calls are under, as its resiliency YAML does.
//!
//! Here lives the way from resources folders to a list of [`Component`]s with their settings
//! resolved, and to a [`Resiliency`]. Stores are opened
//! elsewhere, and what a setting means is each store's own to say.

mod document;
mod error;
mod files;
mod metrics;
pub mod open;
mod resiliency;
mod resolve;
mod secrets;
mod templates;
mod yaml;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use error::Flaw;
pub use error::{Level, LoadError, Notice, Problem};
pub use metrics::ComponentMetrics;
use resolve::Resolver;
use templates::Templates;

use crate::{policy::Resiliency, store::properties::Properties};

/// Looks up an environment variable; `None` where it is not set.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's own environment, as an [`Env`]. A variable that is not UTF-8 counts as not set.
pub fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Who loads the files.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The application's id, for `scopes` and `{appID}`.
    pub app_id: Option<&'a str>,
    /// The environment: `NAMESPACE` and `POD_NAME`, and what the files refer to.
    pub env: Env<'a>,
}

/// A lock store as the component files describe it: what is needed to open it and to list it.
#[derive(Clone, Debug)]
pub struct Component {
    /// `metadata.name`, which is unique.
    pub name: String,
    /// `spec.type` as it was written. It starts with `lock.`; what follows may be a store that
    /// there is none of, and Dapr compares it without case.
    pub component_type: String,
    /// `spec.version` as it was written: empty, `v0` or `v1` in either case.
    pub version: String,
    /// `spec.metadata`, resolved.
    pub properties: Properties,
    /// Whether a store that cannot be opened is to be left out, and not to stop the start.
    pub ignore_errors: bool,
    /// How long opening the store may take; above zero.
    pub init_timeout: Duration,
    /// Where it was read.
    pub source: Source,
}

/// What the files of some resources folders say about locks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Resources {
    /// The lock components, in the order of the files.
    pub components: Vec<Component>,
    /// The policies, and which of them apply to which component.
    pub resiliency: Resiliency,
}

/// A place in the resource files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file, below the folder as it was given.
    pub file: PathBuf,
    /// Which of the documents that `---` separates, from 1.
    pub document: usize,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, document {}", self.file.display(), self.document)
    }
}

/// Reads the lock components of some resources folders; see [`load_resources`]. Resiliency files
/// are read and then left out of account, which `notify` is told.
///
/// # Errors
///
/// See [`load_resources`].
pub fn load(
    folders: &[impl AsRef<Path>],
    options: &Options<'_>,
    notify: &mut dyn FnMut(Notice),
) -> Result<Vec<Component>, LoadError> {
    let (resources, resiliency) = load_all(folders, options, notify)?;
    for source in resiliency {
        let flaw = Flaw::at("kind", "Resiliency is not a component, so it has no effect here");
        notify(Notice { level: Level::Info, problem: Problem::of_document(&source, flaw) });
    }
    Ok(resources.components)
}

/// Reads the lock components of some resources folders and the policies that they are under, by
/// the rules of Dapr 1.18 when it runs on its own (`pkg/internal/loader/disk`, `pkg/resiliency`).
///
/// From each folder, in the order given, come the files `*.yaml` and `*.yml`, not those of
/// folders below, in the order of their names; from each file its documents. A component of
/// another namespace, or whose `scopes` leave this application out, is passed over. Secret stores
/// of the types `secretstores.local.env` and `secretstores.local.file` are there for the
/// components to take secrets from, whatever the order; other types have nothing to do with locks.
///
/// Of resiliency resources whose `scopes` do not leave this application out, the policies and the
/// outbound policies of components count, all files together: where two define one name, the
/// later one does. One that cannot be read has no effect at all, with a warning.
///
/// What does not stop the loading goes to `notify` as it is met, also before an error. Neither
/// notices nor errors contain a setting's value.
///
/// # Errors
///
/// A folder that cannot be read, two components of one name, or a component that cannot be
/// resolved (a version or a secret that there is none of) and has no `ignoreErrors: true`. A
/// document that is not even a well-formed component is not an error: it is passed over with a
/// warning, and so is a file that cannot be read.
pub fn load_resources(
    folders: &[impl AsRef<Path>],
    options: &Options<'_>,
    notify: &mut dyn FnMut(Notice),
) -> Result<Resources, LoadError> {
    load_all(folders, options, notify).map(|(resources, _)| resources)
}

/// The resources, and where the resiliency ones among them were read.
fn load_all(
    folders: &[impl AsRef<Path>],
    options: &Options<'_>,
    notify: &mut dyn FnMut(Notice),
) -> Result<(Resources, Vec<Source>), LoadError> {
    let app_id = options.app_id.unwrap_or_default();
    let namespace = (options.env)("NAMESPACE").filter(|namespace| !namespace.is_empty());

    let folders: Vec<_> = folders.iter().map(|folder| folder.as_ref().to_owned()).collect();
    let files::Found { components: mut definitions, resiliency } =
        files::read_folders(&folders, notify)?;
    definitions.retain(|(source, definition)| {
        let not_ours = not_ours(definition, app_id, namespace.as_deref());
        match not_ours {
            None => true,
            Some(flaw) => {
                notify(Notice {
                    level: Level::Info,
                    problem: Problem::of_component(source, &definition.name, flaw),
                });
                false
            }
        }
    });

    let mut names = BTreeMap::new();
    for (source, definition) in &definitions {
        if let Some(first) = names.insert(&definition.name, source) {
            return Err(LoadError::Duplicate {
                name: definition.name.clone(),
                first: first.clone(),
                second: source.clone(),
            });
        }
    }

    let templates = Templates {
        app_id: app_id.to_owned(),
        namespace: namespace.unwrap_or_else(|| "default".to_owned()),
        pod_name: (options.env)("POD_NAME").unwrap_or_default(),
    };
    let mut resolver = Resolver::new(options.env, templates, notify);
    for (source, definition) in &definitions {
        if definition.component_type.starts_with("secretstores.") {
            resolver.open_secret_store(source, definition);
        }
    }
    let mut components = Vec::new();
    for (source, definition) in definitions {
        if definition.component_type.starts_with("lock.") {
            components.extend(resolver.component(source, definition));
        } else if !definition.component_type.starts_with("secretstores.") {
            let message = format!(
                "{} has nothing to do with locks, so it is not loaded",
                definition.component_type
            );
            resolver.notify(Level::Info, &source, &definition, Flaw::at("spec.type", message));
        }
    }
    let problems = resolver.into_problems();
    if !problems.is_empty() {
        return Err(LoadError::Components(problems));
    }
    let sources = resiliency.iter().map(|(source, _)| source.clone()).collect();
    let resiliency = resiliency::read(resiliency, app_id, &components, notify);
    Ok((Resources { components, resiliency }, sources))
}

/// Why a component is not for this process, if it is not. The namespace of a component counts
/// only where the process has one.
fn not_ours(
    definition: &document::Definition,
    app_id: &str,
    namespace: Option<&str>,
) -> Option<Flaw> {
    let theirs = definition.namespace.as_str();
    if namespace.is_some_and(|ours| !theirs.is_empty() && theirs != ours) {
        return Some(Flaw::at(
            "metadata.namespace",
            format!("{theirs} is not this process's namespace"),
        ));
    }
    let scopes = &definition.scopes;
    if scopes.is_empty() || scopes.iter().any(|scope| scope == app_id) {
        return None;
    }
    Some(Flaw::at("scopes", format!("the app id {app_id:?} is not among them")))
}
