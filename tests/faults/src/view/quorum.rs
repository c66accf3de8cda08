//! Looks into the servers of a quorum: the value at a majority is true.

use std::{collections::HashMap, time::Duration};

use redis::RedisResult;

use super::{View, link::Link};
use crate::history::{Observation, now};

/// How long to wait for each server: some stand still.
const LIMIT: Duration = Duration::from_millis(100);

/// Looks into all servers.
pub struct QuorumView(Vec<Link>);

impl QuorumView {
    /// Looks into the servers on these ports of 127.0.0.1.
    pub fn new(ports: Vec<u16>) -> Self {
        Self(ports.into_iter().map(|port| Link::within(port, LIMIT)).collect())
    }
}

impl View for QuorumView {
    /// The view sees a lock that a majority has all the time, because each of these servers has it when it is asked.
    fn look(&mut self, keys: &[String]) -> RedisResult<Vec<Observation>> {
        let majority = self.0.len() / 2 + 1;
        let start = now();
        let answers = self.0.iter_mut().map(|link| link.owners(keys));
        let (answers, silent): (Vec<_>, Vec<_>) = answers.partition(Result::is_ok);
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        let end = now();
        let seen = |(number, key): (usize, &String)| {
            let owner =
                decide(answers.iter().map(|it| it[number].as_deref()), silent.len(), majority)?;
            Some(Observation { key: key.clone(), owner: owner.map(str::to_owned), start, end })
        };
        Ok(keys.iter().enumerate().filter_map(seen).collect())
    }
}

/// The owner at a majority. The inner `None`: nobody can have a majority, whatever the silent servers have. The outer
/// `None`: that is open.
fn decide<'a>(
    owners: impl Iterator<Item = Option<&'a str>>,
    silent: usize,
    majority: usize,
) -> Option<Option<&'a str>> {
    let mut counts = HashMap::new();
    for owner in owners.flatten() {
        *counts.entry(owner).or_insert(0_usize) += 1;
    }
    match counts.into_iter().max_by_key(|(_, count)| *count) {
        Some((owner, count)) if count >= majority => Some(Some(owner)),
        Some((_, count)) if count + silent >= majority => None,
        _ if silent >= majority => None,
        _ => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certain_is_seen() {
        let (a, b, no) = (Some("a"), Some("b"), None);
        for (owners, silent, expected) in [
            (&[a, a, a, no, b][..], 0, Some(a)),
            (&[a, a, no, no, b], 0, Some(no)),
            (&[no; 5], 0, Some(no)),
            (&[a, a, no, no], 1, None),
            (&[a, no, no, no], 1, Some(no)),
            (&[a, a, a], 2, Some(a)),
            (&[no, no, no], 2, Some(no)),
            (&[no, no], 3, None),
        ] {
            assert_eq!(decide(owners.iter().copied(), silent, 3), expected, "{owners:?}");
        }
    }
}
