//! The answers of a node of a Redis Cluster about a key that another node has: `MOVED` and `ASK`.

use crate::address::{self, Address};

/// The word that a node wants before a command that another node [sent to it](Redirect::Ask).
pub const ASKING: [&str; 1] = ["ASKING"];

/// What to do about a redirect of a server that should be the only one. The text follows the error line.
pub const NEEDS_CLUSTER: &str = "the server is a node of a cluster: set redisType to cluster";

/// Where a key is. The node that redirects has done nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// The slot is at this address from now on.
    Moved(u16, NodeAddress),
    /// Only this key is at this address, for this command: its slot is moving there.
    Ask(NodeAddress),
}

/// An address as a node reports it. Without a host, it has the host of that node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    host: Option<alloc::string::String>,
    port: u16,
}

impl NodeAddress {
    /// The address, if the node that reported it is at `host`.
    pub fn seen_from(self, host: &str) -> Address {
        Address { host: self.host.unwrap_or_else(|| host.into()), port: self.port }
    }
}

impl Redirect {
    /// Reads an error line; `None` for any other error.
    pub fn read(error: &str) -> Option<Self> {
        let mut words = error.split(' ');
        let (code, slot, place) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
        let (host, port) = place.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = match host {
            "" | "?" => None,
            host => Some(host.into()),
        };
        let place = NodeAddress { host, port: address::parse_port(port).ok()? };
        match code {
            "MOVED" => Some(Self::Moved(slot, place)),
            "ASK" => Some(Self::Ask(place)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn read(error: &str) -> Option<(bool, alloc::string::String)> {
        Redirect::read(error).map(|redirect| match redirect {
            Redirect::Moved(slot, place) => {
                assert_eq!(slot, 3999);
                (true, place.seen_from("here").to_string())
            }
            Redirect::Ask(place) => (false, place.seen_from("here").to_string()),
        })
    }

    #[test]
    fn a_node_says_where_a_key_is() {
        for (error, expected) in [
            ("MOVED 3999 127.0.0.1:6381", (true, "127.0.0.1:6381")),
            ("ASK 3999 127.0.0.1:6381", (false, "127.0.0.1:6381")),
            ("MOVED 3999 ::1:6381", (true, "[::1]:6381")),
            ("MOVED 3999 [::1]:6381", (true, "[::1]:6381")),
            ("MOVED 3999 :6381", (true, "here:6381")),
            ("ASK 3999 ?:6381", (false, "here:6381")),
            ("MOVED 3999 node-1.example:6381", (true, "node-1.example:6381")),
        ] {
            assert_eq!(read(error), Some((expected.0, expected.1.to_string())), "{error}");
        }
    }

    #[test]
    fn other_errors_say_nothing() {
        for error in
            ["", "MOVED", "MOVED 1", "MOVED x h:1", "MOVED 1 h", "MOVED 1 h:0", "TRYAGAIN 1 h:1"]
        {
            assert_eq!(Redirect::read(error), None, "{error}");
        }
    }
}
