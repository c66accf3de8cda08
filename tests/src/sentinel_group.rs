//! A Redis master, its replicas, and the sentinels that watch them and promote another when the master is lost,
//! for one test.

mod options;
mod view;

pub use options::SentinelOptions;

use options::{REPLICAS_USER, SENTINELS_USER};
use view::Servers;

use crate::{certificates::Authority, eventually_ok, redis_server::RedisServer};

/// Times of the sentinels in milliseconds, which by default are as long as tests: those of Redis 7.
const TIMES: [(&str, &str); 4] = [
    // How often a sentinel asks a node for its role. A node promoted or demoted outside a failover is noticed then.
    ("INFO-PERIOD", "500"),
    // How often a sentinel shares its state with the others. A master that comes back late is demoted after four.
    ("PUBLISH-PERIOD", "200"),
    // The least time before a silent connection is replaced.
    ("MIN-LINK-RECONNECT-PERIOD", "1000"),
    // How long a sentinel does nothing after it stood still for 2 s.
    ("TILT-PERIOD", "1000"),
];

/// A master, its replicas and their sentinels, which run until this is dropped.
///
/// Nodes are numbered in the order in which they were started: 0 is the first master, and keeps its number
/// whatever it becomes. So are sentinels. Commands of a test use the ports without TLS, as the default user of
/// nodes, and as the user of sentinels that the options name.
pub struct SentinelGroup {
    options: SentinelOptions,
    authority: Authority,
    servers: Servers,
}

impl SentinelGroup {
    /// Starts a master with 2 replicas and 3 sentinels, without passwords and TLS.
    ///
    /// # Panics
    ///
    /// As [`start_with`](Self::start_with).
    pub async fn start() -> Self {
        Self::start_with(SentinelOptions::default()).await
    }

    /// Starts a group, and waits until all replicas are in sync and every sentinel knows all servers.
    ///
    /// # Panics
    ///
    /// When a server does not start, or when that takes longer than 60 seconds.
    pub async fn start_with(options: SentinelOptions) -> Self {
        let authority = Authority::new();
        let nodes = (0..=options.replicas)
            .map(|_| RedisServer::start_by_options(options.node(&authority)))
            .collect();
        let name = options.name.clone();
        let servers = Servers { name, nodes, sentinels: Vec::new(), isolated: Vec::new() };
        let mut group = Self { options, authority, servers };
        let master = group.servers.nodes[0].client_port().to_string();
        for replica in &group.servers.nodes[1..] {
            replica.run::<()>(&["REPLICAOF", group.options.host(), &master]);
            // So that it is a replica after a restart too.
            replica.run::<()>(&["CONFIG", "REWRITE"]);
        }
        for _ in 0..group.options.sentinels {
            group.start_sentinel(0);
        }
        assert_eq!(group.settled().await, 0);
        group
    }

    /// The name of the master, as clients ask for it.
    pub fn name(&self) -> &str {
        &self.servers.name
    }

    /// The authority that signed the certificates of everything, which are for `127.0.0.1`.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The `host:port` of each sentinel, also of one that was stopped; with TLS the port with TLS.
    pub fn addresses(&self) -> Vec<String> {
        self.servers.sentinels.iter().map(RedisServer::client_address).collect()
    }

    /// The [`addresses`](Self::addresses) with commas between, as `redisHost` takes them.
    pub fn hosts(&self) -> String {
        self.addresses().join(",")
    }

    /// Master and replicas.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.servers.nodes
    }

    /// The `host:port` of a node, as the sentinels name it.
    pub fn node_address(&self, node: usize) -> String {
        format!("{}:{}", self.options.host(), self.servers.nodes[node].client_port())
    }

    /// The sentinels.
    pub fn sentinels(&self) -> &[RedisServer] {
        &self.servers.sentinels
    }

    /// The node that the first sentinel that runs names to clients as the master.
    ///
    /// # Panics
    ///
    /// When none runs, or it names none.
    pub fn master_index(&self) -> usize {
        let sentinel = self.servers.sentinels.iter().find(|sentinel| sentinel.runs());
        view::master_of(&self.servers, sentinel.expect("a sentinel that runs")).expect("a master")
    }

    /// The node that [`master_index`](Self::master_index) is.
    ///
    /// # Panics
    ///
    /// When no sentinel runs, or it names none.
    pub fn master(&self) -> &RedisServer {
        &self.servers.nodes[self.master_index()]
    }

    /// Waits until every sentinel that runs names the same master and knows all other servers, and every node that can
    /// be reached is in sync with that master. Returns the master. Sentinels and nodes that were stopped, suspended or
    /// isolated are not asked.
    ///
    /// # Panics
    ///
    /// When that takes longer than 60 seconds; the message says who does not agree.
    pub async fn settled(&self) -> usize {
        eventually_ok("the sentinels and their nodes agree", || view::agreed(&self.servers)).await
    }

    /// Waits until the group has [settled](Self::settled) on another master than this node. Returns it.
    ///
    /// # Panics
    ///
    /// When that takes longer than 60 seconds; the message says who does not agree.
    pub async fn promoted(&self, instead_of: usize) -> usize {
        eventually_ok("the sentinels promote another node", || match view::agreed(&self.servers)? {
            master if master == instead_of => Err(format!("node {master} is still the master")),
            master => Ok(master),
        })
        .await
    }

    /// Waits until every replica that can be reached has all writes to the master so far.
    ///
    /// # Panics
    ///
    /// When that takes longer than 60 seconds, or there is no master.
    pub async fn replicated(&self) {
        let master = self.master_index();
        let written = view::written(&self.servers.nodes[master]).expect("what the master has");
        eventually_ok("replicas have everything", || {
            view::has_replicas_at(&self.servers, master, written)
        })
        .await;
    }

    /// Lets the sentinels promote another node while the master runs, and waits until they have, and the old
    /// master is a replica. Returns the new master.
    ///
    /// # Panics
    ///
    /// When that takes longer than 60 seconds.
    pub async fn failover(&self) -> usize {
        let old = self.master_index();
        let sentinel = self.servers.sentinels.iter().find(|sentinel| sentinel.runs());
        let sentinel = sentinel.expect("a sentinel that runs");
        eventually_ok("the sentinels promote another node", || match view::agreed(&self.servers)? {
            // None is under way: it was not asked yet, refused while the last one ended, or gave up.
            master if master == old => {
                let words = ["SENTINEL", "FAILOVER", &self.servers.name];
                sentinel.try_command::<()>(&words).map_err(|error| error.to_string())?;
                Err(format!("node {master} is still the master"))
            }
            master => Ok(master),
        })
        .await
    }

    /// Kills a node.
    pub fn kill_node(&mut self, node: usize) {
        self.servers.nodes[node].kill();
    }

    /// Kills the master, and waits until the sentinels have promoted another node. Returns the old master.
    ///
    /// # Panics
    ///
    /// When that takes longer than 60 seconds.
    pub async fn kill_master(&mut self) -> usize {
        let old = self.master_index();
        self.kill_node(old);
        self.promoted(old).await;
        old
    }

    /// Starts a node that was killed, without its data unless the options keep them. It begins with its last role, and
    /// the sentinels assign its new role: [`settled`](Self::settled) waits for that.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart_node(&mut self, node: usize) {
        self.servers.nodes[node].restart();
        self.servers.isolated.retain(|isolated| *isolated != node);
    }

    /// Cuts a node off from sentinels and replicas at once, as a partition does, but not from clients: it keeps its
    /// role, and if it is the master, the sentinels find it down and promote another, which
    /// [`promoted`](Self::promoted) waits for.
    ///
    /// The network is as it was: the node refuses all commands of the users as whom sentinels and replicas come,
    /// which they take for silence.
    ///
    /// # Panics
    ///
    /// When it cannot be ordered to.
    pub fn isolate(&mut self, node: usize) {
        for user in [SENTINELS_USER, REPLICAS_USER] {
            self.servers.nodes[node].run::<()>(&["ACL", "SETUSER", user, "-@all"]);
        }
        // Writes from here on reach no replica.
        self.servers.nodes[node].run::<()>(&["CLIENT", "KILL", "TYPE", "replica"]);
        self.servers.isolated.push(node);
    }

    /// [Isolates](Self::isolate) the master, and waits until the sentinels have promoted another node. Returns
    /// the old master, which still takes writes, unless the options ask for replicas.
    ///
    /// # Panics
    ///
    /// When that takes longer than 60 seconds.
    pub async fn isolate_master(&mut self) -> usize {
        let old = self.master_index();
        self.isolate(old);
        self.promoted(old).await;
        old
    }

    /// Ends the effect of [`isolate`](Self::isolate). The sentinels make the node a replica if there is another master,
    /// and it loses the keys that it alone has: [`settled`](Self::settled) waits for that.
    ///
    /// # Panics
    ///
    /// When it cannot be ordered to.
    pub fn rejoin(&mut self, node: usize) {
        for user in [SENTINELS_USER, REPLICAS_USER] {
            self.servers.nodes[node].run::<()>(&["ACL", "SETUSER", user, "+@all"]);
        }
        self.servers.isolated.retain(|isolated| *isolated != node);
    }

    /// Kills a sentinel. The others keep it in their lists.
    pub fn stop_sentinel(&mut self, sentinel: usize) {
        self.servers.sentinels[sentinel].kill();
    }

    /// Starts a sentinel that was stopped, with its earlier state. [`settled`](Self::settled) waits until it knows the
    /// rest.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart_sentinel(&mut self, sentinel: usize) {
        self.servers.sentinels[sentinel].restart();
        hurry(&self.servers.sentinels[sentinel]);
    }

    /// Starts another sentinel, and waits until it and the others know each other. Returns its number.
    ///
    /// # Panics
    ///
    /// When it does not start, or when that takes longer than 60 seconds.
    pub async fn add_sentinel(&mut self) -> usize {
        self.start_sentinel(self.master_index());
        self.settled().await;
        self.servers.sentinels.len() - 1
    }

    fn start_sentinel(&mut self, master: usize) {
        let master = self.servers.nodes[master].client_port();
        let options = self.options.sentinel(&self.authority, master);
        let sentinel = RedisServer::start_by_options(options);
        hurry(&sentinel);
        self.servers.sentinels.push(sentinel);
    }
}

/// Shortens the times of a sentinel. One before Redis 7 does not know the command, and takes its time.
fn hurry(sentinel: &RedisServer) {
    for (name, milliseconds) in TIMES {
        let _ = sentinel.try_command::<()>(&["SENTINEL", "DEBUG", name, milliseconds]);
    }
}
