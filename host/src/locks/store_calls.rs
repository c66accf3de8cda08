//! Store operations without the rules, for a component that contains the rules. Each counts as a call.

use std::time::Duration;

use holdfast_rules::message;
use tracing::Instrument;

use super::{
    admission::Turn, app::Choice, calls::Call, handle::Locks, owner::fresh_owner,
    result::ErrorKind, store::NamedStore,
};
use crate::{
    store::{Acquired, Extended, Failure, Grant, Holding, Released},
    types::{
        AcquireCommand, AcquireStep, ExtendCommand, InspectCommand, Lease, ReleaseCommand, Verb,
    },
};

impl Locks {
    /// Takes a lock for the component.
    pub(crate) async fn store_acquire(&self, command: AcquireCommand) -> Result<Acquired, Failure> {
        let AcquireCommand { store: name, key, owner, ttl, wait, fenced } = command;
        let step = AcquireStep { key, owner: None, ttl, wait, fenced };
        let choice = self.app.store(&name);
        let mut call = self.shared.count(choice, Verb::Acquire, &name);
        let span = call.span().clone();
        let acquiring = async {
            let (turn, store) = self.admit(&mut call, choice, &name).await?;
            match self.shared.acquire_lease(&mut call, turn, store, &step, &owner).await {
                Ok(Ok(Some(Lease { fencing_token, valid_for, .. }))) => {
                    let valid_for = Some(valid_for);
                    Ok(Acquired::Granted(Grant { fencing_token, valid_for }))
                }
                Ok(Ok(None)) => Ok(Acquired::Held),
                Ok(Err(failure)) => Err(failure),
                Err(error) => {
                    call.set_result(ErrorKind::from(&error));
                    Err(Failure::not_done(error.to_string()))
                }
            }
        };
        acquiring.instrument(span).await
    }

    /// Extends a lock for the component.
    pub(crate) async fn store_extend(&self, command: ExtendCommand) -> Result<Extended, Failure> {
        let ExtendCommand { store: name, key, owner, ttl, may_shorten } = command;
        let choice = self.app.store(&name);
        let mut call = self.shared.count(choice, Verb::Extend, &name);
        let span = call.span().clone();
        let extending = async {
            let (_turn, store) = self.admit(&mut call, choice, &name).await?;
            let ttl = Duration::from_millis(ttl);
            store.extend(&mut call, &key, &owner, ttl, may_shorten).await
        };
        extending.instrument(span).await
    }

    /// Reads the holder of a lock for the component.
    pub(crate) async fn store_inspect(
        &self,
        command: InspectCommand,
    ) -> Result<Option<Holding>, Failure> {
        let InspectCommand { store: name, key } = command;
        let choice = self.app.store(&name);
        let mut call = self.shared.count(choice, Verb::Inspect, &name);
        let span = call.span().clone();
        let inspecting = async {
            let (_turn, store) = self.admit(&mut call, choice, &name).await?;
            store.inspect(&mut call, &key).await
        };
        inspecting.instrument(span).await
    }

    /// A fresh owner: unique, and impossible to guess.
    pub(crate) fn fresh_owner(&self) -> String {
        fresh_owner()
    }

    /// Releases a lock for the component.
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
                Err(Failure::not_done(message::store_not_found(name)))
            }
        }
    }
}
