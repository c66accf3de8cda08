//! A connection of the driver to one server, which is opened again when it has failed.

use std::time::Duration;

use redis::{Client, Cmd, Connection, ErrorKind, FromRedisValue, RedisError, RedisResult};

use crate::history::{Observation, now};

/// How long to wait for an answer by default.
const LIMIT: Duration = Duration::from_millis(500);

/// A connection to the server on a port of 127.0.0.1.
pub struct Link {
    port: u16,
    limit: Duration,
    connection: Option<Connection>,
}

impl Link {
    /// A connection that is opened with the first command.
    pub fn new(port: u16) -> Self {
        Self::within(port, LIMIT)
    }

    /// A connection that waits this long for each answer.
    pub fn within(port: u16, limit: Duration) -> Self {
        Self { port, limit, connection: None }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs a command.
    pub fn run<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        // A connection that failed may owe an answer to an earlier question.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(self.port, self.limit)?,
        };
        let answer = command.query(&mut connection);
        let answered = |error: &RedisError| matches!(error.kind(), ErrorKind::Server(_));
        if answer.as_ref().err().is_none_or(answered) {
            self.connection = Some(connection);
        }
        answer
    }

    /// The owners that the keys have at this server.
    pub fn owners(&mut self, keys: &[String]) -> RedisResult<Vec<Option<String>>> {
        self.run(redis::cmd("MGET").arg(keys))
    }

    /// The values of the keys at this server.
    pub fn look(&mut self, keys: &[String]) -> RedisResult<Vec<Observation>> {
        let start = now();
        let owners = self.owners(keys)?;
        let end = now();
        let seen = keys.iter().zip(owners);
        let seen = seen.map(|(key, owner)| Observation { key: key.clone(), owner, start, end });
        Ok(seen.collect())
    }
}

fn connect(port: u16, limit: Duration) -> RedisResult<Connection> {
    let client = Client::open(format!("redis://127.0.0.1:{port}/"))?;
    let connection = client.get_connection_with_timeout(limit)?;
    connection.set_read_timeout(Some(limit))?;
    Ok(connection)
}
