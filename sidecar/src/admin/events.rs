//! `GET /v1.0/watch`: the locks that are taken, extended and freed, as server-sent events.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, select_all},
};
use holdfast::Verb;
use hyper::Response;
use serde_json::{Value, json};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::form;
use crate::{
    http::{ResponseBody, failed, lasting},
    lasting::watch::{WatchError, watch_again},
    server::Parting,
    sidecar::Sidecar,
};

/// How long nothing may be sent: a proxy in between may end a connection that is silent.
const SILENCE: Duration = Duration::from_secs(15);

/// A response that reports the locks of these stores whose resource ids begin with `prefix`, until the caller leaves
/// or the server ends.
pub(super) fn response(
    sidecar: &Sidecar,
    room: OwnedSemaphorePermit,
    stores: Vec<String>,
    prefix: &str,
) -> Response<ResponseBody> {
    let of_stores = stores.into_iter().map(|store| {
        let sidecar = sidecar.clone();
        let reports = watch_again(sidecar.locks().clone(), store.clone(), prefix.to_owned());
        reports.map(move |report| {
            let problem = |error| problem(&sidecar, error);
            form::report(&store, report, problem)
        })
    });
    let events =
        select_all(of_stores).take_until(sidecar.ending().clone().cancelled_owned()).boxed();
    let lines = stream::unfold((events, room), |(mut events, room)| async {
        let line = match timeout(SILENCE, events.next()).await {
            Ok(Some(event)) => format!("data: {event}\n\n"),
            Ok(None) => return None,
            Err(_) => ":\n\n".to_owned(),
        };
        Some((Bytes::from(line), (events, room)))
    });
    lasting("text/event-stream", lines, Parting::default())
}

/// The failure in Dapr's form.
fn problem(sidecar: &Sidecar, error: WatchError) -> Value {
    match error {
        WatchError::Lock(error) => {
            let reply = failed(sidecar, Verb::ListLocks, error, None);
            serde_json::from_slice(&reply.body).unwrap_or_default()
        }
        WatchError::TooMany => {
            json!({"errorCode": "ERR_ADMIN_TOO_MANY_LOCKS", "message": error.to_string()})
        }
    }
}
