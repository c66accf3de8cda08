//! The limits of callers: the server's time, connections and memory.

use std::{net::SocketAddr, thread::available_parallelism, time::Duration};

use bytes::Bytes;
use holdfast_proto::leases::{
    AcquireRequest, ListRequest, admin_client::AdminClient, leases_client::LeasesClient,
};
use holdfast_sidecar::{BodyLimits, ComponentInfo, Sidecar, server::Limits};
use holdfast_tests::{
    LONG, STORE, eventually,
    fake_store::{Answer, Event, FakeStore},
    grpc_client::{Client, TRY_LOCK, channel, error as failed},
    holdfast::{self, Holdfast},
    http_api::{ACQUIRED, LOCK, error},
    http_client::{exchange, get, lock_body, post, received, request},
    redis_server::RedisServer,
    redis_store::ONCE,
    resources::Resources,
};
use http_body_util::StreamBody;
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    client::conn::http2,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost_types::Duration as ProtoDuration;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};

use crate::{
    HOLDFAST, admin,
    server::{grpc, grpc_within, http, http_within, in_memory, over},
};

const SHORT: Duration = Duration::from_millis(100);

/// Short limits of time.
fn short() -> Limits {
    Limits::default().head(SHORT).idle(SHORT)
}

/// The bytes that the server sends on a connection until it closes it.
pub async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let reading = stream.read_to_end(&mut bytes);
    // A connection that is reset is closed too.
    let _ = tokio::time::timeout(LONG, reading).await.expect("the end of the connection");
    bytes
}

pub async fn connected(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Reads a response without a body, whose connection stays open.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(LONG, stream.read_u8()).await.expect("a response");
        head.push(byte.expect("more of the response"));
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn heads_that_do_not_come_are_not_waited_for() {
    let half = b"POST /v1.0-alpha1/lock/lockstore HTTP/1.1\r\nHost: loc";
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n";
    let handshake = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    // The headers say that more of them follow, or a byte of them is missing.
    let continued = [&handshake[..], b"\0\0\x02\x01\0\0\0\0\x01\x83\x86"].concat();
    let cut = [&handshake[..], b"\0\0\x02\x01\x04\0\0\0\x01\x83"].concat();
    // No ping ends the connection earlier.
    let limits = Limits::default().head(SHORT).ping_interval(LONG * 2);
    let http = http_within(in_memory(), limits.clone()).await;
    let grpc = grpc_within(in_memory(), limits).await;
    for (address, bytes) in [
        (http.address, &b""[..]),
        (http.address, b"P"),
        (http.address, half),
        (http.address, preface),
        (http.address, &continued),
        (http.address, &cut),
        (grpc.address, b""),
        (grpc.address, preface),
        (grpc.address, &continued),
        (grpc.address, &cut),
    ] {
        let mut stream = connected(address, bytes).await;
        let answer = until_closed(&mut stream).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{bytes:?}: {answer:?}");
    }

    // The same after a request.
    let whole = b"GET /v1.0/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut stream = connected(http.address, whole).await;
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 204"));
    stream.write_all(half).await.unwrap();
    until_closed(&mut stream).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = http_within(in_memory(), Limits::default().idle(SHORT)).await;
    let whole = b"GET /v1.0/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut stream = connected(server.address, whole).await;
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 204"));
    assert_eq!(until_closed(&mut stream).await, b"");
}

#[tokio::test]
async fn a_connection_that_waits_for_the_server_is_not_closed() {
    let store = FakeStore::always(Answer::Yes.when_allowed());
    let server = http_within(over(store.clone()), short()).await;
    let request = request("POST", LOCK, "", lock_body("r", "o").as_bytes());
    let waiting = connected(server.address, &request).await;
    assert_eq!(store.event().await, Event::Called);
    // Connections that came later are closed meanwhile.
    for _ in 0..3 {
        until_closed(&mut connected(server.address, b"").await).await;
    }
    store.let_through(1);
    assert_eq!(received(waiting).await.body, ACQUIRED);
}

#[tokio::test]
async fn an_idle_connection_of_grpc_stays_open() {
    let server = grpc_within(in_memory(), short()).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        until_closed(&mut connected(server.address, b"").await).await;
        let request = Request::post(format!("http://{}{TRY_LOCK}", server.address))
            .header("content-type", "application/grpc")
            .body(http_body_util::Full::new(Bytes::from_static(b"\0\0\0\0\0")))
            .unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let limits = BodyLimits::default().time(SHORT);
    let server = http(limited(limits.clone())).await;
    let head = format!("POST {LOCK} HTTP/1.1\r\nHost: l\r\nContent-Length: 100\r\n\r\n{{");
    let mut stream = connected(server.address, head.as_bytes()).await;
    let answer = String::from_utf8(until_closed(&mut stream).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let message = "failed to read request body: it did not arrive within 100ms";
    assert!(answer.ends_with(&error("ERR_BODY_READ", message)), "{answer}");

    let server = grpc(limited(limits)).await;
    let (sender, response) = streamed(server.address, TRY_LOCK).await;
    sender.send(Bytes::from_static(b"\0\0\0\0\x10\x0a")).await.unwrap();
    let response = tokio::time::timeout(LONG, response).await.unwrap().unwrap();
    assert_eq!(response.headers()["grpc-status"], "4");
}

#[tokio::test]
async fn the_connection_that_waits_longest_makes_room() {
    for connections in [1, 3] {
        let server = http_within(in_memory(), Limits::default().connections(connections)).await;
        let mut idle = Vec::new();
        for _ in 0..connections {
            idle.push(connected(server.address, b"").await);
        }
        assert_eq!(get(server.address, "/v1.0/healthz").await.status, 204);
        assert_eq!(until_closed(&mut idle[0]).await, b"");
        for _ in 0..10 {
            idle.push(connected(server.address, b"GET /v1.0/he").await);
        }
        assert_eq!(get(server.address, "/v1.0/healthz").await.status, 204);
    }
}

#[tokio::test]
async fn a_connection_that_waits_for_the_server_makes_no_room() {
    let store = FakeStore::always(Answer::Yes.when_allowed());
    let server = http_within(over(store.clone()), Limits::default().connections(1)).await;
    let lock = request("POST", LOCK, "", lock_body("r", "o").as_bytes());
    let first = connected(server.address, &lock).await;
    assert_eq!(store.event().await, Event::Called);
    let second = connected(server.address, &request("GET", "/v1.0/healthz", "", b"")).await;
    store.let_through(1);
    assert_eq!(received(first).await.body, ACQUIRED);
    assert_eq!(received(second).await.status, 204);
}

#[tokio::test]
async fn a_flood_of_one_port_leaves_the_others_alone() {
    // The flood is larger than the limit of open files.
    let mut command = std::process::Command::new("sh");
    let serve = holdfast::serve(HOLDFAST);
    command.args(["-c", "ulimit -n 128 && exec \"$0\" \"$@\"", HOLDFAST]).args(serve.get_args());
    let server = Holdfast::start_ready(command);
    let mut flood = Vec::new();
    for _ in 0..200 {
        if let Ok(stream) = TcpStream::connect(server.metrics()).await {
            flood.push(stream);
        }
    }
    let reply = server.try_lock("lockstore", "r", "o", 60).await;
    assert_eq!(reply, ACQUIRED);
    let address = server.grpc().parse().unwrap();
    let mut client = Client::new(address).await;
    assert!(client.try_lock("lockstore", "r2", "o", 60).await.unwrap());
    assert!(server.scrape().await.contains("dapr_http_server_request_count"));
    let complaint = server.wait_for("the connection limit is reached");
    assert!(complaint.contains(r#"port="metrics""#), "{complaint}");
    let complaints = server.log().matches("the connection limit is reached").count();
    assert_eq!(complaints, 1, "{}", server.log());
}

/// The memory of a process, in KiB.
pub fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn memory_is_given_back_after_connections_have_closed() {
    let server = Holdfast::serve(HOLDFAST, &[]);
    assert_eq!(server.try_lock("lockstore", "r", "o", 60).await, ACQUIRED);
    let before = memory(server.id());
    let body = lock_body("r", "o");
    let length = body.len();
    let lock = format!("POST {LOCK} HTTP/1.1\r\nHost: l\r\nContent-Length: {length}\r\n\r\n{body}");
    let mut open = Vec::new();
    for _ in 0..250 {
        let mut stream = connected(server.http().parse().unwrap(), lock.as_bytes()).await;
        read_head(&mut stream).await;
        open.push(stream);
    }
    let most = memory(server.id());
    assert!(most > before + 2_000, "{before} KiB, {most} KiB");
    drop(open);
    let given_back = async || memory(server.id()) < before + (most - before) / 2;
    eventually("the memory to be given back", given_back).await;
}

#[tokio::test]
async fn it_starts_where_addresses_are_few() {
    let mut command = std::process::Command::new("sh");
    let serve = holdfast::serve(HOLDFAST);
    // In KiB.
    let script = "ulimit -v 4194304 && exec \"$0\" \"$@\"";
    command.args(["-c", script, HOLDFAST]).args(serve.get_args());
    let server = Holdfast::start_ready(command);
    assert_eq!(server.try_lock("lockstore", "r", "o", 60).await, ACQUIRED);
}

/// A sidecar whose bodies have limits.
fn limited(limits: BodyLimits) -> Sidecar {
    let locks = in_memory().locks().clone();
    Sidecar::with_body_limits(locks, "app1", Vec::<ComponentInfo>::new(), None, limits)
}

/// Begins a request over HTTP/2 whose body is sent piece by piece. The response comes from a task.
pub async fn streamed(
    address: SocketAddr,
    path: &str,
) -> (mpsc::Sender<Bytes>, tokio::task::JoinHandle<Response<Incoming>>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (sender, pieces) = mpsc::channel::<Bytes>(1);
    let frames = futures_util::stream::unfold(pieces, async |mut pieces| {
        let piece = pieces.recv().await?;
        Some((Ok::<_, std::io::Error>(Frame::data(piece)), pieces))
    });
    let request = Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(StreamBody::new(Box::pin(frames)))
        .unwrap();
    let response = tokio::spawn(async move { client.send_request(request).await.unwrap() });
    (sender, response)
}

/// A piece of a chunked body that leaves no room for another long body in 4 MiB.
fn almost_all_of_the_memory() -> Vec<u8> {
    let length = (4 << 20) - 1_000;
    format!("{length:x}\r\n{}\r\n", " ".repeat(length)).into_bytes()
}

#[tokio::test]
async fn bodies_take_memory_as_they_arrive() {
    let limits = BodyLimits::default().memory(4 << 20).wait(SHORT);
    let sidecar = limited(limits);
    let (grpc, http) = (grpc(sidecar.clone()).await, http(sidecar).await);
    let head = format!("POST {LOCK} HTTP/1.1\r\nHost: l\r\nContent-Length: {}\r\n\r\n{{", 4 << 20);
    let mut silent = Vec::new();
    let mut calls = Vec::new();
    for _ in 0..10 {
        silent.push(connected(http.address, head.as_bytes()).await);
        let (call, _) = streamed(grpc.address, TRY_LOCK).await;
        call.send(Bytes::from_static(b"\0\0\x40\0\0and more")).await.unwrap();
        calls.push(call);
    }
    let mut client = Client::new(grpc.address).await;
    for number in 0..10 {
        let long = format!("{}{}", " ".repeat(20 << 10), lock_body(&format!("r{number}"), "o"));
        assert_eq!(post(http.address, LOCK, &long).await.body, ACQUIRED);
        let long = format!("{number}{}", "x".repeat(20 << 10));
        assert!(client.try_lock(STORE, &long, "o", 60).await.unwrap());
    }
}

#[tokio::test]
async fn long_bodies_share_a_budget() {
    let limits = BodyLimits::default().memory(4 << 20).wait(SHORT);
    let server = http(limited(limits)).await;
    let head = format!(
        "POST {LOCK} HTTP/1.1\r\nHost: l\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let mut first = connected(server.address, head.as_bytes()).await;
    first.write_all(&almost_all_of_the_memory()).await.unwrap();

    let padded = |resource| format!("{}{}", " ".repeat(9 << 10), lock_body(resource, "o"));
    let (early, long) = (padded("early"), padded("long"));
    let overloaded = async || post(server.address, LOCK, &early).await.status == 503;
    eventually("a refusal", overloaded).await;
    let refused = post(server.address, LOCK, &long).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    let message = "too many large requests: they already use 4 MiB of memory";
    assert_eq!(refused.body, error("ERR_LOCK_OVERLOADED", message));
    // A caller that sends all of its body before it reads gets the answer, too.
    let longest = format!("{}{}", " ".repeat((4 << 20) - 100), lock_body("l", "o"));
    assert_eq!(post(server.address, LOCK, &longest).await.status, 503);
    // Ordinary calls are not affected.
    assert_eq!(post(server.address, LOCK, lock_body("r", "o")).await.status, 200);

    let rest = lock_body("first", "o");
    let rest = format!("{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len());
    first.write_all(rest.as_bytes()).await.unwrap();
    assert_eq!(received(first).await.body, ACQUIRED);
    assert_eq!(post(server.address, LOCK, &long).await.body, ACQUIRED);
}

#[tokio::test]
async fn long_heads_of_operators_share_the_budget() {
    let limits = BodyLimits::default().memory(4 << 20).wait(SHORT);
    let sidecar = limited(limits);
    let operators = admin::serve_over(sidecar.clone(), None).await.address;
    let server = http(sidecar).await;
    let long = format!("Long: {}\r\n", "x".repeat(9 << 10));
    let ask = async |address, path| {
        let headers = format!("Host: localhost\r\n{long}");
        let head = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
        exchange(address, head.as_bytes()).await
    };
    let metadata = "/v1.0/metadata";
    let list = "/v1.0/leases/lockstore";
    let mut client = AdminClient::new(channel(operators).await);
    let mut grpc_list = async || {
        let list = ListRequest { store_name: "lockstore".to_owned(), ..ListRequest::default() };
        let mut request = tonic::Request::new(list);
        request.metadata_mut().insert("long", "x".repeat(9 << 10).parse().unwrap());
        client.list(request).await.map(drop).map_err(|status| status.code())
    };
    assert_eq!(ask(operators, list).await.status, 200);
    assert_eq!(grpc_list().await, Ok(()));

    let head = format!(
        "POST {LOCK} HTTP/1.1\r\nHost: l\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let mut first = connected(server.address, head.as_bytes()).await;
    first.write_all(&almost_all_of_the_memory()).await.unwrap();
    eventually("a refusal", async || ask(server.address, metadata).await.status == 503).await;
    let message = "too many large requests: they already use 4 MiB of memory";
    let refused = ask(operators, list).await;
    assert_eq!((refused.status, refused.body), (503, error("ERR_LOCK_OVERLOADED", message)));
    assert_eq!(grpc_list().await, Err(tonic::Code::Unavailable));
    drop(first);
    eventually("there is room", async || ask(operators, list).await.status == 200).await;
}

#[tokio::test]
async fn long_messages_share_a_budget() {
    let limits = BodyLimits::default().memory(4 << 20).wait(SHORT);
    let server = grpc(limited(limits)).await;
    // All but a byte of a message of 4 MiB less a little.
    let (first, answered) = streamed(server.address, TRY_LOCK).await;
    first.send(Bytes::from_static(b"\0\x00\x3f\xf0\x00")).await.unwrap();
    first.send(vec![0; 0x3f_f000 - 1].into()).await.unwrap();

    let mut client = Client::new(server.address).await;
    let long = "x".repeat(20 << 10);
    eventually("a refusal", async || {
        Client(client.0.clone()).try_lock("lockstore", &long, "o", 60).await.is_err()
    })
    .await;
    let message = "too many large requests: they already use 4 MiB of memory";
    let refused = client.try_lock("lockstore", &long, "o", 60).await;
    assert_eq!(failed(refused), (tonic::Code::Unavailable, message.to_owned()));
    assert!(client.try_lock("lockstore", "r", "o", 60).await.unwrap());

    drop(first);
    answered.await.unwrap();
    assert!(client.try_lock("lockstore", &long, "other", 60).await.is_ok());
}

#[tokio::test]
async fn a_stream_that_stays_open_gives_way_to_another_connection() {
    let server = grpc_within(in_memory(), Limits::default().connections(1)).await;
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let (stream, answered) = streamed(server.address, reflection).await;
    // Asks for the list of services. The answer begins the response.
    stream.send(Bytes::from_static(b"\0\0\0\0\x02\x3a\0")).await.unwrap();
    let response = answered.await.unwrap();
    assert_eq!(response.status(), 200);
    let mut client = Client::new(server.address).await;
    let locked = client.try_lock("lockstore", "r", "o", 60);
    assert!(tokio::time::timeout(LONG / 2, locked).await.expect("an answer").unwrap());
    drop((stream, response));
}

#[tokio::test]
async fn long_heads_share_the_budget_of_bodies() {
    let limits = BodyLimits::default().memory(4 << 20).wait(SHORT);
    let server = http(limited(limits)).await;
    // Takes all of the memory but a little.
    let length = (4 << 20) - (10 << 10);
    let head = format!(
        "POST {LOCK} HTTP/1.1\r\nHost: l\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    let mut first = connected(server.address, head.as_bytes()).await;
    first.write_all(&vec![b' '; length - 1]).await.unwrap();
    let long = format!("x-long: {}\r\n", "x".repeat(20 << 10));
    let long = request("GET", "/v1.0/healthz", &long, b"");
    let refused = async || exchange(server.address, &long).await.status == 503;
    eventually("a refusal", refused).await;
    assert_eq!(get(server.address, "/v1.0/healthz").await.status, 204);
    drop(first);
    let answered = async || exchange(server.address, &long).await.status == 204;
    eventually("an answer", answered).await;
}

/// Waits until this many calls wait for the lock `r`.
async fn are_waiting(sidecar: &Sidecar, calls: usize) {
    eventually("the calls wait", async || {
        let waiting = sidecar.locks().waiting(STORE, "r").unwrap();
        waiting.into_iter().map(|(_, calls)| calls).sum::<usize>() == calls
    })
    .await;
}

#[tokio::test]
async fn long_heads_of_calls_that_wait_take_no_room() {
    const CALLS: usize = 12;
    let limits = BodyLimits::default().memory(4 << 20).wait(SHORT);
    let sidecar = limited(limits);
    let (grpc, http) = (grpc(sidecar.clone()).await, http(sidecar.clone()).await);
    let mut client = Client::new(grpc.address).await;
    assert!(client.try_lock(STORE, "r", "o", 60).await.unwrap());

    let channel = channel(grpc.address).await;
    let seconds = |seconds| Some(ProtoDuration { seconds, nanos: 0 });
    let mut calls = Vec::new();
    for number in 0..CALLS {
        let acquire = AcquireRequest {
            store_name: STORE.to_owned(),
            resource_id: "r".to_owned(),
            ttl: seconds(60),
            wait: seconds(600),
            ..AcquireRequest::default()
        };
        let mut request = tonic::Request::new(acquire);
        request.metadata_mut().insert("long", "x".repeat(400 << 10).parse().unwrap());
        let mut leases = LeasesClient::new(channel.clone());
        calls.push(tokio::spawn(async move { leases.acquire(request).await }));
        are_waiting(&sidecar, number + 1).await;
    }
    // The heads of these would take the memory as well.
    let long = format!("Long: {}\r\n", "x".repeat(28 << 10));
    let body = br#"{"resourceId":"r","ttl":"60s","wait":"600s"}"#;
    let mut connections = Vec::new();
    for number in 0..150 {
        let verb = if number % 2 == 0 { "acquire" } else { "hold" };
        let call = request("POST", &format!("/v1.0/leases/lockstore/{verb}"), &long, body);
        connections.push(connected(http.address, &call).await);
    }
    are_waiting(&sidecar, CALLS + connections.len()).await;

    let long = "x".repeat(20 << 10);
    assert!(client.try_lock(STORE, &long, "o", 60).await.unwrap());
    assert!(calls.iter().all(|call| !call.is_finished()));
}

#[tokio::test]
async fn a_caller_who_leaves_after_sending_more_is_noticed() {
    let store = FakeStore::always(Answer::Yes.when_allowed());
    let server = http(over(store.clone())).await;
    for more in [1 << 10, 400 << 10] {
        let mut client = TcpStream::connect(server.address).await.unwrap();
        let lock = lock_body("r", "o");
        let lock = format!(
            "POST {LOCK} HTTP/1.1\r\nHost: l\r\nContent-Length: {}\r\n\r\n{lock}",
            lock.len()
        );
        client.write_all(lock.as_bytes()).await.unwrap();
        assert_eq!(store.event().await, Event::Called);
        let get = b"GET /v1.0/healthz HTTP/1.1\r\nHost: l\r\n\r\n";
        client.write_all(&get.repeat(more / get.len())).await.unwrap();
        drop(client);
        assert_eq!(store.event().await, Event::Dropped, "{more}");
    }
}

#[tokio::test]
async fn requests_that_were_sent_ahead_are_answered() {
    let store = FakeStore::always(Answer::Yes.when_allowed());
    let server = http(over(store.clone())).await;
    let lock = lock_body("r", "o");
    let lock =
        format!("POST {LOCK} HTTP/1.1\r\nHost: l\r\nContent-Length: {}\r\n\r\n{lock}", lock.len());
    let mut stream = connected(server.address, lock.as_bytes()).await;
    assert_eq!(store.event().await, Event::Called);
    // Not all of them fit into one buffer.
    let get = b"GET /v1.0/healthz HTTP/1.1\r\nHost: l\r\nX-Long: ".to_vec();
    let get = [get, vec![b'x'; 2000], b"\r\n\r\n".to_vec()].concat();
    stream.write_all(&get.repeat(6)).await.unwrap();
    let last = request("GET", "/v1.0/healthz", "", b"");
    stream.write_all(&last).await.unwrap();
    store.let_through(1);
    let answers = String::from_utf8(until_closed(&mut stream).await).unwrap();
    assert!(answers.starts_with("HTTP/1.1 200"), "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 204").count(), 7, "{answers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_requests_whose_store_does_not_answer_keep_no_others_waiting() {
    let slow = available_parallelism().map_or(1, usize::from) + 1;
    let store = FakeStore::scripted(vec![Answer::Yes.when_allowed(); slow]);
    let server = http(over(store.clone())).await;
    let long = |number: usize| {
        let body = format!("{}{}", " ".repeat(70 << 10), lock_body(&format!("r{number}"), "o"));
        request("POST", LOCK, "", body.as_bytes())
    };
    let mut waiting = Vec::new();
    for number in 0..slow {
        waiting.push(connected(server.address, &long(number)).await);
        assert_eq!(store.event().await, Event::Called);
    }
    assert_eq!(exchange(server.address, &long(slow)).await.body, ACQUIRED);
    store.let_through(slow);
    for answered in waiting {
        assert_eq!(received(answered).await.body, ACQUIRED);
    }
}

#[tokio::test]
async fn failures_of_a_store_are_logged_at_a_limited_rate() {
    let mut redis = RedisServer::start();
    let resources = Resources::in_redis(&redis, &[ONCE]);
    let server = Holdfast::serve(HOLDFAST, &["--resources-path", resources.path()]);
    redis.kill();
    for _ in 0..15 {
        assert_eq!(server.post(LOCK, lock_body("r", "o")).await.0, 500);
    }
    let line = server.wait_for("failed to try acquiring lock: ");
    assert!(line.contains("ERROR") && line.contains("onnect"), "{line}");
    let lines = server.log().matches("failed to try acquiring lock: ").count();
    assert!((1..15).contains(&lines), "{lines} lines");
}

#[tokio::test]
async fn long_requests_do_not_make_long_messages() {
    let server = http(in_memory()).await;
    let number = "1".repeat(1_000_000);
    for expiry in [number.clone(), format!("\"{number}\"")] {
        let body = format!(r#"{{"resourceId":"r","lockOwner":"o","expiryInSeconds":{expiry}}}"#);
        let refused = post(server.address, LOCK, body).await;
        assert_eq!(refused.status, 400);
        assert!(refused.body.len() < 500, "{} bytes", refused.body.len());
        let answer: Value = serde_json::from_str(&refused.body).unwrap();
        assert_eq!(answer["errorCode"], "ERR_MALFORMED_REQUEST", "{answer}");
    }
    let body = lock_body(&format!("{}||", "x".repeat(1 << 20)), "o");
    let refused = exchange(server.address, &request("POST", LOCK, "", body.as_bytes())).await;
    assert!(refused.body.len() < 10_000, "{} bytes", refused.body.len());
}
