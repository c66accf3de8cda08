//! The methods of the service `holdfast.lock.v1.Admin`.

use std::pin::pin;

use futures_util::{FutureExt, StreamExt};
use holdfast::{HeldLock, Resource, Verb};
use holdfast_dapr_api::body::MAX_LEASE_BODY_BYTES;
use holdfast_proto::leases::{
    self as proto, ForceReleaseRequest, ForceReleaseResponse, ListRequest, ListResponse,
    WatchEvent, WatchRequest, watch_event,
};
use hyper::{Request, Response, http::request::Parts};
use tonic::{Status, body::Body as GrpcBody};

use super::{form::DEFAULT_LIMIT, refusal::Refusal, room::Room};
use crate::{
    grpc::{Bounds, Received, ResponseMessage, duration, failed, lasting, response},
    lasting::watch::{self, Event, WatchError},
    server::{Parting, RequestBody},
    sidecar::Sidecar,
};

pub(super) async fn answer(
    sidecar: &Sidecar,
    room: &Room,
    request: Request<RequestBody>,
    refusal: Option<Refusal>,
) -> Response<GrpcBody> {
    let (mut head, body) = request.into_parts();
    match admit(refusal).and_then(|()| Bounds::of(&mut head, sidecar.intake())) {
        Ok(bounds) => {
            let answering = call(sidecar, room, head, body);
            let answering = answering.map(|answer| answer.unwrap_or_else(Status::into_http));
            bounds.keep_stream(pin!(answering)).await
        }
        Err(refusal) => refusal.into_http(),
    }
}

fn admit(refusal: Option<Refusal>) -> Result<(), Status> {
    match refusal {
        Some(Refusal::Token) => Err(Status::unauthenticated(Refusal::Token.message())),
        Some(refusal) => Err(Status::permission_denied(refusal.message())),
        None => Ok(()),
    }
}

async fn call(
    sidecar: &Sidecar,
    room: &Room,
    head: Parts,
    mut body: RequestBody,
) -> Result<Response<GrpcBody>, Status> {
    let received =
        Received::read(&mut body, &head.headers, sidecar.intake(), MAX_LEASE_BODY_BYTES).await?;
    match head.uri.path() {
        "/holdfast.lock.v1.Admin/List" => Ok(one(list(sidecar, &received).await?)),
        "/holdfast.lock.v1.Admin/ForceRelease" => Ok(one(force_release(sidecar, &received).await?)),
        "/holdfast.lock.v1.Admin/Watch" => watch(sidecar, room, &received).await,
        path => Err(Status::unimplemented(format!(
            "method {} is not supported: operators have List, Watch and ForceRelease of holdfast.lock.v1.Admin",
            path.trim_start_matches('/')
        ))),
    }
}

fn one<T: prost::Message>(message: T) -> Response<GrpcBody> {
    response(Ok(ResponseMessage { message, fencing_token: None }))
}

async fn list(sidecar: &Sidecar, received: &Received) -> Result<ListResponse, Status> {
    let ListRequest { store_name, prefix, cursor, limit } = received.message()?;
    let cursor = Some(cursor.as_str()).filter(|cursor| !cursor.is_empty());
    let limit = if limit == 0 { DEFAULT_LIMIT } else { limit };
    let page = sidecar.locks().list(&store_name, &prefix, cursor, limit).await;
    let page = page.map_err(|error| failed(sidecar, Verb::ListLocks, &error))?;
    let locks = page.locks.into_iter().map(message).collect();
    Ok(ListResponse { locks, next: page.next.unwrap_or_default() })
}

async fn force_release(
    sidecar: &Sidecar,
    received: &Received,
) -> Result<ForceReleaseResponse, Status> {
    let ForceReleaseRequest { store_name, resource_id } = received.message()?;
    let resource = Resource { store: &store_name, id: &resource_id };
    let owner = sidecar.locks().force_release(resource).await;
    let owner = owner.map_err(|error| failed(sidecar, Verb::ForceRelease, &error))?;
    Ok(ForceReleaseResponse { released: owner.is_some(), lock_owner: owner.unwrap_or_default() })
}

async fn watch(
    sidecar: &Sidecar,
    room: &Room,
    received: &Received,
) -> Result<Response<GrpcBody>, Status> {
    let WatchRequest { store_name, prefix } = received.message()?;
    let to_status = {
        let sidecar = sidecar.clone();
        move |error: WatchError| match error {
            WatchError::Lock(error) => failed(&sidecar, Verb::ListLocks, &error),
            too_many => Status::resource_exhausted(too_many.to_string()),
        }
    };
    let room = room.take().map_err(|error| Status::unavailable(error.to_string()))?;
    let events = watch::watch(sidecar.locks().clone(), store_name, prefix).await;
    let events = events.map_err(&to_status)?.take_until(sidecar.ending().clone().cancelled_owned());
    let messages = events.map(move |event| {
        let _room = &room;
        let event = match event.map_err(&to_status)? {
            Event::Taken(lock) => watch_event::Event::Taken(message(lock)),
            Event::Extended(lock) => watch_event::Event::Extended(message(lock)),
            Event::Freed(lock) => watch_event::Event::Freed(message(lock)),
            Event::Waiting { resource_id, calls } => {
                let calls = calls.try_into().unwrap_or(u32::MAX);
                watch_event::Event::Waiting(watch_event::Waiting { resource_id, calls })
            }
            Event::Synced => watch_event::Event::Synced(watch_event::Synced {}),
        };
        Ok(WatchEvent { event: Some(event) })
    });
    Ok(lasting(messages, Parting::default()))
}

fn message(lock: HeldLock) -> proto::HeldLock {
    let HeldLock { resource_id, owner, time_left } = lock;
    proto::HeldLock { resource_id, lock_owner: owner, time_left: time_left.map(duration) }
}
