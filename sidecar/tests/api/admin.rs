//! The operator API, over HTTP and gRPC on one port.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ::holdfast::{
    policy::{Policy, ResilientStore},
    store::Store,
};
use holdfast_proto::leases::{
    ForceReleaseRequest, ListRequest, WatchEvent, WatchRequest,
    admin_client::AdminClient,
    watch_event::{Event, Synced},
};
use holdfast_sidecar::{
    Sidecar, admin,
    server::{Limits, Server},
};
use holdfast_tests::{
    LONG, STORE,
    calls::{free, take},
    eventually,
    grpc_client::{self, channel},
    holdfast::{self, Holdfast},
    http_api::error,
    http_client::{Response, exchange},
    redis_server::RedisServer,
    redis_store::connect,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};
use tonic::{Code, Request, Streaming};

use crate::{
    HOLDFAST,
    server::{in_memory, over},
};

pub struct Served {
    pub address: SocketAddr,
    locks: ::holdfast::Locks,
}

/// Serves a store in memory to operators, who need the token if there is one.
async fn serve(token: Option<&str>) -> Served {
    serve_over(in_memory(), token).await
}

pub async fn serve_over(sidecar: Sidecar, token: Option<&str>) -> Served {
    serve_within(sidecar, token, Limits::default()).await
}

async fn serve_within(sidecar: Sidecar, token: Option<&str>, limits: Limits) -> Served {
    let locks = sidecar.locks().clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new(sidecar.readiness().clone()).limits(limits);
    let server = server.auxiliary("admin", admin::Api::new(sidecar, token), vec![listener.into()]);
    tokio::spawn(server.serve(std::future::pending(), LONG));
    Served { address, locks }
}

/// Sends a request to the host `localhost`.
async fn send(address: SocketAddr, method: &str, path: &str, headers: &str) -> Response {
    send_to(address, "localhost", method, path, headers).await
}

async fn send_to(
    address: SocketAddr,
    host: &str,
    method: &str,
    path: &str,
    headers: &str,
) -> Response {
    let headers = format!("Host: {host}\r\n{headers}");
    let request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    exchange(address, request.as_bytes()).await
}

async fn get(address: SocketAddr, path: &str) -> Value {
    let response = send(address, "GET", path, "").await;
    assert_eq!(response.status, 200, "{}", response.body);
    serde_json::from_str(&response.body).unwrap()
}

#[tokio::test]
async fn over_http_locks_are_listed_and_taken_from_their_owners() {
    let Served { address, locks } = serve(None).await;
    assert_eq!(get(address, "/v1.0/leases/lockstore").await, json!({"locks": []}));
    for id in ["a/1", "a 2", "b"] {
        assert!(take(&locks, STORE, id, "me", 60).await.unwrap());
    }
    let page = get(address, "/v1.0/leases/lockstore?prefix=a&limit=1").await;
    assert_eq!(page["locks"][0]["resourceId"], "a 2");
    assert_eq!(page["locks"][0]["lockOwner"], "me");
    assert!(page["locks"][0]["timeLeft"].as_str().unwrap().ends_with('s'), "{page}");
    let cursor = page["next"].as_str().unwrap().replace('|', "%7C").replace(' ', "+");
    let rest = get(address, &format!("/v1.0/leases/lockstore?prefix=a&cursor={cursor}")).await;
    assert_eq!(rest["locks"][0]["resourceId"], "a/1");
    assert_eq!(rest.get("next"), None);

    let path = "/v1.0/leases/lockstore/a%2F1";
    let freed = send(address, "DELETE", path, "").await;
    assert_eq!((freed.status, &*freed.body), (200, r#"{"lockOwner":"me","status":0}"#));
    assert_eq!(send(address, "DELETE", path, "").await.body, r#"{"status":1}"#);
    // A plus is not a space: another lock would be freed.
    assert_eq!(
        send(address, "DELETE", "/v1.0/leases/lockstore/a+2", "").await.body,
        r#"{"status":1}"#
    );
    assert_eq!(get(address, "/v1.0/leases/lockstore").await["locks"].as_array().unwrap().len(), 2);
}

/// In a path, browsers and proxies take some of these for the folder itself or the one above.
#[tokio::test]
async fn over_http_a_lock_of_any_name_is_taken_from_its_owner() {
    let Served { address, locks } = serve(None).await;
    for (resource, escaped) in [
        (".", "."),
        ("..", ".."),
        ("%2e", "%252e"),
        ("a/../b", "a/../b"),
        ("a+b c", "a%2Bb+c"),
        ("\u{e9}&=", "%C3%A9%26%3D"),
    ] {
        assert!(take(&locks, STORE, resource, "me", 60).await.unwrap());
        let path = format!("/v1.0/leases/lockstore?resource={escaped}");
        let freed = send(address, "DELETE", &path, "").await;
        let expected = (200, r#"{"lockOwner":"me","status":0}"#);
        assert_eq!((freed.status, &*freed.body), expected, "{resource}");
    }
}

#[tokio::test]
async fn over_http_wrong_requests_are_refused() {
    let Served { address, .. } = serve(None).await;
    let route = "operators have GET /v1.0/leases/{store}, DELETE /v1.0/leases/{store}, \
                 DELETE /v1.0/leases/{store}/{resource}, GET /v1.0/watch, GET /openapi.json, and GET /ui \
                 where the server has --ui";
    let malformed = "ERR_MALFORMED_REQUEST";
    for (method, path, status, code, message) in [
        ("GET", "/v1.0/leases/x", 400, "ERR_LOCK_STORE_NOT_FOUND", "lock store x not found"),
        ("DELETE", "/v1.0/leases/x/r", 400, "ERR_LOCK_STORE_NOT_FOUND", "lock store x not found"),
        (
            "GET",
            "/v1.0/leases/lockstore?limit=0",
            400,
            malformed,
            "limit is not from 1 to 1000 in lock store lockstore",
        ),
        ("GET", "/v1.0/leases/lockstore?limit=x", 400, malformed, "limit: x is not a number"),
        ("GET", "/v1.0/leases/lockstore?n=1", 400, malformed, "unknown parameter 'n'"),
        (
            "DELETE",
            "/v1.0/leases/lockstore/a%7C%7Cb",
            500,
            "ERR_LOCK_FORCE_RELEASE",
            "failed to force-release lock: input key/keyPrefix 'a||b' can't contain '||'",
        ),
        ("GET", "/v1.0/watch?store=x", 400, "ERR_LOCK_STORE_NOT_FOUND", "lock store x not found"),
        ("GET", "/v1.0/watch?limit=1", 400, malformed, "unknown parameter 'limit'"),
        ("POST", "/v1.0/watch", 404, "ERR_ADMIN_ROUTE", route),
        ("GET", "/ui", 404, "ERR_ADMIN_ROUTE", route),
        ("POST", "/v1.0/leases/lockstore", 404, "ERR_ADMIN_ROUTE", route),
        ("DELETE", "/v1.0/leases/lockstore", 400, malformed, "resource is missing"),
        (
            "DELETE",
            "/v1.0/leases/lockstore?resource=",
            400,
            malformed,
            "ResourceId is empty in lock store lockstore",
        ),
        (
            "DELETE",
            "/v1.0/leases/lockstore?resourc=a",
            400,
            malformed,
            "unknown parameter 'resourc'",
        ),
        ("POST", "/v1.0-alpha1/lock/lockstore", 404, "ERR_ADMIN_ROUTE", route),
    ] {
        let refused = send(address, method, path, "").await;
        let expected = (status, error(code, message));
        assert_eq!((refused.status, refused.body), expected, "{method} {path}");
    }
}

#[tokio::test]
async fn a_cursor_of_no_page_is_the_callers_fault() {
    let redis = RedisServer::start();
    let store = Arc::new(connect(&redis, &[]).await.unwrap());
    let resilient = ResilientStore::new(STORE, store.clone(), Policy::default());
    for store in [store as Arc<dyn Store>, Arc::new(resilient)] {
        let Served { address, .. } = serve_over(over(store), None).await;
        let message = "cursor does not come from an earlier page in lock store lockstore";
        let refused = send(address, "GET", "/v1.0/leases/lockstore?cursor=x", "").await;
        let expected = (400, error("ERR_MALFORMED_REQUEST", message));
        assert_eq!((refused.status, refused.body), expected);

        let mut client = AdminClient::new(channel(address).await);
        let cursor = "x".to_owned();
        let list = ListRequest { store_name: STORE.to_owned(), cursor, ..ListRequest::default() };
        let refused = client.list(list).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, message));
    }
}

#[tokio::test]
async fn without_the_token_nobody_is_an_operator() {
    let Served { address, locks } = serve(Some("s3cret")).await;
    assert!(take(&locks, STORE, "r", "me", 60).await.unwrap());
    for headers in ["", "holdfast-admin-token: wrong\r\n", "dapr-api-token: s3cret\r\n"] {
        for (method, path) in
            [("GET", "/v1.0/leases/lockstore"), ("DELETE", "/v1.0/leases/lockstore/r")]
        {
            assert_eq!(send(address, method, path, headers).await.status, 401, "{headers}");
        }
    }
    let token = "holdfast-admin-token: s3cret\r\n";
    assert_eq!(send(address, "GET", "/v1.0/leases/lockstore", token).await.status, 200);

    let mut client = AdminClient::new(channel(address).await);
    let list = ListRequest { store_name: STORE.to_owned(), ..ListRequest::default() };
    let refused = client.list(list.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let mut admitted = Request::new(list);
    admitted.metadata_mut().insert("holdfast-admin-token", "s3cret".parse().unwrap());
    assert_eq!(client.list(admitted).await.unwrap().into_inner().locks.len(), 1);
}

#[tokio::test]
async fn over_grpc_a_call_ends_with_its_callers_deadline() {
    let redis = RedisServer::start();
    let Served { address, .. } =
        serve_over(over(Arc::new(connect(&redis, &[]).await.unwrap())), None).await;
    let list = async |timeout| {
        let headers = [("grpc-timeout", timeout)];
        let path = "/holdfast.lock.v1.Admin/List";
        grpc_client::send(address, path, &headers, b"\x0a\x09lockstore").await
    };
    assert_eq!(list("1M").await.trailer("grpc-status"), Some("0"));
    let malformed = list("5 s").await;
    assert_eq!(malformed.trailer("grpc-message"), Some("malformed%20grpc-timeout"));
    redis.suspend();
    assert_eq!(list("100m").await.trailer("grpc-status"), Some("4"));
}

#[tokio::test]
async fn over_grpc_a_watch_ends_with_its_callers_deadline() {
    let Served { address, .. } = serve(None).await;
    let mut request =
        Request::new(WatchRequest { store_name: STORE.to_owned(), prefix: String::new() });
    request.set_timeout(Duration::from_millis(300));
    let mut client = AdminClient::new(channel(address).await);
    let mut events = client.watch(request).await.unwrap().into_inner();
    let ended = loop {
        match timeout(LONG, events.message()).await.expect("an end") {
            Ok(Some(_)) => {}
            ended => break ended.unwrap_err(),
        }
    };
    let message = "the caller's deadline passed before the call was done";
    assert_eq!((ended.code(), ended.message()), (Code::DeadlineExceeded, message));
}

async fn next(stream: &mut Streaming<WatchEvent>) -> Event {
    let message = timeout(LONG, stream.message()).await.expect("in time").unwrap();
    message.and_then(|message| message.event).expect("an event")
}

#[tokio::test]
async fn over_grpc_locks_are_listed_watched_and_taken_from_their_owners() {
    let Served { address, locks } = serve(None).await;
    let mut client = AdminClient::new(channel(address).await);
    assert!(take(&locks, STORE, "r", "me", 60).await.unwrap());

    let list = ListRequest { store_name: STORE.to_owned(), ..ListRequest::default() };
    let listed = client.list(list).await.unwrap().into_inner();
    assert_eq!((&*listed.locks[0].resource_id, &*listed.locks[0].lock_owner), ("r", "me"));
    assert!(listed.locks[0].time_left.as_ref().unwrap().seconds > 50);

    let watch = WatchRequest { store_name: STORE.to_owned(), prefix: String::new() };
    let mut events = client.watch(watch).await.unwrap().into_inner();
    assert!(matches!(next(&mut events).await, Event::Taken(lock) if lock.resource_id == "r"));
    assert_eq!(next(&mut events).await, Event::Synced(Synced {}));
    assert!(take(&locks, STORE, "other", "you", 60).await.unwrap());
    assert!(matches!(next(&mut events).await, Event::Taken(lock) if lock.lock_owner == "you"));

    let force = ForceReleaseRequest { store_name: STORE.to_owned(), resource_id: "r".to_owned() };
    let released = client.force_release(force.clone()).await.unwrap().into_inner();
    assert_eq!((released.released, &*released.lock_owner), (true, "me"));
    assert!(matches!(next(&mut events).await, Event::Freed(lock) if lock.resource_id == "r"));
    assert!(!client.force_release(force).await.unwrap().into_inner().released);
    free(&locks, STORE, "other", "you").await.unwrap();

    let unknown = WatchRequest { store_name: "x".to_owned(), prefix: String::new() };
    assert_eq!(client.watch(unknown).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn the_program_serves_the_operator_api_only_on_request() {
    let plain = Holdfast::serve(HOLDFAST, &[]);
    assert!(!plain.log().contains("serving the operator API"), "{}", plain.log());
    let refused = plain.post("/v1.0/leases/lockstore", "").await;
    assert_eq!(refused.0, 404);

    let admin = Holdfast::serve(HOLDFAST, &["--enable-admin", "--admin-port", "0"]);
    assert_eq!(
        get(admin.operators().parse().unwrap(), "/v1.0/leases/lockstore").await,
        json!({"locks": []})
    );

    let arguments = ["--enable-admin", "--admin-port", "0", "--admin-listen-address", "0.0.0.0"];
    let mut open = holdfast::serve(HOLDFAST);
    open.args(arguments);
    let mut refused = Holdfast::start(open);
    assert_eq!(refused.wait(), Some(2));
    let log = refused.log();
    assert!(
        log.contains("--admin-listen-address: an address other than loopback needs a token"),
        "{log}"
    );
    let guarded = Holdfast::serve_in(&[("HOLDFAST_ADMIN_TOKEN", "s3cret")], HOLDFAST, &arguments);
    guarded.wait_for("serving the operator API on http://");
}

#[tokio::test]
async fn without_a_token_no_web_page_is_an_operator() {
    let Served { address, locks } = serve(None).await;
    assert!(take(&locks, STORE, "r", "me", 60).await.unwrap());
    let path = "/v1.0/leases/lockstore/r";
    for (host, headers) in [
        ("evil.example", ""),
        ("localhost.evil.example:80", ""),
        ("192.0.2.1", ""),
        ("localhost", "Origin: http://evil.example\r\n"),
        ("localhost:3502", "Origin: http://localhost:3503\r\n"),
        ("localhost:3502", "Origin: null\r\n"),
        ("localhost:3502", "Sec-Fetch-Site: cross-site\r\n"),
        ("localhost:3502", "Sec-Fetch-Site: same-site\r\n"),
        ("evil.example:3502", "Origin: http://evil.example:3502\r\n"),
    ] {
        let refused = send_to(address, host, "DELETE", path, headers).await;
        assert_eq!(refused.status, 403, "{host} {headers}");
        let answer: Value = serde_json::from_str(&refused.body).unwrap();
        assert_eq!(answer["errorCode"], "ERR_ADMIN_FOREIGN", "{answer}");
    }
    for host in ["localhost:3502", "127.0.0.1:3502", "[::1]:3502", "LOCALHOST"] {
        let listed = send_to(address, host, "GET", "/v1.0/leases/lockstore", "").await;
        assert_eq!(listed.status, 200, "{host}");
    }
    // As the page of the operators sends it.
    let own = "Origin: http://localhost:3502\r\nSec-Fetch-Site: same-origin\r\n";
    assert_eq!(send_to(address, "localhost:3502", "DELETE", path, own).await.status, 200);
    // A caller that shows a token may be anywhere.
    let Served { address, .. } = serve(Some("s3cret")).await;
    let token = "holdfast-admin-token: s3cret\r\n";
    let listed = send_to(address, "ops.example", "GET", "/v1.0/leases/lockstore", token).await;
    assert_eq!(listed.status, 200);
}

#[tokio::test]
async fn the_number_of_watches_is_bounded() {
    let Served { address, .. } = serve(None).await;
    let mut client = AdminClient::new(channel(address).await);
    let watch = WatchRequest { store_name: STORE.to_owned(), prefix: String::new() };
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(client.watch(watch.clone()).await.unwrap().into_inner());
    }
    let refused = client.watch(watch.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.message(), "too many calls: 16 watch the locks");
    open.pop();
    eventually("there is room", async || client.clone().watch(watch.clone()).await.is_ok()).await;
}

/// A connection that sends this request and does not read the answer.
async fn ask_and_read_nothing(address: SocketAddr, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // Else the system would take megabytes for the caller.
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_client_that_stops_reading_a_watch_loses_its_place() {
    let limits = Limits::default().stall(Duration::from_millis(200));
    let Served { address, locks } = serve_within(in_memory(), None, limits).await;
    let watch = async |path| send_head(address, path).await;
    let nothing = "/v1.0/watch?prefix=none";
    let mut open = Vec::new();
    for _ in 0..15 {
        open.push(watch(nothing).await);
    }
    // More than the buffers between have room for.
    let long = "x".repeat(2_000);
    for number in 0..5_000 {
        assert!(take(&locks, STORE, &format!("{number}{long}"), "me", 600).await.unwrap());
    }
    let unread = ask_and_read_nothing(address, "/v1.0/watch").await;
    eventually("no place is left", async || watch(nothing).await.1.contains(" 503 ")).await;
    eventually("its place is free", async || watch(nothing).await.1.contains(" 200 ")).await;
    // Callers that have nothing to read keep their connections.
    for (stream, head) in &open {
        assert!(head.contains(" 200 "), "{head}");
        let read = stream.try_read(&mut [0; 1]).map_err(|error| error.kind());
        assert!(!matches!(read, Ok(0)), "{read:?}");
    }
    drop(unread);
}

/// A connection that asks for this, and the first line of the answer.
async fn send_head(address: SocketAddr, path: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = String::new();
    timeout(LONG, BufReader::new(&mut stream).read_line(&mut head))
        .await
        .expect("in time")
        .unwrap();
    (stream, head)
}
