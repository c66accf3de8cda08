//! What surrounds the lock calls over gRPC: token, deadlines, health, reflection, metadata, methods
//! that are not there, and the ends of callers and servers.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod support;

use std::time::Duration;

use futures_util::{StreamExt, stream};
use holdfast::{Limits, store::memory::MemoryStore};
use holdfast_proto::runtime::{
    GetMetadataRequest, GetMetadataResponse, RegisteredComponents,
    actor_runtime::ActorRuntimeStatus,
};
use prost::Message;
use prost_types::FileDescriptorProto;
use support::{
    Event, Gate, Served,
    grpc::{Client, TRY_LOCK, UNLOCK, channel, raw, said, serve},
    sidecar,
};
use tonic::{Code, Request};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tonic_types::StatusExt;

const SERVICE: &str = "dapr.proto.runtime.v1.Dapr";
/// A try-lock on `lockstore`, resource `r`, owner `o`, for a minute.
const LOCK_R: &[u8] = b"\x0a\x09lockstore\x12\x01r\x1a\x01o\x20\x3c";

async fn memory(token: Option<&str>) -> Served {
    serve(sidecar(MemoryStore::new(), Limits::default(), token)).await
}

#[tokio::test]
async fn the_token_is_asked_of_all_but_health_checks() {
    let server = memory(Some("secret")).await;
    let mut client = Client::new(server.address).await;
    let missing = client.try_lock("lockstore", "r", "o", 60).await.unwrap_err();
    assert_eq!((missing.code(), missing.message()), (Code::Unauthenticated, "Unauthorized"));
    let info = missing.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("Unauthorized", "dapr.io"));
    assert_eq!(info.metadata["http.code"], "401");
    assert_eq!(info.metadata["http.error_message"], "missing api token in request metadata");

    let mut wrong = Request::new(GetMetadataRequest {});
    wrong.metadata_mut().insert("dapr-api-token", "Secret".parse().unwrap());
    let wrong = client.0.get_metadata(wrong).await.unwrap_err();
    assert_eq!(wrong.code(), Code::Unauthenticated);
    let info = wrong.get_details_error_info().unwrap();
    let mismatch = "authentication error: api token mismatch";
    assert_eq!(info.metadata["http.error_message"], mismatch);

    let listed = list_services(server.address).await;
    assert_eq!(said(listed).0, Code::Unauthenticated);

    let header = [("dapr-api-token", "secret")];
    let taken = raw(server.address, TRY_LOCK, &header, LOCK_R).await;
    assert_eq!(&taken.body[..], b"\0\0\0\0\x02\x08\x01");

    let mut health = HealthClient::new(channel(server.address).await);
    let checked = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(checked.status(), ServingStatus::Serving);
}

#[tokio::test]
async fn metadata_is_that_of_the_http_api() {
    let server = memory(None).await;
    let mut client = Client::new(server.address).await;
    let metadata = client.0.get_metadata(GetMetadataRequest {}).await.unwrap().into_inner();
    let version = format!("1.18.0+holdfast.{}", env!("CARGO_PKG_VERSION"));
    let GetMetadataResponse { id, runtime_version, registered_components, .. } = &metadata;
    assert_eq!((id.as_str(), runtime_version), ("app1", &version));
    let component = RegisteredComponents {
        name: "lockstore".to_owned(),
        r#type: "lock.in-memory".to_owned(),
        version: "v1".to_owned(),
        capabilities: Vec::new(),
    };
    assert_eq!(registered_components, &[component]);
    assert_eq!(metadata.extended_metadata["daprRuntimeVersion"], version);
    let actors = metadata.actor_runtime.unwrap();
    assert_eq!(actors.runtime_status(), ActorRuntimeStatus::Disabled);
}

#[tokio::test]
async fn methods_of_daprs_that_are_not_here_say_what_is() {
    let server = memory(None).await;
    for path in [
        "/dapr.proto.runtime.v1.Dapr/GetState",
        "/dapr.proto.runtime.v1.Dapr/SetMetadata",
        "/dapr.proto.runtime.v1.Dapr/",
        "/dapr.proto.runtime.v1.AppCallback/OnInvoke",
        "/other.Service/Method",
        "/",
    ] {
        let refused = raw(server.address, path, &[], b"").await;
        assert_eq!(refused.trailer("grpc-status"), Some("12"), "{path}");
        let message = refused.trailer("grpc-message").unwrap().replace("%20", " ");
        assert!(message.contains("Holdfast serves the lock API of Dapr"), "{message}");
        assert!(message.contains(&path[1..]), "{message}");
    }
}

#[tokio::test]
async fn the_callers_deadline_ends_the_call() {
    let (gate, _permits, mut events) = Gate::new();
    let server = serve(sidecar(gate, Limits::default(), None)).await;
    let late = raw(server.address, TRY_LOCK, &[("grpc-timeout", "100m")], LOCK_R).await;
    assert_eq!(late.trailer("grpc-status"), Some("4"));
    assert_eq!(events.recv().await, Some(Event::Entered));
    assert_eq!(events.recv().await, Some(Event::Dropped));

    let past = raw(server.address, UNLOCK, &[("grpc-timeout", "0n")], LOCK_R).await;
    assert_eq!(past.trailer("grpc-status"), Some("4"));
    let malformed = raw(server.address, UNLOCK, &[("grpc-timeout", "5 s")], LOCK_R).await;
    assert_eq!(malformed.trailer("grpc-status"), Some("13"));
    assert_eq!(malformed.trailer("grpc-message"), Some("malformed%20grpc-timeout"));
}

#[tokio::test]
async fn a_deadline_that_is_met_changes_nothing() {
    let server = memory(None).await;
    let taken = raw(server.address, TRY_LOCK, &[("grpc-timeout", "1M")], LOCK_R).await;
    assert_eq!(&taken.body[..], b"\0\0\0\0\x02\x08\x01");
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_its_call() {
    let (gate, _permits, mut events) = Gate::new();
    let server = serve(sidecar(gate, Limits::default(), None)).await;
    let mut client = Client::new(server.address).await;
    let call = tokio::spawn(async move { client.try_lock("lockstore", "r", "o", 60).await });
    assert_eq!(events.recv().await, Some(Event::Entered));
    call.abort();
    assert_eq!(events.recv().await, Some(Event::Dropped));
}

#[tokio::test]
async fn health_follows_the_server_to_its_end() {
    let server = memory(None).await;
    let mut health = HealthClient::new(channel(server.address).await);
    for service in ["", SERVICE] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let checked = health.check(request).await.unwrap().into_inner();
        assert_eq!(checked.status(), ServingStatus::Serving, "{service}");
    }
    let unknown = HealthCheckRequest { service: "other".to_owned() };
    assert_eq!(said(health.check(unknown.clone()).await).0, Code::NotFound);
    let mut watched = health.watch(unknown).await.unwrap().into_inner();
    let first = watched.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);

    let mut watched = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let first = watched.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    server.ending.cancel();
    let second = watched.message().await.unwrap().unwrap();
    assert_eq!(second.status(), ServingStatus::NotServing);
    // A watch does not hold up the end.
    assert_eq!(watched.message().await.unwrap(), None);
    drop(health);
    tokio::time::timeout(support::LONG / 2, server.serving).await.expect("an end").unwrap();
}

#[tokio::test]
async fn the_end_waits_for_calls_in_flight() {
    let (gate, permits, mut events) = Gate::new();
    let server = serve(sidecar(gate, Limits::default(), None)).await;
    let mut client = Client::new(server.address).await;
    let call = tokio::spawn(async move { client.try_lock("lockstore", "r", "o", 60).await });
    assert_eq!(events.recv().await, Some(Event::Entered));
    server.ending.cancel();
    permits.add_permits(1);
    assert!(call.await.unwrap().unwrap());
    tokio::time::timeout(Duration::from_secs(30), server.serving).await.expect("an end").unwrap();
}

#[tokio::test]
async fn reflection_shows_the_services_and_their_methods() {
    let server = memory(None).await;
    let mut services = list_services(server.address).await.unwrap();
    services.sort_unstable();
    let reflection =
        ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];
    assert!(services.contains(&SERVICE.to_owned()), "{services:?}");
    assert!(services.contains(&"grpc.health.v1.Health".to_owned()), "{services:?}");
    assert!(services.iter().any(|name| reflection.contains(&name.as_str())), "{services:?}");

    // As the .NET SDK asks which methods there are.
    let asked = MessageRequest::FileContainingSymbol(SERVICE.to_owned());
    let MessageResponse::FileDescriptorResponse(files) =
        reflect(server.address, asked).await.unwrap()
    else {
        panic!("another response");
    };
    let file = FileDescriptorProto::decode(&files.file_descriptor_proto[0][..]).unwrap();
    let methods: Vec<_> = file.service[0].method.iter().map(|method| method.name()).collect();
    assert_eq!(methods, ["TryLockAlpha1", "UnlockAlpha1", "GetMetadata"]);
    assert!(!file.message_type.is_empty());

    // What is shown is there.
    for method in methods {
        let answered = raw(server.address, &format!("/{SERVICE}/{method}"), &[], b"").await;
        assert_ne!(answered.trailer("grpc-status"), Some("12"), "{method}");
    }
}

async fn list_services(address: std::net::SocketAddr) -> Result<Vec<String>, tonic::Status> {
    match reflect(address, MessageRequest::ListServices(String::new())).await? {
        MessageResponse::ListServicesResponse(list) => {
            Ok(list.service.into_iter().map(|service| service.name).collect())
        }
        other => panic!("{other:?}"),
    }
}

async fn reflect(
    address: std::net::SocketAddr,
    request: MessageRequest,
) -> Result<MessageResponse, tonic::Status> {
    let mut client = ServerReflectionClient::new(channel(address).await);
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let requests = stream::iter([request]);
    let mut responses = client.server_reflection_info(requests).await?.into_inner();
    let response = responses.next().await.expect("a response")?;
    Ok(response.message_response.expect("a message"))
}
