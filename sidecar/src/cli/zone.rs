//! IPv6 addresses with a zone, as in `fe80::1%eth0`: the interface through which this machine reaches the address.
//!
//! Where the standard library looks up a name, it reads them too, but not where it parses an address. Addresses of Redis
//! have the same rule in the crate of its rules, which the sidecar does not know.

use std::net::Ipv6Addr;

/// The address without its zone; `None` for a text that is not an address with a zone.
pub fn without_zone(text: &str) -> Option<&str> {
    let (address, zone) = text.split_once('%')?;
    (!zone.is_empty() && address.parse::<Ipv6Addr>().is_ok()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_ipv6_address_has_a_zone() {
        assert_eq!(without_zone("fe80::1%eth0"), Some("fe80::1"));
        assert_eq!(without_zone("::1%1"), Some("::1"));
        for text in ["fe80::1", "fe80::1%", "127.0.0.1%1", "host%1", "[fe80::1%1]", "%1", ""] {
            assert_eq!(without_zone(text), None, "{text}");
        }
    }
}
