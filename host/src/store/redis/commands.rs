//! The two commands of a lock, on a connection.

use std::sync::LazyLock;

use futures_util::future::BoxFuture;
use holdfast_redis_rules::{
    acquire::{Acquire, Acquired},
    release::{Form, RELEASE_LUA, Release, Released},
    reply::{self, Nonsense},
};
use redis::{ErrorKind, RedisError, RedisResult, Script, Value};

use super::{connection::command, connections::Place};

static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(RELEASE_LUA));

/// The future of a reply. It keeps the command's place on the connection, and so keeps the
/// connection open.
pub(super) type Reply<T> = BoxFuture<'static, RedisResult<(T, Place)>>;

/// A command that can be sent.
pub(super) trait Command: Sync {
    /// What the reply means.
    type Outcome: Send;

    /// Sends the command once the reply is polled. It is a single command, so that nothing is sent
    /// after the caller has stopped waiting.
    fn send(&self, place: Place, form: Form) -> Reply<Self::Outcome>;
}

impl Command for Acquire<'_> {
    type Outcome = Acquired;

    fn send(&self, place: Place, _: Form) -> Reply<Acquired> {
        call(place, &self.words(), Acquired::read)
    }
}

impl Command for Release<'_> {
    type Outcome = Released;

    fn send(&self, place: Place, form: Form) -> Reply<Released> {
        let words = match form {
            Form::Short => self.short(RELEASE.get_hash()),
            Form::Full => self.full(),
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
