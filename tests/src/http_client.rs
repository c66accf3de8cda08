//! An HTTP client that sends the bytes it is given and shows the response as it came.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::LONG;

/// A response as it was sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case, in the order in which they were sent.
    pub headers: Vec<(String, String)>,
    /// The body, which is UTF-8.
    pub body: String,
}

impl Response {
    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn parse(bytes: Vec<u8>) -> Self {
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_lowercase(), value.to_owned())
        });
        Self { status, headers: headers.collect(), body: body.to_owned() }
    }
}

/// Sends a request and reads until the server closes the connection.
///
/// # Panics
///
/// When the server does not close it within a minute, or sends no response.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> Response {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    received(stream).await
}

/// The response on a connection that the server closes.
///
/// # Panics
///
/// When the server does not close it within a minute, or sends no response.
pub async fn received(mut stream: TcpStream) -> Response {
    let mut bytes = Vec::new();
    let reading = stream.read_to_end(&mut bytes);
    tokio::time::timeout(LONG, reading).await.expect("the end of the connection").unwrap();
    Response::parse(bytes)
}

/// A request with a body and further header lines, each of which ends in `\r\n`.
pub fn request(method: &str, target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// [`exchange`]s a GET.
pub async fn get(address: SocketAddr, target: &str) -> Response {
    exchange(address, &request("GET", target, "", b"")).await
}

/// [`exchange`]s a POST.
pub async fn post(address: SocketAddr, target: &str, body: impl AsRef<[u8]>) -> Response {
    exchange(address, &request("POST", target, "", body.as_ref())).await
}

/// The body of a try-lock for a minute. It is a valid body of an unlock too.
pub fn lock_body(resource: &str, owner: &str) -> String {
    format!(r#"{{"resourceId":"{resource}","lockOwner":"{owner}","expiryInSeconds":60}}"#)
}
