//! From documents of kind `Resiliency` to policies: fields, defaults, and how several documents are
//! merged into one [`Resiliency`].
//!
//! The rules are those of Dapr 1.18 (`pkg/resiliency/resiliency.go`, `pkg/apis/resiliency/v1alpha1`, `dapr/kit/retry`
//! and `config`), with three differences. Every document of a file is read; daprd reads only the first. A document with
//! a mistake has no effect; daprd keeps what it read before the mistake. Holdfast reports mistakes that daprd ignores
//! silently.

use std::{collections::BTreeMap, time::Duration};

use holdfast_timing::go_duration::parse_go_duration;

use super::{
    definition::StoreDefinition,
    error::{Flaw, Level, Notice, Problem},
    field::Field,
    known,
    metadata::METADATA_FIELDS,
    source::Source,
};
use crate::{
    lowercase::lowercase,
    policy::{Backoff, CircuitBreaker, PolicyNames, Resiliency, Retry, Trip},
};

/// Dapr's own retry policies. A file may change them, but not to fewer retries than
/// [`BUILT_IN_RETRIES`].
const BUILT_IN: [&str; 4] = [
    "DaprBuiltInServiceRetries",
    "DaprBuiltInActorRetries",
    "DaprBuiltInActorReminderRetries",
    "DaprBuiltInInitializationRetries",
];

/// The fewest retries of Dapr's own policies.
const BUILT_IN_RETRIES: u32 = 3;

/// Dapr's own policy that no file may change.
const PROTECTED: &str = "DaprBuiltInActorNotFoundRetries";

/// The longest exponential wait, if the policy does not set it.
const DEFAULT_MAX_INTERVAL: Duration = Duration::from_secs(60);

const TARGETS: &str = "spec.targets.components";

/// The fields of a document. `kubectl get -o yaml` adds a status.
const ROOT_FIELDS: [&str; 6] = ["apiVersion", "kind", "metadata", "scopes", "spec", "status"];

const RETRY_FIELDS: [&str; 5] = ["duration", "matching", "maxInterval", "maxRetries", "policy"];

const BREAKER_FIELDS: [&str; 4] = ["interval", "maxRequests", "timeout", "trip"];

const OUTBOUND_FIELDS: [&str; 3] = ["circuitBreaker", "retry", "timeout"];

/// Reads the documents, in their order.
pub(super) fn read(
    documents: Vec<(Source, Field)>,
    app_id: &str,
    stores: &[StoreDefinition],
    notify: &mut dyn FnMut(Notice),
) -> Resiliency {
    let mut merged = Merged { all: Resiliency::default(), origins: BTreeMap::new(), notify };
    for (source, mut root) in documents {
        let mut origin = Origin { source, name: String::new() };
        match name(&mut root) {
            Ok((name, flaws)) => {
                origin.name = name;
                flaws.into_iter().for_each(|flaw| merged.notify(Level::Warning, &origin, flaw));
            }
            Err(flaw) => {
                merged.notify(Level::Error, &origin, flaw);
                continue;
            }
        }
        match ResiliencyDocument::read(root, app_id) {
            Ok(document) => merged.add(&origin, document),
            Err(NotRead { level, flaw }) => merged.notify(level, &origin, flaw),
        }
    }
    merged.check_targets(stores);
    merged.all
}

/// Reads the name, which only messages use and which may be missing. Also returns the flaws of fields without effect
/// beside it.
fn name(root: &mut Field) -> Result<(String, Vec<Flaw>), Flaw> {
    let mut metadata = root.take("metadata")?;
    let name = metadata.take("name")?.text()?;
    Ok((name, metadata.unknown(&METADATA_FIELDS)))
}

/// The file and the name of a document.
#[derive(Clone)]
struct Origin {
    source: Source,
    name: String,
}

/// The documents that were merged so far.
struct Merged<'a> {
    all: Resiliency,
    /// Where each policy and target was defined, by its path.
    origins: BTreeMap<String, Origin>,
    notify: &'a mut dyn FnMut(Notice),
}

impl Merged<'_> {
    fn notify(&mut self, level: Level, origin: &Origin, flaw: Flaw) {
        let problem = Problem::of_resiliency(&origin.source, &origin.name, flaw);
        (self.notify)(Notice { level, problem });
    }

    /// Adds the definitions of a document. They replace those of earlier documents.
    fn add(&mut self, origin: &Origin, document: ResiliencyDocument) {
        let ResiliencyDocument { policies, remarks } = document;
        for (level, flaw) in remarks {
            self.notify(level, origin, flaw);
        }
        let paths = paths("spec.policies.timeouts", &policies.timeouts)
            .chain(paths("spec.policies.retries", &policies.retries))
            .chain(paths("spec.policies.circuitBreakers", &policies.circuit_breakers))
            .chain(paths(TARGETS, &policies.targets));
        for path in paths {
            if let Some(earlier) = self.origins.insert(path.clone(), origin.clone()) {
                let message = format!("replaces the one in {}", earlier.source);
                self.notify(Level::Warning, origin, Flaw::at(path, message));
            }
        }
        self.all.timeouts.extend(policies.timeouts);
        self.all.retries.extend(policies.retries);
        self.all.circuit_breakers.extend(policies.circuit_breakers);
        self.all.targets.extend(policies.targets);
    }

    /// Reports targets that are not stores, and names of unknown policies. daprd ignores an unknown timeout or retry,
    /// and fails every call with an unknown circuit breaker.
    fn check_targets(&mut self, stores: &[StoreDefinition]) {
        let targets = self.all.targets.clone();
        for (target, names) in targets {
            let Some(origin) = self.origins.get(&format!("{TARGETS}.{target}")).cloned() else {
                continue;
            };
            if !stores.iter().any(|store| store.name == target) {
                let names: Vec<&str> = stores.iter().map(|store| store.name.as_str()).collect();
                let nearest = known::most_similar(&target, &names);
                let level = if nearest.is_some() { Level::Warning } else { Level::Info };
                let message = format!("no lock store has this name{}", known::hint(nearest));
                self.notify(level, &origin, Flaw::at(format!("{TARGETS}.{target}"), message));
            }
            let found_names = self.all.names_for(&target);
            let Resiliency { timeouts, retries, circuit_breakers, .. } = &self.all;
            for (field, named, found, hint) in [
                ("timeout", &names.timeout, found_names.timeout, hint(&names.timeout, timeouts)),
                ("retry", &names.retry, found_names.retry, hint(&names.retry, retries)),
                (
                    "circuitBreaker",
                    &names.circuit_breaker,
                    found_names.circuit_breaker,
                    hint(&names.circuit_breaker, circuit_breakers),
                ),
            ] {
                if let (Some(named), None) = (named, found) {
                    let message = format!("policy {named} not found, so none applies{hint}");
                    let path = format!("{TARGETS}.{target}.outbound.{field}");
                    self.notify(Level::Warning, &origin, Flaw::at(path, message));
                }
            }
        }
    }
}

/// The suggestion of a policy for a name that is perhaps misspelt.
fn hint<T>(named: &Option<String>, policies: &BTreeMap<String, T>) -> String {
    let known: Vec<&str> = policies.keys().map(String::as_str).collect();
    known::hint(named.as_ref().and_then(|named| known::most_similar(named, &known)))
}

fn paths<T>(path: &str, entries: &BTreeMap<String, T>) -> impl Iterator<Item = String> {
    entries.keys().map(move |name| format!("{path}.{name}"))
}

/// The definitions of one document.
struct ResiliencyDocument {
    policies: Policies,
    /// Problems that do not make the document ineffective.
    remarks: Vec<(Level, Flaw)>,
}

#[derive(Default)]
struct Policies {
    timeouts: BTreeMap<String, Option<Duration>>,
    retries: BTreeMap<String, Retry>,
    circuit_breakers: BTreeMap<String, CircuitBreaker>,
    targets: BTreeMap<String, PolicyNames>,
}

/// Why a document has no effect.
struct NotRead {
    level: Level,
    flaw: Flaw,
}

impl From<Flaw> for NotRead {
    fn from(flaw: Flaw) -> Self {
        Self { level: Level::Error, flaw }
    }
}

impl ResiliencyDocument {
    fn read(mut root: Field, app_id: &str) -> Result<Self, NotRead> {
        let mut document = Self { policies: Policies::default(), remarks: Vec::new() };
        if root.take("apiVersion")?.text()? != "dapr.io/v1alpha1" {
            document.warn(Flaw::at("apiVersion", "should be dapr.io/v1alpha1; it is read anyway"));
        }
        let scopes = root.take("scopes")?.items()?.into_iter().map(Field::text);
        let scopes = scopes.collect::<Result<Vec<_>, _>>()?;
        if !scopes.is_empty() && !scopes.iter().any(|scope| scope == app_id) {
            let flaw = Flaw::at("scopes", format!("the app id {app_id:?} is not among them"));
            return Err(NotRead { level: Level::Info, flaw });
        }
        let mut spec = root.take("spec")?;
        let mut policies = spec.take("policies")?;
        let mut targets = spec.take("targets")?;
        for (name, field) in policies.take("timeouts")?.entries()? {
            let flaw = field.flaw("is missing");
            let timeout = some_duration(field)?.ok_or(flaw)?;
            document.policies.timeouts.insert(name, positive(timeout));
        }
        for (name, field) in policies.take("retries")?.entries()? {
            document.add_retry(name, field)?;
        }
        for (name, field) in policies.take("circuitBreakers")?.entries()? {
            let breaker = document.circuit_breaker(&name, field)?;
            document.policies.circuit_breakers.insert(name, breaker);
        }
        for (name, mut field) in targets.take("components")?.entries()? {
            let mut outbound = field.take("outbound")?;
            document.policies.targets.insert(name, policy_names(&mut outbound)?);
            document.warn_of_unknown(&outbound, &OUTBOUND_FIELDS);
            document.warn_of_unknown(&field, &["inbound", "outbound"]);
        }
        document.warn_of_unknown(&targets, &["actors", "apps", "components"]);
        document.warn_of_unknown(&policies, &["circuitBreakers", "retries", "timeouts"]);
        document.warn_of_unknown(&spec, &["policies", "targets"]);
        document.warn_of_unknown(&root, &ROOT_FIELDS);
        Ok(document)
    }

    /// Warns of the fields that were not taken and are not in `known`.
    fn warn_of_unknown(&mut self, field: &Field, known: &[&str]) {
        field.unknown(known).into_iter().for_each(|flaw| self.warn(flaw));
    }

    fn warn(&mut self, flaw: Flaw) {
        self.remarks.push((Level::Warning, flaw));
    }

    fn add_retry(&mut self, name: String, mut field: Field) -> Result<(), Flaw> {
        let path = field.path.clone();
        if !field.take("matching")?.is_null() {
            let flaw = Flaw::at(
                format!("{path}.matching"),
                "has no effect: the calls of a lock store have no status codes",
            );
            self.remarks.push((Level::Info, flaw));
        }
        let (mut retry, useless) = retry(&mut field)?;
        self.remarks.extend(useless.map(|flaw| (Level::Info, flaw)));
        self.warn_of_unknown(&field, &RETRY_FIELDS);
        if name == PROTECTED {
            self.warn(Flaw::at(path, "is a policy of Dapr's own that cannot be changed"));
            return Ok(());
        }
        let enough = retry.max_retries.is_some_and(|retries| retries >= BUILT_IN_RETRIES);
        if BUILT_IN.contains(&name.as_str()) && !enough {
            let message = format!("must be at least {BUILT_IN_RETRIES} for a policy of Dapr's own");
            self.warn(Flaw::at(
                format!("{path}.maxRetries"),
                format!("{message}; taking {BUILT_IN_RETRIES}"),
            ));
            retry.max_retries = Some(BUILT_IN_RETRIES);
        }
        self.policies.retries.insert(name, retry);
        Ok(())
    }

    fn circuit_breaker(&mut self, name: &str, mut field: Field) -> Result<CircuitBreaker, Flaw> {
        let mut breaker = CircuitBreaker::new(name);
        let max_requests = field.take("maxRequests")?;
        let flaw = max_requests.flaw("must be from 0 to 4294967295");
        if let Some(requests) = max_requests.integer()? {
            breaker.max_requests = u32::try_from(requests).map_err(|_| flaw)?;
        }
        breaker.interval = some_duration(field.take("interval")?)?.and_then(positive);
        if let Some(timeout) = some_duration(field.take("timeout")?)?.and_then(positive) {
            breaker.timeout = timeout;
        }
        let trip = field.take("trip")?;
        let path = trip.path.clone();
        if let Some(text) = trip.some_text()? {
            let trip = Trip::parse(&text).map_err(|error| Flaw::at(&path, error.to_string()))?;
            if let Some(doubt) = trip.doubt() {
                self.warn(Flaw::at(path, doubt));
            }
            breaker.trip = Some(trip);
        }
        self.warn_of_unknown(&field, &BREAKER_FIELDS);
        Ok(breaker)
    }
}

/// Reads a retry policy. Constant waits are `duration` long, exponential waits at most `maxInterval`. Returns the flaw
/// of the field without effect, if the document has it.
fn retry(field: &mut Field) -> Result<(Retry, Option<Flaw>), Flaw> {
    let mut retry = Retry::default();
    let constant = some_duration(field.take("duration")?)?.map(not_negative);
    let max_interval = some_duration(field.take("maxInterval")?)?.map(not_negative);
    let useless = |name: &str, policy: &str| {
        Flaw::at(
            format!("{}.{name}", field.path),
            format!("has no effect with the policy {policy}"),
        )
    };
    let useless = [
        constant.map(|_| useless("duration", "exponential")),
        max_interval.map(|_| useless("maxInterval", "constant")),
    ];
    let [in_exponential, in_constant] = useless;
    let policy = field.take("policy")?;
    let flaw = policy.flaw("must be constant or exponential");
    let useless = match lowercase(&policy.text()?).as_str() {
        "" | "constant" => {
            if let Some(wait) = constant {
                retry.backoff = Backoff::Constant(wait);
            }
            in_constant
        }
        "exponential" => {
            retry.backoff = Backoff::exponential(max_interval.unwrap_or(DEFAULT_MAX_INTERVAL));
            in_exponential
        }
        _ => return Err(flaw),
    };
    // A number beyond 32 bits counts as unlimited.
    retry.max_retries =
        field.take("maxRetries")?.integer()?.and_then(|retries| u32::try_from(retries).ok());
    Ok((retry, useless))
}

fn policy_names(outbound: &mut Field) -> Result<PolicyNames, Flaw> {
    Ok(PolicyNames {
        timeout: outbound.take("timeout")?.some_text()?,
        retry: outbound.take("retry")?.some_text()?,
        circuit_breaker: outbound.take("circuitBreaker")?.some_text()?,
    })
}

/// Reads a duration in nanoseconds, from a whole number of milliseconds or Go's form such as `1m30s`; `None` without
/// text.
fn some_duration(field: Field) -> Result<Option<i64>, Flaw> {
    let flaw = field.flaw("must be a number of milliseconds or a duration such as 500ms or 1m30s");
    let Some(text) = field.some_text()? else {
        return Ok(None);
    };
    let nanoseconds = match text.parse::<i64>() {
        Ok(milliseconds) => milliseconds.checked_mul(1_000_000),
        Err(_) => parse_go_duration(&text),
    };
    nanoseconds.map(Some).ok_or(flaw)
}

/// The duration; `None` for zero and less, which mean no limit.
fn positive(nanoseconds: i64) -> Option<Duration> {
    u64::try_from(nanoseconds).ok().filter(|it| *it > 0).map(Duration::from_nanos)
}

fn not_negative(nanoseconds: i64) -> Duration {
    positive(nanoseconds).unwrap_or_default()
}
