//! A document of kind `Component`: its fields, and the settings of its `spec`.
//!
//! Follows Dapr 1.18 (`pkg/apis/components/v1alpha1/types.go`). Unknown fields are ignored, and reported.

use super::{
    error::Flaw,
    field::Field,
    metadata::{METADATA_FIELDS, ROOT_FIELDS, take_name},
    yaml::Node,
};

/// A component as written, with nothing resolved.
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
    /// The value; `None` if it is missing or null.
    pub(super) value: Option<String>,
    /// Whether the value is not text, which YAML may write in another way than the file: `{word}` is a mapping.
    pub(super) is_unquoted: bool,
    /// The variable of `envRef`; empty if it is missing.
    pub(super) env_ref: String,
    /// The reference to a secret; `None` if it is missing or has no name.
    pub(super) secret: Option<SecretRef>,
    /// Whether the setting has a `secretKeyRef`, with or without a name.
    has_reference: bool,
}

impl Setting {
    /// Whether the setting has no value, and takes none from another place.
    pub(super) fn is_null(&self) -> bool {
        self.value.is_none() && self.env_ref.is_empty() && !self.has_reference
    }
}

pub(super) struct SecretRef {
    pub(super) name: String,
    pub(super) key: String,
}

/// The categories of component types, by their prefix: locks, secrets, and Dapr's other building blocks (Dapr 1.18,
/// `pkg/components/category.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    Lock,
    SecretStore,
    /// The component has nothing to do with locks.
    Foreign,
    /// Dapr has no type like it, and does not start.
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
    /// The category of the component's type. Case matters, as for daprd.
    pub(super) fn category(&self) -> Category {
        match self.component_type.split_once('.').map(|(category, _)| category) {
            Some("lock") => Category::Lock,
            Some("secretstores") => Category::SecretStore,
            Some(category) if FOREIGN.contains(&category) => Category::Foreign,
            _ => Category::Unknown,
        }
    }
}

/// The fields of the `spec`.
const SPEC_FIELDS: [&str; 5] = ["type", "version", "ignoreErrors", "initTimeout", "metadata"];

/// Reads the document. Of a foreign component, reads only the fields that show whether it is for this process.
pub(super) fn read(mut root: Field) -> Result<ComponentDocument, Flaw> {
    check_api_version(&mut root)?;
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
    if component.category() != Category::Foreign {
        component.read_rest(root, &metadata, spec)?;
    }
    Ok(component)
}

fn check_api_version(root: &mut Field) -> Result<(), Flaw> {
    let api_version = root.take("apiVersion")?.text()?;
    if api_version == "dapr.io/v1alpha1" {
        return Ok(());
    }
    let wrong = root.flaw_at("apiVersion", "must be dapr.io/v1alpha1");
    let misspelt = root.misspelt("apiVersion", &ROOT_FIELDS);
    Err(misspelt.filter(|_| api_version.is_empty()).unwrap_or(wrong))
}

impl ComponentDocument {
    /// Reads the fields that only an opened component needs.
    fn read_rest(
        &mut self,
        mut root: Field,
        metadata: &Field,
        mut spec: Field,
    ) -> Result<(), Flaw> {
        let mut auth = root.take("auth")?;
        self.secret_store = auth.take("secretStore")?.text()?;
        self.version = spec.take("version")?.text()?;
        self.ignore_errors = spec.take("ignoreErrors")?.flag()?;
        self.init_timeout = spec.take("initTimeout")?.text()?;
        for mut entry in spec.take("metadata")?.items()? {
            let (setting, unknown) = read_setting(&mut entry)?;
            self.settings.push(setting);
            self.unknown.extend(unknown);
            self.unknown.extend(entry.unknown(&["name", "value", "secretKeyRef", "envRef"]));
        }
        // `kubectl get -o yaml` adds a status.
        self.unknown.extend(root.unknown(&ROOT_FIELDS));
        self.unknown.extend(metadata.unknown(&METADATA_FIELDS));
        self.unknown.extend(spec.unknown(&SPEC_FIELDS));
        self.unknown.extend(auth.unknown(&["secretStore"]));
        Ok(())
    }
}

/// Checks that a name is not empty and is one segment of a path (Kubernetes, `IsValidPathSegmentName`, which Dapr's
/// loader applies).
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

/// Reads an entry of `spec.metadata`. Also returns the flaws that change nothing.
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
