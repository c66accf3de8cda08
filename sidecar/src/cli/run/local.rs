//! The lock in the store itself, as the resource files define it.

use anyhow::{Result, anyhow};
use holdfast::{Error, Lease, LeaseOptions, Locks, Resource, resources::OpenedLocks};
use tokio::time::timeout;

use super::{
    super::{arguments::RunLocked, naming::named, stores},
    problem::with_hint,
    remote::GIVING_BACK,
};
use crate::failure;

/// Connects to the stores.
pub async fn open(args: &RunLocked) -> Result<Locks> {
    let options = stores::options_of_one(&args.stores, Some(&args.store));
    let OpenedLocks { locks, stores, .. } = stores::open(&args.stores, &options).await?;
    let chosen = stores.iter().find(|store| store.name == args.store);
    if let Some(warning) = chosen.and_then(stores::in_memory_warning) {
        tracing::warn!("{warning}");
    }
    Ok(locks)
}

/// Takes the lock, and renews it from then on.
pub async fn hold(locks: &Locks, args: &RunLocked, owner: &str) -> Result<Option<Lease>> {
    let resource = Resource { store: &args.store, id: &args.resource };
    let mut options = LeaseOptions::new(args.ttl).wait(args.wait).owner(owner);
    options.fenced = !args.no_fencing;
    let error = match locks.keep(resource, &options, None).await {
        Ok(lease) => return Ok(lease),
        Err(error) => error,
    };
    // If the lock was taken, nobody is to wait until it expires. If it cannot be released either, it does.
    if error.is_indeterminate() {
        let _ = timeout(GIVING_BACK, locks.unlock(resource, owner)).await;
    }
    let is_of_store = matches!(&error, Error::Lock(error) if failure::is_of_store(error));
    let error = named(error, locks, &args.store);
    Err(if is_of_store { anyhow!(with_hint(error.to_string(), args)) } else { error })
}
