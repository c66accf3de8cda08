//! The fencing token of a grant is larger than those of all grants of its key that were answered before it was asked
//! for.

use super::{
    holds::Key,
    violation::{Promise, Violation},
};
use crate::history::Event;

/// Finds tokens that did not grow.
pub fn check(key: &Key<'_>) -> Vec<Violation> {
    let grants = key.holds.iter().map(|hold| hold.acquire);
    let grants: Vec<_> = grants.filter_map(|acquire| Some((acquire.token?, acquire))).collect();
    let mut by_end = grants.clone();
    by_end.sort_by_key(|(_, acquire)| acquire.end);
    let mut by_end = by_end.into_iter().peekable();
    let mut largest: Option<(u64, &Event)> = None;
    let mut found = Vec::new();
    for (token, acquire) in grants {
        while let Some(earlier) = by_end.next_if(|(_, earlier)| earlier.end < acquire.start) {
            if largest.is_none_or(|(largest, _)| largest < earlier.0) {
                largest = Some(earlier);
            }
        }
        if let Some((before, earlier)) = largest.filter(|(before, _)| *before >= token) {
            let what =
                format!("{} got {token} after {} had got {before}", acquire.owner, earlier.owner);
            found.push(Violation::in_answer(Promise::Growing, acquire, what, &[earlier]));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::*;
    use crate::history::Answer::{Granted, Released};

    fn first() -> Sample {
        Sample::new().numbered("a", 0..10, 100, 7).release("a", 20..30, Released)
    }

    #[test]
    fn tokens_that_grow() {
        let plain = first().acquire("b", 40..50, 100, Granted).release("b", 60..70, Released);
        plain.numbered("c", 80..90, 100, 8).is_good();
        // Which of two calls that were under way at once came first is not known.
        Sample::new().numbered("a", 0..130, 100, 7).numbered("b", 110..120, 100, 6).is_good();
    }

    #[test]
    fn a_token_that_does_not_grow_is_found() {
        for token in [6, 7] {
            first().numbered("b", 40..50, 100, token).breaks(Promise::Growing);
        }
        // The largest counts, not the latest.
        let later = first().numbered("b", 40..50, 10, 9).numbered("c", 80..90, 10, 8);
        later.breaks(Promise::Growing);
    }
}
