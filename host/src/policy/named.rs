//! Policies by name, and the policies of each store.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use super::{
    breaker::CircuitBreaker,
    one_line::write_parts,
    retry::{Backoff, Retry},
    store::{Policy, ResilientStore},
};
use crate::store::Store;

/// Policies by name, and the policies of each store, as resiliency files define them.
#[derive(Clone, Debug)]
pub struct Resiliency {
    /// `None` for a timeout of zero or less, which means no timeout.
    pub(crate) timeouts: BTreeMap<String, Option<Duration>>,
    pub(crate) retries: BTreeMap<String, Retry>,
    pub(crate) circuit_breakers: BTreeMap<String, CircuitBreaker>,
    /// The outbound policies of components.
    pub(crate) targets: BTreeMap<String, PolicyNames>,
}

/// The names of the policies that apply to a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyNames {
    /// The name of the timeout.
    pub timeout: Option<String>,
    /// The name of the retry policy.
    pub retry: Option<String>,
    /// The name of the circuit breaker.
    pub circuit_breaker: Option<String>,
}

impl Default for Resiliency {
    /// Only Dapr's own policies, which apply to the targets that name them.
    fn default() -> Self {
        let constant = |max_retries| Retry {
            backoff: Backoff::Constant(Duration::from_secs(1)),
            max_retries: Some(max_retries),
        };
        let own = [
            ("DaprBuiltInServiceRetries", constant(3)),
            ("DaprBuiltInActorRetries", constant(3)),
            ("DaprBuiltInActorNotFoundRetries", constant(5)),
            (
                "DaprBuiltInActorReminderRetries",
                Retry {
                    backoff: Backoff::exponential(Duration::from_secs(60)),
                    max_retries: Some(0),
                },
            ),
            (
                "DaprBuiltInInitializationRetries",
                Retry {
                    backoff: Backoff::Exponential {
                        max_interval: Duration::from_secs(1),
                        max_elapsed: Some(Duration::from_secs(10)),
                    },
                    max_retries: Some(3),
                },
            ),
        ];
        Self {
            timeouts: BTreeMap::new(),
            retries: own.map(|(name, retry)| (name.to_owned(), retry)).into(),
            circuit_breakers: BTreeMap::new(),
            targets: BTreeMap::new(),
        }
    }
}

impl Resiliency {
    /// The policies of a store: the policies that its target names or, if the store is not a target, the first policy
    /// of each kind with a default name, such as `DefaultLockComponentOutboundRetryPolicy`,
    /// `DefaultComponentOutboundRetryPolicy`, `DefaultComponentRetryPolicy` and `DefaultRetryPolicy`.
    ///
    /// Names of unknown policies are left out.
    pub fn names_for(&self, store: &str) -> PolicyNames {
        let mut names = match self.targets.get(store) {
            Some(names) => names.clone(),
            None => PolicyNames {
                timeout: default_name("Timeout", &self.timeouts),
                retry: default_name("Retry", &self.retries),
                circuit_breaker: default_name("CircuitBreaker", &self.circuit_breakers),
            },
        };
        names.timeout.take_if(|name| !self.timeouts.contains_key(name));
        names.retry.take_if(|name| !self.retries.contains_key(name));
        names.circuit_breaker.take_if(|name| !self.circuit_breakers.contains_key(name));
        names
    }

    /// The policy of a store.
    pub fn policy_for(&self, store: &str) -> Policy {
        let names = self.names_for(store);
        Policy {
            timeout: names.timeout.and_then(|name| *self.timeouts.get(&name)?),
            retry: names.retry.and_then(|name| self.retries.get(&name).copied()),
            circuit_breaker: names
                .circuit_breaker
                .and_then(|name| self.circuit_breakers.get(&name).cloned()),
        }
    }

    /// Puts a store under its policies. Returns the store itself if it has none. Each call makes a new circuit breaker,
    /// which no other store shares.
    pub fn apply(&self, name: &str, store: Arc<dyn Store>) -> Arc<dyn Store> {
        match self.policy_for(name) {
            Policy { timeout: None, retry: None, circuit_breaker: None } => store,
            policy => Arc::new(ResilientStore::new(name, store, policy)),
        }
    }
}

/// The first of the default names of a kind that has a policy.
fn default_name<T>(kind: &str, policies: &BTreeMap<String, T>) -> Option<String> {
    let levels = ["LockComponentOutbound", "ComponentOutbound", "Component", ""];
    let mut names = levels.into_iter().map(|level| format!("Default{level}{kind}Policy"));
    names.find(|name| policies.contains_key(name))
}

impl PolicyNames {
    /// Whether the store has no policies.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for PolicyNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_parts(
            f,
            [
                ("timeout", self.timeout.clone()),
                ("retry", self.retry.clone()),
                ("circuitBreaker", self.circuit_breaker.clone()),
            ],
        )
    }
}
