//! The methods of Dapr's service.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use holdfast::{Error, Resource, UnlockStatus, Verb};
use holdfast_dapr_api::metadata::RUNTIME_VERSION;
use holdfast_proto::runtime::{
    ActorRuntime, AppConnectionProperties, GetMetadataRequest, GetMetadataResponse,
    RegisteredComponents, SetMetadataRequest, TryLockRequest, TryLockResponse, UnlockRequest,
    UnlockResponse, actor_runtime::ActorRuntimeStatus, unlock_response,
};
use hyper::{Response, body::Body, http::request::Parts};
use prost::Message;
use tonic::{Status, body::Body as GrpcBody};

use super::{
    frame::PREFIX,
    metrics::GrpcMetrics,
    status,
    unary::{self, MAX_MESSAGE, Received, ResponseMessage},
};
use crate::{
    failure,
    metadata::{ComponentInfo, Form},
    sidecar::Sidecar,
};

/// The service's full name.
pub(super) const SERVICE: &str = "dapr.proto.runtime.v1.Dapr";

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
#[derive(Clone)]
pub(super) struct DaprService {
    pub sidecar: Sidecar,
    pub metrics: Arc<GrpcMetrics>,
}

impl DaprService {
    /// Answers a call, if it is of one of the methods.
    pub(super) async fn answer<B>(&self, head: &Parts, body: &mut B) -> Option<Response<GrpcBody>>
    where
        B: Body + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let method = FULL_METHODS.into_iter().find(|method| *method == head.uri.path())?;
        let received =
            match Received::read(body, &head.headers, self.sidecar.intake(), MAX_MESSAGE).await {
                Ok(received) => received,
                Err(refusal) => return Some(refusal.into_http()),
            };
        Some(match method {
            TRY_LOCK => self.fenced_response(method, &received, self.try_lock(&received).await),
            UNLOCK => self.response(method, &received, self.unlock(&received).await),
            SET_METADATA => self.response(method, &received, self.set_metadata(&received)),
            _ => {
                let answer = self.get_metadata(&received);
                let sent = answer.as_ref().map_or(0, |message| message.len() - PREFIX);
                self.metrics.record_lengths(method, received.length(), sent);
                answer.map_or_else(Status::into_http, |message| unary::whole(message, None))
            }
        })
    }

    /// Records the lengths of a call's messages and makes the response.
    pub(super) fn response<T: Message>(
        &self,
        method: &'static str,
        received: &Received,
        answer: Result<T, Status>,
    ) -> Response<GrpcBody> {
        let answer = answer.map(|message| ResponseMessage { message, fencing_token: None });
        self.fenced_response(method, received, answer)
    }

    /// [`response`](Self::response), for an answer that may have a fencing token.
    fn fenced_response<T: Message>(
        &self,
        method: &'static str,
        received: &Received,
        answer: Result<ResponseMessage<T>, Status>,
    ) -> Response<GrpcBody> {
        let sent = answer.as_ref().map_or(0, |answer| answer.message.encoded_len());
        self.metrics.record_lengths(method, received.length(), sent);
        unary::response(answer)
    }

    async fn try_lock(
        &self,
        received: &Received,
    ) -> Result<ResponseMessage<TryLockResponse>, Status> {
        let TryLockRequest { store_name, resource_id, lock_owner, expiry_in_seconds } =
            received.message()?;
        self.grants()?;
        let locks = self.sidecar.locks();
        let resource = Resource { store: &store_name, id: &resource_id };
        // The rules refuse zero, and so every negative expiry.
        let ttl = Duration::from_secs(u64::try_from(expiry_in_seconds).unwrap_or(0));
        let call = pin!(locks.try_lock_fenced(resource, &lock_owner, ttl));
        match self.sidecar.long_requests().run(received.length(), call).await {
            Ok((attempt, fencing_token)) => {
                let message = TryLockResponse { success: attempt.is_acquired() };
                Ok(ResponseMessage { message, fencing_token })
            }
            Err(error) => Err(self.failed(Verb::TryLock, &error)),
        }
    }

    async fn unlock(&self, received: &Received) -> Result<UnlockResponse, Status> {
        let UnlockRequest { store_name, resource_id, lock_owner } = received.message()?;
        let locks = self.sidecar.locks();
        let resource = Resource { store: &store_name, id: &resource_id };
        let call = pin!(locks.unlock(resource, &lock_owner));
        match self.sidecar.long_requests().run(received.length(), call).await {
            Ok(status) => Ok(UnlockResponse { status: number(status).into() }),
            Err(error) => Err(self.failed(Verb::Unlock, &error)),
        }
    }

    /// The answer as it is sent.
    fn get_metadata(&self, received: &Received) -> Result<Bytes, Status> {
        let GetMetadataRequest {} = received.message()?;
        let metadata = self.sidecar.metadata();
        metadata.document(Form::Message, |extended| {
            let disabled = ActorRuntime { runtime_status: ActorRuntimeStatus::Disabled.into() };
            Ok(unary::encoded(&GetMetadataResponse {
                id: metadata.app_id().to_owned(),
                registered_components: metadata.components().iter().map(component).collect(),
                extended_metadata: extended.into_iter().collect(),
                app_connection_properties: Some(AppConnectionProperties {}),
                runtime_version: RUNTIME_VERSION.to_owned(),
                actor_runtime: Some(disabled),
            }))
        })
    }

    fn set_metadata(&self, received: &Received) -> Result<(), Status> {
        let SetMetadataRequest { key, value } = received.message()?;
        let set = self.sidecar.metadata().set(&key, &value);
        set.map_err(|refusal| Status::resource_exhausted(refusal.to_string()))
    }

    /// Refuses a call that wants a lock while none is granted.
    pub(super) fn grants(&self) -> Result<(), Status> {
        self.sidecar.grants().map_err(|ending| Status::unavailable(ending.to_string()))
    }

    pub(super) fn failed(&self, verb: Verb, error: &Error) -> Status {
        failed(&self.sidecar, verb, error)
    }
}

/// The status of a call that failed. Only faults are logged. A wrong request is the caller's fault, and overload is no
/// fault.
pub(crate) fn failed(sidecar: &Sidecar, verb: Verb, error: &Error) -> Status {
    let status = status::of(verb, error);
    let is_fault = match error {
        Error::Lock(error) => failure::is_of_store(error),
        Error::Component(_) => true,
        _ => false,
    };
    if is_fault {
        sidecar.failures().log(status.message(), None);
    }
    status
}

pub(super) fn number(status: UnlockStatus) -> unlock_response::Status {
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
