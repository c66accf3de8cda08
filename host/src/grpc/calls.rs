//! The methods of Dapr's service.

use holdfast_http_api::metadata::RUNTIME_VERSION;
use holdfast_proto::runtime::{
    ActorRuntime, AppConnectionProperties, GetMetadataRequest, GetMetadataResponse,
    RegisteredComponents, TryLockRequest, TryLockResponse, UnlockRequest, UnlockResponse,
    actor_runtime::ActorRuntimeStatus,
    dapr_server::{self, Dapr},
    unlock_response,
};
use tonic::{Request, Response, Status};

use super::status;
use crate::{
    Error, UnlockStatus,
    sidecar::{ComponentInfo, Sidecar},
};

/// The service's full name.
pub(super) const SERVICE: &str = dapr_server::SERVICE_NAME;

/// The methods that are there; all others of Dapr's service are not.
pub(super) const METHODS: [&str; 3] = ["TryLockAlpha1", "UnlockAlpha1", "GetMetadata"];

/// The methods, over a sidecar.
pub(super) struct Calls(pub Sidecar);

#[tonic::async_trait]
impl Dapr for Calls {
    async fn try_lock_alpha1(
        &self,
        request: Request<TryLockRequest>,
    ) -> Result<Response<TryLockResponse>, Status> {
        let TryLockRequest { store_name, resource_id, lock_owner, expiry_in_seconds } =
            request.into_inner();
        let locks = self.0.locks();
        match locks.try_lock(&store_name, &resource_id, &lock_owner, expiry_in_seconds).await {
            Ok(success) => Ok(Response::new(TryLockResponse { success })),
            Err(error) => Err(failed("failed to try acquiring lock", &error)),
        }
    }

    async fn unlock_alpha1(
        &self,
        request: Request<UnlockRequest>,
    ) -> Result<Response<UnlockResponse>, Status> {
        let UnlockRequest { store_name, resource_id, lock_owner } = request.into_inner();
        match self.0.locks().unlock(&store_name, &resource_id, &lock_owner).await {
            Ok(status) => Ok(Response::new(UnlockResponse { status: number(status).into() })),
            Err(error) => Err(failed("failed to release lock", &error)),
        }
    }

    async fn get_metadata(
        &self,
        _: Request<GetMetadataRequest>,
    ) -> Result<Response<GetMetadataResponse>, Status> {
        let metadata = self.0.metadata();
        let disabled = ActorRuntime { runtime_status: ActorRuntimeStatus::Disabled.into() };
        Ok(Response::new(GetMetadataResponse {
            id: metadata.app_id().to_owned(),
            registered_components: metadata.components().iter().map(component).collect(),
            extended_metadata: metadata.extended().into_iter().collect(),
            app_connection_properties: Some(AppConnectionProperties {}),
            runtime_version: RUNTIME_VERSION.to_owned(),
            actor_runtime: Some(disabled),
        }))
    }
}

fn failed(doing: &str, error: &Error) -> Status {
    let status = status::of(doing, error);
    match error {
        // A request that is wrong is the caller's to hear of, and load is no fault.
        Error::StoreFailed(_) | Error::Indeterminate { .. } | Error::Guest(_) => {
            tracing::error!("{}", status.message());
        }
        _ => {}
    }
    status
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
