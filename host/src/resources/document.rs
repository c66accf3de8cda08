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
    let is_edge_lock = has_edge_lock(&root.node);
    let documents = match root.take("kind").and_then(Field::text) {
        // As `kubectl get -o yaml` prints.
        Ok(kind) if kind == LIST => items_of_list(root).map(|items| {
            let items = items.into_iter().enumerate();
            items.map(|(item, root)| (Some(item), read_one(root))).collect()
        }),
        Ok(kind) => read_kind(kind, root).map(|document| vec![(None, Ok(document))]),
        Err(flaw) => Err(flaw),
    };
    documents.unwrap_or_else(|flaw| vec![(None, Err(stopping_if(is_edge_lock, flaw)))])
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
    let is_edge_lock = has_edge_lock(&root.node);
    let kind = root.take("kind").and_then(Field::text);
    kind.and_then(|kind| read_kind(kind, root)).map_err(|flaw| stopping_if(is_edge_lock, flaw))
}

/// The flaw of a document, which stops the start if the document is an edge lock's: without this lock, requests that
/// should wait would pass.
fn stopping_if(is_edge_lock: bool, flaw: Flaw) -> Flaw {
    Flaw { stops_the_start: flaw.stops_the_start || is_edge_lock, ..flaw }
}

/// Whether a value of the tree mentions edge locks.
fn has_edge_lock(node: &Node) -> bool {
    match node {
        Node::Text(text) => mentions_edge_lock(text),
        Node::List(items) => items.iter().any(has_edge_lock),
        Node::Map(map) => map.entries.values().any(has_edge_lock),
        Node::Null | Node::Bool(_) | Node::Number(_) => false,
    }
}

/// Whether the text has a part that hardly any document has but an edge lock's.
pub(super) fn mentions_edge_lock(text: &str) -> bool {
    [EDGE_LOCK, EDGE_LOCK_GROUP].iter().any(|part| text.contains(part))
}

fn read_kind(kind: String, mut root: Field) -> Result<Document, Flaw> {
    // The kind alone would make it a resource that is skipped, or one with a wrong `apiVersion`.
    if kind != EDGE_LOCK && has_version_of_edge_lock(&root) {
        let is = if kind.is_empty() { "is missing" } else { &format!("is {kind}") };
        let flaw = root.flaw_at("kind", &format!("{is}, and must be {EDGE_LOCK} here"));
        return Err(stopping_if(true, flaw));
    }
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
            Ok(Document::Other { kind, api_version })
        }
    }
}

fn has_version_of_edge_lock(root: &Field) -> bool {
    let Node::Map(map) = &root.node else { return false };
    let mut versions =
        map.entries.iter().filter(|(name, _)| name.eq_ignore_ascii_case("apiVersion"));
    versions.any(|(_, node)| matches!(node, Node::Text(text) if text.starts_with(EDGE_LOCK_GROUP)))
}

/// The only kind that Dapr does not have.
const EDGE_LOCK: &str = "EdgeLock";

/// What the `apiVersion` of this kind begins with.
const EDGE_LOCK_GROUP: &str = "holdfast.lock/";
