//! Which node of a Redis Cluster has which slots.
//!
//! Own code: the crate `redis` has this only in a client that sends commands again on its own.

use std::{collections::HashMap, ops::RangeInclusive, sync::atomic::AtomicBool};

use holdfast_redis_rules::{address::Address, login::Login, refusal::code, slot::SLOTS};
use redis::{FromRedisValue, Value};

use super::{
    dial_error::DialError,
    driver::Timeouts,
    session::{Session, nonsense},
    stream::Streams,
};

/// Ranges of slots, and the master that has them.
pub(super) type Slots<M> = Vec<(RangeInclusive<u16>, M)>;

/// A node's report about its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topology {
    /// The `host:port` at which the node was asked.
    pub(super) from: String,
    /// The number of the latest change that the node knows.
    pub(super) epoch: u64,
    pub(super) slots: Slots<Master>,
}

/// The master of slots, as one node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Master {
    pub(super) address: Address,
    /// The number of its claim to its slots. Of two masters that claim a slot, the one with the larger number has it.
    /// 0 if the node does not report it.
    pub(super) epoch: u64,
}

/// Asks a node. Sets `shaking_hands` while the TLS handshake runs.
pub(super) async fn ask(
    streams: &Streams,
    node: &Address,
    login: &Login<'_>,
    timeouts: Timeouts,
    shaking_hands: &AtomicBool,
) -> Result<Topology, DialError> {
    let mut session = Session::open(streams, node, login, timeouts, shaking_hands).await?;
    // A user may be permitted only the question for the slots. The number is asked for first: if the node learns of a
    // change in between, the answer is the new slots with the old number, never the reverse.
    let info = session.ask(&["CLUSTER", "INFO"]).await.ok();
    let info = info.and_then(|info| String::from_redis_value(info).ok()).unwrap_or_default();
    let slots = session.ask(&["CLUSTER", "SLOTS"]).await.map_err(|mut error| {
        if code(&error.cause) == "ERR" {
            error
                .cause
                .push_str(" (with redisType: cluster, redisHost lists nodes of a Redis Cluster)");
        }
        error
    })?;
    // Asked for last: a master that takes over slots in between has an old number in earlier answers.
    let nodes = session.ask(&["CLUSTER", "NODES"]).await.ok();
    let nodes = nodes.and_then(|nodes| String::from_redis_value(nodes).ok()).unwrap_or_default();
    let slots = read(&slots, node, &claims(&nodes)).ok_or_else(nonsense)?;
    Ok(Topology { from: node.to_string(), epoch: epoch(&info), slots })
}

/// The joint report of nodes: the number of the newest change, and the master of each slot.
///
/// A node may know the number of a change before it knows which slots have moved. So among the reports with the newest
/// number, the newest claim to a slot counts, then the one that most nodes report, then that of the `known` master.
pub(super) fn newest(
    reports: &[Topology],
    known: impl Fn(u16) -> Option<String>,
) -> Option<(u64, Slots<Address>)> {
    let epoch = reports.iter().map(|report| report.epoch).max()?;
    let mut masters: Vec<Vec<(&Master, usize)>> = vec![Vec::new(); SLOTS.into()];
    for (slots, master) in reports.iter().filter(|it| it.epoch == epoch).flat_map(|it| &it.slots) {
        for slot in slots.clone() {
            let Some(masters) = masters.get_mut(usize::from(slot)) else { continue };
            match masters.iter_mut().find(|(other, _)| *other == master) {
                Some((_, reports)) => *reports += 1,
                None => masters.push((master, 1)),
            }
        }
    }
    let mut slots: Slots<Address> = Vec::new();
    for (slot, masters) in (0..).zip(masters) {
        let is_known =
            |master: &Master| known(slot).is_some_and(|it| it == master.address.to_string());
        let master = match masters[..] {
            [(master, _)] => Some(master),
            _ => masters
                .into_iter()
                .max_by_key(|(master, reports)| (master.epoch, *reports, is_known(master)))
                .map(|(master, _)| master),
        };
        let Some(master) = master else { continue };
        match slots.last_mut() {
            Some((range, last)) if *last == master.address && *range.end() + 1 == slot => {
                *range = *range.start()..=slot;
            }
            _ => slots.push((slot..=slot, master.address.clone())),
        }
    }
    Some((epoch, slots))
}

/// The first node by whose report there is a master at this address.
pub(super) fn named_by(reports: &[Topology], address: &Address) -> Option<String> {
    let names = |report: &&Topology| report.slots.iter().any(|(_, it)| it.address == *address);
    reports.iter().find(names).map(|report| report.from.clone())
}

/// The numbers of the nodes' claims, by the ids of the nodes, from the reply to `CLUSTER NODES`: a line for each node,
/// which has the id first, and the number as the seventh word.
fn claims(nodes: &str) -> HashMap<&str, u64> {
    nodes.lines().filter_map(claim).collect()
}

fn claim(line: &str) -> Option<(&str, u64)> {
    let mut words = line.split(' ');
    Some((words.next()?, words.nth(5)?.parse().ok()?))
}

fn epoch(info: &str) -> u64 {
    let line = info.lines().find_map(|line| line.strip_prefix("cluster_current_epoch:"));
    line.and_then(|epoch| epoch.trim().parse().ok()).unwrap_or(0)
}

/// Reads the reply to `CLUSTER SLOTS`: for each range the first and the last slot, the master, and its replicas.
fn read(reply: &Value, node: &Address, claims: &HashMap<&str, u64>) -> Option<Slots<Master>> {
    let Value::Array(ranges) = reply else { return None };
    ranges.iter().map(|range| read_range(range, node, claims)).collect()
}

fn read_range(
    range: &Value,
    node: &Address,
    claims: &HashMap<&str, u64>,
) -> Option<(RangeInclusive<u16>, Master)> {
    let Value::Array(parts) = range else { return None };
    let [first, last, Value::Array(master), ..] = &parts[..] else { return None };
    let slot = |value| u16::from_redis_value_ref(value).ok();
    let [host, port, rest @ ..] = &master[..] else { return None };
    let host = match host {
        Value::Nil => None,
        host => Some(String::from_redis_value_ref(host).ok()?),
    };
    // A node that does not know its own address has the address at which it was asked.
    let known = host.filter(|host| !host.is_empty() && host != "?");
    let host = known.unwrap_or_else(|| node.host.clone());
    let port = u16::from_redis_value_ref(port).ok()?;
    let id = rest.first().and_then(|id| String::from_redis_value_ref(id).ok());
    let epoch = id.and_then(|id| claims.get(id.as_str()).copied()).unwrap_or(0);
    Some((slot(first)?..=slot(last)?, Master { address: Address { host, port }, epoch }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn node(host: Value, port: i64) -> Value {
        Value::Array(vec![host, Value::Int(port), text("id"), Value::Array(vec![])])
    }

    fn range(first: i64, last: i64, master: Value) -> Value {
        let replica = node(text("replica"), 1);
        Value::Array(vec![Value::Int(first), Value::Int(last), master, replica])
    }

    #[test]
    fn each_range_has_its_master() {
        let asked = Address { host: "asked".into(), port: 7 };
        let slots = Value::Array(vec![
            range(0, 5, node(text("a"), 1)),
            range(6, 6, node(text(""), 2)),
            range(7, 16_383, node(Value::Nil, 3)),
        ]);
        let read =
            |slots: &Value| read(slots, &asked, &claims("id a:1@2 master - 0 0 9 connected 0-5\n"));
        let told: Vec<_> = read(&slots).unwrap();
        let told: Vec<_> =
            told.into_iter().map(|(slots, it)| (slots, it.address.to_string(), it.epoch)).collect();
        let expected = [(0..=5, "a:1"), (6..=6, "asked:2"), (7..=16_383, "asked:3")];
        assert_eq!(told, expected.map(|(slots, node)| (slots, node.to_owned(), 9)));
        assert_eq!(read(&Value::Array(vec![])), Some(vec![]));
        for nonsense in [Value::Nil, Value::Array(vec![Value::Int(1)]), range(-1, 5, text("a"))] {
            assert_eq!(read(&nonsense), None);
        }
    }

    #[test]
    fn claims_have_numbers_where_the_node_reports_them() {
        let nodes = "a 127.0.0.1:1@2,name myself,master - 0 0 7 connected 0-5\nb :0@0 master,fail - 0 0 3 \nc\n\n";
        assert_eq!(claims(nodes), HashMap::from([("a", 7), ("b", 3)]));
        assert_eq!(claims(""), HashMap::new());
    }

    /// The number of a report, and ranges of slots, each with the master's name and the number of its claim.
    type Reported<'a> = (u64, &'a [(RangeInclusive<u16>, &'a str, u64)]);

    /// The masters of the slots 0 to 9 by the reports of nodes, each with its number and with masters and their claims.
    fn joint(reports: &[Reported<'_>], known: &str) -> String {
        let at = |host: &str| Address { host: host.to_owned(), port: 1 };
        let report = |(epoch, masters): &Reported<'_>| {
            let master = |(slots, host, epoch): &(RangeInclusive<u16>, &str, u64)| {
                (slots.clone(), Master { address: at(host), epoch: *epoch })
            };
            let slots = masters.iter().map(master).collect();
            Topology { from: "asked:1".to_owned(), epoch: *epoch, slots }
        };
        let reports: Vec<Topology> = reports.iter().map(report).collect();
        let (epoch, slots) = newest(&reports, |_| Some(at(known).to_string())).unwrap();
        let each =
            slots.iter().map(|(it, node)| format!(" {}-{} {}", it.start(), it.end(), node.host));
        format!("{epoch}:{}", each.collect::<String>())
    }

    #[test]
    fn the_newest_claim_to_a_slot_counts_whoever_answers_last() {
        let (old, new): (&[_], &[_]) = (&[(0..=9, "old", 1)], &[(0..=9, "new", 6)]);
        for reports in [[(6, old), (6, new)], [(6, new), (6, old)]] {
            assert_eq!(joint(&reports, "old"), "6: 0-9 new");
        }
        let half: &[_] = &[(0..=4, "a", 5), (5..=9, "b", 2)];
        let other: &[_] = &[(0..=6, "a", 5), (7..=9, "c", 3)];
        assert_eq!(joint(&[(7, half), (7, other)], "b"), "7: 0-6 a 7-9 c");
        // A larger number of the report comes first.
        assert_eq!(joint(&[(6, new), (7, old)], "new"), "7: 0-9 old");
    }

    #[test]
    fn without_numbers_of_claims_most_nodes_decide_and_then_what_is_known() {
        let (old, new): (&[_], &[_]) = (&[(0..=9, "old", 0)], &[(0..=9, "new", 0)]);
        for reports in [[(6, new), (6, new), (6, old)], [(6, old), (6, new), (6, new)]] {
            assert_eq!(joint(&reports, "old"), "6: 0-9 new");
        }
        for reports in [[(6, new), (6, old)], [(6, old), (6, new)]] {
            assert_eq!(joint(&reports, "old"), "6: 0-9 old");
            assert_eq!(joint(&reports, "new"), "6: 0-9 new");
        }
        assert!(newest(&[], |_| None).is_none());
    }

    #[test]
    fn the_latest_change_has_a_number() {
        assert_eq!(epoch("cluster_state:ok\r\ncluster_current_epoch:17\r\n"), 17);
        assert_eq!(epoch(""), 0);
    }
}
