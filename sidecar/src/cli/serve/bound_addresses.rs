//! The addresses that this process has bound, so that the error about a second listener names the options of both.
//!
//! Two sockets of one process can be bound to the same address, and only listening fails, without saying why.

use std::net::{IpAddr, SocketAddr};

/// A bound address, as the system knows it and as the user typed it.
pub struct BoundAddress<'a> {
    pub address: SocketAddr,
    /// Whether it is the wildcard of IPv6, and stands for IPv4 as well.
    pub is_dual: bool,
    /// The address as it was typed. `None`: an empty address stands for it.
    pub typed: Option<&'a str>,
    pub names: Names<'a>,
}

/// The options, or variables, that gave the addresses of a port, and the port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Names<'a> {
    pub addresses: &'a str,
    pub port: &'a str,
}

/// The addresses that are taken.
#[derive(Default)]
pub struct BoundAddresses<'a>(Vec<BoundAddress<'a>>);

impl<'a> BoundAddresses<'a> {
    /// Fails if this place overlaps with one that is taken.
    pub fn check(&self, place: &BoundAddress<'_>) -> Result<(), String> {
        let clashes = |taken: &&BoundAddress<'_>| taken.includes(place) || place.includes(taken);
        match self.0.iter().find(clashes) {
            Some(taken) if taken.names == place.names => Err(twice(taken, place)),
            Some(taken) => Err(both(taken, place)),
            None => Ok(()),
        }
    }

    pub fn add(&mut self, place: BoundAddress<'a>) {
        self.0.push(place);
    }
}

impl BoundAddress<'_> {
    fn includes(&self, other: &BoundAddress<'_>) -> bool {
        let (ip, others) = (self.canonical().ip(), other.canonical().ip());
        let all = ip.is_unspecified() && (ip.is_ipv4() == others.is_ipv4() || self.is_dual);
        // The same link-local address may be bound in several zones.
        self.canonical() == other.canonical() || all && self.address.port() == other.address.port()
    }

    /// The address of IPv4, if the one of IPv6 stands for one.
    fn canonical(&self) -> SocketAddr {
        match self.address.ip().to_canonical() {
            ip @ IpAddr::V4(_) => SocketAddr::new(ip, self.address.port()),
            IpAddr::V6(_) => self.address,
        }
    }

    fn shown(&self) -> &str {
        self.typed.unwrap_or("an empty address, which stands for all,")
    }
}

/// Two addresses of one port.
fn twice(first: &BoundAddress<'_>, second: &BoundAddress<'_>) -> String {
    let option = first.names.addresses;
    if first.typed == second.typed {
        return format!("{option}: {} is given twice", first.shown());
    }
    if first.canonical() == second.canonical() && first.typed.is_some() && second.typed.is_some() {
        return format!("{option}: {} and {} are the same address", first.shown(), second.shown());
    }
    let second_is_wider = second.typed.is_none() || !first.includes(second);
    let (wide, narrow) = if second_is_wider { (second, first) } else { (first, second) };
    format!("{option}: {} includes {}: leave one of them out", wide.shown(), narrow.shown())
}

/// Two ports.
fn both(first: &BoundAddress<'_>, second: &BoundAddress<'_>) -> String {
    let (wide, narrow) = if first.includes(second) { (first, second) } else { (second, first) };
    let (wide, narrow) = (wide.address.ip(), narrow.address.ip());
    let place = match wide == narrow {
        true => format!("on {narrow}"),
        false => format!("on {narrow} and on {wide}, which includes it"),
    };
    let port = first.address.port();
    let (first, second) = (first.names.port, second.names.port);
    format!("{first} and {second} are both {port}, {place}: each needs a port of its own")
}
