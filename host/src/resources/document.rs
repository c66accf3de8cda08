//! A YAML document of kind `Component`: its fields and their types. Documents of the kinds `Resiliency` and
//! `EdgeLock` have files of their own.
//!
//! Types are checked as Go's JSON decoder does for Dapr's `Component` (Dapr 1.18,
//! `pkg/apis/components/v1alpha1/types.go`): names of fields match without case, unknown fields are
//! ignored, null counts as absent, and a number or a boolean is accepted as text.

use serde_json::Value;

use super::{error::Flaw, known, yaml::Node};

/// A document, by its kind.
pub(super) enum Document {
    Component(Box<ComponentDocument>),
    /// A document of kind `Resiliency`. It is read once all documents are found.
    Resiliency(Field),
    /// A document of kind `EdgeLock`. It is read once all documents are found.
    EdgeLock(Field),
    /// A document of another kind.
    Other {
        kind: String,
        api_version: String,
    },
    /// Nothing but comments.
    Empty,
}

/// A component as it is written, with nothing resolved.
pub(super) struct ComponentDocument {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) scopes: Vec<String>,
    pub(super) secret_store: String,
    pub(super) component_type: String,
    pub(super) version: String,
    pub(super) ignore_errors: bool,
    pub(super) init_timeout: String,
    pub(super) settings: Vec<Setting>,
    /// Fields without a meaning, probably misspelt or in the wrong place.
    pub(super) unknown: Vec<Flaw>,
}

/// One entry of `spec.metadata`.
pub(super) struct Setting {
    /// The path, as in `spec.metadata[2]`.
    pub(super) path: String,
    pub(super) name: String,
    /// `None` without a value, or for null.
    pub(super) value: Option<String>,
    /// Whether the value is no text, which YAML may write in another way than the file: `{word}` is a mapping.
    pub(super) is_unquoted: bool,
    /// Empty without one.
    pub(super) env_ref: String,
    /// `None` without one, or if it has no name.
    pub(super) secret: Option<SecretRef>,
    /// Whether it has a `secretKeyRef`, with a name or without.
    has_reference: bool,
}

impl Setting {
    /// Whether it has no value, and takes none from elsewhere.
    pub(super) fn is_null(&self) -> bool {
        self.value.is_none() && self.env_ref.is_empty() && !self.has_reference
    }
}

pub(super) struct SecretRef {
    pub(super) name: String,
    pub(super) key: String,
}

/// Reads the documents of a tree: one, or those in the `items` of a `List`, with their numbers.
pub(super) fn read(root: Node) -> Vec<(Option<usize>, Result<Document, Flaw>)> {
    let mut root = Field { path: String::new(), node: root };
    if root.is_null() {
        return vec![(None, Ok(Document::Empty))];
    }
    let documents = match root.take("kind").and_then(Field::text) {
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
            return Err(root.misspelt("kind", &ROOT_FIELDS).unwrap_or_else(missing));
        }
        "Component" => {}
        LIST => return Err(root.flaw_at("kind", "is List inside a List, which is not read")),
        "Resiliency" => return Ok(Document::Resiliency(root)),
        EDGE_LOCK => return Ok(Document::EdgeLock(root)),
        _ => {
            let api_version = root.take("apiVersion").and_then(Field::text).unwrap_or_default();
            if api_version.starts_with("holdfast.lock/") {
                // Without it, requests would pass that should have waited.
                let message = format!("is {kind}, and must be {EDGE_LOCK} here");
                return Err(Flaw::ambiguous("kind", message));
            }
            return Ok(Document::Other { kind, api_version });
        }
    }
    let api_version = root.take("apiVersion")?.text()?;
    if api_version != "dapr.io/v1alpha1" {
        let wrong = root.flaw_at("apiVersion", "must be dapr.io/v1alpha1");
        let misspelt = root.misspelt("apiVersion", &ROOT_FIELDS);
        return Err(misspelt.filter(|_| api_version.is_empty()).unwrap_or(wrong));
    }
    let mut metadata = root.take("metadata")?;
    let name = take_name(&mut metadata, &root)?;
    check_name(&name)?;
    let (name, namespace) = (name.text()?, metadata.take("namespace")?.text()?);
    let scopes = root.take("scopes")?.items()?;
    let scopes = scopes.into_iter().map(Field::text).collect::<Result<_, _>>()?;
    let mut spec = root.take("spec")?;
    let component_type = spec.take("type")?.text()?;
    let mut component = ComponentDocument {
        name,
        namespace,
        scopes,
        component_type,
        secret_store: String::new(),
        version: String::new(),
        ignore_errors: false,
        init_timeout: String::new(),
        settings: Vec::new(),
        unknown: Vec::new(),
    };
    if component.category() == Category::Foreign {
        return Ok(Document::Component(Box::new(component)));
    }
    let mut auth = root.take("auth")?;
    component.secret_store = auth.take("secretStore")?.text()?;
    component.version = spec.take("version")?.text()?;
    component.ignore_errors = spec.take("ignoreErrors")?.flag()?;
    component.init_timeout = spec.take("initTimeout")?.text()?;
    for mut entry in spec.take("metadata")?.items()? {
        let (setting, unknown) = read_setting(&mut entry)?;
        component.settings.push(setting);
        component.unknown.extend(unknown);
        component.unknown.extend(entry.unknown(&["name", "value", "secretKeyRef", "envRef"]));
    }
    // `kubectl get -o yaml` adds a status.
    component.unknown.extend(root.unknown(&ROOT_FIELDS));
    component.unknown.extend(metadata.unknown(&METADATA_FIELDS));
    component.unknown.extend(spec.unknown(&SPEC_FIELDS));
    component.unknown.extend(auth.unknown(&["secretStore"]));
    Ok(Document::Component(Box::new(component)))
}

/// What `kubectl get -o yaml` prints.
const LIST: &str = "List";

/// The only kind of our own.
const EDGE_LOCK: &str = "EdgeLock";

/// The fields of a component.
const ROOT_FIELDS: [&str; 7] =
    ["apiVersion", "kind", "metadata", "spec", "auth", "scopes", "status"];

/// The fields of its `metadata` (Kubernetes, `ObjectMeta`).
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

/// The fields of its `spec`.
const SPEC_FIELDS: [&str; 5] = ["type", "version", "ignoreErrors", "initTimeout", "metadata"];

/// What a component's type begins with, for locks, for secrets, and for Dapr's other building blocks (Dapr
/// 1.18, `pkg/components/category.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    Lock,
    SecretStore,
    /// It has nothing to do with locks.
    Foreign,
    /// Dapr has none like it, and does not start.
    Unknown,
}

const FOREIGN: [&str; 10] = [
    "bindings",
    "configuration",
    "conversation",
    "crypto",
    "middleware",
    "nameresolution",
    "pubsub",
    "state",
    "workflow",
    "workflowbackend",
];

impl ComponentDocument {
    /// The category of its type. Case matters, as for daprd.
    pub(super) fn category(&self) -> Category {
        match self.component_type.split_once('.').map(|(category, _)| category) {
            Some("lock") => Category::Lock,
            Some("secretstores") => Category::SecretStore,
            Some(category) if FOREIGN.contains(&category) => Category::Foreign,
            _ => Category::Unknown,
        }
    }
}

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

/// Checks a name: not empty, and a segment of a path (Kubernetes, `IsValidPathSegmentName`, which
/// Dapr's loader applies).
fn check_name(name: &Field) -> Result<(), Flaw> {
    let problem = match &name.node {
        Node::Null => "is missing",
        Node::Text(name) if name.is_empty() => "is missing",
        Node::Text(name) if name == "." || name == ".." => "may not be `.` or `..`",
        Node::Text(name) if name.contains(['/', '%']) => "may not contain `/` or `%`",
        _ => return Ok(()),
    };
    Err(name.flaw(problem))
}

/// Reads an entry of `spec.metadata`. Returns its flaws that change nothing, too.
fn read_setting(field: &mut Field) -> Result<(Setting, Vec<Flaw>), Flaw> {
    let mut reference = field.take("secretKeyRef")?;
    let secret =
        SecretRef { name: reference.take("name")?.text()?, key: reference.take("key")?.text()? };
    let mut flaws = reference.unknown(&["name", "key"]);
    if secret.name.is_empty() && !secret.key.is_empty() && flaws.is_empty() {
        flaws.push(reference.flaw("has no name, so it has no effect"));
    }
    let value = field.take("value")?;
    if let Some(key) = value.node.repeated_key() {
        return Err(Flaw::ambiguous(&value.path, format!("has {key} more than once")));
    }
    let value = value.node;
    let setting = Setting {
        name: field.take("name")?.text()?,
        is_unquoted: !matches!(value, Node::Text(_) | Node::Null),
        has_reference: !reference.is_null(),
        value: match value {
            Node::Null => None,
            value => Some(value.into_text_or_json()),
        },
        env_ref: field.take("envRef")?.text()?,
        secret: (!secret.name.is_empty()).then_some(secret),
        path: field.path.clone(),
    };
    let sources = [
        ("value", setting.value.as_ref().is_some_and(|value| !value.is_empty())),
        ("secretKeyRef", setting.secret.is_some()),
        ("envRef", !setting.env_ref.is_empty()),
    ];
    let given: Vec<_> = sources.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    match given[..] {
        [one, another, ..] => {
            let message = format!("{} has both {one} and {another}: leave one out", setting.name);
            Err(Flaw::ambiguous(&setting.path, message))
        }
        _ => Ok((setting, flaws)),
    }
}

/// A node and its path.
pub(super) struct Field {
    pub(super) path: String,
    node: Node,
}

impl Field {
    /// Takes a field out of a mapping; null if it is absent.
    pub(super) fn take(&mut self, name: &str) -> Result<Self, Flaw> {
        let path = self.path_of(name);
        let map = match &mut self.node {
            Node::Null => return Ok(Self { path, node: Node::Null }),
            Node::Map(map) => map,
            _ => return Err(self.flaw("must be a mapping")),
        };
        let is_it = |key: &&String| key.eq_ignore_ascii_case(name);
        let spellings: Vec<String> = map.entries.keys().filter(is_it).cloned().collect();
        match spellings.as_slice() {
            [] => Ok(Self { path, node: Node::Null }),
            [key] if map.repeated.contains(key) => {
                Err(Flaw::ambiguous(path, "is there more than once"))
            }
            [key] => {
                let node = map.entries.remove(key).unwrap_or(Node::Null);
                Ok(Self { path, node })
            }
            [one, another, ..] => {
                Err(Flaw::ambiguous(path, format!("is there twice, as {one} and {another}")))
            }
        }
    }

    /// The flaws of the fields that were not taken and are none of `known`.
    pub(super) fn unknown(&self, known: &[&str]) -> Vec<Flaw> {
        let Node::Map(map) = &self.node else { return Vec::new() };
        // In a `List`, the document has a path.
        let inside = self.path.strip_prefix("items[").and_then(|path| path.split_once(']'));
        let parent = inside.map_or(&*self.path, |(_, path)| path.trim_start_matches('.'));
        let flaw = |name: &String| known::unknown_field(&self.path_of(name), parent, name, known);
        map.entries.keys().filter_map(flaw).collect()
    }

    /// The flaw of a field that was not taken, is none of `known`, and was probably meant to be `name`.
    fn misspelt(&self, name: &str, known: &[&str]) -> Option<Flaw> {
        let Node::Map(map) = &self.node else { return None };
        let is_meant = |key: &&String| known::nearest(key, known) == Some(name);
        let key = map.entries.keys().find(is_meant)?;
        known::unknown_field(&self.path_of(key), "", key, known)
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn flaw_at(&self, name: &str, message: &str) -> Flaw {
        Flaw::at(self.path_of(name), message)
    }

    pub(super) fn text(self) -> Result<String, Flaw> {
        let flaw = self.flaw("must be text");
        self.node.into_text().ok_or(flaw)
    }

    /// Text; `None` for null or an empty text.
    pub(super) fn some_text(self) -> Result<Option<String>, Flaw> {
        Ok(Some(self.text()?).filter(|text| !text.is_empty()))
    }

    /// A whole number; `None` for null.
    pub(super) fn integer(self) -> Result<Option<i64>, Flaw> {
        let flaw = self.flaw("must be a whole number");
        match self.node {
            Node::Null => Ok(None),
            Node::Number(text) => text.parse().map(Some).map_err(|_| flaw),
            _ => Err(flaw),
        }
    }

    fn flag(self) -> Result<bool, Flaw> {
        match self.node {
            Node::Null => Ok(false),
            Node::Bool(value) => Ok(value),
            _ => Err(self.flaw("must be true or false")),
        }
    }

    pub(super) fn items(self) -> Result<Vec<Self>, Flaw> {
        match self.node {
            Node::Null => Ok(Vec::new()),
            Node::List(items) => Ok(items
                .into_iter()
                .enumerate()
                .map(|(index, node)| Self { path: format!("{}[{index}]", self.path), node })
                .collect()),
            _ => Err(self.flaw("must be a list")),
        }
    }

    /// The entries of a mapping, in the order of their names.
    pub(super) fn entries(self) -> Result<Vec<(String, Self)>, Flaw> {
        match self.node {
            Node::Null => Ok(Vec::new()),
            Node::Map(map) => match map.repeated.first() {
                Some(key) => {
                    Err(Flaw::ambiguous(format!("{}.{key}", self.path), "is there more than once"))
                }
                None => Ok(map
                    .entries
                    .into_iter()
                    .map(|(name, node)| {
                        let path = format!("{}.{name}", self.path);
                        (name, Self { path, node })
                    })
                    .collect()),
            },
            _ => Err(self.flaw("must be a mapping")),
        }
    }

    /// The tree below as JSON.
    pub(super) fn into_json(self) -> Result<Value, Flaw> {
        Ok(match self.node {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(value),
            Node::Number(ref text) => {
                text.parse().map_err(|_| self.flaw("is not a number of JSON"))?
            }
            Node::Text(text) => Value::String(text),
            Node::List(_) => {
                self.items()?.into_iter().map(Self::into_json).collect::<Result<_, _>>()?
            }
            Node::Map(_) => {
                let entries = self.entries()?.into_iter();
                entries
                    .map(|(name, field)| Ok((name, field.into_json()?)))
                    .collect::<Result<_, _>>()?
            }
        })
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.node, Node::Null)
    }

    pub(super) fn flaw(&self, message: &str) -> Flaw {
        if self.path.is_empty() {
            Flaw::new(format!("the document {message}"))
        } else {
            Flaw::at(&self.path, message)
        }
    }
}
