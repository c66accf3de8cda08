//! The two commands that locks are made of, and what becomes of each when its caller has gone.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use redis::{ErrorKind, RedisError, Script, Value};

use super::{
    Inner,
    connections::Place,
    pending::{Command, Form, Left, Reply},
};
use crate::store::{LATE_REPLY, Released, late};

pub(super) const RELEASE_LUA: &str = include_str!("release.lua");

static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(RELEASE_LUA));

/// Takes the lock unless it is held: `SET key owner NX PX ttl`.
pub(super) struct SetIfFree<'a> {
    pub(super) store: &'a Arc<Inner>,
    pub(super) key: &'a str,
    pub(super) owner: &'a str,
    pub(super) ttl: Duration,
}

impl Command for SetIfFree<'_> {
    type Outcome = bool;

    fn send(&self, place: Place, _: Form) -> Reply<bool> {
        let mut set = redis::cmd("SET");
        let milliseconds = u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX);
        set.arg(self.key).arg(self.owner).arg("NX").arg("PX").arg(milliseconds);
        Box::pin(async move {
            match place.connection().send(&set).await? {
                Value::Okay => Ok((true, place)),
                Value::Nil => Ok((false, place)),
                _ => Err(nonsense()),
            }
        })
    }

    fn leave(&self, left: Left<bool>) {
        let until = left.sent + late(self.ttl);
        self.store.give_back(left, self.key, self.owner, until);
    }
}

/// Releases the lock if it is the owner's, as `release.lua` says.
pub(super) struct DeleteIfOwned<'a> {
    pub(super) store: &'a Arc<Inner>,
    pub(super) key: &'a str,
    pub(super) owner: &'a str,
}

impl Command for DeleteIfOwned<'_> {
    type Outcome = Released;

    fn send(&self, place: Place, form: Form) -> Reply<Released> {
        let mut eval = match form {
            Form::Short => redis::cmd("EVALSHA"),
            Form::Full => redis::cmd("EVAL"),
        };
        eval.arg(match form {
            Form::Short => RELEASE.get_hash(),
            Form::Full => RELEASE_LUA,
        });
        eval.arg(1).arg(self.key).arg(self.owner);
        Box::pin(async move {
            match place.connection().send(&eval).await? {
                Value::Int(1) => Ok((Released::Released, place)),
                Value::Int(-1) => Ok((Released::Missing, place)),
                Value::Int(-2) => Ok((Released::HeldByOther, place)),
                _ => Err(nonsense()),
            }
        })
    }

    /// Where the server has forgotten the script, the lock is left to run out: sending it in full
    /// now could end a hold that the owner has since taken anew.
    fn leave(&self, left: Left<Released>) {
        self.store.abandoned.forget(self.key, self.owner);
        let store = self.store.clone();
        let until = Instant::now() + LATE_REPLY;
        let task = async move { drop(store.late_reply(left, until).await) };
        self.store.background.spawn_on(task, &self.store.runtime);
    }
}

fn nonsense() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "the server's reply makes no sense").into()
}
