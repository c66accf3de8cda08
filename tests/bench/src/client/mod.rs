//! The clients. They do as little work as possible, since they share the processors with the servers.

pub mod grpc;
pub mod http;
