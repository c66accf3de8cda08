//! Checks a server once, before it keeps locks.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use holdfast_redis_rules::{
    acquire::Wanted,
    fitness::Unfit,
    redirect::NEEDS_CLUSTER,
    refusal::{forbids_key, is_error_line, may_be_answered_later},
    release::{Form, Released},
    slot::{SLOTS, slot},
    tries::{Next, Tries},
};

use super::{
    answer::Cause,
    client::Client,
    connect_error::ConnectError,
    dial_error::{DialError, Refused},
    nodes::{Nodes, run},
    outcome::{Ended, NoOutcome},
    settings::RedisSettings,
};

/// How long the lock of the check lasts if it cannot be released.
const TRIAL_TTL: Duration = Duration::from_secs(5);

/// How many names to try for a lock whose slot has a node.
const MAX_TRIED_NAMES: usize = 1_000;

/// Why the latest lock of a check could not be taken or released, while the check goes on.
#[derive(Default)]
pub(super) struct LastFailure(Mutex<Option<ConnectError>>);

impl LastFailure {
    fn set(&self, error: ConnectError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// The cause, which names the server unless it is at `address`; `None` if no lock has failed.
    pub(super) fn cause(&self, address: &str) -> Option<String> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(ConnectError::Unreachable { address: node, cause, .. }) if node != address => {
                Some(format!("{node}: {cause}"))
            }
            Some(ConnectError::Unreachable { cause, .. }) => Some(cause.clone()),
            _ => None,
        }
    }
}

/// Connects, refuses servers that can lose locks, and takes and releases a lock that nobody else uses. `address` is
/// where the servers are.
pub(super) async fn check_servers(
    nodes: &Nodes,
    address: &str,
    settings: &RedisSettings,
    last_failure: &LastFailure,
) -> Result<(), ConnectError> {
    match nodes {
        Nodes::One(client) => check_server(client).await?,
        Nodes::Cluster(cluster) => {
            let unreachable = |error: DialError| ConnectError::Unreachable {
                address: address.to_owned(),
                cause: error.cause,
                login: error.login,
            };
            cluster.ask().await.map_err(unreachable)?;
            match cluster.slots_without_node() {
                0 => {}
                missing => tracing::warn!(
                    redis = address,
                    "{missing} of {SLOTS} slots of the cluster have no node: their locks are refused"
                ),
            }
            for client in cluster.nodes() {
                check_server(&client).await?;
            }
        }
    }
    let common = &settings.common;
    let mut tries = Tries::new(common.retries, common.backoff);
    loop {
        let Untaken { error, may_pass } = match try_a_lock(nodes, address, settings).await {
            Ok(()) => return Ok(()),
            Err(untaken) => untaken,
        };
        match tries.failed(fastrand::u64(..)) {
            Next::After(wait) if may_pass => {
                if last_failure.cause(address).is_none() {
                    tracing::warn!(redis = address, cause = %error, "no lock can be tried out yet");
                }
                last_failure.set(error);
                tokio::time::sleep(wait).await;
            }
            _ => return Err(error),
        }
    }
}

/// A lock that could not be taken or released.
struct Untaken {
    error: ConnectError,
    /// Whether another lock may be taken later: too few replicas have this one, or its outcome is unknown.
    may_pass: bool,
}

/// Connects, and refuses a server that can lose locks.
async fn check_server(client: &Client) -> Result<(), ConnectError> {
    let address = client.address().to_owned();
    let Err(DialError { cause, refused, login, .. }) = client.connections().open().await else {
        return Ok(());
    };
    Err(match refused {
        Some(Refused::Unfit(Unfit::Replicated(replicas))) => {
            ConnectError::Replicated { address, replicas }
        }
        Some(_) => ConnectError::Unfit { address, cause },
        None => ConnectError::Unreachable { address, cause, login },
    })
}

/// Fails if the server refuses the commands of a lock, or does not answer them. A user who may only use other keys is
/// accepted with a warning: only a use of such a key shows whether the user may use it.
///
/// Each call tries another lock, because the server may still take one whose outcome is unknown.
async fn try_a_lock(nodes: &Nodes, address: &str, settings: &RedisSettings) -> Result<(), Untaken> {
    let named = || {
        let name = format!("holdfast-check-{:016x}", fastrand::u64(..));
        (format!("{}{name}", settings.check_key_prefix), name)
    };
    let has_node = |key: &str| match nodes {
        Nodes::One(_) => true,
        Nodes::Cluster(cluster) => cluster.has_node(slot(key)),
    };
    let mut tries = (0..MAX_TRIED_NAMES).map(|_| named());
    let (key, name) = tries.find(|(key, _)| has_node(key)).unwrap_or_else(named);
    let begun = Instant::now();
    let wanted = Wanted { key: &key, owner: &name, ttl: TRIAL_TTL, token_key: None };
    match run!(nodes, &key, |server, leg| server.try_out(wanted, leg)) {
        Ok(_) => {}
        Err(ended) => match refused_key(&ended) {
            Some(refusal) => {
                tracing::warn!(redis = address, "{}", untried(&key, refusal));
                return Ok(());
            }
            None => {
                let mut untaken = failed(ended, address, "taken");
                if settings.common.min_replicas > 0 {
                    untaken.error = naming_wait(untaken.error);
                }
                return Err(untaken);
            }
        },
    }
    // What the server refuses here is only noted, and any other failure comes again with the release.
    let _ = run!(nodes, &key, |server, leg| server.try_to_give_back(&key, &name, leg));
    match run!(nodes, &key, |server, leg| server.release(&key, &name, Form::Short, leg)) {
        Ok(Released::Released) => {}
        // The lock may have expired on a slow network.
        Ok(_) if begun.elapsed() >= TRIAL_TTL => {}
        Ok(_) => {
            let cause = "the server lost a test lock right after granting it".to_owned();
            let error = ConnectError::Unfit { address: address.to_owned(), cause };
            return Err(Untaken { error, may_pass: false });
        }
        Err(ended) => return Err(failed(ended, address, "released")),
    }
    // A server that forgets the script gets it again. The command that gives back a grant always has this form.
    match run!(nodes, &key, |server, leg| server.release(&key, &name, Form::Full, leg)) {
        Ok(_) => Ok(()),
        Err(ended) => Err(failed(ended, address, "released")),
    }
}

/// The refusal of a user who may run the command, but not on this key.
fn refused_key(ended: &Ended) -> Option<&str> {
    match &ended.no_outcome {
        NoOutcome::NotDone(line) if forbids_key(line) => Some(line),
        _ => None,
    }
}

/// The failure of a lock that needs replicas: a proxy may close the connection on the command that waits for them.
fn naming_wait(error: ConnectError) -> ConnectError {
    match error {
        ConnectError::Unreachable { address, cause, login }
            if cause.ends_with(&Cause::Lost.to_string()) =>
        {
            let hint = "a proxy may know no WAIT: leave minReplicas out";
            ConnectError::Unreachable { address, cause: format!("{cause} ({hint})"), login }
        }
        error => error,
    }
}

/// The warning that the check could not take a lock.
fn untried(key: &str, refusal: &str) -> String {
    format!(
        "no lock could be tried out, because the user of Redis may not use the key {key} ({refusal}): a lock can be \
         taken only where the user may read and write its key"
    )
}

/// The error if a lock cannot be `done`, at the node that failed or else at `address`.
fn failed(ended: Ended, address: &str, done: &str) -> Untaken {
    let is_only_server = ended.node.is_none();
    let address = ended.node.unwrap_or_else(|| address.to_owned());
    let may_pass = match &ended.no_outcome {
        // A refusal to wait for replicas stays.
        NoOutcome::Over(cause) | NoOutcome::Unknown(cause, _) => {
            !is_error_line(cause) || may_be_answered_later(cause)
        }
        // Its own tries are over, or no try helps.
        NoOutcome::NotDone(_) | NoOutcome::Elsewhere(..) => false,
    };
    let about = |cause| format!("a lock cannot be {done}: {cause}");
    let error = match ended.no_outcome {
        NoOutcome::Elsewhere(_, line) if is_only_server => {
            ConnectError::Unfit { address, cause: about(format!("{line} ({NEEDS_CLUSTER})")) }
        }
        NoOutcome::NotDone(line) if is_error_line(&line) => {
            ConnectError::Unfit { address, cause: about(line) }
        }
        NoOutcome::Elsewhere(_, line) => ConnectError::Unfit { address, cause: about(line) },
        NoOutcome::NotDone(cause) | NoOutcome::Over(cause) | NoOutcome::Unknown(cause, _) => {
            ConnectError::Unreachable { address, cause: about(cause), login: None }
        }
    };
    Untaken { error, may_pass }
}
