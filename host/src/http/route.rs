//! Which call a method and a path ask for.

use std::borrow::Cow;

use hyper::Method;

use super::path::unescape;

/// A call of the API.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    TryLock { store: Cow<'a, str> },
    Unlock { store: Cow<'a, str> },
    Healthz,
    OutboundHealthz,
    Metadata,
    PutMetadata { key: Cow<'a, str> },
    Unknown,
}

impl<'a> Route<'a> {
    /// `path` is clean and still escaped.
    pub(super) fn of(method: &Method, path: &'a str) -> Self {
        Self::known(method, path).unwrap_or(Self::Unknown)
    }

    fn known(method: &Method, path: &'a str) -> Option<Self> {
        if *method == Method::POST {
            let call = path.strip_prefix("/v1.0-alpha1/")?;
            if let Some(store) = call.strip_prefix("lock/") {
                return Some(Self::TryLock { store: parameter(store)? });
            }
            let store = parameter(call.strip_prefix("unlock/")?)?;
            return Some(Self::Unlock { store });
        }
        let call = path.strip_prefix("/v1.0/")?;
        if *method == Method::PUT {
            let key = parameter(call.strip_prefix("metadata/")?)?;
            return Some(Self::PutMetadata { key });
        }
        if *method != Method::GET {
            return None;
        }
        match call {
            "healthz" => Some(Self::Healthz),
            "healthz/outbound" => Some(Self::OutboundHealthz),
            "metadata" => Some(Self::Metadata),
            _ => None,
        }
    }

    /// Whether anybody may ask for it.
    pub(super) fn is_public(&self) -> bool {
        matches!(self, Self::Healthz | Self::OutboundHealthz | Self::Metadata)
    }

    /// The method, of the few that there are a name for.
    pub(super) fn method(sent: &Method) -> &'static str {
        match *sent {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            Method::OPTIONS => "OPTIONS",
            Method::CONNECT => "CONNECT",
            Method::TRACE => "TRACE",
            _ => "_OTHER",
        }
    }

    /// The store that it names, if it names one.
    pub(super) fn store(&self) -> Option<&str> {
        match self {
            Self::TryLock { store } | Self::Unlock { store } => Some(store),
            _ => None,
        }
    }

    /// The route for the log, without what the caller put into it.
    pub(super) fn template(&self) -> &'static str {
        match self {
            Self::TryLock { .. } => "/v1.0-alpha1/lock/{store}",
            Self::Unlock { .. } => "/v1.0-alpha1/unlock/{store}",
            Self::Healthz => "/v1.0/healthz",
            Self::OutboundHealthz => "/v1.0/healthz/outbound",
            Self::Metadata => "/v1.0/metadata",
            Self::PutMetadata { .. } => "/v1.0/metadata/{key}",
            Self::Unknown => "unknown",
        }
    }
}

/// The last segment of a path, if that is what `rest` is.
fn parameter(rest: &str) -> Option<Cow<'_, str>> {
    (!rest.is_empty() && !rest.contains('/')).then(|| unescape(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_by_method_and_path() {
        let store = |name| Cow::Borrowed(name);
        for (method, path, route) in [
            (Method::POST, "/v1.0-alpha1/lock/a", Route::TryLock { store: store("a") }),
            (Method::POST, "/v1.0-alpha1/lock/a%2Fb", Route::TryLock { store: store("a/b") }),
            (Method::POST, "/v1.0-alpha1/unlock/a", Route::Unlock { store: store("a") }),
            (Method::GET, "/v1.0/healthz", Route::Healthz),
            (Method::GET, "/v1.0/healthz/outbound", Route::OutboundHealthz),
            (Method::GET, "/v1.0/metadata", Route::Metadata),
            (Method::PUT, "/v1.0/metadata/k", Route::PutMetadata { key: store("k") }),
            (Method::POST, "/v1.0-alpha1/lock", Route::Unknown),
            (Method::POST, "/v1.0-alpha1/lock/", Route::Unknown),
            (Method::POST, "/v1.0-alpha1/lock/a/b", Route::Unknown),
            (Method::POST, "/v1.0/lock/a", Route::Unknown),
            (Method::GET, "/v1.0-alpha1/lock/a", Route::Unknown),
            (Method::HEAD, "/v1.0/healthz", Route::Unknown),
            (Method::POST, "/v1.0/metadata/k", Route::Unknown),
            (Method::PUT, "/v1.0/metadata", Route::Unknown),
            (Method::GET, "/", Route::Unknown),
            (Method::OPTIONS, "*", Route::Unknown),
        ] {
            assert_eq!(Route::of(&method, path), route, "{method} {path}");
        }
    }
}
