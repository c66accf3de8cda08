//! Decides which of several answers counts. Each has the number of the latest change that its server knows.

use super::dial_error::DialError;

/// The number of the newest configuration that servers have reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl Epoch {
    /// Notes the newest number of some servers.
    ///
    /// Fails with `old` if the number is lower than an earlier report: these servers may be cut off from the others. If
    /// they `may_start_over`, as a majority may, all servers have begun to count anew.
    pub(super) fn learn(
        &mut self,
        newest: u64,
        may_start_over: bool,
        old: &str,
    ) -> Result<(), DialError> {
        if newest < self.0 && !may_start_over {
            return Err(DialError::passing(old.to_owned()));
        }
        self.0 = newest;
        Ok(())
    }

    /// Whether this number is the newest.
    pub(super) fn is(self, number: u64) -> bool {
        self.0 == number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_servers_do_not_lead_back_and_a_majority_does() {
        let mut epoch = Epoch::default();
        assert_eq!(epoch.learn(7, false, "old"), Ok(()));
        assert_eq!(epoch.learn(7, false, "old"), Ok(()));
        assert_eq!(epoch.learn(6, false, "old"), Err(DialError::passing("old".to_owned())));
        assert!(epoch.is(7));
        assert_eq!(epoch.learn(2, true, "old"), Ok(()));
        assert_eq!(epoch.learn(3, false, "old"), Ok(()));
        assert!(epoch.is(3));
    }
}
