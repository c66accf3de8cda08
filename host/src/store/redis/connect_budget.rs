//! One leg of a command's route: the data that the command carries to the next server.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::time_limit::within;

/// How long a command waits for connections, at all servers on its route together.
pub(super) struct ConnectBudget(Mutex<Option<Duration>>);

/// One leg of a route.
#[derive(Clone, Copy)]
pub(super) struct Leg<'a> {
    /// Whether another node of the cluster sent the command to this one.
    pub(super) asking: bool,
    budget: &'a ConnectBudget,
    /// Whether the command can go on to another server.
    is_one_of_several: bool,
}

impl ConnectBudget {
    /// A budget of this much time; `None` for no limit.
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self(Mutex::new(limit))
    }

    fn left(&self) -> Option<Duration> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spend(&self, time: Duration) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.map(|left| left.saturating_sub(time));
    }
}

impl<'a> Leg<'a> {
    /// The route to a server without another one in its place.
    pub(super) fn only(budget: &'a ConnectBudget) -> Self {
        Self { asking: false, budget, is_one_of_several: false }
    }

    /// The route to a node of a cluster.
    pub(super) fn to_node(budget: &'a ConnectBudget, asking: bool) -> Self {
        Self { asking, budget, is_one_of_several: true }
    }

    /// Waits for a connection for the rest of the budget, or for half of it if another server may need the other half.
    /// Fails with that time if it has passed.
    pub(super) async fn wait<F: Future>(self, opening: F) -> Result<F::Output, Duration> {
        let left = self.budget.left();
        let limit = left.map(|left| if self.is_one_of_several { left / 2 } else { left });
        let begun = Instant::now();
        let opened = within(limit, opening).await;
        self.budget.spend(begun.elapsed());
        opened
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn all_waits_of_a_command_share_its_budget() {
        let begun = Instant::now();
        let budget = ConnectBudget::new(Some(SECOND * 5));
        let leg = Leg::only(&budget);
        assert_eq!(leg.wait(sleep(SECOND * 2)).await, Ok(()));
        assert_eq!(leg.wait(pending::<()>()).await, Err(SECOND * 3));
        assert_eq!(leg.wait(pending::<()>()).await, Err(Duration::ZERO));
        assert_eq!(begun.elapsed(), SECOND * 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_leaves_half_of_it_to_the_one_that_takes_its_place() {
        let budget = ConnectBudget::new(Some(SECOND * 4));
        assert_eq!(Leg::to_node(&budget, false).wait(pending::<()>()).await, Err(SECOND * 2));
        assert_eq!(Leg::to_node(&budget, true).wait(pending::<()>()).await, Err(SECOND));
        assert_eq!(Leg::to_node(&budget, false).wait(sleep(SECOND / 4)).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_there_is_no_end() {
        let budget = ConnectBudget::new(None);
        assert_eq!(Leg::to_node(&budget, false).wait(sleep(SECOND * 9_999)).await, Ok(()));
    }
}
