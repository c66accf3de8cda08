//! Resolves a component as written into a store's definition: values from the environment and from secret stores,
//! templates, versions and timeouts.

use std::{collections::BTreeMap, time::Duration};

use holdfast_redis_rules::settings::{self, Unused};
use holdfast_timing::go_duration::parse_go_duration;

use super::{
    component::{ComponentDocument, SecretRef, Setting},
    definition::StoreDefinition,
    environment::Env,
    error::{Flaw, Level, Notice, Problem},
    known,
    secrets::{self, SecretStore},
    source::Source,
    templates::Templates,
    unquote::unquote,
};
use crate::{
    lowercase::lowercase,
    store::{properties::Properties, redis::default_pool_size},
};

/// The prefix of the types of secret stores.
const PREFIX: &str = "secretstores.";

/// How long opening a store may take, unless `dialTimeout` is longer.
const DEFAULT_INIT_TIMEOUT: Duration = Duration::from_secs(5);

/// The state of resolving components.
pub(super) struct Resolver<'a> {
    pub(super) env: &'a Env,
    pub(super) templates: Templates,
    pub(super) notify: &'a mut dyn FnMut(Notice),
    stores: BTreeMap<String, DefinedSecretStore>,
    problems: Vec<Problem>,
}

/// A secret store that the files define, by name.
enum DefinedSecretStore {
    Ready(SecretStore),
    /// The store could not be opened. This was reported.
    Failed,
    /// Holdfast does not support the type of the store.
    Foreign(String),
}

impl<'a> Resolver<'a> {
    pub(super) fn new(
        env: &'a Env,
        templates: Templates,
        notify: &'a mut dyn FnMut(Notice),
    ) -> Self {
        Self { env, templates, notify, stores: BTreeMap::new(), problems: Vec::new() }
    }

    /// The problems that prevent the start.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Opens the secret store that a component defines. All secret stores must be open before the first lock store is
    /// resolved, because the order of the files does not matter.
    pub(super) fn open_secret_store(&mut self, source: &Source, component: &ComponentDocument) {
        let opened = match self.try_open(source, component) {
            Ok(opened) => opened,
            Err(flaw) => {
                self.fail(source, component, flaw);
                DefinedSecretStore::Failed
            }
        };
        self.stores.insert(component.name.clone(), opened);
    }

    /// Opens a secret store, if its type is supported.
    fn try_open(
        &mut self,
        source: &Source,
        component: &ComponentDocument,
    ) -> Result<DefinedSecretStore, Flaw> {
        let component_type = component.component_type.to_ascii_lowercase();
        if !SecretStore::TYPES.contains(&component_type.as_str()) {
            // The shared prefix would make all types similar.
            let kind = component_type.trim_start_matches(PREFIX);
            let kinds = SecretStore::TYPES.map(|known| known.trim_start_matches(PREFIX));
            let hint = known::most_similar(kind, &kinds).map(|kind| format!("{PREFIX}{kind}"));
            let level = if hint.is_some() { Level::Warning } else { Level::Info };
            let message = format!(
                "{} is not a secret store that Holdfast supports{}",
                component.component_type,
                known::hint(hint)
            );
            self.notify(level, source, component, Flaw::at("spec.type", message));
            return Ok(DefinedSecretStore::Foreign(component.component_type.clone()));
        }
        check_version(component)?;
        let mut properties = Properties::default();
        for setting in self.settings(source, component)? {
            if setting.secret.is_some() {
                return Err(Flaw::at(
                    format!("{}.secretKeyRef", setting.path),
                    format!(
                        "{}: a secret store cannot take its own settings from a secret store",
                        setting.name
                    ),
                ));
            }
            let value = self.value(source, component, setting)?;
            if lowercase(&setting.name) == "multivalued"
                && let Some(doubt) = secrets::doubt_of_flag(&setting.name, &value)
            {
                let flaw = Flaw::at(&setting.path, doubt);
                self.notify(Level::Warning, source, component, flaw);
            }
            properties.insert(&setting.name, value);
        }
        SecretStore::open(&component_type, &properties)
            .map(DefinedSecretStore::Ready)
            .map_err(|message| Flaw::at("spec.metadata", message))
    }

    /// Resolves a lock store. `None` if this fails; the failure is reported.
    pub(super) fn store(
        &mut self,
        source: Source,
        component: ComponentDocument,
    ) -> Option<StoreDefinition> {
        match self.try_store(&source, &component) {
            Ok((properties, init_timeout)) => Some(StoreDefinition {
                name: component.name,
                component_type: component.component_type,
                version: component.version,
                properties,
                ignore_errors: component.ignore_errors,
                init_timeout,
                unquoted_password: password(&component.settings, |it| it.is_unquoted),
                null_password: password(&component.settings, Setting::is_null),
                source,
            }),
            Err(flaw) => {
                self.fail(&source, &component, flaw);
                None
            }
        }
    }

    fn try_store(
        &mut self,
        source: &Source,
        component: &ComponentDocument,
    ) -> Result<(Properties, Duration), Flaw> {
        check_version(component)?;
        let mut properties = Properties::default();
        for setting in self.settings(source, component)? {
            let value = self.value(source, component, setting)?;
            if lowercase(&setting.name) == "keyprefix"
                && let Some(doubt) = doubt_of_prefix(setting.value.as_deref(), &value)
            {
                let flaw = Flaw::at(&setting.path, doubt);
                self.notify(Level::Warning, source, component, flaw);
            }
            // A variable of the environment may also be a secret.
            match setting.secret.is_some() || !setting.env_ref.is_empty() {
                true => properties.insert_secret(&setting.name, value),
                false => properties.insert(&setting.name, value),
            }
        }
        let mut default = DEFAULT_INIT_TIMEOUT;
        if lowercase(&component.component_type) == "lock.redis" {
            for Unused { name, why } in settings::unused(&properties, default_pool_size()) {
                let named = |setting: &&Setting| lowercase(&setting.name) == lowercase(name);
                let found = component.settings.iter().find(named);
                let path = found.map_or("", |setting| &setting.path);
                let flaw = Flaw::at(path, format!("{name} has no effect {why}"));
                self.notify(Level::Warning, source, component, flaw);
            }
            // A user who sets how long opening a connection may take expects no shorter limit. The opening of the store
            // refuses a value that cannot be read.
            if let Ok(Some(dial_timeout)) = settings::dial_timeout(&properties) {
                default = default.max(dial_timeout);
            }
        }
        Ok((properties, self.init_timeout(source, component, default)))
    }

    /// The settings that have a name. Reports settings without a name, which have no effect, and names without a
    /// meaning.
    fn settings<'d>(
        &mut self,
        source: &Source,
        component: &'d ComponentDocument,
    ) -> Result<Vec<&'d Setting>, Flaw> {
        let known = known::settings(&component.component_type);
        let mut settings: BTreeMap<String, &Setting> = BTreeMap::new();
        for setting in &component.settings {
            let Setting { path, name, .. } = setting;
            if name.is_empty() {
                let flaw = Flaw::at(format!("{path}.name"), "is missing, so the entry is not used");
                self.notify(Level::Warning, source, component, flaw);
                continue;
            }
            let unknown =
                known.as_ref().and_then(|known| known::unknown_setting(path, name, known));
            if let Some(flaw) = unknown {
                self.notify(Level::Warning, source, component, flaw);
            }
            if let Some(earlier) = settings.insert(lowercase(name), setting) {
                let message =
                    format!("{name} is set twice: {} sets {}", earlier.path, earlier.name);
                return Err(Flaw::at(path, message));
            }
        }
        Ok(settings.into_values().collect())
    }

    /// The value of a setting. A `secretKeyRef` comes before a value, and a value before an `envRef`
    /// (Dapr 1.18, `pkg/runtime/processor/secret/secret.go`).
    fn value(
        &mut self,
        source: &Source,
        component: &ComponentDocument,
        setting: &Setting,
    ) -> Result<String, Flaw> {
        let value = match (&setting.value, &setting.secret) {
            (None, _) if !setting.env_ref.is_empty() => {
                self.environment_value(source, component, setting)
            }
            (_, Some(secret)) => {
                let value = self.secret(&component.secret_store, secret);
                without_quotes(value.map_err(|(field, message)| {
                    let field = match field {
                        Blame::Store => "auth.secretStore".to_owned(),
                        Blame::Secret => format!("{}.secretKeyRef", setting.path),
                    };
                    Flaw::at(field, format!("{}: {message}", setting.name))
                })?)
            }
            (Some(value), None) => {
                if value.is_empty() && !setting.env_ref.is_empty() {
                    let message = format!(
                        "{} is empty: its value comes before the environment variable {}",
                        setting.name, setting.env_ref
                    );
                    let field = format!("{}.value", setting.path);
                    self.notify(Level::Warning, source, component, Flaw::at(field, message));
                }
                value.clone()
            }
            (None, None) => String::new(),
        };
        self.templates.fill(value).map_err(|message| {
            Flaw::at(format!("{}.value", setting.path), format!("{} {message}", setting.name))
        })
    }

    /// The value of an `envRef`. As in Dapr, it is empty if the variable is not set or the process must not read it.
    fn environment_value(
        &mut self,
        source: &Source,
        component: &ComponentDocument,
        setting: &Setting,
    ) -> String {
        let variable = &setting.env_ref;
        let problem = if may_be_referred_to(self.env, variable) {
            match (self.env)(variable) {
                Some(value) => return without_quotes(value),
                None => "is not set",
            }
        } else {
            "may not be referred to"
        };
        let message =
            format!("the environment variable {variable} {problem}, so {} is empty", setting.name);
        let field = format!("{}.envRef", setting.path);
        self.notify(Level::Warning, source, component, Flaw::at(field, message));
        String::new()
    }

    fn secret(&self, store: &str, secret: &SecretRef) -> Result<String, (Blame, String)> {
        let store = match self.stores.get(store) {
            Some(DefinedSecretStore::Ready(store)) => store,
            Some(DefinedSecretStore::Failed) => {
                return Err((
                    Blame::Store,
                    format!("the secret store {store} could not be opened"),
                ));
            }
            Some(DefinedSecretStore::Foreign(component_type)) => {
                return Err((
                    Blame::Store,
                    format!(
                        "the secret store {store} is of type {component_type}; Holdfast supports {}",
                        SecretStore::TYPES.join(" and ")
                    ),
                ));
            }
            None => {
                return Err((
                    Blame::Store,
                    match store {
                        "" => "names no secret store, but a secretKeyRef needs one".to_owned(),
                        "kubernetes" => "the secret store kubernetes is built into Dapr on \
                            Kubernetes only; hand the secret over as a file or a variable, and \
                            define a secret store for that"
                            .to_owned(),
                        _ => format!("secret store {store} not found for this app"),
                    },
                ));
            }
        };
        let key = match secret.key.as_str() {
            "" => &secret.name,
            key => key,
        };
        store.get(self.env, &secret.name, key).map_err(|message| (Blame::Secret, message))
    }

    /// A timeout that is not a positive duration counts as the default, as in Dapr 1.18
    /// (`pkg/runtime/processor/loops/root/component.go`), which does not report it.
    fn init_timeout(
        &mut self,
        source: &Source,
        component: &ComponentDocument,
        default: Duration,
    ) -> Duration {
        let text = &component.init_timeout;
        if text.is_empty() {
            return default;
        }
        let nanoseconds = parse_go_duration(text).and_then(|value| u64::try_from(value).ok());
        match nanoseconds {
            Some(nanoseconds) if nanoseconds > 0 => Duration::from_nanos(nanoseconds),
            _ => {
                let message = format!(
                    "{text:?} is not a duration above zero such as 5s or 1m30s; using {default:?}"
                );
                self.notify(
                    Level::Warning,
                    source,
                    component,
                    Flaw::at("spec.initTimeout", message),
                );
                default
            }
        }
    }

    fn fail(&mut self, source: &Source, component: &ComponentDocument, flaw: Flaw) {
        if component.ignore_errors {
            self.notify(Level::Warning, source, component, flaw);
        } else {
            self.refuse(source, component, flaw);
        }
    }

    /// Notes a problem that prevents the start.
    pub(super) fn refuse(&mut self, source: &Source, component: &ComponentDocument, flaw: Flaw) {
        self.problems.push(Problem::of_component(source, &component.name, flaw));
    }

    pub(super) fn notify(
        &mut self,
        level: Level,
        source: &Source,
        component: &ComponentDocument,
        flaw: Flaw,
    ) {
        (self.notify)(Notice {
            level,
            problem: Problem::of_component(source, &component.name, flaw),
        });
    }
}

/// Why the prefix of a store's keys is probably not as intended. `written` is the text in the file, `value` the prefix.
fn doubt_of_prefix(written: Option<&str>, value: &str) -> Option<&'static str> {
    let has = |template: &str| written.is_some_and(|written| written.contains(template));
    if value.is_empty() {
        Some(
            "keyPrefix is empty, so that the keys start with lock||||, as daprd's do: without the setting they \
             contain the app id",
        )
    } else if has("{uuid}") {
        Some(
            "keyPrefix contains {uuid}, which differs at each start: no two instances exclude each other",
        )
    } else if has("{podName}") {
        Some("keyPrefix contains {podName}: no two pods exclude each other")
    } else if value.contains(['{', '}']) {
        Some(
            "keyPrefix contains a brace, which is used as it is: the templates are {appID}, {namespace}, {podName} \
             and {uuid}",
        )
    } else {
        None
    }
}

/// The field for which a missing secret is reported.
enum Blame {
    Store,
    Secret,
}

/// The first setting for a password that fulfils `is_written`.
fn password(settings: &[Setting], is_written: fn(&Setting) -> bool) -> Option<&'static str> {
    settings.iter().filter(|setting| is_written(setting)).find_map(|setting| {
        let is_named = |name: &&str| lowercase(name) == lowercase(&setting.name);
        ["redisPassword", "sentinelPassword"].into_iter().find(is_named)
    })
}

/// Checks the version of a component. Every lock and local secret store has one version. As in Dapr, the field may be
/// missing, or be `v0`, which is unstable (Dapr 1.18, `pkg/components/versioning.go`).
fn check_version(component: &ComponentDocument) -> Result<(), Flaw> {
    let version = &component.version;
    if ["", "v0", "v1"].contains(&version.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    Err(Flaw::at(
        "spec.version",
        format!(
            "{}/{version} is not supported: leave the version out or write v1",
            component.component_type
        ),
    ))
}

/// Whether an `envRef` may name a variable: it must not be one of the runtime's and, if `DAPR_ENV_KEYS` is set, must be
/// in that list (Dapr 1.18, `pkg/runtime/processor/secret/secret.go`).
fn may_be_referred_to(env: &Env, variable: &str) -> bool {
    if variable.contains(' ') || secrets::is_private(variable) {
        return false;
    }
    match env("DAPR_ENV_KEYS") {
        Some(allowed) if !allowed.is_empty() => {
            let variable = variable.to_uppercase();
            allowed.split(' ').any(|name| name == variable)
        }
        _ => true,
    }
}

/// Removes quotes from a value of the environment or of a secret store, as Dapr does (Dapr 1.18,
/// `pkg/apis/common/namevalue.go`): with Docker's `--env-file` they are part of a variable.
fn without_quotes(text: String) -> String {
    unquote(&text).unwrap_or(text)
}
