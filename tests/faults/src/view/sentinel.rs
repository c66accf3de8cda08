//! Looks into the master that all sentinels name.

use redis::RedisResult;

use super::{View, link::Link};
use crate::history::Observation;

/// Looks into the master that all sentinels name.
pub struct SentinelView {
    name: String,
    sentinels: Vec<Link>,
    nodes: Vec<Link>,
    /// The port of the master that they named after the last look.
    named: Option<u16>,
}

impl SentinelView {
    /// Looks into the master of this name, which these sentinels know, and which is one of these nodes.
    pub fn new(name: String, sentinels: Vec<u16>, nodes: Vec<u16>) -> Self {
        let links = |ports: Vec<u16>| ports.into_iter().map(Link::new).collect();
        Self { name, sentinels: links(sentinels), nodes: links(nodes), named: None }
    }

    /// The port of the master, if all sentinels name the same.
    fn ask(&mut self) -> RedisResult<Option<u16>> {
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let mut named = Vec::new();
        for sentinel in &mut self.sentinels {
            let address: Option<(String, u16)> = sentinel.run(&question)?;
            named.push(address.map(|(_, port)| port));
        }
        let first = named.first().copied().flatten();
        Ok(first.filter(|_| named.iter().all(|port| *port == first)))
    }
}

impl View for SentinelView {
    /// The value at a node is true if the node was the master all the time, whichever sentinel a worker asked.
    fn look(&mut self, keys: &[String]) -> RedisResult<Vec<Observation>> {
        let before = self.named.take();
        let master = self.nodes.iter_mut().find(|node| Some(node.port()) == before);
        let seen = master.map(|master| master.look(keys));
        self.named = self.ask()?;
        if before != self.named {
            return Ok(Vec::new());
        }
        seen.unwrap_or(Ok(Vec::new()))
    }
}
