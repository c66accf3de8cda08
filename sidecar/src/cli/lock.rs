//! `holdfast try-lock` and `holdfast unlock`: one call, directly in the store.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use holdfast::{Error, Limits, Locks, Reply, Resource, UnlockStatus, Verb};
use holdfast_rules::json as rules;
use serde_json::{Value, json};

use super::{
    arguments::{Lock, Log, LogLevel, Stores, TryLock, Unlock},
    exit::{NO, TROUBLE, YES},
    logging,
    naming::named,
    printable::printable,
    runtime::runtime,
    stores,
};
use crate::{admin::form, rules_types};

/// What to print, and the exit code.
pub type Answer = (Vec<u8>, u8);

pub fn try_lock(args: &TryLock) -> Result<ExitCode> {
    let TryLock { lock, owner, expiry } = args;
    let Lock { store, resource, json, .. } = lock;
    with_locks(&lock.stores, &lock.log, async |locks| {
        if *json {
            let body =
                json!({"resourceId": resource, "lockOwner": owner, "expiryInSeconds": expiry});
            return raw(locks.json(Verb::TryLock, store, body.to_string().as_bytes()).await?);
        }
        let resource = Resource { store, id: resource };
        // The rules refuse zero.
        let ttl = Duration::from_secs(u64::try_from(*expiry).unwrap_or(0));
        let taken = locks.try_lock(resource, owner, ttl).await.map_err(named)?.is_acquired();
        Ok((format!("{taken}\n").into_bytes(), if taken { YES } else { NO }))
    })
}

pub fn unlock(args: &Unlock) -> Result<ExitCode> {
    let Unlock { lock, owner, .. } = args;
    let Lock { store, resource, json, .. } = lock;
    with_locks(&lock.stores, &lock.log, async |locks| {
        let Some(owner) = owner else {
            return force(locks, Resource { store, id: resource }, *json).await;
        };
        if *json {
            let body = json!({"resourceId": resource, "lockOwner": owner});
            return raw(locks.json(Verb::Unlock, store, body.to_string().as_bytes()).await?);
        }
        let resource = Resource { store, id: resource };
        let (name, exit) = match locks.unlock(resource, owner).await.map_err(named)? {
            UnlockStatus::Success => ("success", YES),
            UnlockStatus::LockDoesNotExist => ("lock-does-not-exist", NO),
            UnlockStatus::LockBelongsToOthers => ("lock-belongs-to-others", NO),
            UnlockStatus::InternalError => ("internal-error", TROUBLE),
        };
        Ok((format!("{name}\n").into_bytes(), exit))
    })
}

/// Frees a lock of any owner.
async fn force(locks: &Locks, resource: Resource<'_>, json: bool) -> Result<Answer> {
    let owner = match locks.force_release(resource).await {
        Err(Error::Lock(error)) if json => {
            let verb = rules_types::verb(Verb::ForceRelease);
            let refusal = rules::refusal(verb, &rules_types::error(error));
            return Ok((refusal.body, TROUBLE));
        }
        owner => owner.map_err(named)?,
    };
    let exit = if owner.is_some() { YES } else { NO };
    if json {
        return Ok((form::released(owner).to_string().into_bytes(), exit));
    }
    let name = match owner {
        Some(owner) => {
            let (id, owner) = (printable(resource.id), printable(&owner));
            logging::line(&format!("holdfast: {id} was held by {owner}"));
            "success"
        }
        None => "lock-does-not-exist",
    };
    Ok((format!("{name}\n").into_bytes(), exit))
}

/// Opens the stores, makes the call and prints its answer.
pub fn with_locks(
    stores: &Stores,
    log: &Log,
    call: impl AsyncFnOnce(&Locks) -> Result<Answer>,
) -> Result<ExitCode> {
    logging::start(log, LogLevel::Warn, None);
    with_open(stores, call)
}

/// [`with_locks`], for a caller that has started the log.
pub fn with_open(
    stores: &Stores,
    call: impl AsyncFnOnce(&Locks) -> Result<Answer>,
) -> Result<ExitCode> {
    if stores.resources_path.is_empty() {
        bail!(
            "--resources-path is missing: without resource files there is only a store in memory, \
             and its locks end with this command"
        );
    }
    let runtime = runtime()?;
    let (output, exit) = runtime.block_on(async {
        let mut limits = Limits::default();
        limits.warm_instances = 1;
        let locks = stores::open(stores, limits).await?.locks;
        let answer = call(&locks).await;
        locks.close().await;
        answer
    })?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&output).and_then(|()| stdout.flush()).context("cannot write to stdout")?;
    Ok(ExitCode::from(exit))
}

fn raw(reply: Reply) -> Result<Answer> {
    let said: Value = serde_json::from_slice(&reply.body).context("the reply is not JSON")?;
    let exit = match (reply.status, &said["success"], said["status"].as_i64()) {
        (200, Value::Bool(true), _) | (200, _, Some(0)) => YES,
        (200, Value::Bool(false), _) | (200, _, Some(1 | 2)) => NO,
        _ => TROUBLE,
    };
    Ok((reply.body, exit))
}
