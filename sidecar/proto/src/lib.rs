//! The gRPC APIs: Dapr's for locks (`dapr/proto/runtime/v1/dapr.proto`), those of leases and of operators
//! (`holdfast/lock/v1/`), and the part of Envoy's external processing that Holdfast speaks (`envoy/`).
//!
//! Generated code cannot follow the lint rules of our own code, so this crate has only that code, and the
//! [decoder](mod@decode) of its messages.

pub mod decode;

/// The messages, and the service `Dapr` for a server and for a client.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, reason = "generated")]
pub mod runtime {
    tonic::include_proto!("dapr.proto.runtime.v1");
}

/// The messages of leases and of operators, and the services `Leases` and `Admin` for clients.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, reason = "generated")]
pub mod leases {
    tonic::include_proto!("holdfast.lock.v1");
}

/// The questions of a proxy about the requests that it serves, and their answers, and the service `ExternalProcessor`
/// for clients.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, reason = "generated")]
pub mod ext_proc {
    tonic::include_proto!("envoy.service.ext_proc.v3");
}

/// The definitions as an encoded `FileDescriptorSet`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
