//! The methods of the service `holdfast.lock.v1.Leases`.

use std::{error::Error as StdError, time::Duration};

use futures_util::StreamExt;
use holdfast::{Extended, LeaseOptions, Resource, Verb};
use holdfast_dapr_api::body::MAX_LEASE_BODY_BYTES;
use holdfast_proto::leases::{
    AcquireRequest, AcquireResponse, AwaitLossRequest, AwaitLossResponse, ExtendRequest,
    ExtendResponse, HoldEvent, HoldRequest, InspectRequest, InspectResponse, ReleaseRequest,
    ReleaseResponse, extend_response, hold_event,
};
use holdfast_timing::milliseconds;
use hyper::{Response, body::Body, http::request::Parts};
use prost_types::Duration as ProtoDuration;
use tonic::{Status, body::Body as GrpcBody};

use super::{
    calls::{DaprService, number},
    unary::{self, Received},
};
use crate::{
    lasting::{
        hold::{Event, Hold, HoldError, HoldTerms},
        loss,
    },
    requests::intake::forget_headers,
};

/// The service's full name.
pub(super) const SERVICE: &str = "holdfast.lock.v1.Leases";

/// The paths of the methods.
pub(super) const METHODS: [&str; 6] = [ACQUIRE, EXTEND, RELEASE, INSPECT, AWAIT_LOSS, HOLD];

/// The largest value of `nanos`.
const MAX_NANOS: u32 = 999_999_999;

const ACQUIRE: &str = "/holdfast.lock.v1.Leases/Acquire";
const EXTEND: &str = "/holdfast.lock.v1.Leases/Extend";
const RELEASE: &str = "/holdfast.lock.v1.Leases/Release";
const INSPECT: &str = "/holdfast.lock.v1.Leases/Inspect";
const AWAIT_LOSS: &str = "/holdfast.lock.v1.Leases/AwaitLoss";
/// The only streaming method.
pub(super) const HOLD: &str = "/holdfast.lock.v1.Leases/Hold";

/// Answers a call, if it is of one of the methods.
pub(super) async fn answer<B>(
    service: &DaprService,
    head: &mut Parts,
    body: &mut B,
) -> Option<Response<GrpcBody>>
where
    B: Body + Unpin,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let method = METHODS.into_iter().find(|method| *method == head.uri.path())?;
    let intake = service.sidecar.intake();
    let received = match Received::read(body, &head.headers, intake, MAX_LEASE_BODY_BYTES).await {
        Ok(received) => received,
        Err(refusal) => return Some(refusal.into_http()),
    };
    forget_headers(head);
    Some(match method {
        ACQUIRE => service.response(method, &received, acquire(service, &received).await),
        EXTEND => service.response(method, &received, extend(service, &received).await),
        RELEASE => service.response(method, &received, release(service, &received).await),
        AWAIT_LOSS => service.response(method, &received, await_loss(service, &received).await),
        HOLD => hold(service, &received).await.unwrap_or_else(Status::into_http),
        _ => service.response(method, &received, inspect(service, &received).await),
    })
}

async fn acquire(service: &DaprService, received: &Received) -> Result<AcquireResponse, Status> {
    let AcquireRequest { store_name, resource_id, lock_owner, ttl, wait, fenced } =
        received.message()?;
    let options = options(lock_owner, ttl, wait, fenced)?;
    service.grants()?;
    let resource = Resource { store: &store_name, id: &resource_id };
    let acquired = service.sidecar.locks().acquire(resource, &options).await;
    let lease = acquired.map_err(|error| service.failed(Verb::Acquire, &error))?;
    Ok(lease.map_or_else(AcquireResponse::default, |lease| AcquireResponse {
        success: true,
        valid_for: Some(duration(lease.valid_for)),
        lock_owner: lease.owner,
        fencing_token: lease.fencing_token,
    }))
}

/// An empty owner means: make one.
fn options(
    owner: String,
    ttl: Option<ProtoDuration>,
    wait: Option<ProtoDuration>,
    fenced: bool,
) -> Result<LeaseOptions, Status> {
    let mut options = LeaseOptions::new(time("ttl", ttl)?).wait(time("wait", wait)?);
    options.owner = Some(owner).filter(|owner| !owner.is_empty());
    options.fenced = fenced;
    Ok(options)
}

async fn extend(service: &DaprService, received: &Received) -> Result<ExtendResponse, Status> {
    let ExtendRequest { store_name, resource_id, lock_owner, ttl, may_shorten } =
        received.message()?;
    let resource = Resource { store: &store_name, id: &resource_id };
    let (locks, ttl) = (service.sidecar.locks(), time("ttl", ttl)?);
    let extended = locks.extend(resource, &lock_owner, ttl, may_shorten).await;
    let (status, valid_for) = match extended {
        Ok(Extended::Extended(time)) => (extend_response::Status::Success, Some(duration(time))),
        Ok(Extended::Gone) => (extend_response::Status::LockDoesNotExist, None),
        Ok(Extended::HeldByOther) => (extend_response::Status::LockBelongsToOthers, None),
        Err(error) => return Err(service.failed(Verb::Extend, &error)),
    };
    Ok(ExtendResponse { status: status.into(), valid_for })
}

async fn release(service: &DaprService, received: &Received) -> Result<ReleaseResponse, Status> {
    let ReleaseRequest { store_name, resource_id, lock_owner } = received.message()?;
    let resource = Resource { store: &store_name, id: &resource_id };
    let released = service.sidecar.locks().unlock(resource, &lock_owner).await;
    let status = released.map_err(|error| service.failed(Verb::Unlock, &error))?;
    // The numbers are those of Dapr's unlock.
    Ok(ReleaseResponse { status: number(status).into() })
}

async fn inspect(service: &DaprService, received: &Received) -> Result<InspectResponse, Status> {
    let InspectRequest { store_name, resource_id } = received.message()?;
    let resource = Resource { store: &store_name, id: &resource_id };
    let inspected = service.sidecar.locks().inspect(resource).await;
    let holding = inspected.map_err(|error| service.failed(Verb::Inspect, &error))?;
    Ok(holding.map_or_else(InspectResponse::default, |holding| InspectResponse {
        held: true,
        lock_owner: holding.owner,
        time_left: holding.time_left.map(duration),
        fencing_token: holding.fencing_token,
    }))
}

async fn await_loss(
    service: &DaprService,
    received: &Received,
) -> Result<AwaitLossResponse, Status> {
    let AwaitLossRequest { store_name, resource_id, lock_owner, wait } = received.message()?;
    let resource = Resource { store: &store_name, id: &resource_id };
    let wait = time("wait", wait)?;
    let awaited = loss::await_loss(&service.sidecar, resource, &lock_owner, wait).await;
    let status = awaited.map_err(|error| not_held(service, Verb::Inspect, error))?;
    Ok(AwaitLossResponse { status: status.into() })
}

/// The status of a hold, or of a wait for a loss, that failed.
fn not_held(service: &DaprService, verb: Verb, error: HoldError) -> Status {
    match error {
        HoldError::TooMany(most) => Status::unavailable(HoldError::too_many(most)),
        HoldError::Locks(error) => service.failed(verb, &error),
    }
}

async fn hold(service: &DaprService, received: &Received) -> Result<Response<GrpcBody>, Status> {
    let HoldRequest { store_name, resource_id, lock_owner, ttl, wait, fenced, max_hold } =
        received.message()?;
    let options = options(lock_owner, ttl, wait, fenced)?;
    let max_hold = max_hold.map(|longest| time("max_hold", Some(longest))).transpose()?;
    service.grants()?;
    let terms = HoldTerms { options, max_hold };
    let resource = Resource { store: &store_name, id: &resource_id };
    let held = Hold::begin(&service.sidecar, resource, &terms).await;
    let hold = held.map_err(|error| not_held(service, Verb::Acquire, error))?;
    let parting = hold.parting().clone();
    Ok(unary::lasting(hold.map(|event| Ok(message(event))), parting))
}

fn message(event: Event) -> HoldEvent {
    let valid_for = |time| Some(duration(milliseconds(time)));
    let event = match event {
        Event::NotHeld => hold_event::Event::NotHeld(hold_event::NotHeld {}),
        Event::Held { owner, fencing_token, valid_for: time } => {
            let valid_for = valid_for(time);
            hold_event::Event::Held(hold_event::Held {
                lock_owner: owner,
                fencing_token,
                valid_for,
            })
        }
        Event::Renewed(time) => {
            hold_event::Event::Renewed(hold_event::Renewed { valid_for: valid_for(time) })
        }
        Event::Ending(time) => {
            hold_event::Event::Ending(hold_event::Ending { valid_for: valid_for(time) })
        }
        Event::Lost { cause, message, valid_for: time } => {
            let valid_for = valid_for(time);
            hold_event::Event::Lost(hold_event::Lost { cause: cause.into(), message, valid_for })
        }
    };
    HoldEvent { event: Some(event) }
}

/// The time in a field; one that is missing is 0. Own code: the conversion of `prost-types` panics on extremes.
fn time(field: &str, time: Option<ProtoDuration>) -> Result<Duration, Status> {
    let ProtoDuration { seconds, nanos } = time.unwrap_or_default();
    let (Ok(seconds), Ok(nanos)) = (u64::try_from(seconds), u32::try_from(nanos)) else {
        return Err(Status::invalid_argument(format!("{field} is negative")));
    };
    if nanos > MAX_NANOS {
        let message = format!("{field} has more than {MAX_NANOS} nanos");
        return Err(Status::invalid_argument(message));
    }
    Ok(Duration::new(seconds, nanos))
}

pub(crate) fn duration(milliseconds: u64) -> ProtoDuration {
    ProtoDuration {
        seconds: i64::try_from(milliseconds / 1_000).unwrap_or(i64::MAX),
        nanos: (milliseconds % 1_000) as i32 * 1_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_are_those_of_the_service() {
        assert!(METHODS.iter().all(|method| method.starts_with(&format!("/{SERVICE}/"))));
    }

    #[test]
    fn times_are_taken_as_they_are() {
        let proto = |seconds, nanos| Some(ProtoDuration { seconds, nanos });
        for (given, expected) in [
            (None, Duration::ZERO),
            (proto(0, 0), Duration::ZERO),
            (proto(30, 1), Duration::from_nanos(30_000_000_001)),
            (proto(i64::MAX, 999_999_999), Duration::new(i64::MAX as u64, 999_999_999)),
        ] {
            assert_eq!(time("ttl", given).unwrap(), expected, "{given:?}");
        }
        assert_eq!(duration(1_500), ProtoDuration { seconds: 1, nanos: 500_000_000 });
    }
}
