//! Looks into the node of a Redis Cluster that all nodes name for a slot.

use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind};

use super::{View, link::Link};
use crate::history::{Observation, now};

/// Looks into the node that has a slot.
pub struct ClusterView {
    nodes: Vec<Link>,
    /// The port of the node that they named after the last look.
    named: Option<u16>,
}

impl ClusterView {
    /// Looks into the nodes on these ports of 127.0.0.1. All keys are in one slot.
    pub fn new(nodes: Vec<u16>) -> Self {
        Self { nodes: nodes.into_iter().map(Link::new).collect(), named: None }
    }

    /// The port of the node that has a key, if all that answer name the same.
    fn ask(&mut self, key: &str) -> Option<u16> {
        let named = |node: &mut Link| match node.run::<Option<String>>(&get(key)) {
            Ok(_) => Some(node.port()),
            Err(error) => match error.kind() {
                // The slot's owner answers ASK for a key that is on its way.
                ErrorKind::Server(ServerErrorKind::Ask) => Some(node.port()),
                _ => other(&error),
            },
        };
        let mut named = self.nodes.iter_mut().filter_map(named);
        let first = named.next();
        named.all(|port| Some(port) == first).then_some(first).flatten()
    }

    /// The value of a key at a node, or at the node that this one redirects to.
    fn look_at(&mut self, key: &str, at: u16) -> RedisResult<Observation> {
        match self.read(key, at) {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::Ask) => {
                let to = other(&error).ok_or(error)?;
                self.node(to)?.run::<()>(&redis::cmd("ASKING"))?;
                self.read(key, to)
            }
            seen => seen,
        }
    }

    fn read(&mut self, key: &str, at: u16) -> RedisResult<Observation> {
        let start = now();
        let owner = self.node(at)?.run(&get(key))?;
        Ok(Observation { key: key.to_owned(), owner, start, end: now() })
    }

    fn node(&mut self, port: u16) -> RedisResult<&mut Link> {
        let node = self.nodes.iter_mut().find(|node| node.port() == port);
        node.ok_or_else(|| (ErrorKind::UnexpectedReturnType, "no node has this port").into())
    }
}

impl View for ClusterView {
    /// The value at a node is true if the node had the slot all the time, whichever node a worker asked.
    fn look(&mut self, keys: &[String]) -> RedisResult<Vec<Observation>> {
        let [first, ..] = keys else { return Ok(Vec::new()) };
        let before = self.named.take();
        let mut seen: Vec<_> = Vec::new();
        if let Some(at) = before {
            // A key whose read failed is read the next time.
            seen.extend(keys.iter().filter_map(|key| self.look_at(key, at).ok()));
        }
        self.named = self.ask(first);
        if before != self.named {
            seen.clear();
        }
        Ok(seen)
    }
}

fn get(key: &str) -> Cmd {
    let mut command = redis::cmd("GET");
    command.arg(key);
    command
}

/// The port of the node that an answer names.
fn other(error: &RedisError) -> Option<u16> {
    let (address, _) = error.redirect_node()?;
    address.rsplit_once(':')?.1.parse().ok()
}
