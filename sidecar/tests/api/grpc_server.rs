//! Token, deadlines, health, reflection, metadata, unknown methods and shutdown over gRPC.

use std::{net::SocketAddr, sync::Arc};

use futures_util::{StreamExt, stream};
use holdfast::{Limits, store::memory::MemoryStore};
use holdfast_proto::{
    leases::{AcquireRequest, leases_client::LeasesClient},
    runtime::{
        GetMetadataRequest, GetMetadataResponse, RegisteredComponents, SetMetadataRequest,
        actor_runtime::ActorRuntimeStatus, dapr_client::DaprClient, unlock_response,
    },
};
use holdfast_tests::{
    LONG,
    fake_store::{Answer, Event, FakeStore},
    grpc_client::{Client, TRY_LOCK, UNLOCK, channel, error, exchange, send},
};
use hyper::Method;
use prost::Message;
use prost_types::FileDescriptorProto;
use tonic::{Code, Request, Status, codec::CompressionEncoding};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tonic_types::StatusExt;

use crate::server::{grpc, in_memory, over, sidecar};

const SERVICE: &str = "dapr.proto.runtime.v1.Dapr";
/// A try-lock on `lockstore`, resource `r`, owner `o`, for a minute.
const LOCK_R: &[u8] = b"\x0a\x09lockstore\x12\x01r\x1a\x01o\x20\x3c";

#[tokio::test]
async fn the_token_is_required_except_for_health_checks() {
    let store = Arc::new(MemoryStore::new());
    let server = grpc(sidecar(store, Limits::default(), Some("secret"))).await;
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
    assert_eq!(error(listed).0, Code::Unauthenticated);

    let header = [("dapr-api-token", "secret")];
    let taken = send(server.address, TRY_LOCK, &header, LOCK_R).await;
    assert_eq!(&taken.body[..], b"\0\0\0\0\x02\x08\x01");

    let mut health = HealthClient::new(channel(server.address).await);
    let checked = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(checked.status(), ServingStatus::Serving);
}

/// As daprd: clients may compress all their messages.
#[tokio::test]
async fn messages_of_callers_may_be_compressed() {
    let server = grpc(in_memory()).await;
    let gzip = CompressionEncoding::Gzip;
    let channel = channel(server.address).await;
    let dapr = DaprClient::new(channel.clone()).send_compressed(gzip).accept_compressed(gzip);
    let mut client = Client(dapr);
    assert!(client.try_lock("lockstore", "r", "o", 60).await.unwrap());
    assert!(!client.try_lock("lockstore", "r", "other", 60).await.unwrap());
    let status = client.unlock("lockstore", "r", "o").await.unwrap();
    assert_eq!(status, unlock_response::Status::Success);

    let mut leases = LeasesClient::new(channel.clone()).send_compressed(gzip);
    let acquire = AcquireRequest {
        store_name: "lockstore".to_owned(),
        resource_id: "r".to_owned(),
        ttl: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        ..AcquireRequest::default()
    };
    assert!(leases.acquire(acquire).await.unwrap().into_inner().success);
    let mut health = HealthClient::new(channel).send_compressed(gzip);
    let checked = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(checked.status(), ServingStatus::Serving);
}

#[tokio::test]
async fn metadata_is_that_of_the_http_api() {
    let server = grpc(in_memory()).await;
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
async fn metadata_can_be_added() {
    let server = grpc(in_memory()).await;
    let mut client = Client::new(server.address).await;
    let entry = |key: &str, value: &str| SetMetadataRequest {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    client.0.set_metadata(entry("a key", "a value")).await.unwrap();
    let metadata = client.0.get_metadata(GetMetadataRequest {}).await.unwrap().into_inner();
    assert_eq!(metadata.extended_metadata["a key"], "a value");

    let (code, message) = error(client.0.set_metadata(entry("k", &"v".repeat(16 << 10))).await);
    assert_eq!(code, Code::ResourceExhausted);
    assert_eq!(message, "the key and the value of an entry may have 16384 bytes together");
}

#[tokio::test]
async fn other_methods_of_dapr_are_unimplemented() {
    let server = grpc(in_memory()).await;
    for path in [
        "/dapr.proto.runtime.v1.Dapr/GetState",
        "/dapr.proto.runtime.v1.Dapr/",
        "/dapr.proto.runtime.v1.AppCallback/OnInvoke",
        "/other.Service/Method",
        "/foo",
        // A query is a part of the method's name.
        "/dapr.proto.runtime.v1.Dapr/UnlockAlpha1?x=1",
        "/grpc.health.v1.Health/Check?",
        "/",
    ] {
        let refused = send(server.address, path, &[], b"").await;
        assert_eq!(refused.trailer("grpc-status"), Some("12"), "{path}");
        let message = refused.trailer("grpc-message").unwrap();
        let message = message.replace("%20", " ").replace("%3F", "?");
        assert!(message.contains("Holdfast serves TryLockAlpha1"), "{message}");
        assert!(message.contains(&path[1..]), "{message}");
    }
    let long = format!("/other.Service/{}", "a".repeat(60_000));
    let refused = send(server.address, &long, &[], b"").await;
    assert_eq!(refused.trailer("grpc-status"), Some("12"));
    let message = refused.trailer("grpc-message").unwrap();
    assert!(message.len() < 1_000 && message.contains("other.Service/aaa"), "{message}");
}

#[tokio::test]
async fn the_callers_deadline_ends_the_call() {
    let store = FakeStore::always(Answer::Yes.when_allowed());
    let server = grpc(over(store.clone())).await;
    let late = send(server.address, TRY_LOCK, &[("grpc-timeout", "100m")], LOCK_R).await;
    assert_eq!(late.trailer("grpc-status"), Some("4"));
    assert_eq!(store.event().await, Event::Called);
    assert_eq!(store.event().await, Event::Dropped);

    let past = send(server.address, UNLOCK, &[("grpc-timeout", "0n")], LOCK_R).await;
    assert_eq!(past.trailer("grpc-status"), Some("4"));
    let malformed = send(server.address, UNLOCK, &[("grpc-timeout", "5 s")], LOCK_R).await;
    assert_eq!(malformed.trailer("grpc-status"), Some("13"));
    assert_eq!(malformed.trailer("grpc-message"), Some("malformed%20grpc-timeout"));
}

#[tokio::test]
async fn a_deadline_that_is_met_changes_nothing() {
    let server = grpc(in_memory()).await;
    let taken = send(server.address, TRY_LOCK, &[("grpc-timeout", "1M")], LOCK_R).await;
    assert_eq!(&taken.body[..], b"\0\0\0\0\x02\x08\x01");
}

#[tokio::test]
async fn requests_that_are_not_of_grpc_are_refused() {
    let server = grpc(in_memory()).await;
    let invalid = |sent: &str| format!("invalid gRPC request content-type \"{sent}\"");
    let other = |sent: &str| format!("content-type {sent} is not supported: messages are protobuf");
    for (sent, status, code, message) in [
        (None, 415, Code::InvalidArgument, invalid("")),
        (Some("text/plain"), 415, Code::InvalidArgument, invalid("text/plain")),
        (Some("application/grpc-web"), 415, Code::InvalidArgument, invalid("application/grpc-web")),
        (Some("application/grpc+json"), 200, Code::Unimplemented, other("application/grpc+json")),
    ] {
        let response = exchange(server.address, Method::POST, TRY_LOCK, sent, LOCK_R).await;
        assert_eq!(response.status, status, "{sent:?}");
        assert_eq!(response.headers["content-type"], "application/grpc", "{sent:?}");
        let status = Status::from_header_map(&response.headers).unwrap();
        assert_eq!((status.code(), status.message()), (code, &*message), "{sent:?}");
    }
    let get = exchange(server.address, Method::PUT, TRY_LOCK, Some("application/grpc"), LOCK_R);
    let get = get.await;
    assert_eq!((get.status, get.trailer("grpc-status")), (405, Some("13")));

    for sent in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc;charset=utf-8",
        "Application/gRPC+Proto; a=b",
    ] {
        let response = exchange(server.address, Method::POST, UNLOCK, Some(sent), LOCK_R).await;
        // Nobody holds it: none of the refused requests took it.
        assert_eq!(&response.body[..], b"\0\0\0\0\x02\x08\x01", "{sent}");
    }
}

#[tokio::test]
async fn a_call_ends_when_its_caller_leaves() {
    let store = FakeStore::always(Answer::Yes.when_allowed());
    let server = grpc(over(store.clone())).await;
    let mut client = Client::new(server.address).await;
    let call = tokio::spawn(async move { client.try_lock("lockstore", "r", "o", 60).await });
    assert_eq!(store.event().await, Event::Called);
    call.abort();
    assert_eq!(store.event().await, Event::Dropped);
}

#[tokio::test]
async fn health_reports_the_end_of_the_server() {
    let server = grpc(in_memory()).await;
    let mut health = HealthClient::new(channel(server.address).await);
    for service in ["", SERVICE, "holdfast.lock.v1.Leases"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let checked = health.check(request).await.unwrap().into_inner();
        assert_eq!(checked.status(), ServingStatus::Serving, "{service}");
    }
    let unknown = HealthCheckRequest { service: "other".to_owned() };
    assert_eq!(error(health.check(unknown.clone()).await).0, Code::NotFound);
    let mut watched = health.watch(unknown).await.unwrap().into_inner();
    let first = watched.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);

    let mut watched = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let first = watched.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    server.ending.cancel();
    let second = watched.message().await.unwrap().unwrap();
    assert_eq!(second.status(), ServingStatus::NotServing);
    // A watch does not delay the shutdown.
    assert_eq!(watched.message().await.unwrap(), None);
    drop(health);
    tokio::time::timeout(LONG / 2, server.serving).await.expect("an end").unwrap();
}

#[tokio::test]
async fn shutdown_waits_for_calls_in_flight() {
    let store = FakeStore::always(Answer::Yes.when_allowed());
    let server = grpc(over(store.clone())).await;
    let mut client = Client::new(server.address).await;
    let call = tokio::spawn(async move {
        let locked = client.try_lock("lockstore", "r", "o", 60).await;
        (locked, client.unlock("lockstore", "r", "o").await)
    });
    assert_eq!(store.event().await, Event::Called);
    server.ending.cancel();
    while !server.sidecar.readiness().is_ending() {
        tokio::task::yield_now().await;
    }
    store.let_through(2);
    let (locked, unlocked) = call.await.unwrap();
    assert!(locked.unwrap());
    // A lock that was taken meanwhile can be unlocked.
    assert_eq!(unlocked.unwrap(), unlock_response::Status::Success);
    tokio::time::timeout(LONG / 2, server.serving).await.expect("an end").unwrap();
}

#[tokio::test]
async fn reflection_shows_the_services_and_their_methods() {
    let server = grpc(in_memory()).await;
    let mut services = list_services(server.address).await.unwrap();
    services.sort_unstable();
    let reflection =
        ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];
    assert!(services.contains(&SERVICE.to_owned()), "{services:?}");
    assert!(services.contains(&"grpc.health.v1.Health".to_owned()), "{services:?}");
    assert!(services.contains(&"holdfast.lock.v1.Leases".to_owned()), "{services:?}");
    assert!(!services.contains(&"holdfast.lock.v1.Admin".to_owned()), "{services:?}");
    assert!(services.iter().any(|name| reflection.contains(&name.as_str())), "{services:?}");

    // The .NET SDK asks in this way which methods exist.
    let asked = MessageRequest::FileContainingSymbol(SERVICE.to_owned());
    let MessageResponse::FileDescriptorResponse(files) =
        reflect(server.address, asked).await.unwrap()
    else {
        panic!("another response");
    };
    let file = FileDescriptorProto::decode(&files.file_descriptor_proto[0][..]).unwrap();
    let methods: Vec<_> = file.service[0].method.iter().map(|method| method.name()).collect();
    assert_eq!(methods, ["TryLockAlpha1", "UnlockAlpha1", "GetMetadata", "SetMetadata"]);
    assert!(!file.message_type.is_empty());

    for method in methods {
        let answered = send(server.address, &format!("/{SERVICE}/{method}"), &[], b"").await;
        assert_ne!(answered.trailer("grpc-status"), Some("12"), "{method}");
    }
}

async fn list_services(address: SocketAddr) -> Result<Vec<String>, Status> {
    match reflect(address, MessageRequest::ListServices(String::new())).await? {
        MessageResponse::ListServicesResponse(list) => {
            Ok(list.service.into_iter().map(|service| service.name).collect())
        }
        other => panic!("{other:?}"),
    }
}

async fn reflect(address: SocketAddr, request: MessageRequest) -> Result<MessageResponse, Status> {
    let mut client = ServerReflectionClient::new(channel(address).await);
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let requests = stream::iter([request]);
    let mut responses = client.server_reflection_info(requests).await?.into_inner();
    let response = responses.next().await.expect("a response")?;
    Ok(response.message_response.expect("a message"))
}
