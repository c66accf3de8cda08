//! A collector of traces, which speaks OTLP over gRPC and HTTP.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures_util::future::pending;
use holdfast_sidecar::server::{HttpApi, Readiness, RequestBody, Server};
use holdfast_tests::{
    LONG,
    certificates::{Authority, Certified},
};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, Response};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tonic::{Status, service::Routes};
use tower::ServiceExt;

/// A collector in this process, which ends with the test's runtime.
#[derive(Clone, Default)]
pub struct Collector(Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>>);

impl Collector {
    pub async fn grpc() -> (Self, SocketAddr) {
        let collector = Self::default();
        let service = Grpc(Routes::new(TraceServiceServer::new(collector.clone())).prepare());
        let address = serve(|server, listener| server.grpc(service, vec![listener.into()])).await;
        (collector, address)
    }

    pub async fn http() -> (Self, SocketAddr) {
        let collector = Self::default();
        let service = Http(collector.clone());
        let address = serve(|server, listener| server.http(service, vec![listener.into()])).await;
        (collector, address)
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        let requests = self.0.lock().unwrap();
        let resources = requests.iter().flat_map(|(_, request)| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The headers of the first request.
    pub fn headers(&self) -> HeaderMap {
        self.0.lock().unwrap()[0].0.clone()
    }

    /// An attribute of the sender.
    pub fn sender_attribute(&self, name: &str) -> Option<String> {
        let requests = self.0.lock().unwrap();
        let sender = requests[0].1.resource_spans[0].resource.as_ref()?;
        attribute(&sender.attributes, name)
    }

    fn keep(&self, headers: HeaderMap, request: ExportTraceServiceRequest) {
        self.0.lock().unwrap().push((headers, request));
    }
}

/// Starts a proxy in front of a collector that speaks TLS with a certificate of this authority for
/// `localhost`.
pub async fn behind_tls(collector: SocketAddr, authority: &Authority) -> SocketAddr {
    let Certified { certificate, key } = authority.certify("localhost");
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.unwrap(), key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut inside = TcpStream::connect(collector).await.unwrap();
                if let Ok(mut outside) = acceptor.accept(stream).await {
                    let _ = copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        }
    });
    address
}

/// Starts a server that closes every connection, and counts them.
pub async fn closing() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let closed = Arc::new(AtomicUsize::new(0));
    let count = closed.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, closed)
}

async fn serve(add: impl FnOnce(Server, TcpListener) -> Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = add(Server::new(Readiness::new()), listener);
    tokio::spawn(server.serve(pending(), LONG));
    address
}

/// The value of an attribute, which is text or a number.
pub fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.key == name)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{name} is {other:?}"),
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        self.keep(headers, request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[derive(Clone)]
struct Grpc(Routes);

impl HttpApi for Grpc {
    type Body = tonic::body::Body;

    async fn answer(&self, request: Request<RequestBody>) -> Response<Self::Body> {
        self.0.clone().oneshot(request).await.unwrap()
    }
}

#[derive(Clone)]
struct Http(Collector);

impl HttpApi for Http {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<RequestBody>) -> Response<Self::Body> {
        assert_eq!(request.uri().path(), "/v1/traces");
        assert_eq!(request.headers()["content-type"], "application/x-protobuf");
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        self.0.keep(head.headers, ExportTraceServiceRequest::decode(body).unwrap());
        Response::new(Full::new(ExportTraceServiceResponse::default().encode_to_vec().into()))
    }
}
