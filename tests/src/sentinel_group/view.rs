//! The reports of sentinels and nodes about the group, and whether they agree.

use std::collections::HashMap;

use crate::redis_server::RedisServer;

/// The servers of a group.
pub(super) struct Servers {
    /// The name of the master.
    pub name: String,
    /// Master and replicas.
    pub nodes: Vec<RedisServer>,
    pub sentinels: Vec<RedisServer>,
    /// The nodes that neither sentinels nor replicas can reach.
    pub isolated: Vec<usize>,
}

impl Servers {
    /// Whether sentinels can reach a node.
    fn reached(&self, node: usize) -> bool {
        self.nodes[node].runs() && !self.isolated.contains(&node)
    }

    /// The node that the sentinels know by this port.
    fn node_at(&self, port: u16) -> Option<usize> {
        self.nodes.iter().position(|node| node.client_port() == port)
    }
}

/// A sentinel's report about one instance: the master, a replica or another sentinel.
type Instance = HashMap<String, String>;

/// The master, if every sentinel that runs names the same one and knows all other servers, and every node that can be
/// reached follows it. Else the server that differs.
pub(super) fn agreed(group: &Servers) -> Result<usize, String> {
    let running = || group.sentinels.iter().enumerate().filter(|(_, sentinel)| sentinel.runs());
    let (_, first) = running().next().ok_or("no sentinel runs")?;
    let master = master_of(group, first)?;
    // Asking a suspended master would block.
    if !group.reached(master) {
        return Err(format!("node {master}, the master, cannot be reached"));
    }
    for (i, sentinel) in running() {
        knows(group, sentinel, master).map_err(|why| format!("sentinel {i}: {why}"))?;
    }
    follow(group, master)?;
    Ok(master)
}

/// The master that a sentinel names to clients.
pub(super) fn master_of(group: &Servers, sentinel: &RedisServer) -> Result<usize, String> {
    let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &group.name];
    let address: Option<(String, u16)> = sentinel.ask(&words)?;
    let (_, port) = address.ok_or("a sentinel knows no master of this name")?;
    group.node_at(port).ok_or_else(|| format!("a sentinel names a master at port {port}"))
}

fn knows(group: &Servers, sentinel: &RedisServer, master: usize) -> Result<(), String> {
    let about = |what: &str| sentinel.ask(&["SENTINEL", what, &group.name]);
    let named: Instance = sentinel.ask(&["SENTINEL", "MASTER", &group.name])?;
    if port(&named, "port") != Some(group.nodes[master].client_port()) {
        return Err(format!("names another master than node {master}: {named:?}"));
    }
    if named["flags"] != "master" {
        return Err(format!("the master is {}", named["flags"]));
    }
    let replicas: Vec<Instance> = about("REPLICAS")?;
    let sentinels: Vec<Instance> = about("SENTINELS")?;
    for i in (0..group.nodes.len()).filter(|i| *i != master) {
        let port_of_node = Some(group.nodes[i].client_port());
        let replica = replicas.iter().find(|replica| port(replica, "port") == port_of_node);
        let replica = replica.ok_or_else(|| format!("does not know node {i}"))?;
        let follows = replica["flags"] == "slave"
            && replica["master-link-status"] == "ok"
            && port(replica, "master-port") == port(&named, "port");
        if group.reached(i) && !follows {
            return Err(format!("node {i} is {replica:?}"));
        }
    }
    for (i, other) in group.sentinels.iter().enumerate() {
        if std::ptr::eq(other, sentinel) {
            continue;
        }
        let port_of_other = Some(other.client_port());
        let known = sentinels.iter().find(|known| port(known, "port") == port_of_other);
        let known = known.ok_or_else(|| format!("does not know sentinel {i}"))?;
        let flags = &known["flags"];
        // Not the flags with the other sentinel's opinion of the master: they stay for 5 s.
        let lost = flags.split(',').any(|flag| ["s_down", "disconnected"].contains(&flag));
        if other.runs() && lost {
            return Err(format!("sentinel {i} is {flags}"));
        }
    }
    Ok(())
}

/// Whether every node that can be reached replicates the master, and the master knows it.
fn follow(group: &Servers, master: usize) -> Result<(), String> {
    let mut followers = 0;
    for i in (0..group.nodes.len()).filter(|i| group.reached(*i)) {
        let info: String = group.nodes[i].ask(&["INFO", "replication"])?;
        let has = |line: &str| info.lines().any(|given| given == line);
        let master_port = format!("master_port:{}", group.nodes[master].client_port());
        let right = match i == master {
            true => has("role:master"),
            false => has("role:slave") && has(&master_port) && has("master_link_status:up"),
        };
        if !right {
            return Err(format!("node {i} says {info}"));
        }
        followers += usize::from(i != master);
    }
    let info: String = group.nodes[master].ask(&["INFO", "replication"])?;
    match info.matches("state=online").count() {
        connected if connected >= followers => Ok(()),
        connected => Err(format!("the master has {connected} replicas of {followers}")),
    }
}

/// How much a master has written so far, in bytes of its stream to replicas.
pub(super) fn written(master: &RedisServer) -> Result<u64, String> {
    offset(master, "master_repl_offset")
}

/// Whether every replica that can be reached has this much of the master's stream.
pub(super) fn has_replicas_at(group: &Servers, master: usize, written: u64) -> Result<(), String> {
    for i in (0..group.nodes.len()).filter(|i| *i != master && group.reached(*i)) {
        let has = offset(&group.nodes[i], "slave_repl_offset")?;
        if has < written {
            return Err(format!("node {i} has {has} bytes of {written}"));
        }
    }
    Ok(())
}

fn offset(node: &RedisServer, field: &str) -> Result<u64, String> {
    let info: String = node.ask(&["INFO", "replication"])?;
    let values = info.lines().filter_map(|line| line.split_once(':'));
    let mut values = values.filter(|(name, _)| *name == field);
    let value = values.next().and_then(|(_, value)| value.parse().ok());
    value.ok_or_else(|| format!("no {field} in {info}"))
}

fn port(instance: &Instance, field: &str) -> Option<u16> {
    instance.get(field)?.parse().ok()
}
