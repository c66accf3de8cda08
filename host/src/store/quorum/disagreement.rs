//! The text of the error if no majority of the nodes agrees.

use std::{fmt::Write, time::Duration};

/// The longest part of a node's cause, in bytes.
const MAX_CAUSE_BYTES: usize = 160;

/// The answers of the nodes in one line: how many nodes gave each answer, and why nodes failed, by their positions.
/// `said` has counts with their words, such as 2 and "granted it".
pub(super) fn disagreement(
    names: &[&str],
    said: &[(usize, &str)],
    failures: impl IntoIterator<Item = (usize, String)>,
) -> String {
    let failures: Vec<_> = failures.into_iter().collect();
    let mut text = format!("no majority of the {} nodes:", names.len());
    for (count, words) in said {
        let _ = write!(text, " {count} {words},");
    }
    let _ = write!(text, " {} failed", failures.len());
    let causes = failures.iter().filter_map(|(node, cause)| Some(named(names.get(*node)?, cause)));
    let causes: Vec<String> = causes.collect();
    if !causes.is_empty() {
        let _ = write!(text, " ({})", causes.join("; "));
    }
    text
}

/// The cause for a node that did not answer in time.
pub(super) fn late(limit: Duration) -> String {
    format!("no answer within {limit:?}")
}

/// The cause of a node's failure, with the node's name.
fn named(name: &str, cause: &str) -> String {
    let cut = cause.char_indices().map(|(at, _)| at).find(|at| *at >= MAX_CAUSE_BYTES);
    let short = cut.map_or(cause, |at| &cause[..at]);
    let more = if cut.is_some() { "…" } else { "" };
    match short.contains(name) {
        true => format!("{short}{more}"),
        false => format!("{}: {short}{more}", name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_causes_are_reported_by_node() {
        let names = ["a:1", "b:2", "c:3"];
        let failures =
            [(1, "redis b:2: connection refused".to_owned()), (2, "no answer".to_owned())];
        let text = disagreement(&names, &[(1, "granted the lock"), (0, "denied it")], failures);
        let expected = "no majority of the 3 nodes: 1 granted the lock, 0 denied it, 2 failed \
                        (redis b:2: connection refused; c:3: no answer)";
        assert_eq!(text, expected);
        assert_eq!(disagreement(&names, &[], []), "no majority of the 3 nodes: 0 failed");
    }

    #[test]
    fn a_long_cause_is_cut_between_characters() {
        let text = named("a", &"é".repeat(200));
        assert_eq!(text, format!("a: {}…", "é".repeat(80)));
    }
}
