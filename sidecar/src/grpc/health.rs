//! The health checks of `grpc.health.v1`. They agree with those of the HTTP API.

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_server::Health,
};

use super::{calls, leases};
use crate::server::{Readiness, State};

/// The health of the process, which has no name, and of its services for locks. All are the same.
pub(super) struct Checks(pub Readiness);

#[tonic::async_trait]
impl Health for Checks {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !is_served(&request) {
            return Err(Status::not_found("service not registered"));
        }
        let state = *self.0.watch().borrow();
        Ok(Response::new(health(state)))
    }

    /// The stream ends when the shutdown begins, so that it does not delay it.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        if !is_served(&request) {
            let unknown = response(ServingStatus::ServiceUnknown);
            return Ok(Response::new(stream::iter([Ok(unknown)]).boxed()));
        }
        let mut states = self.0.watch();
        states.mark_changed();
        let changes = stream::unfold(Some(states), async |states| {
            let mut states = states?;
            states.changed().await.ok()?;
            let state = *states.borrow_and_update();
            Some((Ok(health(state)), (state != State::Ending).then_some(states)))
        });
        Ok(Response::new(changes.boxed()))
    }
}

fn is_served(request: &Request<HealthCheckRequest>) -> bool {
    let service = request.get_ref().service.as_str();
    ["", calls::SERVICE, leases::SERVICE].contains(&service)
}

fn health(state: State) -> HealthCheckResponse {
    response(match state {
        State::Ready => ServingStatus::Serving,
        State::Starting | State::Ending => ServingStatus::NotServing,
    })
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}
