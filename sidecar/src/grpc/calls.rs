//! The methods of Dapr's service.

use std::{sync::Arc, time::Duration};

use holdfast::{Error, Resource, UnlockStatus, Verb};
use holdfast_dapr_api::metadata::RUNTIME_VERSION;
use holdfast_proto::runtime::{
    ActorRuntime, AppConnectionProperties, GetMetadataRequest, GetMetadataResponse,
    RegisteredComponents, SetMetadataRequest, TryLockRequest, TryLockResponse, UnlockRequest,
    UnlockResponse,
    actor_runtime::ActorRuntimeStatus,
    dapr_server::{self, Dapr},
    unlock_response,
};
use prost::Message;
use tonic::{Request, Response, Status};

use super::{metrics::GrpcMetrics, status};
use crate::{failure, metadata::ComponentInfo, sidecar::Sidecar};

/// The service's full name.
pub(super) const SERVICE: &str = dapr_server::SERVICE_NAME;

/// The methods of Dapr's service that are served.
pub(super) const METHODS: [&str; 4] =
    ["TryLockAlpha1", "UnlockAlpha1", "GetMetadata", "SetMetadata"];

/// The paths of these methods.
pub(super) const FULL_METHODS: [&str; 4] = [TRY_LOCK, UNLOCK, GET_METADATA, SET_METADATA];

const TRY_LOCK: &str = "/dapr.proto.runtime.v1.Dapr/TryLockAlpha1";
const UNLOCK: &str = "/dapr.proto.runtime.v1.Dapr/UnlockAlpha1";
const GET_METADATA: &str = "/dapr.proto.runtime.v1.Dapr/GetMetadata";
const SET_METADATA: &str = "/dapr.proto.runtime.v1.Dapr/SetMetadata";

/// The methods, served from a sidecar.
pub(super) struct Calls {
    pub sidecar: Sidecar,
    pub metrics: Arc<GrpcMetrics>,
}

impl Calls {
    /// Records the lengths of a call's messages and makes the response.
    fn carried<T: Message>(
        &self,
        method: &'static str,
        received: usize,
        answer: Result<T, Status>,
    ) -> Result<Response<T>, Status> {
        self.metrics.carried(method, received, answer.as_ref().map_or(0, Message::encoded_len));
        answer.map(Response::new)
    }

    fn failed(&self, verb: Verb, error: &Error) -> Status {
        let status = status::of(verb, error);
        // Only faults are logged. A wrong request is the caller's fault, and overload is no fault.
        let is_fault = match error {
            Error::Lock(error) => failure::is_of_store(error),
            Error::Component(_) => true,
            _ => false,
        };
        if is_fault {
            self.sidecar.failures().log(status.message(), None);
        }
        status
    }
}

#[tonic::async_trait]
impl Dapr for Calls {
    async fn try_lock_alpha1(
        &self,
        request: Request<TryLockRequest>,
    ) -> Result<Response<TryLockResponse>, Status> {
        let received = request.get_ref().encoded_len();
        let TryLockRequest { store_name, resource_id, lock_owner, expiry_in_seconds } =
            request.into_inner();
        let locks = self.sidecar.locks();
        let resource = Resource { store: &store_name, id: &resource_id };
        // The rules refuse zero, and so every negative expiry.
        let ttl = Duration::from_secs(u64::try_from(expiry_in_seconds).unwrap_or(0));
        let call = locks.try_lock(resource, &lock_owner, ttl);
        let answer = match self.sidecar.aside().run(received, call).await {
            Ok(attempt) => Ok(TryLockResponse { success: attempt.is_acquired() }),
            Err(error) => Err(self.failed(Verb::TryLock, &error)),
        };
        self.carried(TRY_LOCK, received, answer)
    }

    async fn unlock_alpha1(
        &self,
        request: Request<UnlockRequest>,
    ) -> Result<Response<UnlockResponse>, Status> {
        let received = request.get_ref().encoded_len();
        let UnlockRequest { store_name, resource_id, lock_owner } = request.into_inner();
        let locks = self.sidecar.locks();
        let resource = Resource { store: &store_name, id: &resource_id };
        let call = locks.unlock(resource, &lock_owner);
        let answer = match self.sidecar.aside().run(received, call).await {
            Ok(status) => Ok(UnlockResponse { status: number(status).into() }),
            Err(error) => Err(self.failed(Verb::Unlock, &error)),
        };
        self.carried(UNLOCK, received, answer)
    }

    async fn get_metadata(
        &self,
        request: Request<GetMetadataRequest>,
    ) -> Result<Response<GetMetadataResponse>, Status> {
        let metadata = self.sidecar.metadata();
        let disabled = ActorRuntime { runtime_status: ActorRuntimeStatus::Disabled.into() };
        let answer = GetMetadataResponse {
            id: metadata.app_id().to_owned(),
            registered_components: metadata.components().iter().map(component).collect(),
            extended_metadata: metadata.extended().into_iter().collect(),
            app_connection_properties: Some(AppConnectionProperties {}),
            runtime_version: RUNTIME_VERSION.to_owned(),
            actor_runtime: Some(disabled),
        };
        self.carried(GET_METADATA, request.get_ref().encoded_len(), Ok(answer))
    }

    async fn set_metadata(
        &self,
        request: Request<SetMetadataRequest>,
    ) -> Result<Response<()>, Status> {
        let received = request.get_ref().encoded_len();
        let SetMetadataRequest { key, value } = request.get_ref();
        let answer = self.sidecar.metadata().set(key, value);
        let answer = answer.map_err(|refusal| Status::resource_exhausted(refusal.to_string()));
        self.carried(SET_METADATA, received, answer)
    }
}

fn number(status: UnlockStatus) -> unlock_response::Status {
    match status {
        UnlockStatus::Success => unlock_response::Status::Success,
        UnlockStatus::LockDoesNotExist => unlock_response::Status::LockDoesNotExist,
        UnlockStatus::LockBelongsToOthers => unlock_response::Status::LockBelongsToOthers,
        UnlockStatus::InternalError => unlock_response::Status::InternalError,
    }
}

fn component(info: &ComponentInfo) -> RegisteredComponents {
    RegisteredComponents {
        name: info.name.clone(),
        r#type: info.component_type.clone(),
        version: info.version.clone(),
        capabilities: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_are_those_of_the_methods() {
        assert_eq!(METHODS.map(|method| format!("/{SERVICE}/{method}")), FULL_METHODS);
    }
}
