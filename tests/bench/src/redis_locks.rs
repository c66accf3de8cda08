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
use holdfast_tests::{MINUTE, redis_server::RedisServer};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{
    native::BareRedis,
    rounds::{Rounds, Spread},
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
    let same = SameCommands(bare.0.clone());
    let delayed = Bare(runtime.block_on(BareRedis::connect(&address, false))?);

    for callers in CALLERS {
        let [ours, bare, same] = rounds.run([
            &mut |length| drive(&runtime, callers, length, &ours),
            &mut |length| drive(&runtime, callers, length, &bare),
            &mut |length| drive(&runtime, callers, length, &same),
        ])?;
        let what = format!("acquire + release on Redis, {callers} at once / bare client");
        let aim = if callers == 1 { 0.95 } else { 1.0 };
        table.throughput(&what, &ours, &bare, Some(aim));
        let what = format!("the same, {callers} at once / bare client that sends PXAT and TIME");
        table.throughput(&what, &ours, &same, None);
    }
    let [median, least] = rounds
        .run([&mut |length| median_acquire(&runtime, length, &ours), &mut |length| {
            median_acquire(&runtime, length, &bare)
        }])?;
    let what = "median acquire on Redis, 1 at a time / bare SET NX PX";
    table.call(what, &median, &least, "ratio at most 1.1");
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

/// Takes and releases locks that no other caller wants.
pub trait Pair: Clone + Send + Sync + 'static {
    /// Takes the lock.
    fn take(&self, resource: &str) -> impl Future<Output = Result<()>> + Send;

    /// Releases it.
    fn release(&self, resource: &str) -> impl Future<Output = Result<()>> + Send;
}

/// Holdfast's locks.
#[derive(Clone)]
pub struct Through(pub Locks);

impl Pair for Through {
    async fn take(&self, resource: &str) -> Result<()> {
        let resource = Resource { store: STORE_NAME, id: resource };
        let attempt = self.0.try_lock(resource, OWNER, MINUTE).await?;
        ensure!(attempt == Attempt::Acquired, "not taken");
        Ok(())
    }

    async fn release(&self, resource: &str) -> Result<()> {
        let freed = self.0.unlock(Resource { store: STORE_NAME, id: resource }, OWNER).await?;
        ensure!(freed == UnlockStatus::Success, "not freed: {freed:?}");
        Ok(())
    }
}

/// The bare client with the fewest commands that make a lock.
#[derive(Clone)]
pub struct Bare(pub BareRedis);

impl Pair for Bare {
    async fn take(&self, resource: &str) -> Result<()> {
        ensure!(self.0.set(&key(resource), OWNER, 60_000).await?, "not taken");
        Ok(())
    }

    async fn release(&self, resource: &str) -> Result<()> {
        ensure!(self.0.compare_and_delete(&key(resource), OWNER).await? == 1, "not freed");
        Ok(())
    }
}

/// The bare client with Holdfast's commands.
#[derive(Clone)]
struct SameCommands(BareRedis);

impl Pair for SameCommands {
    async fn take(&self, resource: &str) -> Result<()> {
        ensure!(self.0.set_and_read_clock(&key(resource), OWNER, MINUTE).await?, "not taken");
        Ok(())
    }

    async fn release(&self, resource: &str) -> Result<()> {
        Bare(self.0.clone()).release(resource).await
    }
}

/// Holdfast builds the key for each call, too.
fn key(resource: &str) -> String {
    format!("lock||{APP_ID}||{resource}")
}

/// Takes and releases a lock over and over, and returns how many acquires of the median duration fit into
/// a second.
pub fn median_acquire(runtime: &Runtime, length: Duration, by: &impl Pair) -> Result<f64> {
    runtime.block_on(async {
        let begun = Instant::now();
        let mut durations = Vec::new();
        while begun.elapsed() < length {
            let sent = Instant::now();
            by.take("resource").await?;
            durations.push(sent.elapsed().as_secs_f64());
            by.release("resource").await?;
        }
        Ok(1.0 / Spread::of(durations).median)
    })
}

/// Runs `callers` at once, and returns their pairs per second.
pub fn drive(runtime: &Runtime, callers: usize, length: Duration, by: &impl Pair) -> Result<f64> {
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
                    by.take(&resource).await?;
                    by.release(&resource).await?;
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
