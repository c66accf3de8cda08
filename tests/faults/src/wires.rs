//! The wires between servers that all listen on 127.0.0.1, in the driver's namespace: each server comes to the others
//! from an address of its own, so that traffic between two of them can be distinguished from that of clients.
//!
//! Routing rules cut a server off. The packets between it and the others are lost silently, and the kernel sends them
//! again until the rules are gone. Clients reach the server all the time.

use std::{
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
};

use anyhow::{Context, Result};
use holdfast_tests::redis_cluster::NodeEnds;

use crate::namespace::{NOBODY, run};

/// How many networks there are before the first is used again.
const NETWORKS: u8 = 200;

/// The priority of the rule by which the kernel finds its own addresses. Ours come before it.
const OWN_ADDRESSES: &str = "1000";

/// The table of routes by which everything is lost.
const LOST: &str = "100";

static MADE: AtomicU8 = AtomicU8::new(0);

/// The wires between the servers of a run.
pub struct Wires {
    number: u8,
}

impl Wires {
    /// Makes wires for another group of servers.
    pub fn make() -> Result<Self> {
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        if made == 0 {
            prepare()?;
        }
        let wires = Self { number: made % NETWORKS };
        ip(&["address", "replace", &wires.addresses(), "dev", "lo"])?;
        Ok(wires)
    }

    /// The network that the servers come from: the beginning of an address.
    pub fn network(&self) -> String {
        format!("10.89.{}", self.number)
    }

    /// Cuts a server off from the others.
    pub fn cut_off(&self, node: &NodeEnds) -> Result<()> {
        // A client without a route would use another source address, so the first packet of a connection gets a route that ends nowhere.
        self.rule(&["from", &node.source, "lookup", LOST])?;
        self.rule(&["to", &node.source, "blackhole"])?;
        let others = self.addresses();
        for port in node.ports.map(|port| port.to_string()) {
            self.rule(&["from", &others, "ipproto", "tcp", "dport", &port, "lookup", LOST])?;
            self.rule(&["to", &others, "ipproto", "tcp", "sport", &port, "blackhole"])?;
        }
        Ok(())
    }

    /// Mends all wires.
    pub fn mend(&self) {
        // Each call removes one rule, and the last finds none.
        while ip(&["rule", "del", "priority", &self.priority()]).is_ok() {}
    }

    fn rule(&self, words: &[&str]) -> Result<()> {
        ip(&[&["rule", "add", "priority", &self.priority()], words].concat())
    }

    fn addresses(&self) -> String {
        format!("{}.0/24", self.network())
    }

    fn priority(&self) -> String {
        format!("{}", u16::from(self.number) + 1)
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        self.mend();
    }
}

/// Makes the table of routes by which everything is lost, and lets rules come before the kernel's own.
fn prepare() -> Result<()> {
    ip(&["link", "add", "name", "lost", "type", "veth", "peer", "name", "nowhere"])?;
    for end in ["lost", "nowhere"] {
        ip(&["link", "set", end, "up"])?;
    }
    ip(&["route", "add", "default", "dev", "lost", "table", LOST])?;
    ip(&["neigh", "add", "127.0.0.1", "lladdr", NOBODY, "nud", "permanent", "dev", "lost"])?;
    ip(&["rule", "add", "priority", OWN_ADDRESSES, "lookup", "local"])?;
    // There is no place before the kernel's own rule, which has the priority 0.
    ip(&["rule", "del", "priority", "0"])
}

fn ip(words: &[&str]) -> Result<()> {
    run(Command::new("ip").args(words)).context("a wire between servers")
}
