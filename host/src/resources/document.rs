//! A YAML document of kind `Component`: its fields and their types. Documents of kind `Resiliency`
//! have a file of their own.
//!
//! Types are checked as Go's JSON decoder does for Dapr's `Component` (Dapr 1.18,
//! `pkg/apis/components/v1alpha1/types.go`): names of fields match without case, unknown fields are
//! ignored, null counts as absent, and a number or a boolean is accepted as text.

use super::{error::Flaw, yaml::Node};

/// A document, by its kind.
pub(super) enum Document {
    Component(Box<ComponentDocument>),
    /// A document of kind `Resiliency`. It is read once all documents are found.
    Resiliency(Field),
    /// A document of another kind.
    Other {
        kind: String,
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
}

/// One entry of `spec.metadata`.
pub(super) struct Setting {
    /// The path, as in `spec.metadata[2]`.
    pub(super) path: String,
    pub(super) name: String,
    /// `None` without a value, or for null.
    pub(super) value: Option<String>,
    /// Empty without one.
    pub(super) env_ref: String,
    /// `None` without one, or if it has no name.
    pub(super) secret: Option<SecretRef>,
}

pub(super) struct SecretRef {
    pub(super) name: String,
    pub(super) key: String,
}

/// Reads a document from its tree.
pub(super) fn read(root: Node) -> Result<Document, Flaw> {
    if matches!(root, Node::Null) {
        return Ok(Document::Empty);
    }
    let mut root = Field { path: String::new(), node: root };
    let kind = root.take("kind")?.text()?;
    match kind.as_str() {
        "" => {
            return Err(Flaw::at("kind", "is missing: this is not a resource of Dapr"));
        }
        "Component" => {}
        "Resiliency" => return Ok(Document::Resiliency(root)),
        _ => return Ok(Document::Other { kind }),
    }
    if root.take("apiVersion")?.text()? != "dapr.io/v1alpha1" {
        return Err(Flaw::at("apiVersion", "must be dapr.io/v1alpha1"));
    }
    let mut metadata = root.take("metadata")?;
    let name = metadata.take("name")?.text()?;
    check_name(&name)?;
    let mut spec = root.take("spec")?;
    let component_type = spec.take("type")?.text()?;
    if component_type.is_empty() {
        return Err(Flaw::at("spec.type", "is missing"));
    }
    Ok(Document::Component(Box::new(ComponentDocument {
        name,
        namespace: metadata.take("namespace")?.text()?,
        scopes: root
            .take("scopes")?
            .items()?
            .into_iter()
            .map(Field::text)
            .collect::<Result<_, _>>()?,
        secret_store: root.take("auth")?.take("secretStore")?.text()?,
        component_type,
        version: spec.take("version")?.text()?,
        ignore_errors: spec.take("ignoreErrors")?.flag()?,
        init_timeout: spec.take("initTimeout")?.text()?,
        settings: spec
            .take("metadata")?
            .items()?
            .into_iter()
            .map(read_setting)
            .collect::<Result<_, _>>()?,
    })))
}

/// Checks a name: not empty, and a segment of a path (Kubernetes, `IsValidPathSegmentName`, which
/// Dapr's loader applies).
fn check_name(name: &str) -> Result<(), Flaw> {
    let problem = match name {
        "" => "is missing",
        "." | ".." => "may not be `.` or `..`",
        _ if name.contains(['/', '%']) => "may not contain `/` or `%`",
        _ => return Ok(()),
    };
    Err(Flaw::at("metadata.name", problem))
}

fn read_setting(mut field: Field) -> Result<Setting, Flaw> {
    let mut secret = field.take("secretKeyRef")?;
    let secret = SecretRef { name: secret.take("name")?.text()?, key: secret.take("key")?.text()? };
    Ok(Setting {
        name: field.take("name")?.text()?,
        value: match field.take("value")?.node {
            Node::Null => None,
            value => Some(value.into_text_or_json()),
        },
        env_ref: field.take("envRef")?.text()?,
        secret: (!secret.name.is_empty()).then_some(secret),
        path: field.path,
    })
}

/// A node and its path.
pub(super) struct Field {
    pub(super) path: String,
    node: Node,
}

impl Field {
    /// Takes a field out of a mapping; null if it is absent.
    pub(super) fn take(&mut self, name: &str) -> Result<Self, Flaw> {
        let node = match &mut self.node {
            Node::Null => Node::Null,
            Node::Map(entries) => {
                let key = if entries.contains_key(name) {
                    Some(name.to_owned())
                } else {
                    entries.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned()
                };
                key.and_then(|key| entries.remove(&key)).unwrap_or(Node::Null)
            }
            _ => return Err(self.flaw("must be a mapping")),
        };
        let path =
            if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Ok(Self { path, node })
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
            Node::Map(entries) => Ok(entries
                .into_iter()
                .map(|(name, node)| {
                    let path = format!("{}.{name}", self.path);
                    (name, Self { path, node })
                })
                .collect()),
            _ => Err(self.flaw("must be a mapping")),
        }
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
