//! The health checks (Dapr 1.18, `pkg/api/http/health.go`).

use alloc::format;

use crate::{
    path::is_well_escaped,
    reply::{self, Reply},
};

/// Whether a request is a health check, which needs no token.
///
/// `path` is the path as it was sent: Dapr looks for the exemption before it cleans the path (Dapr
/// 1.18, `isRouteExcludedFromAPITokenAuth`).
pub fn is_check(method: &str, path: &str) -> bool {
    method == "GET" && matches!(path.trim_matches('/'), "v1.0/healthz" | "v1.0/healthz/outbound")
}

/// The reply to `GET /v1.0/healthz`. `obstacle` is the reason why the sidecar is not ready; `None` if it is ready.
pub fn healthz(app_id: &str, query: Option<&str>, obstacle: Option<&str>) -> Reply {
    if let Some(obstacle) = obstacle {
        let message = format!("dapr is not ready: [{obstacle}]");
        return reply::error(500, "ERR_HEALTH_NOT_READY", &message);
    }
    let pairs = query.unwrap_or_default().split('&').filter(|pair| is_read(pair));
    let mut pairs = pairs.flat_map(|pair| form_urlencoded::parse(pair.as_bytes()));
    match pairs.find(|(name, _)| name == "appid") {
        Some((_, asked)) if asked != app_id => {
            reply::error(500, "ERR_HEALTH_APPID_NOT_MATCH", "dapr app-id does not match")
        }
        _ => reply::empty(),
    }
}

/// Whether Go keeps this pair of a query (`net/url`, `ParseQuery`).
fn is_read(pair: &str) -> bool {
    !pair.contains(';') && is_well_escaped(pair)
}

/// The reply to `GET /v1.0/healthz/outbound`.
pub fn outbound(obstacle: Option<&str>) -> Reply {
    match obstacle {
        Some(_) => reply::error(500, "ERR_OUTBOUND_HEALTH_NOT_READY", "dapr outbound is not ready"),
        None => reply::empty(),
    }
}
