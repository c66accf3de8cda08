//! The reports of the nodes of a cluster about each other, and whether they agree.

use std::collections::BTreeMap;

use crate::redis_server::RedisServer;

/// The nodes of a cluster.
#[derive(Default)]
pub(super) struct Nodes {
    pub servers: Vec<RedisServer>,
    /// Their ids, as they report them.
    pub ids: Vec<String>,
    /// Those that were cut off from the others.
    pub isolated: Vec<usize>,
}

impl Nodes {
    /// The nodes that run, and that the others reach.
    pub(super) fn running(&self) -> impl Iterator<Item = usize> {
        let reached = |node: &usize| self.servers[*node].runs() && !self.isolated.contains(node);
        (0..self.servers.len()).filter(reached)
    }
}

/// A node's report about the cluster: each node that it knows, by its id.
type View = BTreeMap<String, Known>;

/// A node's report about another node, or about itself.
#[derive(Debug)]
struct Known {
    flags: Vec<String>,
    master: String,
    linked: bool,
    slots: Vec<(u16, u16)>,
}

/// The nodes' roles and slots.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Roles(Vec<Role>);

#[derive(Debug, PartialEq, Eq)]
struct Role {
    node: usize,
    /// The id of its master; `-` if it is none's replica.
    master: String,
    /// Its slots, first and last of each range, in order.
    slots: Vec<(u16, u16)>,
}

impl Roles {
    /// The node that has a slot.
    pub(super) fn owner(&self, slot: u16) -> Result<usize, String> {
        let has = |role: &&Role| role.slots.iter().any(|(a, b)| (*a..=*b).contains(&slot));
        let owner = self.0.iter().find(has).map(|role| role.node);
        owner.ok_or_else(|| format!("no node has slot {slot}"))
    }

    /// Whether a node is a master, with or without slots.
    pub(super) fn is_master(&self, node: usize) -> bool {
        self.0.iter().any(|role| role.node == node && role.master == "-")
    }
}

/// The roles and slots of the running nodes, if all of them report the same, find the cluster usable and reach each
/// other, and if replicas are in sync. Else the node that differs.
pub(super) fn agreed(nodes: &Nodes) -> Result<Roles, String> {
    let running = || nodes.running();
    let first = running().next().ok_or("no node runs")?;
    let common = Roles(roles(nodes, first, running())?);
    for node in running() {
        let about = |why| format!("node {node}: {why}");
        usable(nodes, node).map_err(about)?;
        in_sync(&nodes.servers[node]).map_err(about)?;
        let own = Roles(roles(nodes, node, running())?);
        if own != common {
            return Err(format!("node {first} says {common:?}, node {node} says {own:?}"));
        }
    }
    Ok(common)
}

/// The roles and slots of all nodes, as the first that runs says them.
pub(super) fn said(nodes: &Nodes) -> Result<Roles, String> {
    let first = nodes.running().next().ok_or("no node runs")?;
    roles(nodes, first, 0..nodes.servers.len()).map(Roles)
}

/// A node's report about some nodes.
fn roles(
    nodes: &Nodes,
    teller: usize,
    mut of: impl Iterator<Item = usize>,
) -> Result<Vec<Role>, String> {
    let mut view = view(&nodes.servers[teller])?;
    of.try_fold(Vec::new(), |mut roles, node| {
        let known = view.remove(&nodes.ids[node]);
        let known = known.ok_or_else(|| format!("node {teller} does not know node {node}"))?;
        roles.push(Role { node, master: known.master, slots: known.slots });
        Ok(roles)
    })
}

/// Whether a node says that the cluster is usable, and reaches all nodes that run.
fn usable(nodes: &Nodes, node: usize) -> Result<(), String> {
    let state: String = nodes.servers[node].ask(&["CLUSTER", "INFO"])?;
    if !state.lines().any(|line| line == "cluster_state:ok") {
        return Err(state);
    }
    let view = view(&nodes.servers[node])?;
    for other in nodes.running() {
        let known = view.get(&nodes.ids[other]);
        let wrong = ["fail", "fail?", "handshake", "noaddr"];
        let there = known.is_some_and(|known| {
            known.linked && !known.flags.iter().any(|flag| wrong.contains(&flag.as_str()))
        });
        if !there {
            return Err(format!("node {other} is {known:?}"));
        }
    }
    Ok(())
}

/// Whether a node knows the nodes of these ids, and none that has no id yet.
pub(super) fn knows(node: &RedisServer, ids: &[String]) -> Result<(), String> {
    let view = view(node)?;
    match ids.iter().all(|id| view.contains_key(id)) && view.len() == ids.len() {
        true => Ok(()),
        false => Err(format!("only {view:?}")),
    }
}

/// Whether a node is a master, or a replica that has what its master has.
fn in_sync(node: &RedisServer) -> Result<(), String> {
    let info: String = node.ask(&["INFO", "replication"])?;
    let has = |line: &str| info.lines().any(|given| given == line);
    match has("role:master") || has("master_link_status:up") {
        true => Ok(()),
        false => Err(info),
    }
}

/// The node to which a node gives a slot, by its id.
pub(super) fn destination(node: &RedisServer, slot: u16) -> Result<String, String> {
    let nodes: String = node.ask(&["CLUSTER", "NODES"])?;
    let start = format!("[{slot}->-");
    let mark = nodes.split_whitespace().find_map(|word| word.strip_prefix(&start));
    let id = mark.and_then(|rest| rest.strip_suffix(']'));
    id.map(str::to_owned).ok_or_else(|| format!("slot {slot} does not move: {nodes}"))
}

fn view(node: &RedisServer) -> Result<View, String> {
    let nodes: String = node.ask(&["CLUSTER", "NODES"])?;
    let known = nodes.lines().map(|line| known(line).ok_or_else(|| format!("a line {line:?}")));
    known.collect()
}

/// Reads a line `ID HOST:PORT@BUS FLAGS MASTER PING PONG EPOCH LINK SLOT…`.
fn known(line: &str) -> Option<(String, Known)> {
    let words: Vec<&str> = line.split(' ').collect();
    let [id, _, flags, master, _, _, _, link, slots @ ..] = words.as_slice() else { return None };
    let flags: Vec<String> = flags.split(',').map(str::to_owned).collect();
    let linked = *link == "connected" || flags.iter().any(|flag| flag == "myself");
    // In brackets are slots that move.
    let slots = slots.iter().filter(|word| !word.starts_with('['));
    let slots = slots.map(|word| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        Some((first.parse().ok()?, last.parse().ok()?))
    });
    let slots = slots.collect::<Option<_>>()?;
    Some(((*id).to_owned(), Known { flags, master: (*master).to_owned(), linked, slots }))
}
