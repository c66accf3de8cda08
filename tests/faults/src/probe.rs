//! Looks at the keys in Redis all the time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use redis::{Client, Connection, RedisResult};

use crate::{
    history::{Broken, Nanos, Observation, ms, now},
    record::Record,
};

/// How often it looks.
const PERIOD: Duration = Duration::from_millis(5);

/// A pause of [`PERIOD`] that takes longer than this shows that the driver got no processor.
const STARVED: Nanos = ms(250);

/// How long it waits for an answer.
const LIMIT: Duration = Duration::from_millis(500);

/// A thread that looks at the keys until it is told to stop.
pub struct Probe {
    done: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Probe {
    /// Begins to look at these keys of the server on this port of 127.0.0.1.
    pub fn start(port: u16, keys: Vec<String>, record: Arc<Record>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let until = done.clone();
        let thread = thread::spawn(move || {
            let mut connection = None;
            while !until.load(Ordering::SeqCst) {
                // A connection that failed may owe an answer to an earlier question.
                connection = look(connection, port, &keys, &record).ok();
                let start = now();
                thread::sleep(PERIOD);
                if now() - start > STARVED {
                    record.broken(Broken::Starved, start);
                }
            }
        });
        Self { done, thread }
    }

    /// Stops.
    pub fn finish(self) {
        self.done.store(true, Ordering::SeqCst);
        let _ = self.thread.join();
    }
}

fn look(
    connection: Option<Connection>,
    port: u16,
    keys: &[String],
    record: &Record,
) -> RedisResult<Connection> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => connect(port)?,
    };
    let start = now();
    let owners: Vec<Option<String>> = redis::cmd("MGET").arg(keys).query(&mut connection)?;
    let end = now();
    for (key, owner) in keys.iter().zip(owners) {
        record.observation(Observation { key: key.clone(), owner, start, end });
    }
    Ok(connection)
}

fn connect(port: u16) -> RedisResult<Connection> {
    let client = Client::open(format!("redis://127.0.0.1:{port}/"))?;
    let connection = client.get_connection_with_timeout(LIMIT)?;
    connection.set_read_timeout(Some(LIMIT))?;
    Ok(connection)
}
