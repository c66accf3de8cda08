//! Which node of a Redis Cluster has which slots.
//!
//! Own code: the crate `redis` has this only in a client that sends commands again on its own.

use std::{ops::RangeInclusive, sync::atomic::AtomicBool};

use holdfast_redis_rules::{address::Address, login::Login, refusal::code};
use redis::{FromRedisValue, Value};

use super::{
    dial_error::DialError,
    driver::Timeouts,
    session::{Session, nonsense},
    stream::Streams,
};

/// A node's report about its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topology {
    /// The number of the latest change that the node knows.
    pub(super) epoch: u64,
    /// The slots, and the master that has them.
    pub(super) slots: Vec<(RangeInclusive<u16>, Address)>,
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
    let slots = read(&slots, node).ok_or_else(nonsense)?;
    Ok(Topology { epoch: epoch(&info), slots })
}

fn epoch(info: &str) -> u64 {
    let line = info.lines().find_map(|line| line.strip_prefix("cluster_current_epoch:"));
    line.and_then(|epoch| epoch.trim().parse().ok()).unwrap_or(0)
}

/// Reads the reply to `CLUSTER SLOTS`: for each range the first and the last slot, the master, and its replicas.
fn read(reply: &Value, node: &Address) -> Option<Vec<(RangeInclusive<u16>, Address)>> {
    let Value::Array(ranges) = reply else { return None };
    ranges.iter().map(|range| read_range(range, node)).collect()
}

fn read_range(range: &Value, node: &Address) -> Option<(RangeInclusive<u16>, Address)> {
    let Value::Array(parts) = range else { return None };
    let [first, last, Value::Array(master), ..] = &parts[..] else { return None };
    let slot = |value| u16::from_redis_value_ref(value).ok();
    let [host, port, ..] = &master[..] else { return None };
    let host = match host {
        Value::Nil => None,
        host => Some(String::from_redis_value_ref(host).ok()?),
    };
    // A node that does not know its own address has the address at which it was asked.
    let known = host.filter(|host| !host.is_empty() && host != "?");
    let host = known.unwrap_or_else(|| node.host.clone());
    let port = u16::from_redis_value_ref(port).ok()?;
    Some((slot(first)?..=slot(last)?, Address { host, port }))
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
        let read = read(&slots, &asked).unwrap();
        let told: Vec<_> =
            read.iter().map(|(slots, node)| (slots.clone(), node.to_string())).collect();
        let expected = [(0..=5, "a:1"), (6..=6, "asked:2"), (7..=16_383, "asked:3")];
        assert_eq!(told, expected.map(|(slots, node)| (slots, node.to_owned())));
        assert_eq!(super::read(&Value::Array(vec![]), &asked), Some(vec![]));
        for nonsense in [Value::Nil, Value::Array(vec![Value::Int(1)]), range(-1, 5, text("a"))] {
            assert_eq!(super::read(&nonsense, &asked), None);
        }
    }

    #[test]
    fn the_latest_change_has_a_number() {
        assert_eq!(epoch("cluster_state:ok\r\ncluster_current_epoch:17\r\n"), 17);
        assert_eq!(epoch(""), 0);
    }
}
