//! Operations of a store alone, for a component that has the rules inside. They count as calls.

use std::time::Duration;

use tracing::Instrument;

use super::{
    admission::Turn, app::Choice, calls::Call, handle::Locks, result::ErrorKind, store::NamedStore,
};
use crate::{
    store::{Acquired, Failure, Released},
    types::{AcquireCommand, ReleaseCommand, Verb},
};

impl Locks {
    /// Acquires what the component asks for.
    pub(crate) async fn store_acquire(
        &self,
        command: &AcquireCommand,
    ) -> Result<Acquired, Failure> {
        let AcquireCommand { store: name, key, owner, ttl } = command;
        let choice = self.app.store(name);
        let mut call = self.shared.count(choice, Verb::TryLock, name);
        let span = call.span().clone();
        let acquiring = async {
            let (_turn, store) = self.admit(&mut call, choice, name).await?;
            let ttl = Duration::from_millis(*ttl);
            let (outcome, since) = store.acquire(&mut call, key, owner, ttl, false).await;
            if let Ok(Acquired::Granted(_)) = outcome {
                store.metrics.holds.begin(key, owner, since, ttl);
            }
            outcome
        };
        acquiring.instrument(span).await
    }

    /// Releases what the component asks for.
    pub(crate) async fn store_release(
        &self,
        command: &ReleaseCommand,
    ) -> Result<Released, Failure> {
        let ReleaseCommand { store: name, key, owner } = command;
        let choice = self.app.store(name);
        let mut call = self.shared.count(choice, Verb::Unlock, name);
        let span = call.span().clone();
        let releasing = async {
            let (_turn, store) = self.admit(&mut call, choice, name).await?;
            store.release(&mut call, key, owner).await
        };
        releasing.instrument(span).await
    }

    /// Waits for a turn, and finds the store.
    async fn admit<'a>(
        &'a self,
        call: &mut Call<'_>,
        choice: Option<&'a Choice>,
        name: &str,
    ) -> Result<(Turn<'a>, &'a NamedStore), Failure> {
        let turn = self.shared.admission.turn().await.map_err(|error| {
            call.set_result(ErrorKind::from(&error));
            Failure::not_done(error.to_string())
        })?;
        match choice {
            Some(choice) => Ok((turn, &choice.store)),
            None => {
                call.set_result(ErrorKind::StoreNotFound);
                Err(Failure::not_done(format!("lock store {name} not found")))
            }
        }
    }
}
