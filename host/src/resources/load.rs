//! Reads the definitions of lock stores and their policies from folders.

use std::{collections::BTreeMap, fs, path::PathBuf};

use holdfast_edge_lock::EdgeLock;

use super::{
    component::{Category, ComponentDocument},
    definition::StoreDefinition,
    edge_locks::{self, EdgeLocks},
    error::{Flaw, Level, LoadError, Notice, Problem},
    files, known,
    options::Options,
    resiliency,
    resolve::Resolver,
    source::Source,
    templates::Templates,
};
use crate::policy::Resiliency;

/// The parts of resource files that are about locks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Resources {
    /// The lock stores, in the order of the files.
    pub stores: Vec<StoreDefinition>,
    /// The policies, and the policies of each store.
    pub resiliency: Resiliency,
    /// The locks that requests of a proxy take, in the order of the files.
    pub edge_locks: Vec<EdgeLock>,
}

/// Reads the definitions of lock stores and the policies of their calls, by the rules of daprd 1.18 without Kubernetes
/// (`pkg/internal/loader/disk`, `pkg/resiliency`).
///
/// Reads the folders in the given order. In each folder, reads the files `*.yaml` and `*.yml` in the order of their
/// names, but no folders below; in each file, reads all documents. Skips a document of kind `Component` if it is of
/// another namespace, or if its `scopes` leave this application out. Secret stores of the types
/// `secretstores.local.env` and `secretstores.local.file` give secrets to the definitions, in whatever order they are
/// written; other types have nothing to do with locks.
///
/// A document of kind `Resiliency` whose `scopes` include this application defines policies and outbound
/// policies of components. All files are merged: if two define the same name, the later one counts. A
/// document that cannot be read has no effect and causes a warning.
///
/// Documents of kind `EdgeLock` whose `scopes` include this application say which requests of a proxy take which
/// lock.
///
/// Problems that do not stop the loading go to `notify` as they are found, even if an error follows. Neither notices
/// nor errors contain the value of a setting, except for the path of a secrets file.
///
/// # Errors
///
/// If a folder cannot be read, two components have the same name, a document is ambiguous (it has a field or a setting
/// twice, in whatever case), Dapr has no type like a component's, a component cannot be resolved (its version or a
/// secret does not exist) and has no `ignoreErrors: true`, or a document of kind `EdgeLock`, or with its `apiVersion`,
/// has a mistake. A document of another kind that is not a well-formed component is not an error: it is skipped with a
/// notice of [`Level::Error`], and so is a file that cannot be read. If such a document mentions `EdgeLock` or
/// `holdfast.lock/`, it counts as an edge lock's.
pub fn load(options: &Options, notify: &mut dyn FnMut(Notice)) -> Result<Resources, LoadError> {
    let app_id = options.app_id.as_str();
    let env = &*options.env;
    let namespace = env("NAMESPACE").filter(|namespace| !namespace.is_empty());

    let files::Found { components, resiliency, edge_locks, stopping } =
        files::read_folders(&options.folders, notify)?;
    if !stopping.is_empty() {
        return Err(LoadError::Components(stopping));
    }
    let components = without_foreign(components, app_id, namespace.as_deref(), notify);
    check_names(&components)?;

    let templates = Templates {
        app_id: app_id.to_owned(),
        namespace: namespace.unwrap_or_else(|| "default".to_owned()),
        pod_name: env("POD_NAME").unwrap_or_default(),
    };
    let mut resolver = Resolver::new(env, templates, notify);
    open_secret_stores(&components, &mut resolver);
    let stores = resolve_stores(components, &mut resolver);
    let mut problems = resolver.into_problems();
    let EdgeLocks { locks: edge_locks, problems: wrong } =
        edge_locks::read(edge_locks, app_id, &stores, notify);
    problems.extend(wrong);
    if !problems.is_empty() {
        return Err(LoadError::Components(problems));
    }
    let resiliency = resiliency::read(resiliency, app_id, &stores, notify);
    Ok(Resources { stores, resiliency, edge_locks })
}

/// The components for this process.
fn without_foreign(
    mut components: Vec<(Source, ComponentDocument)>,
    app_id: &str,
    namespace: Option<&str>,
    notify: &mut dyn FnMut(Notice),
) -> Vec<(Source, ComponentDocument)> {
    components.retain(|(source, component)| {
        let foreign = why_foreign(component, app_id, namespace);
        if let Some(flaw) = foreign {
            let problem = Problem::of_component(source, &component.name, flaw);
            notify(Notice { level: Level::Info, problem });
            return false;
        }
        true
    });
    components
}

/// Opens every secret store, before a component asks one for a secret. Reports the meaningless fields of all
/// components.
fn open_secret_stores(components: &[(Source, ComponentDocument)], resolver: &mut Resolver<'_>) {
    for (source, component) in components {
        for flaw in &component.unknown {
            resolver.notify(Level::Warning, source, component, flaw.clone());
        }
        if component.category() == Category::SecretStore {
            resolver.open_secret_store(source, component);
        }
    }
}

/// The definitions of the lock stores. Reports a component of another type.
fn resolve_stores(
    components: Vec<(Source, ComponentDocument)>,
    resolver: &mut Resolver<'_>,
) -> Vec<StoreDefinition> {
    let mut stores = Vec::new();
    for (source, component) in components {
        let component_type = &component.component_type;
        match component.category() {
            Category::Lock => stores.extend(resolver.store(source, component)),
            Category::SecretStore => {}
            Category::Foreign => {
                let message =
                    format!("{component_type} has nothing to do with locks, so it is not loaded");
                resolver.notify(Level::Info, &source, &component, Flaw::at("spec.type", message));
            }
            Category::Unknown => {
                let flaw = Flaw::at("spec.type", incorrect(component_type));
                resolver.refuse(&source, &component, flaw);
            }
        }
    }
    stores
}

/// The problem with a type of no category. daprd reports the same, and does not start either (Dapr 1.18,
/// `pkg/runtime/processor/components.go`).
fn incorrect(component_type: &str) -> String {
    const TYPES: [&str; 4] =
        ["lock.redis", "lock.in-memory", "secretstores.local.env", "secretstores.local.file"];
    if component_type.is_empty() {
        return "is missing".to_owned();
    }
    match known::most_similar(component_type, &TYPES) {
        Some(nearest) => format!("incorrect type {component_type} (did you mean {nearest}?)"),
        None => format!(
            "incorrect type {component_type} (the types of locks are lock.redis and lock.in-memory)"
        ),
    }
}

fn check_names(components: &[(Source, ComponentDocument)]) -> Result<(), LoadError> {
    let mut names = BTreeMap::new();
    for (source, component) in components {
        if let Some(first) = names.insert(&component.name, source) {
            if let Some((first, second)) = same_folder(first, source) {
                return Err(LoadError::SameFolder { first, second });
            }
            return Err(LoadError::Duplicate {
                name: component.name.clone(),
                first: first.clone(),
                second: source.clone(),
            });
        }
    }
    Ok(())
}

/// The two names of a folder, if the same document was read twice because its folder was given twice.
fn same_folder(first: &Source, second: &Source) -> Option<(PathBuf, PathBuf)> {
    let is_same_document = first.document == second.document
        && first.item == second.item
        && first.file.file_name() == second.file.file_name();
    if !is_same_document {
        return None;
    }
    let folders = (first.file.parent()?, second.file.parent()?);
    let is_same = fs::canonicalize(folders.0).ok()? == fs::canonicalize(folders.1).ok()?;
    is_same.then(|| (folders.0.to_owned(), folders.1.to_owned()))
}

/// Why a component is not for this process; `None` if it is. Namespaces are compared only if the process has one.
fn why_foreign(
    component: &ComponentDocument,
    app_id: &str,
    namespace: Option<&str>,
) -> Option<Flaw> {
    let theirs = component.namespace.as_str();
    if namespace.is_some_and(|ours| !theirs.is_empty() && theirs != ours) {
        return Some(Flaw::at(
            "metadata.namespace",
            format!("{theirs} is not this process's namespace"),
        ));
    }
    let scopes = &component.scopes;
    if scopes.is_empty() || scopes.iter().any(|scope| scope == app_id) {
        return None;
    }
    Some(Flaw::at("scopes", format!("the app id {app_id:?} is not among them")))
}
