//! The call that a method and a path name.
//!
//! Own code: the paths are few, a component without the standard library reads them too, and no router answers
//! unknown paths and wrong methods as daprd does.

use alloc::borrow::Cow;

use crate::path::unescape;

/// A call of the API.
#[derive(Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `POST /v1.0-alpha1/lock/{store}`
    TryLock {
        /// The store's name.
        store: Cow<'a, str>,
    },
    /// `POST /v1.0-alpha1/unlock/{store}`
    Unlock {
        /// The store's name.
        store: Cow<'a, str>,
    },
    /// `POST /v1.0/leases/{store}/acquire`, and so on
    Lease {
        /// The call.
        call: LeaseCall,
        /// The store's name.
        store: Cow<'a, str>,
    },
    /// `POST /v1.0/leases/{store}/hold`: take a lease, waiting for the lock if the call asks for
    /// it, and keep the lease as long as the response lasts
    Hold {
        /// The store's name.
        store: Cow<'a, str>,
    },
    /// `POST /v1.0/leases/{store}/await-loss`: wait until an owner no longer holds a lock
    AwaitLoss {
        /// The store's name.
        store: Cow<'a, str>,
    },
    /// `GET /v1.0/healthz`
    Healthz,
    /// `GET /v1.0/healthz/outbound`
    OutboundHealthz,
    /// `GET /v1.0/metadata`
    Metadata,
    /// `PUT /v1.0/metadata/{key}`
    PutMetadata {
        /// The key of the entry that is added.
        key: Cow<'a, str>,
    },
    /// `POST /v1.0/shutdown`
    Shutdown,
    /// `GET /openapi.json`: the document that describes the API, which Dapr does not have
    OpenApi,
    /// Anything else.
    Unknown,
}

/// A call about a lease, which Dapr does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseCall {
    /// Take a lease, waiting for the lock if the call asks for it.
    Acquire,
    /// Prolong a lease.
    Extend,
    /// Free a lease.
    Release,
    /// Get the holder of a lock.
    Inspect,
}

impl<'a> Route<'a> {
    /// The call that a method and a path name. The path is [clean](crate::path::clean) and still
    /// escaped.
    pub fn of(method: &str, path: &'a str) -> Self {
        Self::known(method, path).unwrap_or(Self::Unknown)
    }

    fn known(method: &str, path: &'a str) -> Option<Self> {
        if method == "POST" {
            if path == "/v1.0/shutdown" {
                return Some(Self::Shutdown);
            }
            if let Some(lease) = path.strip_prefix("/v1.0/leases/") {
                let (store, call) = lease.rsplit_once('/')?;
                let store = parameter(store)?;
                return match call {
                    "hold" => Some(Self::Hold { store }),
                    "await-loss" => Some(Self::AwaitLoss { store }),
                    call => Some(Self::Lease { call: LeaseCall::named(call)?, store }),
                };
            }
            let call = path.strip_prefix("/v1.0-alpha1/")?;
            if let Some(store) = call.strip_prefix("lock/") {
                return Some(Self::TryLock { store: parameter(store)? });
            }
            let store = parameter(call.strip_prefix("unlock/")?)?;
            return Some(Self::Unlock { store });
        }
        if (method, path) == ("GET", "/openapi.json") {
            return Some(Self::OpenApi);
        }
        let call = path.strip_prefix("/v1.0/")?;
        if method == "PUT" {
            let key = parameter(call.strip_prefix("metadata/")?)?;
            return Some(Self::PutMetadata { key });
        }
        if method != "GET" {
            return None;
        }
        match call {
            "healthz" => Some(Self::Healthz),
            "healthz/outbound" => Some(Self::OutboundHealthz),
            "metadata" => Some(Self::Metadata),
            _ => None,
        }
    }

    /// Whether the call is served on the public port, without a token.
    pub fn is_public(&self) -> bool {
        matches!(self, Self::Healthz | Self::OutboundHealthz | Self::Metadata)
    }

    /// Whether a store can grant a lock to the call.
    pub fn may_grant(&self) -> bool {
        matches!(
            self,
            Self::TryLock { .. } | Self::Hold { .. } | Self::Lease { call: LeaseCall::Acquire, .. }
        )
    }

    /// The name of the store, in calls that have one.
    pub fn store(&self) -> Option<&str> {
        match self {
            Self::TryLock { store }
            | Self::Unlock { store }
            | Self::Lease { store, .. }
            | Self::Hold { store }
            | Self::AwaitLoss { store } => Some(store),
            _ => None,
        }
    }

    /// The route with placeholders for the caller's parts, for logs and metrics.
    pub fn template(&self) -> &'static str {
        match self {
            Self::TryLock { .. } => "/v1.0-alpha1/lock/{store}",
            Self::Unlock { .. } => "/v1.0-alpha1/unlock/{store}",
            Self::Lease { call, .. } => match call {
                LeaseCall::Acquire => "/v1.0/leases/{store}/acquire",
                LeaseCall::Extend => "/v1.0/leases/{store}/extend",
                LeaseCall::Release => "/v1.0/leases/{store}/release",
                LeaseCall::Inspect => "/v1.0/leases/{store}/inspect",
            },
            Self::Hold { .. } => "/v1.0/leases/{store}/hold",
            Self::AwaitLoss { .. } => "/v1.0/leases/{store}/await-loss",
            Self::Healthz => "/v1.0/healthz",
            Self::OutboundHealthz => "/v1.0/healthz/outbound",
            Self::Metadata => "/v1.0/metadata",
            Self::PutMetadata { .. } => "/v1.0/metadata/{key}",
            Self::Shutdown => "/v1.0/shutdown",
            Self::OpenApi => "/openapi.json",
            Self::Unknown => "unknown",
        }
    }
}

impl LeaseCall {
    fn named(name: &str) -> Option<Self> {
        match name {
            "acquire" => Some(Self::Acquire),
            "extend" => Some(Self::Extend),
            "release" => Some(Self::Release),
            "inspect" => Some(Self::Inspect),
            _ => None,
        }
    }
}

/// `rest` unescaped, if it is a single segment.
fn parameter(rest: &str) -> Option<Cow<'_, str>> {
    (!rest.is_empty() && !rest.contains('/')).then(|| unescape(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_distinguished_by_method_and_path() {
        let store = |name| Cow::Borrowed(name);
        let lease = |call, name| Route::Lease { call, store: store(name) };
        for (method, path, route) in [
            ("POST", "/v1.0-alpha1/lock/a", Route::TryLock { store: store("a") }),
            ("POST", "/v1.0-alpha1/lock/a%2Fb", Route::TryLock { store: store("a/b") }),
            ("POST", "/v1.0-alpha1/unlock/a", Route::Unlock { store: store("a") }),
            ("GET", "/v1.0/healthz", Route::Healthz),
            ("GET", "/v1.0/healthz/outbound", Route::OutboundHealthz),
            ("GET", "/v1.0/metadata", Route::Metadata),
            ("PUT", "/v1.0/metadata/k", Route::PutMetadata { key: store("k") }),
            ("POST", "/v1.0/shutdown", Route::Shutdown),
            ("GET", "/openapi.json", Route::OpenApi),
            ("POST", "/v1.0/leases/a/acquire", lease(LeaseCall::Acquire, "a")),
            ("POST", "/v1.0/leases/a%2Fb/extend", lease(LeaseCall::Extend, "a/b")),
            ("POST", "/v1.0/leases/a/release", lease(LeaseCall::Release, "a")),
            ("POST", "/v1.0/leases/acquire/inspect", lease(LeaseCall::Inspect, "acquire")),
            ("POST", "/v1.0/leases/a/b/acquire", Route::Unknown),
            ("POST", "/v1.0/leases//acquire", Route::Unknown),
            ("POST", "/v1.0/leases/acquire", Route::Unknown),
            ("POST", "/v1.0/leases/a/hold", Route::Hold { store: store("a") }),
            ("GET", "/v1.0/leases/a/hold", Route::Unknown),
            ("POST", "/v1.0/leases/a/await-loss", Route::AwaitLoss { store: store("a") }),
            ("POST", "/v1.0/leases/a/holds", Route::Unknown),
            ("GET", "/v1.0/leases/a/inspect", Route::Unknown),
            ("GET", "/v1.0/shutdown", Route::Unknown),
            ("POST", "/v1.0/shutdown/now", Route::Unknown),
            ("POST", "/v1.0-alpha1/lock", Route::Unknown),
            ("POST", "/v1.0-alpha1/lock/", Route::Unknown),
            ("POST", "/v1.0-alpha1/lock/a/b", Route::Unknown),
            ("POST", "/v1.0/lock/a", Route::Unknown),
            ("GET", "/v1.0-alpha1/lock/a", Route::Unknown),
            ("HEAD", "/v1.0/healthz", Route::Unknown),
            ("POST", "/v1.0/metadata/k", Route::Unknown),
            ("POST", "/openapi.json", Route::Unknown),
            ("HEAD", "/openapi.json", Route::Unknown),
            ("GET", "/v1.0/openapi.json", Route::Unknown),
            ("PUT", "/v1.0/metadata", Route::Unknown),
            ("GET", "/", Route::Unknown),
            ("OPTIONS", "*", Route::Unknown),
        ] {
            assert_eq!(Route::of(method, path), route, "{method} {path}");
        }
    }
}
