//! What documents of several kinds have around their `spec`: the fields there, and the name.

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

/// Takes the name out of `metadata`. Fails if it is missing, and something like it is there, in `metadata` or in the
/// document.
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
