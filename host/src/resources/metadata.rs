//! The fields around the `spec` of several kinds of documents, and the name.

use super::{error::Flaw, field::Field};

/// The fields of a component at the top level.
pub(super) const ROOT_FIELDS: [&str; 7] =
    ["apiVersion", "kind", "metadata", "spec", "auth", "scopes", "status"];

/// The fields of `metadata` (Kubernetes, `ObjectMeta`).
pub(super) const METADATA_FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Takes the name out of `metadata`. Fails if the name is missing, and `metadata` or the document has a field of a
/// similar name.
pub(super) fn take_name(metadata: &mut Field, root: &Field) -> Result<Field, Flaw> {
    let name = metadata.take("name")?;
    let misspelt = || {
        let whole = metadata.is_null().then(|| root.misspelt("metadata", &ROOT_FIELDS)).flatten();
        whole.or_else(|| metadata.misspelt("name", &METADATA_FIELDS))
    };
    match name.is_null().then(misspelt).flatten() {
        Some(flaw) => Err(flaw),
        None => Ok(name),
    }
}
