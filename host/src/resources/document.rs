//! YAML documents by their kind, one by one or in a `List`. A module for each kind reads its documents.

use super::{
    component::{self, ComponentDocument},
    error::Flaw,
    field::Field,
    known::LIST,
    metadata::ROOT_FIELDS,
    yaml::Node,
};

/// A document, by its kind.
pub(super) enum Document {
    Component(Box<ComponentDocument>),
    /// A document of kind `Resiliency`. It is read after all documents are found.
    Resiliency(Field),
    /// A document of kind `EdgeLock`. It is read after all documents are found.
    EdgeLock(Field),
    /// A document of another kind.
    Other {
        kind: String,
        api_version: String,
    },
    /// A document with nothing but comments.
    Empty,
}

/// Reads the documents of a tree: one, or the `items` of a `List`, with their numbers.
pub(super) fn read(root: Node) -> Vec<(Option<usize>, Result<Document, Flaw>)> {
    let mut root = Field::root(root);
    if root.is_null() {
        return vec![(None, Ok(Document::Empty))];
    }
    let documents = match root.take("kind").and_then(Field::text) {
        // As `kubectl get -o yaml` prints.
        Ok(kind) if kind == LIST => items_of_list(root).map(|items| {
            let items = items.into_iter().enumerate();
            items.map(|(item, root)| (Some(item), read_one(root))).collect()
        }),
        Ok(kind) => Ok(vec![(None, read_kind(kind, root))]),
        Err(flaw) => Err(flaw),
    };
    documents.unwrap_or_else(|flaw| vec![(None, Err(flaw))])
}

fn items_of_list(mut root: Field) -> Result<Vec<Field>, Flaw> {
    let items = root.take("items")?;
    match root.misspelt("items", &["apiVersion", "items", "metadata"]) {
        Some(flaw) => Err(flaw),
        None if items.is_null() => Err(items.flaw("is missing")),
        None => items.items(),
    }
}

fn read_one(mut root: Field) -> Result<Document, Flaw> {
    let kind = root.take("kind")?.text()?;
    read_kind(kind, root)
}

fn read_kind(kind: String, mut root: Field) -> Result<Document, Flaw> {
    match kind.as_str() {
        "" => {
            let missing = || root.flaw_at("kind", "is missing: this is not a resource of Dapr");
            Err(root.misspelt("kind", &ROOT_FIELDS).unwrap_or_else(missing))
        }
        "Component" => Ok(Document::Component(Box::new(component::read(root)?))),
        LIST => Err(root.flaw_at("kind", "is List inside a List, which is not read")),
        "Resiliency" => Ok(Document::Resiliency(root)),
        EDGE_LOCK => Ok(Document::EdgeLock(root)),
        _ => {
            let api_version = root.take("apiVersion").and_then(Field::text).unwrap_or_default();
            if api_version.starts_with("holdfast.lock/") {
                // Without this edge lock, requests that should wait would pass.
                let message = format!("is {kind}, and must be {EDGE_LOCK} here");
                return Err(Flaw::ambiguous("kind", message));
            }
            Ok(Document::Other { kind, api_version })
        }
    }
}

/// The only kind that Dapr does not have.
const EDGE_LOCK: &str = "EdgeLock";
