//! A Redis Cluster: each key is at the node that has its slot.
//!
//! A node that does not have a key reports this and does nothing, so the command may be sent to the node that it names.
//! If a node cannot be reached, all known nodes are asked which node has its slots now.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, PoisonError, RwLock, atomic::AtomicBool},
};

use futures_util::{FutureExt, future::join_all};
use holdfast_redis_rules::{
    address::Address,
    list::Part,
    login::{Login, LoginNames},
    redirect::Redirect,
    refusal::is_error_line,
    slot::SLOTS,
};

use super::{
    ask_all::{self, Answers, ask_all},
    client::Client,
    dial_error::DialError,
    endpoint::Endpoint,
    epoch::Epoch,
    membership::Membership,
    one_question::OneQuestion,
    outcome::{Ended, NoOutcome},
    session::bounded,
    settings::RedisSettings,
    stream::Streams,
    topology::{self, Slots, Topology},
};

/// The largest number of [`Known::unproven`] nodes. Redis recommends no larger cluster.
const MAX_UNPROVEN_NODES: usize = 1_000;

/// Separates the name of a node from a cursor of that node.
const CURSOR_SEPARATOR: char = '@';

/// The nodes of a cluster.
pub(super) struct Cluster {
    name: String,
    settings: Arc<RedisSettings>,
    streams: Arc<Streams>,
    listed: Vec<Address>,
    membership: Membership,
    known: RwLock<Known>,
    /// The question which node has which slots.
    asking: OneQuestion<Result<(), DialError>>,
}

/// A node to which a command goes.
pub(super) struct Hop {
    pub(super) node: Arc<Client>,
    /// Whether another node sent the command there.
    pub(super) asking: bool,
}

/// The known nodes and slots.
#[derive(Default)]
struct Known {
    /// The masters, and other nodes to which a command was sent.
    nodes: BTreeMap<String, (Address, Arc<Client>)>,
    /// The master that has each slot; empty before the first answer of the nodes.
    owners: Vec<Option<Arc<Client>>>,
    /// The number of the latest change.
    epoch: Epoch,
    /// Nodes from answers that did not count. If all nodes were replaced, a majority of those that are asked next may
    /// report this.
    unproven: Vec<Address>,
}

impl Known {
    /// How many slots a node has.
    fn slots(&self, node: &Arc<Client>) -> usize {
        self.owners.iter().flatten().filter(|owner| Arc::ptr_eq(owner, node)).count()
    }
}

impl Cluster {
    pub(super) fn new(
        name: &str,
        settings: Arc<RedisSettings>,
        listed: Vec<Address>,
        streams: Arc<Streams>,
        membership: Membership,
    ) -> Arc<Self> {
        let (known, asking) = (RwLock::default(), OneQuestion::default());
        let name = name.to_owned();
        Arc::new(Self { name, settings, streams, listed, membership, known, asking })
    }

    /// The next node for a command that did nothing at this one. Fails with the command's end if it goes to no other
    /// node.
    pub(super) async fn elsewhere(
        self: &Arc<Self>,
        slot: u16,
        node: &Arc<Client>,
        no_outcome: NoOutcome,
    ) -> Result<Hop, NoOutcome> {
        match no_outcome {
            NoOutcome::Elsewhere(Redirect::Moved(slot, place), _) => {
                let node = self.moved(slot, place.seen_from(node.host()), node.address());
                Ok(Hop { node, asking: false })
            }
            NoOutcome::Elsewhere(Redirect::Ask(place), _) => {
                let node = self.node(place.seen_from(node.host()), node.address());
                Ok(Hop { node, asking: true })
            }
            NoOutcome::NotDone(cause) if may_be_replaced(&cause) => {
                // The node that has replaced this one takes the command.
                let found = self.ask().await.is_ok();
                match self.owner(slot).await {
                    Ok(owner) if found && !Arc::ptr_eq(&owner, node) => {
                        Ok(Hop { node: owner, asking: false })
                    }
                    _ => Err(NoOutcome::NotDone(cause)),
                }
            }
            NoOutcome::Over(cause) => {
                // A node without its replicas may have been replaced. Later commands go to the node in its place.
                let _ = self.ask().await;
                Err(NoOutcome::Over(cause))
            }
            no_outcome => Err(no_outcome),
        }
    }

    /// The master that has a slot.
    pub(super) async fn owner(self: &Arc<Self>, slot: u16) -> Result<Arc<Client>, NoOutcome> {
        if let Some(owner) = self.known_owner(slot) {
            return Ok(owner);
        }
        self.ask().await.map_err(|error| NoOutcome::NotDone(error.cause))?;
        let none = || NoOutcome::NotDone(format!("no node of the cluster has the slot {slot}"));
        self.known_owner(slot).ok_or_else(none)
    }

    fn known_owner(&self, slot: u16) -> Option<Arc<Client>> {
        self.read().owners.get(usize::from(slot)).cloned().flatten()
    }

    /// Asks all known nodes which node has which slots. Calls that ask at the same time share the outcome.
    pub(super) async fn ask(self: &Arc<Self>) -> Result<(), DialError> {
        let question = || {
            let me = self.clone();
            async move { me.ask_nodes().await }.boxed()
        };
        self.asking.ask(question).await
    }

    async fn ask_nodes(&self) -> Result<(), DialError> {
        let login = Login::new(&self.settings.common, LoginNames::DAPR);
        let limit = ask_all::limit(self.settings.common.dial_timeout);
        let what = "no node reported the slots";
        let nodes = self.addresses();
        let asked = nodes.len();
        let topologies = ask_all(nodes, asked, what, async |node: Address| {
            let (timeouts, hands) = (self.settings.timeouts(), AtomicBool::new(false));
            let asking = topology::ask(&self.streams, &node, &login, timeouts, &hands);
            bounded(Some(limit), asking, &hands).await
        });
        let Answers { answers, of_majority } = topologies.await?;
        let known = |slot| self.known_owner(slot).map(|owner| owner.address().to_owned());
        match topology::newest(&answers, known) {
            Some((newest, slots)) => self.learn(newest, slots, of_majority, &answers),
            None => Ok(()),
        }
    }

    /// Notes the joint report of nodes, and ends the calls at nodes that have no slot any more. Fails if the report does not
    /// [count](Epoch::learn).
    fn learn(
        &self,
        newest: u64,
        slots: Slots<Address>,
        of_majority: bool,
        reports: &[Topology],
    ) -> Result<(), DialError> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let (mut epoch, old) =
            (known.epoch, "the nodes that answered do not know the latest change");
        if let Err(error) = epoch.learn(newest, of_majority, old) {
            let named = slots.into_iter().map(|(_, address)| address);
            ask_all::add_servers(&mut known.unproven, named, MAX_UNPROVEN_NODES);
            return Err(error);
        }
        let mut nodes = BTreeMap::new();
        let mut owners = vec![None; SLOTS.into()];
        for (slots, address) in slots {
            let (_, client) = nodes.entry(address.to_string()).or_insert_with_key(|name| {
                let client = known.nodes.get(name).map(|(_, client)| client.clone());
                let new = || self.client(address.clone(), topology::named_by(reports, &address));
                (address.clone(), client.unwrap_or_else(new))
            });
            for slot in slots {
                if let Some(owner) = owners.get_mut(usize::from(slot)) {
                    *owner = Some(client.clone());
                }
            }
        }
        let now = Known { nodes, owners, epoch, unproven: Vec::new() };
        let before = mem::replace(&mut *known, now);
        // Later answers of these nodes do not count. A node that never had a slot may soon get its first one.
        let gone = before.nodes.iter().filter(|(name, _)| !known.nodes.contains_key(*name));
        let replaced = gone.map(|(_, (_, client))| client).filter(|node| before.slots(node) > 0);
        replaced.for_each(|node| node.leave_server());
        Ok(())
    }

    /// Notes that a slot has moved, by the answer of the node `by`. Returns the node that has it.
    fn moved(&self, slot: u16, address: Address, by: &str) -> Arc<Client> {
        let node = self.node(address, by);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(owner) = known.owners.get_mut(usize::from(slot)) {
            *owner = Some(node.clone());
        }
        node
    }

    /// The node at an address that the node `by` has named.
    fn node(&self, address: Address, by: &str) -> Arc<Client> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let node = known.nodes.entry(address.to_string());
        let new = || (address.clone(), self.client(address, Some(by.to_owned())));
        node.or_insert_with(new).1.clone()
    }

    /// Makes a client of the node at an address. `by` is the node that named the address.
    fn client(&self, address: Address, by: Option<String>) -> Arc<Client> {
        let endpoint = match by {
            Some(by) if !self.listed.contains(&address) => Endpoint::Named { address, by },
            _ => Endpoint::Fixed(address),
        };
        let (settings, streams) = (self.settings.clone(), self.streams.clone());
        Arc::new(Client::new(&self.name, settings, endpoint, streams, self.membership.clone()))
    }

    /// The nodes to ask: the known ones, and those of the settings.
    fn addresses(&self) -> Vec<Address> {
        let known = self.read();
        let mut addresses: Vec<Address> =
            known.nodes.values().map(|(address, _)| address.clone()).collect();
        for other in self.listed.iter().chain(&known.unproven) {
            if !addresses.contains(other) {
                addresses.push(other.clone());
            }
        }
        addresses
    }

    /// The known nodes, in order.
    pub(super) fn nodes(&self) -> Vec<Arc<Client>> {
        self.read().nodes.values().map(|(_, client)| client.clone()).collect()
    }

    /// Whether a known node has a slot.
    pub(super) fn has_node(&self, slot: u16) -> bool {
        self.known_owner(slot).is_some()
    }

    /// How many slots have no node.
    pub(super) fn slots_without_node(&self) -> usize {
        usize::from(SLOTS) - self.read().owners.iter().flatten().count()
    }

    /// The masters, in order, and how many slots each has.
    pub(super) fn masters(&self) -> Vec<(Arc<Client>, usize)> {
        let known = self.read();
        let nodes = known.nodes.values().map(|(_, client)| (client.clone(), known.slots(client)));
        nodes.filter(|(_, slots)| *slots > 0).collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The locks of one part of the keys of one node. The cursor names the node.
    pub(super) async fn list(
        self: &Arc<Self>,
        pattern: &str,
        cursor: Option<&str>,
    ) -> Result<Part, Ended> {
        if cursor.is_none() {
            self.ask().await.map_err(|error| NoOutcome::NotDone(error.cause))?;
        }
        let (from, within) = match cursor.and_then(|cursor| cursor.split_once(CURSOR_SEPARATOR)) {
            Some((within, node)) => (node, Some(within)),
            None => ("", None),
        };
        let mut nodes = self.read().nodes.range(from.to_owned()..).map(named).collect::<Vec<_>>();
        nodes.reverse();
        let Some((name, node)) = nodes.pop() else {
            return Ok(Part { locks: Vec::new(), next: None });
        };
        // The node of the cursor may be gone.
        let within = within.filter(|_| name == from);
        let part = node.list(pattern, within).await;
        let mut part = part.map_err(|no_outcome| Ended::at(node.address(), no_outcome))?;
        part.next = match (part.next, nodes.pop()) {
            (Some(within), _) => Some(format!("{within}{CURSOR_SEPARATOR}{name}")),
            (None, Some((next, _))) => Some(format!("0{CURSOR_SEPARATOR}{next}")),
            (None, None) => None,
        };
        Ok(part)
    }

    /// A readable reason why a command would have to wait now.
    pub(super) fn waits_for(&self) -> String {
        let nodes = self.nodes();
        if nodes.is_empty() {
            return format!("no node has reported the slots yet{}", self.streams.hint());
        }
        let each = nodes.iter().map(|node| format!("{}: {}", node.address(), node.waits_for()));
        each.collect::<Vec<_>>().join("; ")
    }

    /// The nodes, each with its description of itself.
    pub(super) fn describe(&self) -> String {
        let nodes: Vec<String> = self.nodes().iter().map(|node| node.describe()).collect();
        format!("a cluster of {} masters: {}", nodes.len(), nodes.join("; "))
    }

    /// See [`Client::close`].
    pub(super) async fn close(&self) {
        join_all(self.nodes().iter().map(|node| node.close())).await;
    }
}

fn named((name, (_, client)): (&String, &(Address, Arc<Client>))) -> (String, Arc<Client>) {
    (name.clone(), client.clone())
}

/// Whether another node may have the slots now, after a command that did nothing for this reason.
fn may_be_replaced(cause: &str) -> bool {
    let code = cause.split(' ').next().unwrap_or_default();
    !is_error_line(cause) || matches!(code, "CLUSTERDOWN" | "MASTERDOWN" | "READONLY" | "LOADING")
}

/// Whether a text can be a cursor of [`Cluster::list`].
pub(super) fn is_cursor(cursor: &str) -> bool {
    cursor.split_once(CURSOR_SEPARATOR).is_some_and(|(within, node)| {
        holdfast_redis_rules::list::is_cursor(within) && !node.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str) -> Address {
        Address { host: host.to_owned(), port: 1 }
    }

    /// Has the cluster learn that one master has all slots.
    fn learn(
        cluster: &Cluster,
        epoch: u64,
        master: &str,
        of_majority: bool,
    ) -> Result<(), DialError> {
        cluster.learn(epoch, vec![(0..=SLOTS - 1, at(master))], of_majority, &[])
    }

    /// A cluster for which the settings list this node.
    fn cluster(listed: &str) -> Arc<Cluster> {
        let settings = Arc::new(RedisSettings::new(listed).checked().unwrap());
        let streams = Arc::new(Streams::new(None, None).unwrap());
        Cluster::new("locks", settings, vec![at(listed)], streams, Membership::default())
    }

    fn asked(cluster: &Cluster) -> String {
        let hosts: Vec<String> = cluster.addresses().into_iter().map(|it| it.host).collect();
        hosts.join(" ")
    }

    #[tokio::test]
    async fn nodes_of_a_report_that_does_not_count_are_asked_next() {
        let cluster = cluster("listed");
        assert_eq!(asked(&cluster), "listed");
        assert_eq!(learn(&cluster, 5, "old", false), Ok(()));
        assert_eq!(asked(&cluster), "old listed");
        for _ in 0..2 {
            learn(&cluster, 1, "anew", false).unwrap_err();
            assert_eq!(asked(&cluster), "old listed anew");
            assert_eq!(cluster.masters()[0].0.host(), "old");
        }
        // After the report counts, the nodes that are gone are not asked any more.
        assert_eq!(learn(&cluster, 1, "anew", true), Ok(()));
        assert_eq!(asked(&cluster), "anew listed");
        assert_eq!(cluster.masters()[0].0.host(), "anew");
    }

    #[tokio::test]
    async fn nodes_that_do_not_count_are_not_asked_without_limit() {
        let cluster = cluster("listed");
        assert_eq!(learn(&cluster, 5, "old", false), Ok(()));
        for node in 0..MAX_UNPROVEN_NODES + 10 {
            learn(&cluster, 1, &format!("n{node}"), false).unwrap_err();
        }
        assert_eq!(cluster.addresses().len(), MAX_UNPROVEN_NODES + 2);
    }
}
