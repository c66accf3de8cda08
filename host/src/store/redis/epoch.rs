//! Which of several answers counts, where each says the number of the latest change that its server knows.

use super::dial_error::DialError;

/// The number of the newest configuration that was reported so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Epoch(u64);

impl Epoch {
    /// Notes the newest that this many of the servers report.
    ///
    /// Fails with `old` if it is older than what was reported before: the servers that report it may be cut off from the
    /// others. A majority may start over.
    pub(super) fn learn(
        &mut self,
        newest: u64,
        (told, asked): (usize, usize),
        old: &str,
    ) -> Result<(), DialError> {
        if newest < self.0 && told <= asked / 2 {
            return Err(DialError::passing(old.to_owned()));
        }
        self.0 = newest;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_servers_do_not_lead_back_and_a_majority_does() {
        let mut epoch = Epoch::default();
        assert_eq!(epoch.learn(7, (1, 3), "old"), Ok(()));
        assert_eq!(epoch.learn(7, (1, 3), "old"), Ok(()));
        assert_eq!(epoch.learn(6, (1, 3), "old"), Err(DialError::passing("old".to_owned())));
        assert_eq!(epoch.learn(6, (2, 4), "old"), Err(DialError::passing("old".to_owned())));
        assert_eq!(epoch.learn(2, (2, 3), "old"), Ok(()));
        assert_eq!(epoch.learn(3, (1, 3), "old"), Ok(()));
    }
}
