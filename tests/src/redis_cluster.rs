//! A Redis Cluster, for one test: masters that share the slots, and their replicas.

mod options;
mod view;

pub use options::ClusterOptions;

use options::{BUS_PORT, source};
use view::Nodes;

use crate::{
    certificates::Authority, eventually_ok, redis_options::HOST, redis_server::RedisServer,
};

/// How many slots a cluster has.
pub const SLOTS: u16 = 16_384;

/// How long a node waits for another one to take keys, in milliseconds: less than a test waits for a command.
const MOVING: &str = "2000";

/// A cluster that runs until it is dropped.
///
/// Nodes are numbered in the order in which they were started, and keep their numbers whatever they become: first
/// the masters, then a replica of each, then a second one of each, then those that were added. Commands of a test
/// use the ports without TLS. Needs Redis 7.
pub struct RedisCluster {
    options: ClusterOptions,
    authority: Authority,
    nodes: Nodes,
}

/// The ports at which other nodes find a node, and the address from which it connects to them.
pub struct NodeEnds {
    /// The source address of its connections.
    pub source: String,
    /// The ports of 127.0.0.1 on which it listens.
    pub ports: [u16; 2],
}

impl RedisCluster {
    /// Starts 3 masters with a replica each, without password and TLS.
    ///
    /// # Panics
    ///
    /// As [`start_with`](Self::start_with).
    pub async fn start() -> Self {
        Self::start_with(ClusterOptions::default()).await
    }

    /// Starts a cluster whose masters have about as many slots each, and waits until it is usable and all nodes
    /// agree on the slots. This takes 2 seconds, since a node that starts waits that long before it answers.
    ///
    /// # Panics
    ///
    /// When a node does not start, or when that takes longer than 60 seconds.
    pub async fn start_with(options: ClusterOptions) -> Self {
        let masters = options.masters;
        let count = masters * (1 + options.replicas);
        let authority = Authority::new();
        let mut cluster = Self { options, authority, nodes: Nodes::default() };
        for _ in 0..count {
            cluster.start_node();
        }
        for (i, master) in cluster.nodes.servers[..masters].iter().enumerate() {
            // Rounded, as redis-cli shares them.
            let first = |i: usize| (usize::from(SLOTS) * i + masters / 2) / masters;
            let (from, to) = (first(i).to_string(), (first(i + 1) - 1).to_string());
            master.run::<()>(&["CLUSTER", "ADDSLOTSRANGE", &from, &to]);
            // Nodes with one epoch would first have to find out which gets another.
            master.run::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(i + 1).to_string()]);
        }
        for node in 1..count {
            cluster.meet(node);
        }
        cluster.acquainted().await;
        for replica in masters..count {
            cluster.replicate(replica, replica % masters);
        }
        cluster.settled().await;
        cluster
    }

    /// The authority that signed the certificates of the nodes, which are for `127.0.0.1`.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The `host:port` of each node, also of one that was killed; with TLS the port with TLS.
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.servers.iter().map(RedisServer::client_address).collect()
    }

    /// The [`addresses`](Self::addresses) with commas between, as `redisHost` takes them.
    pub fn hosts(&self) -> String {
        self.addresses().join(",")
    }

    /// The nodes.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes.servers
    }

    /// The slot of a key.
    ///
    /// # Panics
    ///
    /// When no node runs.
    pub fn slot_of(&self, key: &str) -> u16 {
        let node = self.nodes.running().next().expect("a node that runs");
        self.nodes.servers[node].run(&["CLUSTER", "KEYSLOT", key])
    }

    /// The node that has a slot, as the first node that runs says.
    ///
    /// # Panics
    ///
    /// When no node runs, or none has the slot.
    pub fn owner_of(&self, slot: u16) -> usize {
        view::said(&self.nodes).and_then(|roles| roles.owner(slot)).expect("an owner")
    }

    /// The node that has the slot of a key, as [`owner_of`](Self::owner_of) says.
    ///
    /// # Panics
    ///
    /// When no node runs, or none has the slot.
    pub fn node_of(&self, key: &str) -> &RedisServer {
        &self.nodes.servers[self.owner_of(self.slot_of(key))]
    }

    /// Waits until the cluster is usable, all nodes that run agree on roles and slots, and all replicas among them
    /// are in sync.
    ///
    /// # Panics
    ///
    /// When that takes longer than 60 seconds; the message says who does not agree.
    pub async fn settled(&self) {
        eventually_ok("the nodes agree", || view::agreed(&self.nodes)).await;
    }

    /// Waits until the cluster has [settled](Self::settled) with a slot at another node than this one. Returns it.
    ///
    /// # Panics
    ///
    /// When that takes longer than 60 seconds; the message says who does not agree.
    pub async fn promoted(&self, slot: u16, instead_of: usize) -> usize {
        eventually_ok("another node gets the slot", || {
            match view::agreed(&self.nodes)?.owner(slot)? {
                owner if owner == instead_of => Err(format!("slot {slot} is still at {owner}")),
                owner => Ok(owner),
            }
        })
        .await
    }

    /// The ports at which other nodes find a node, and the address from which it connects to them.
    ///
    /// # Panics
    ///
    /// When the nodes have no [network](ClusterOptions::network) of their own.
    pub fn ends(&self, node: usize) -> NodeEnds {
        let network = self.options.network.as_deref().expect("a network of the nodes");
        let server = &self.nodes.servers[node];
        NodeEnds {
            source: source(network, node),
            ports: [server.client_port(), server.port_of(BUS_PORT)],
        }
    }

    /// Notes that a node was cut off from the others: they go on without it, and the test does not ask it which node
    /// has which slots. [`promoted`](Self::promoted) waits until the others agree.
    pub fn isolated(&mut self, node: usize) {
        self.nodes.isolated.push(node);
    }

    /// Notes that a node reaches the others again: [`settled`](Self::settled) waits until it agrees with them.
    pub fn rejoined(&mut self, node: usize) {
        self.nodes.isolated.retain(|isolated| *isolated != node);
    }

    /// Kills a node. Its master or replicas go on without it: [`promoted`](Self::promoted) waits for that.
    pub fn kill(&mut self, node: usize) {
        self.nodes.servers[node].kill();
    }

    /// Starts a node that was killed, without its data unless the options keep them. If its slots went to another
    /// node, it becomes that node's replica: [`settled`](Self::settled) waits for that.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart(&mut self, node: usize) {
        self.nodes.servers[node].restart();
    }

    /// Makes a replica the master of its master's slots, while that runs and becomes the replica.
    ///
    /// # Panics
    ///
    /// When the node is no replica, or that takes longer than 60 seconds.
    pub async fn failover(&self, replica: usize) {
        self.nodes.servers[replica].run::<()>(&["CLUSTER", "FAILOVER"]);
        eventually_ok("the replica becomes a master", || {
            match view::agreed(&self.nodes)?.is_master(replica) {
                true => Ok(()),
                false => Err(format!("node {replica} is a replica")),
            }
        })
        .await;
    }

    /// Begins to move a slot to another node. The slot stays at its owner, which answers `ASK` for keys that it
    /// does not have.
    ///
    /// # Panics
    ///
    /// When the other node is no master or has the slot.
    pub fn begin_migration(&self, slot: u16, to: usize) {
        let from = self.owner_of(slot);
        let set = |node: usize, state: &str, other: usize| {
            let words = ["CLUSTER", "SETSLOT", &slot.to_string(), state, &self.nodes.ids[other]];
            self.nodes.servers[node].run::<()>(&words);
        };
        set(to, "IMPORTING", from);
        set(from, "MIGRATING", to);
    }

    /// Moves all keys of a slot to the node to which the slot [moves](Self::begin_migration). Returns them.
    ///
    /// # Panics
    ///
    /// When the slot does not move, or a key cannot be moved.
    pub fn migrate_keys(&self, slot: u16) -> Vec<String> {
        let (from, to) = self.migration(slot);
        let (from, to) = (&self.nodes.servers[from], &self.nodes.servers[to]);
        let mut moved = Vec::new();
        loop {
            let words = ["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), "100"];
            let keys: Vec<String> = from.run(&words);
            if keys.is_empty() {
                return moved;
            }
            let port = to.client_port().to_string();
            let mut words = vec!["MIGRATE", HOST, &port, "", "0", MOVING];
            words.extend(self.options.password.iter().flat_map(|password| ["AUTH", password]));
            words.push("KEYS");
            words.extend(keys.iter().map(String::as_str));
            from.run::<()>(&words);
            moved.extend(keys);
        }
    }

    /// Gives a slot to the node to which it [moves](Self::begin_migration), and waits until all nodes know it.
    ///
    /// # Panics
    ///
    /// When the slot does not move, its owner still has keys of it, or that takes longer than 60 seconds.
    pub async fn end_migration(&self, slot: u16) {
        let (from, to) = self.migration(slot);
        let roles = view::said(&self.nodes).expect("roles");
        let others = self.nodes.running().filter(|node| ![from, to].contains(node));
        // The new owner first: if the old one gave the slot up first, nobody would have it.
        for node in [to, from].into_iter().chain(others.filter(|node| roles.is_master(*node))) {
            let words = ["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &self.nodes.ids[to]];
            self.nodes.servers[node].run::<()>(&words);
        }
        self.promoted(slot, from).await;
    }

    /// Moves a slot with its keys to another node, and waits until all nodes know it.
    ///
    /// # Panics
    ///
    /// When the other node is no master or has the slot, or that takes longer than 60 seconds.
    pub async fn move_slot(&self, slot: u16, to: usize) {
        self.begin_migration(slot, to);
        self.migrate_keys(slot);
        self.end_migration(slot).await;
    }

    /// Adds a master without slots, and waits until all nodes know it. Returns its number.
    ///
    /// # Panics
    ///
    /// When it does not start, or when that takes longer than 60 seconds.
    pub async fn add_master(&mut self) -> usize {
        let node = self.start_node();
        self.meet(node);
        self.acquainted().await;
        self.settled().await;
        node
    }

    /// Adds a replica of a master, and waits until it is in sync and all nodes know it. Returns its number.
    ///
    /// # Panics
    ///
    /// When it does not start, or when that takes longer than 60 seconds.
    pub async fn add_replica(&mut self, of: usize) -> usize {
        let node = self.add_master().await;
        self.replicate(node, of);
        eventually_ok("a node becomes a replica", || {
            match view::agreed(&self.nodes)?.is_master(node) {
                true => Err(format!("node {node} is a master")),
                false => Ok(()),
            }
        })
        .await;
        node
    }

    fn start_node(&mut self) -> usize {
        let number = self.nodes.servers.len();
        let node = RedisServer::start_by_options(self.options.node(&self.authority, number));
        self.nodes.ids.push(node.run(&["CLUSTER", "MYID"]));
        self.nodes.servers.push(node);
        number
    }

    /// Makes a node and those before it know each other, without waiting until they learn it from each other.
    fn meet(&self, node: usize) {
        let new = &self.nodes.servers[node];
        let (port, bus) = (new.client_port().to_string(), new.port_of(BUS_PORT).to_string());
        for other in self.nodes.running().filter(|other| *other < node) {
            self.nodes.servers[other].run::<()>(&["CLUSTER", "MEET", HOST, &port, &bus]);
        }
    }

    /// Waits until all nodes that run know all nodes.
    async fn acquainted(&self) {
        eventually_ok("the nodes know each other", || {
            self.nodes.running().try_for_each(|node| {
                let known = view::knows(&self.nodes.servers[node], &self.nodes.ids);
                known.map_err(|why| format!("node {node} knows {why}"))
            })
        })
        .await;
    }

    fn replicate(&self, replica: usize, master: usize) {
        self.nodes.servers[replica].run::<()>(&["CLUSTER", "REPLICATE", &self.nodes.ids[master]]);
    }

    /// From which node to which a slot moves.
    fn migration(&self, slot: u16) -> (usize, usize) {
        let from = self.owner_of(slot);
        let to = view::destination(&self.nodes.servers[from], slot).expect("a slot that moves");
        (from, self.nodes.ids.iter().position(|id| *id == to).expect("a node of the cluster"))
    }
}
