//! `host:port` as `redisHost` and `redisPort` write it.

use alloc::{borrow::ToOwned, string::String};
use core::{fmt, net::Ipv6Addr};

/// The port if the settings have none.
pub const DEFAULT_PORT: u16 = 6379;

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// Writes `host:port`, an IPv6 host in brackets.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// The problem with a bad address, worded to follow the name of the setting.
pub const NOT_AN_ADDRESS: &str = "is not host or host:port";

/// The problem with a bad port, worded to follow the name of the setting.
pub const NOT_A_PORT: &str = "has a port that is not from 1 to 65535";

/// The problem with an address that has several colons and no brackets, worded to follow the name of the setting.
pub const SEVERAL_COLONS: &str =
    "has several colons and is not an IPv6 address: write host:port or [IPv6]:port";

/// Splits `host`, `host:port`, `[IPv6]` or `[IPv6]:port`.
///
/// # Errors
///
/// The problem, worded to follow the setting's name.
pub fn split(written: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = match written.strip_prefix('[') {
        Some(bracketed) => match bracketed.split_once(']').ok_or(NOT_AN_ADDRESS)? {
            (host, "") => (host, None),
            (host, rest) => (host, Some(rest.strip_prefix(':').ok_or(NOT_AN_ADDRESS)?)),
        },
        // More than one colon without brackets can only be an IPv6 address without a port.
        None if written.matches(':').count() > 1 => match is_ipv6(written) {
            true => (written, None),
            false if is_host(written) => return Err(SEVERAL_COLONS),
            false => return Err(NOT_AN_ADDRESS),
        },
        None => match written.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (written, None),
        },
    };
    if !is_host(host) {
        return Err(NOT_AN_ADDRESS);
    }
    Ok((host.to_owned(), port.map(parse_port).transpose()?))
}

/// Whether this is an IPv6 address, with or without a zone.
fn is_ipv6(text: &str) -> bool {
    without_zone(text).is_some() || text.parse::<Ipv6Addr>().is_ok()
}

/// An IPv6 address without its zone, which names an interface of this machine; `None` for a text that is not an IPv6
/// address with a zone.
pub fn without_zone(text: &str) -> Option<&str> {
    let (address, zone) = text.split_once('%')?;
    (!zone.is_empty() && address.parse::<Ipv6Addr>().is_ok()).then_some(address)
}

/// Whether this can be a host: it is not empty, and has no bracket and no character that belongs to a URL, a login or a
/// connection string. A percent sign only stands before the zone of an IPv6 address.
pub fn is_host(host: &str) -> bool {
    let address = without_zone(host).unwrap_or(host);
    !host.is_empty()
        && !host.contains(['/', '@', ' ', '[', ']', '=', ';'])
        && !address.contains('%')
}

/// Reads a port.
///
/// # Errors
///
/// The problem, worded to follow the setting's name.
pub fn parse_port(text: &str) -> Result<u16, &'static str> {
    text.parse().ok().filter(|port| *port != 0).ok_or(NOT_A_PORT)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn hosts_may_have_a_port() {
        for (written, host, port) in [
            ("h", "h", None),
            ("h:1", "h", Some(1)),
            ("[::1]:6379", "::1", Some(6379)),
            ("[::1]", "::1", None),
            ("::1", "::1", None),
            ("fe80::1%eth0", "fe80::1%eth0", None),
        ] {
            assert_eq!(split(written), Ok((host.to_owned(), port)), "{written}");
        }
    }

    #[test]
    fn refuses_what_is_no_address() {
        for (written, problem) in [
            ("", NOT_AN_ADDRESS),
            (":1", NOT_AN_ADDRESS),
            ("[::1", NOT_AN_ADDRESS),
            ("[::1]6379", NOT_AN_ADDRESS),
            ("[[::1]]", NOT_AN_ADDRESS),
            ("[[::1]:6379", NOT_AN_ADDRESS),
            ("::1]", NOT_AN_ADDRESS),
            ("::1:17311", SEVERAL_COLONS),
            ("127.0.0.1:6379:1", SEVERAL_COLONS),
            ("redis:127.0.0.1:6379", SEVERAL_COLONS),
            ("h]", NOT_AN_ADDRESS),
            ("user@h", NOT_AN_ADDRESS),
            ("a b", NOT_AN_ADDRESS),
            ("Endpoint=h", NOT_AN_ADDRESS),
            ("h;ssl", NOT_AN_ADDRESS),
            ("h%1", NOT_AN_ADDRESS),
            ("fe80::1%", NOT_AN_ADDRESS),
            ("fe80::1%eth 0", NOT_AN_ADDRESS),
            ("[fe80::1%eth0/64]:6379", NOT_AN_ADDRESS),
            ("[fe80::1%]:6379", NOT_AN_ADDRESS),
            ("127.0.0.1%1:6379", NOT_AN_ADDRESS),
            ("h:0", NOT_A_PORT),
            ("h:65536", NOT_A_PORT),
            ("h:", NOT_A_PORT),
            ("redis://h", NOT_A_PORT),
        ] {
            assert_eq!(split(written), Err(problem), "{written}");
        }
    }

    #[test]
    fn an_ipv6_host_is_written_in_brackets() {
        let address = |host: &str| Address { host: host.into(), port: 7 }.to_string();
        assert_eq!((address("h").as_str(), address("::1").as_str()), ("h:7", "[::1]:7"));
    }
}
