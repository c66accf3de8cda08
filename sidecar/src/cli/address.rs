//! The address of a running server, and the token that it asks for.

use std::{env, fmt};

use anyhow::{Context, Result, bail};
use hyper::{Uri, header::HeaderValue};
use tokio::net::TcpStream;

use super::zone::without_zone;

/// The address of a server, as `--address` gives it.
#[derive(Clone)]
pub struct Address {
    typed: String,
    host: String,
    port: u16,
    /// Whether the address names the port.
    is_named: bool,
    authority: String,
}

impl Address {
    /// Reads `http://HOST:PORT`.
    pub fn read(typed: &str) -> Result<Self> {
        let form = || format!("--address: {typed} does not have the form http://HOST:PORT");
        let uri: Uri = typed.parse().with_context(form)?;
        if uri.scheme_str() == Some("https") {
            bail!(
                "--address: {typed}: https is not supported: use http, to a server or proxy on this machine"
            );
        }
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let path = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
        let (Some("http"), Some(authority), true) = (uri.scheme_str(), authority, path) else {
            bail!(form());
        };
        // hyper reports a port that it cannot read as missing.
        let named = authority.as_str() != authority.host();
        let port = authority.port_u16().or_else(|| (!named).then_some(80));
        let Some(port) = port else { bail!(form()) };
        let host = decoded(authority.host().trim_matches(['[', ']']));
        let authority = match without_zone(&host) {
            // The zone means nothing to the server.
            Some(ip) if named => format!("[{ip}]:{port}"),
            Some(ip) => format!("[{ip}]"),
            None => authority.to_string(),
        };
        Ok(Self { typed: typed.to_owned(), host, port, is_named: named, authority })
    }

    /// The value of the header `Host`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// A connection to the server.
    pub async fn connect(&self) -> Result<TcpStream> {
        let connected = TcpStream::connect((self.host.as_str(), self.port)).await;
        connected.with_context(|| match self.is_named {
            true => "cannot connect".to_owned(),
            false => format!(
                "cannot connect to port {}, the default for an address without a port",
                self.port
            ),
        })
    }
}

/// A host of a URL. The percent sign before a zone is escaped there (RFC 6874), which not every user does.
fn decoded(host: &str) -> String {
    let escaped = host.replacen("%25", "%", 1);
    if without_zone(&escaped).is_some() { escaped } else { host.to_owned() }
}

/// As it was typed.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed)
    }
}

/// The token in an environment variable, as the value of a header. An empty one is none.
pub fn token(variable: &str) -> Result<Option<HeaderValue>> {
    let Some(token) = env::var_os(variable).filter(|token| !token.is_empty()) else {
        return Ok(None);
    };
    let token = HeaderValue::from_bytes(token.as_encoded_bytes());
    let mut token = token.with_context(|| format!("{variable}: it cannot be sent in a header"))?;
    token.set_sensitive(true);
    Ok(Some(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_for_this_machine_alone() {
        for (url, host, port, authority) in [
            ("http://h:1", "h", 1, "h:1"),
            ("http://h/", "h", 80, "h"),
            ("http://[::1]:1", "::1", 1, "[::1]:1"),
            ("http://[fe80::1%25eth0]:1", "fe80::1%eth0", 1, "[fe80::1]:1"),
            ("http://[fe80::1%eth0]:1", "fe80::1%eth0", 1, "[fe80::1]:1"),
            ("http://[fe80::1%25eth0]", "fe80::1%eth0", 80, "[fe80::1]"),
            ("http://[fe80::1%25]:1", "fe80::1%25", 1, "[fe80::1]:1"),
        ] {
            let address = Address::read(url).unwrap();
            assert_eq!((&*address.host, address.port), (host, port), "{url}");
            assert_eq!((address.authority(), &*address.to_string()), (authority, url));
        }
    }
}
