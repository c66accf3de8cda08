//! `holdfast try-lock` and `holdfast unlock`: one call, directly in the store.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use holdfast::{Error, Locks, Reply, Resource, UnlockStatus, Verb};
use holdfast_rules::json as rules;
use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::Level;

use super::{
    arguments::{Lock, Log, LogLevel, Stores, TryLock, Unlock},
    exit::{FAILURE, NEGATIVE, SUCCESS},
    logging,
    naming::named,
    output,
    printable::printable,
    runtime::runtime,
    stores,
};
use crate::{admin::form, rules_types};

/// The output and the exit code.
type Answer = (Vec<u8>, u8);

/// How long giving back a lock may take if its owner cannot learn that it was taken.
const GIVING_BACK: Duration = Duration::from_secs(5);

pub fn try_lock(args: &TryLock) -> Result<ExitCode> {
    let TryLock { lock, owner, expiry } = args;
    let Lock { store, resource, json, .. } = lock;
    with_locks(&lock.stores, Some(store), &lock.log, async |locks| {
        let resource = Resource { store, id: resource };
        let named = |error| named(error, locks, store);
        let answer = if *json {
            let body =
                json!({"resourceId": resource.id, "lockOwner": owner, "expiryInSeconds": expiry});
            raw(locks.json(Verb::TryLock, store, body.to_string().as_bytes()).await?)?
        } else {
            // The rules refuse zero.
            let ttl = Duration::from_secs(u64::try_from(*expiry).unwrap_or(0));
            let taken = locks.try_lock(resource, owner, ttl).await.map_err(named)?.is_acquired();
            (format!("{taken}\n").into_bytes(), if taken { SUCCESS } else { NEGATIVE })
        };
        match answer {
            (output, SUCCESS) => {
                if let Err(error) = output::print(&output) {
                    return Err(error.context(give_back(locks, resource, owner).await));
                }
                Ok(SUCCESS)
            }
            answer => print_answer(answer),
        }
    })
}

/// Gives back a lock whose owner cannot know that it was taken. Returns the result in words.
async fn give_back(locks: &Locks, resource: Resource<'_>, owner: &str) -> String {
    match timeout(GIVING_BACK, locks.unlock(resource, owner)).await {
        Ok(Ok(_)) => "the lock was taken, and given back".to_owned(),
        Ok(Err(error)) => {
            format!("the lock was taken, and is held until it expires, because of {error}")
        }
        Err(_) => "the lock was taken, and may be held until it expires".to_owned(),
    }
}

/// Prints a short answer, which an error repeats. Returns the exit code.
fn print_answer((output, exit): Answer) -> Result<u8> {
    let answer = String::from_utf8_lossy(&output);
    output::print(&output).with_context(|| format!("the answer is {}", answer.trim_end()))?;
    Ok(exit)
}

pub fn unlock(args: &Unlock) -> Result<ExitCode> {
    let Unlock { lock, owner, .. } = args;
    let Lock { store, resource, json, .. } = lock;
    with_locks(&lock.stores, Some(store), &lock.log, async |locks| {
        let Some(owner) = owner else {
            return print_answer(force(locks, lock).await?);
        };
        if *json {
            let body = json!({"resourceId": resource, "lockOwner": owner});
            let reply = locks.json(Verb::Unlock, store, body.to_string().as_bytes()).await?;
            return print_answer(raw(reply)?);
        }
        let named = |error| named(error, locks, store);
        let resource = Resource { store, id: resource };
        let (name, exit) = match locks.unlock(resource, owner).await.map_err(named)? {
            UnlockStatus::Success => ("success", SUCCESS),
            UnlockStatus::LockDoesNotExist => ("lock-does-not-exist", NEGATIVE),
            UnlockStatus::LockBelongsToOthers => ("lock-belongs-to-others", NEGATIVE),
            UnlockStatus::InternalError => ("internal-error", FAILURE),
        };
        print_answer((format!("{name}\n").into_bytes(), exit))
    })
}

/// Frees a lock of any owner.
async fn force(locks: &Locks, args: &Lock) -> Result<Answer> {
    let Lock { store, resource, json, log, .. } = args;
    let resource = Resource { store, id: resource };
    let owner = match locks.force_release(resource).await {
        Err(Error::Lock(error)) if *json => {
            let verb = rules_types::verb(Verb::ForceRelease);
            let refusal = rules::refusal(verb, &rules_types::error(error));
            return Ok((refusal.body, FAILURE));
        }
        owner => owner.map_err(|error| named(error, locks, store))?,
    };
    let exit = if owner.is_some() { SUCCESS } else { NEGATIVE };
    if *json {
        return Ok((form::released(owner).to_string().into_bytes(), exit));
    }
    let name = match owner {
        Some(owner) => {
            let (id, owner) = (printable(resource.id), printable(&owner));
            match log.log_as_json {
                true => logging::say(log, Level::INFO, &format!("{id} was held by {owner}")),
                false => logging::line(&format!("holdfast: {id} was held by {owner}")),
            }
            "success"
        }
        None => "lock-does-not-exist",
    };
    Ok((format!("{name}\n").into_bytes(), exit))
}

/// Opens one store, or all, and makes the call, which prints its answer and returns the exit code.
pub fn with_locks(
    stores: &Stores,
    only: Option<&str>,
    log: &Log,
    call: impl AsyncFnOnce(&Locks) -> Result<u8>,
) -> Result<ExitCode> {
    logging::start(log, LogLevel::Warn, None);
    with_open(stores, only, call)
}

/// [`with_locks`], for a caller that has started the log.
pub fn with_open(
    stores: &Stores,
    only: Option<&str>,
    call: impl AsyncFnOnce(&Locks) -> Result<u8>,
) -> Result<ExitCode> {
    if stores.folders().is_empty() {
        bail!(
            "--resources-path is missing: without resource files there is only a store in memory, \
             and its locks end with this command"
        );
    }
    let runtime = runtime()?;
    let exit = runtime.block_on(async {
        let options = stores::options_of_one(stores, only);
        let locks = stores::open(stores, &options).await?.locks;
        let answer = call(&locks).await;
        locks.close().await;
        answer
    })?;
    Ok(ExitCode::from(exit))
}

fn raw(reply: Reply) -> Result<Answer> {
    let said: Value = serde_json::from_slice(&reply.body).context("the reply is not JSON")?;
    let exit = match (reply.status, &said["success"], said["status"].as_i64()) {
        (200, Value::Bool(true), _) | (200, _, Some(0)) => SUCCESS,
        (200, Value::Bool(false), _) | (200, _, Some(1 | 2)) => NEGATIVE,
        _ => FAILURE,
    };
    Ok((reply.body, exit))
}
