//! Acquire and release on Redis: through the component and its host, against the same two commands sent by
//! the bare client. Many callers at once, on as many threads as there are processors.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use holdfast::{
    Attempt, Locks, Resource, UnlockStatus,
    store::redis::{RedisSettings, RedisStore},
};
use holdfast_tests::redis_server::RedisServer;
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{
    native::BareRedis,
    rounds::Rounds,
    table::Table,
    workload::{APP_ID, OWNER, STORE_NAME},
};

/// How many callers there are at once.
const CALLERS: [usize; 4] = [1, 16, 64, 256];

/// Measures the pairs, and adds the rows.
pub fn measure(rounds: Rounds, table: &mut Table) -> Result<()> {
    let server = RedisServer::start();
    let runtime = Runtime::new()?;
    let address = server.address();
    let ours = Through(runtime.block_on(locks(&address))?);
    let bare = Bare(runtime.block_on(BareRedis::connect(&address, true))?);
    let delayed = Bare(runtime.block_on(BareRedis::connect(&address, false))?);

    for callers in CALLERS {
        let [ours, bare] = rounds
            .run([&mut |length| drive(&runtime, callers, length, &ours), &mut |length| {
                drive(&runtime, callers, length, &bare)
            }])?;
        let what = format!("acquire + release on Redis, {callers} at once / bare client");
        let aim = if callers == 1 { 0.95 } else { 1.0 };
        table.throughput(&what, &ours, &bare, Some(aim));
    }
    let [on, off] = rounds
        .run([&mut |length| drive(&runtime, 64, length, &bare), &mut |length| {
            drive(&runtime, 64, length, &delayed)
        }])?;
    table.throughput("bare client, 64 at once, TCP_NODELAY on / off", &on, &off, None);
    Ok(())
}

/// Locks on the server, with default settings.
pub async fn locks(address: &str) -> Result<Locks> {
    let settings = RedisSettings::parse(&[("redisHost", address)].into_iter().collect())?;
    let store = Arc::new(RedisStore::connect(STORE_NAME, settings).await?);
    Ok(Locks::builder().app_id(APP_ID).store(STORE_NAME, store).build()?)
}

/// Takes and releases a lock that no other caller wants.
trait Pair: Clone + Send + Sync + 'static {
    fn pair(&self, resource: &str) -> impl Future<Output = Result<()>> + Send;
}

#[derive(Clone)]
struct Through(Locks);

impl Pair for Through {
    async fn pair(&self, resource: &str) -> Result<()> {
        let resource = Resource { store: STORE_NAME, id: resource };
        let attempt = self.0.try_lock(resource, OWNER, Duration::from_secs(60)).await?;
        ensure!(attempt == Attempt::Acquired, "not taken");
        let freed = self.0.unlock(resource, OWNER).await?;
        ensure!(freed == UnlockStatus::Success, "not freed: {freed:?}");
        Ok(())
    }
}

#[derive(Clone)]
struct Bare(BareRedis);

impl Pair for Bare {
    async fn pair(&self, resource: &str) -> Result<()> {
        // Holdfast builds the key for each call, too.
        self.0.pair(&format!("lock||{APP_ID}||{resource}"), OWNER).await
    }
}

/// Runs `callers` at once, and returns their pairs per second.
fn drive(runtime: &Runtime, callers: usize, length: Duration, by: &impl Pair) -> Result<f64> {
    let by = by.clone();
    runtime.block_on(async move {
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for caller in 0..callers {
            let by = by.clone();
            tasks.spawn(async move {
                let resource = format!("resource-{caller}");
                let mut pairs = 0_u32;
                while start.elapsed() < length {
                    by.pair(&resource).await?;
                    pairs += 1;
                }
                Ok::<_, anyhow::Error>(pairs)
            });
        }
        let mut pairs = 0;
        for done in tasks.join_all().await {
            pairs += done?;
        }
        Ok(f64::from(pairs) / start.elapsed().as_secs_f64())
    })
}
