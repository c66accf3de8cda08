//! `wasi:keyvalue/store` over Redis: each plugin's values under its own application id, for a day.

use redis::{Cmd, FromRedisValue, RedisResult, aio::ConnectionManager, cmd};
use wasmtime::{
    Result,
    component::{HasData, Linker, Resource},
};

use self::bindings::wasi::keyvalue::store::{self, Error, KeyResponse};

#[allow(missing_docs)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit/deps/keyvalue",
        inline: "package holdfast:examples;
            world host { import wasi:keyvalue/store@0.2.0-draft; }",
        imports: { default: async | trappable },
    });
}

/// The longest that a value is kept. A cache needs no more, and nothing has to be cleared away.
const SECONDS: u64 = 24 * 60 * 60;

/// The values of one plugin.
#[derive(Clone)]
pub struct Values {
    redis: ConnectionManager,
    prefix: String,
}

impl Values {
    /// The application id must be without `|`, or one plugin's keys could be another's.
    pub fn new(redis: ConnectionManager, app_id: &str) -> Self {
        Self { redis, prefix: format!("cache||{app_id}||") }
    }

    /// A command on one key.
    fn command(&self, name: &str, key: &str) -> Cmd {
        let mut command = cmd(name);
        command.arg(format!("{}{key}", self.prefix));
        command
    }

    async fn run<T: FromRedisValue>(&mut self, command: &Cmd) -> Outcome<T> {
        Ok(command.query_async(&mut self.redis).await.map_err(failed))
    }

    async fn page(&mut self, cursor: u64) -> RedisResult<KeyResponse> {
        // An application id may have characters that mean something in a pattern.
        let prefix = self.prefix.chars().flat_map(|char| ['\\', char]).collect::<String>();
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(prefix + "*").arg("COUNT").arg(100);
        let (cursor, keys): (u64, Vec<String>) = scan.query_async(&mut self.redis).await?;
        let keys = keys.iter().filter_map(|key| key.strip_prefix(&self.prefix));
        Ok(KeyResponse {
            keys: keys.map(str::to_owned).collect(),
            cursor: Some(cursor).filter(|c| *c != 0),
        })
    }
}

/// Adds the interface to a linker.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    values: fn(&mut T) -> &mut Values,
) -> Result<()> {
    store::add_to_linker::<T, Keyvalue>(linker, values)
}

struct Keyvalue;

impl HasData for Keyvalue {
    type Data<'a> = &'a mut Values;
}

type Bucket = Resource<store::Bucket>;
type Outcome<T> = Result<std::result::Result<T, Error>>;

/// There is one bucket a plugin, so that its handle says nothing.
impl store::Host for &mut Values {
    async fn open(&mut self, identifier: String) -> Outcome<Bucket> {
        Ok(if identifier.is_empty() { Ok(Resource::new_own(0)) } else { Err(Error::NoSuchStore) })
    }
}

impl store::HostBucket for &mut Values {
    async fn get(&mut self, _: Bucket, key: String) -> Outcome<Option<Vec<u8>>> {
        self.run(&self.command("GET", &key)).await
    }

    async fn set(&mut self, _: Bucket, key: String, value: Vec<u8>) -> Outcome<()> {
        self.run(self.command("SET", &key).arg(value).arg("EX").arg(SECONDS)).await
    }

    async fn delete(&mut self, _: Bucket, key: String) -> Outcome<()> {
        self.run(&self.command("DEL", &key)).await
    }

    async fn exists(&mut self, _: Bucket, key: String) -> Outcome<bool> {
        self.run(&self.command("EXISTS", &key)).await
    }

    async fn list_keys(&mut self, _: Bucket, cursor: Option<u64>) -> Outcome<KeyResponse> {
        Ok(self.page(cursor.unwrap_or(0)).await.map_err(failed))
    }

    async fn drop(&mut self, _: Bucket) -> Result<()> {
        Ok(())
    }
}

fn failed(error: redis::RedisError) -> Error {
    Error::Other(error.to_string())
}
