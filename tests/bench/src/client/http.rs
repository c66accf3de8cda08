//! A client of the HTTP API: any number of connections, each with one request at a time.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    rounds::Spread,
    workload::{OWNER, STORE_NAME, lock_body},
};

/// Connections to one server, kept open from turn to turn.
pub struct Client {
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    try_lock: Vec<u8>,
    unlock: Vec<u8>,
    received: Vec<u8>,
}

impl Client {
    /// Opens the connections. Each takes and releases a lock of its own.
    pub async fn connect(server: SocketAddr, connections: usize) -> Result<Self> {
        let mut client = Self { connections: Vec::new() };
        for number in 0..connections {
            let stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            let body = lock_body(&format!("resource-{number}"), OWNER);
            client.connections.push(Connection {
                stream,
                try_lock: request("lock", server, &body),
                unlock: request("unlock", server, &body),
                received: Vec::new(),
            });
        }
        Ok(client)
    }

    /// Sends one request after the other on every connection, and returns how many were sent.
    pub async fn drive(&mut self, length: Duration) -> Result<u32> {
        let start = Instant::now();
        let mut running = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            running.spawn(async move {
                let mut requests = 0_u32;
                while start.elapsed() < length {
                    connection.try_lock().await?;
                    connection.unlock().await?;
                    requests += 2;
                }
                Ok::<_, anyhow::Error>((connection, requests))
            });
        }
        let mut requests = 0;
        for done in running.join_all().await {
            let (connection, did) = done?;
            self.connections.push(connection);
            requests += did;
        }
        Ok(requests)
    }

    /// Takes and releases a lock over and over on the first connection, and returns how many try-locks of the
    /// median duration fit into a second.
    pub async fn median_try_lock(&mut self, length: Duration) -> Result<f64> {
        let connection = self.connections.first_mut().context("no connection")?;
        let begun = Instant::now();
        let mut durations = Vec::new();
        while begun.elapsed() < length {
            let sent = Instant::now();
            connection.try_lock().await?;
            durations.push(sent.elapsed().as_secs_f64());
            connection.unlock().await?;
        }
        Ok(1.0 / Spread::of(durations).median)
    }
}

impl Connection {
    async fn try_lock(&mut self) -> Result<()> {
        self.stream.write_all(&self.try_lock).await?;
        self.expect(br#"{"success":true}"#).await
    }

    async fn unlock(&mut self) -> Result<()> {
        self.stream.write_all(&self.unlock).await?;
        self.expect(br#"{"status":0}"#).await
    }

    /// Reads one response, which must have status 200 and this body.
    async fn expect(&mut self, body: &[u8]) -> Result<()> {
        self.received.clear();
        loop {
            let read = self.stream.read_buf(&mut self.received).await?;
            ensure!(read > 0, "the server closed the connection");
            let Some((status, whole)) = parse(&self.received)? else { continue };
            let Some(got) = self.received.get(whole) else { continue };
            ensure!(status == 200 && got == body, "{status} {}", String::from_utf8_lossy(got));
            return Ok(());
        }
    }
}

/// The status of a response and the position of its body. `None` while the head is incomplete.
fn parse(received: &[u8]) -> Result<Option<(u16, std::ops::Range<usize>)>> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(received)? else { return Ok(None) };
    let status = response.code.context("a response without a status")?;
    let length = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case("content-length"));
    let length = length.context("a response without a length")?.value;
    let length: usize = std::str::from_utf8(length)?.parse()?;
    Ok(Some((status, head..head + length)))
}

fn request(call: &str, server: SocketAddr, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /v1.0-alpha1/{call}/{STORE_NAME} HTTP/1.1\r\nHost: {server}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
