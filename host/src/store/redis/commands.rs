//! The two commands that locks are made of, handed to a connection.

use std::{sync::LazyLock, time::Duration};

use futures_util::future::BoxFuture;
use holdfast_redis_rules::{
    acquire::{Acquire, Acquired},
    release::{Form, RELEASE_LUA, Release, Released},
    reply::{self, Nonsense},
};
use redis::{ErrorKind, RedisError, RedisResult, Script, Value};

use super::{connection::command, connections::Place};

static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(RELEASE_LUA));

/// The way a command's reply comes in. It keeps its place on the connection until then, and holds
/// the socket open.
pub(super) type Reply<T> = BoxFuture<'static, RedisResult<(T, Place)>>;

/// What can be sent.
pub(super) trait Command: Sync {
    /// What the reply means.
    type Outcome: Send;

    /// Hands the command to a connection, once the reply is polled. One command and no more, so
    /// that nothing is sent after the caller has stopped waiting.
    fn send(&self, place: Place, form: Form) -> Reply<Self::Outcome>;
}

/// Takes the lock unless it is held.
pub(super) struct SetIfFree<'a> {
    pub(super) key: &'a str,
    pub(super) owner: &'a str,
    pub(super) ttl: Duration,
}

impl Command for SetIfFree<'_> {
    type Outcome = Acquired;

    fn send(&self, place: Place, _: Form) -> Reply<Acquired> {
        let milliseconds = u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX);
        let set = Acquire::new(self.key, self.owner, milliseconds);
        call(place, &set.words(), Acquired::read)
    }
}

/// Releases the lock if it is the owner's.
pub(super) struct DeleteIfOwned<'a> {
    pub(super) key: &'a str,
    pub(super) owner: &'a str,
}

impl Command for DeleteIfOwned<'_> {
    type Outcome = Released;

    fn send(&self, place: Place, form: Form) -> Reply<Released> {
        let release = Release { key: self.key, owner: self.owner };
        let words = match form {
            Form::Short => release.short(RELEASE.get_hash()),
            Form::Full => release.full(),
        };
        call(place, &words, Released::read)
    }
}

fn call<T: 'static>(
    place: Place,
    words: &[&str],
    read: fn(&reply::Reply) -> Result<T, Nonsense>,
) -> Reply<T> {
    let command = command(words);
    Box::pin(async move {
        let value = place.connection().send(&command).await?;
        let outcome = reply(value).and_then(|reply| read(&reply));
        let nonsense = |_| RedisError::from((ErrorKind::UnexpectedReturnType, Nonsense::TEXT));
        Ok((outcome.map_err(nonsense)?, place))
    })
}

fn reply(value: Value) -> Result<reply::Reply, Nonsense> {
    match value {
        Value::Okay => Ok(reply::Reply::Okay),
        Value::Nil => Ok(reply::Reply::Nil),
        Value::Int(number) => Ok(reply::Reply::Integer(number)),
        _ => Err(Nonsense),
    }
}
