//! Documents of kind `EdgeLock`: which requests of a proxy take which lock.
//!
//! Dapr does not have this kind. A document with a mistake prevents the start: without its lock, requests that should
//! wait would pass. The same holds for a document that is not YAML, or whose kind is missing, if it mentions edge locks.

use std::collections::BTreeMap;

use holdfast_edge_lock::EdgeLock;
use holdfast_rules::message;

use super::{
    definition::StoreDefinition,
    error::{Flaw, Level, Notice, Problem},
    field::Field,
    metadata::{METADATA_FIELDS, take_name},
    source::Source,
};

/// The only `apiVersion` of the kind.
const API_VERSION: &str = "holdfast.lock/v1alpha1";

/// The result of reading the documents.
pub(super) struct EdgeLocks {
    /// The edge locks, in the order of the files.
    pub(super) locks: Vec<EdgeLock>,
    /// The documents that cannot be used.
    pub(super) problems: Vec<Problem>,
}

/// Reads the documents of this application, in their order.
pub(super) fn read(
    documents: Vec<(Source, Field)>,
    app_id: &str,
    stores: &[StoreDefinition],
    notify: &mut dyn FnMut(Notice),
) -> EdgeLocks {
    let mut read = EdgeLocks { locks: Vec::new(), problems: Vec::new() };
    let mut places: BTreeMap<String, Source> = BTreeMap::new();
    for (source, mut root) in documents {
        let name = match name(&mut root) {
            Ok(name) => name,
            Err(flaw) => {
                read.problems.push(Problem::of_document(&source, flaw));
                continue;
            }
        };
        let problem = |flaw| Problem::of_edge_lock(&source, &name, flaw);
        match edge_lock(&name, root, app_id) {
            Ok(Some(lock)) => {
                if !stores.iter().any(|store| store.name == lock.store) {
                    let message = message::store_not_found(&lock.store);
                    read.problems.push(problem(Flaw::at("spec.store", message)));
                }
                if let Some(first) = places.insert(name.clone(), source.clone()) {
                    let message = format!("is the name of an edge lock in {first}, too");
                    read.problems.push(problem(Flaw::at("metadata.name", message)));
                }
                read.locks.push(lock);
            }
            Ok(None) => {
                let message = format!("the app id {app_id:?} is not among them");
                let problem = problem(Flaw::at("scopes", message));
                notify(Notice { level: Level::Info, problem });
            }
            Err(flaw) => read.problems.push(problem(flaw)),
        }
    }
    read
}

fn name(root: &mut Field) -> Result<String, Flaw> {
    let mut metadata = root.take("metadata")?;
    let name = take_name(&mut metadata, root)?;
    let flaw = name.flaw("is missing");
    if let Some(flaw) = metadata.unknown(&METADATA_FIELDS).into_iter().next() {
        return Err(flaw);
    }
    name.some_text()?.ok_or(flaw)
}

/// The edge lock; `None` if it is for another application.
fn edge_lock(name: &str, mut root: Field, app_id: &str) -> Result<Option<EdgeLock>, Flaw> {
    let api_version = root.take("apiVersion")?;
    let flaw = api_version.flaw(&format!("must be {API_VERSION}"));
    if api_version.text()? != API_VERSION {
        return Err(flaw);
    }
    let scopes = root.take("scopes")?.items()?;
    let scopes = scopes.into_iter().map(Field::text).collect::<Result<Vec<_>, _>>()?;
    let spec = root.take("spec")?.into_json()?;
    // `kubectl get -o yaml` adds a status.
    if let Some(flaw) = root.unknown(&["kind", "status"]).into_iter().next() {
        return Err(flaw);
    }
    if !scopes.is_empty() && !scopes.iter().any(|scope| scope == app_id) {
        return Ok(None);
    }
    let lock = EdgeLock::read(name, spec).map_err(|flaw| {
        let path =
            if flaw.field.is_empty() { "spec".to_owned() } else { format!("spec.{}", flaw.field) };
        Flaw::at(path, flaw.message)
    })?;
    Ok(Some(lock))
}
