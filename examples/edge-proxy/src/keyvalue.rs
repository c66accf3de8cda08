//! `wasi:keyvalue/store` over Redis. Each plugin has keys of its own; a value is kept for a day.

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

/// How long a value is kept, in seconds. Expiry replaces a cleanup, and a cache needs no more.
const TIME_TO_LIVE: u64 = 24 * 60 * 60;

/// The values of one plugin.
#[derive(Clone)]
pub struct Values {
    redis: ConnectionManager,
    prefix: String,
}

impl Values {
    /// Values under the application id. It must not contain `|`, or plugins could share keys.
    pub fn new(redis: ConnectionManager, app_id: &str) -> Self {
        Self { redis, prefix: format!("cache||{app_id}||") }
    }

    /// A Redis command on one key.
    fn command(&self, name: &str, key: &str) -> Cmd {
        let mut command = cmd(name);
        command.arg(format!("{}{key}", self.prefix));
        command
    }

    async fn run<T: FromRedisValue>(&mut self, command: &Cmd) -> HostResult<T> {
        Ok(command.query_async(&mut self.redis).await.map_err(failed))
    }

    async fn page(&mut self, cursor: u64) -> RedisResult<KeyResponse> {
        // The application id may contain characters that have a meaning in patterns.
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
type HostResult<T> = Result<std::result::Result<T, Error>>;

/// Each plugin has one bucket, so every handle is 0.
impl store::Host for &mut Values {
    async fn open(&mut self, identifier: String) -> HostResult<Bucket> {
        Ok(if identifier.is_empty() { Ok(Resource::new_own(0)) } else { Err(Error::NoSuchStore) })
    }
}

impl store::HostBucket for &mut Values {
    async fn get(&mut self, _: Bucket, key: String) -> HostResult<Option<Vec<u8>>> {
        self.run(&self.command("GET", &key)).await
    }

    async fn set(&mut self, _: Bucket, key: String, value: Vec<u8>) -> HostResult<()> {
        self.run(self.command("SET", &key).arg(value).arg("EX").arg(TIME_TO_LIVE)).await
    }

    async fn delete(&mut self, _: Bucket, key: String) -> HostResult<()> {
        self.run(&self.command("DEL", &key)).await
    }

    async fn exists(&mut self, _: Bucket, key: String) -> HostResult<bool> {
        self.run(&self.command("EXISTS", &key)).await
    }

    async fn list_keys(&mut self, _: Bucket, cursor: Option<u64>) -> HostResult<KeyResponse> {
        Ok(self.page(cursor.unwrap_or(0)).await.map_err(failed))
    }

    async fn drop(&mut self, _: Bucket) -> Result<()> {
        Ok(())
    }
}

fn failed(error: redis::RedisError) -> Error {
    Error::Other(error.to_string())
}
