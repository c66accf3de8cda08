//! A lock that is held and renewed, in the store itself or through a running server.

use anyhow::{Result, anyhow, bail};
use holdfast::{Lease, Locks, Lost, UnlockStatus};

use super::{
    super::{
        arguments::{RunLocked, parse::Given},
        naming,
    },
    local,
    remote::{self, Server},
};

/// How to get a lock.
pub enum Way {
    /// In the store.
    Local(Locks),
    /// From a server.
    Remote(Server),
}

/// A lock that is held, and renewed in the background.
pub enum Holding {
    Local(Lease),
    Remote(remote::RemoteLease),
}

impl Way {
    /// The way that the arguments name.
    pub async fn open(args: &RunLocked, given: &Given) -> Result<Self> {
        // It is a part of the path of a call, which a server would not find.
        if args.store.is_empty() {
            bail!(naming::EMPTY_STORE);
        }
        // A server treats an empty owner as missing, and would create one.
        if args.owner.as_deref() == Some("") {
            bail!("--owner is empty: without it, the owner is a UUID");
        }
        if args.max_hold.is_some_and(|longest| longest.is_zero()) {
            bail!("--max-hold is 0: without it, there is no limit");
        }
        match &args.address {
            Some(address) => {
                let id = "app_id";
                if !args.stores.app_id.is_empty() && given.name(id) == "--app-id" {
                    bail!("--app-id cannot be used with --address: the server has its own");
                }
                Ok(Self::Remote(Server::at(address)?))
            }
            None if args.stores.folders().is_empty() => bail!(
                "--resources-path or --address is missing: give resource files that define the store, or \
                 the URL of a running server"
            ),
            None => Ok(Self::Local(local::open(args).await?)),
        }
    }

    /// Takes the lock, and waits for it. `None`: it was not free in time.
    pub async fn hold(&self, args: &RunLocked, owner: &str) -> Result<Option<Holding>> {
        Ok(match self {
            Self::Local(locks) => local::hold(locks, args, owner).await?.map(Holding::Local),
            Self::Remote(server) => remote::hold(server, args, owner).await?.map(Holding::Remote),
        })
    }

    /// Gives back the lock that a dropped [`hold`](Self::hold) may have taken.
    pub async fn leave(&self, args: &RunLocked, owner: &str) {
        match self {
            // The library gives it back before it closes.
            Self::Local(_) => {}
            Self::Remote(server) => server.give_back(args, owner).await,
        }
    }

    /// Waits for the work in the background, and closes connections.
    pub async fn close(&self) {
        if let Self::Local(locks) = self {
            locks.close().await;
        }
    }
}

impl Holding {
    /// The fencing token, if the grant has one.
    pub fn fencing_token(&self) -> Option<u64> {
        match self {
            Self::Local(lease) => lease.fencing_token(),
            Self::Remote(lease) => lease.fencing_token(),
        }
    }

    /// Waits until the lock is lost.
    pub async fn lost(&self) -> Lost {
        match self {
            Self::Local(lease) => lease.lost().await,
            Self::Remote(lease) => lease.lost().await,
        }
    }

    /// Releases the lock. Fails if it could not be released, or was not held any more.
    pub async fn release(self) -> Result<()> {
        let status = match self {
            Self::Local(lease) => lease.release().await.map_err(anyhow::Error::from),
            Self::Remote(lease) => lease.release().await,
        };
        match status {
            Ok(UnlockStatus::Success) => Ok(()),
            Ok(_) => Err(anyhow!(
                "the lock was no longer held at the end: another owner may have held it meanwhile"
            )),
            Err(error) => {
                Err(anyhow!("could not release the lock, which expires by itself: {error:#}"))
            }
        }
    }

    /// Stops renewing a lock, and does not release it: another owner or nobody has it, or a program that cannot be
    /// ended works under it.
    pub fn leave(self) {
        match self {
            Self::Local(lease) => lease.leave(),
            Self::Remote(lease) => lease.leave(),
        }
    }

    /// Releases a lock that was lost, in case it is still held.
    pub async fn release_if_held(self) {
        if let Err(problem) = self.release().await {
            tracing::debug!("could not release the lock after its loss: {problem:#}");
        }
    }
}
