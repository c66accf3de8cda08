//! Handing a contended lock over on Redis: from the call of a release to the moment when the next holder, in another
//! process, knows that it has the lock. One waits and one holds, in turns.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use holdfast::{LeaseOptions, Locks, Resource, UnlockStatus};
use holdfast_tests::redis_server::RedisServer;
use tokio::{runtime::Runtime, sync::oneshot, time::sleep};

use crate::{
    native::BareRedis,
    redis_locks::{Bare, Pair, locks},
    rounds::{Rounds, Spread},
    table::Table,
    workload::STORE_NAME,
};

const RESOURCE: &str = "resource";

/// How long the lock is held in between, so that the waiter has begun to wait. The time varies, so that it does not
/// keep step with a poller.
const HELD: Duration = Duration::from_millis(4);
const VARIES: u64 = 10_000;

/// How often the poller tries.
const POLLED: Duration = Duration::from_millis(10);

/// Measures the pairs, and adds the rows.
pub fn measure(rounds: Rounds, table: &mut Table) -> Result<()> {
    let server = RedisServer::start();
    let runtime = Runtime::new()?;
    let address = server.address();
    let pair = [runtime.block_on(locks(&address))?, runtime.block_on(locks(&address))?];
    let bare = Bare(runtime.block_on(BareRedis::connect(&address, true))?);
    let other = Bare(runtime.block_on(BareRedis::connect(&address, true))?);
    let [notified, polling, least] = rounds.run([
        &mut |length| runtime.block_on(notified(length, &pair)),
        &mut |length| runtime.block_on(polling(length, &bare, &other)),
        &mut |length| runtime.block_on(two_round_trips(length, &bare)),
    ])?;
    let what = "hand-over of a contended lock / two round trips";
    table.call(what, &notified, &least, "ratio at most 1.25");
    let what = "hand-over of a contended lock / poller every 10 ms";
    table.call(what, &notified, &polling, "ratio at most 0.2");
    Ok(())
}

/// Two processes hand the lock over to each other. Returns how many hand-overs of the median duration fit into a
/// second.
pub async fn notified(length: Duration, pair: &[Locks; 2]) -> Result<f64> {
    let resource = Resource { store: STORE_NAME, id: RESOURCE };
    let options = LeaseOptions::new(Duration::from_secs(60)).wait(Duration::from_secs(60));
    let mut held = pair[0].acquire(resource, &options).await?.context("the lock is not free")?;
    let (begun, mut durations, mut holder) = (Instant::now(), Vec::new(), 0);
    while begun.elapsed() < length {
        let (locks, options) = (pair[1 - holder].clone(), options.clone());
        let waiting = tokio::spawn(async move {
            let lease = locks.acquire(resource, &options).await;
            (lease, Instant::now())
        });
        sleep(hold_time()).await;
        let called = Instant::now();
        let freed = pair[holder].unlock(resource, &held.owner).await?;
        ensure!(freed == UnlockStatus::Success, "not freed: {freed:?}");
        let (lease, known) = waiting.await?;
        held = lease?.context("the lock was not handed over")?;
        durations.push(known.duration_since(called).as_secs_f64());
        holder = 1 - holder;
    }
    pair[holder].unlock(resource, &held.owner).await?;
    Ok(1.0 / Spread::of(durations).median)
}

/// The same with a waiter that tries every 10 ms.
async fn polling(length: Duration, holder: &Bare, waiter: &Bare) -> Result<f64> {
    let (begun, mut durations) = (Instant::now(), Vec::new());
    while begun.elapsed() < length {
        holder.take(RESOURCE).await?;
        let (waiter, (started, waits)) = (waiter.clone(), oneshot::channel());
        let waiting = tokio::spawn(async move {
            let mut started = Some(started);
            while waiter.take(RESOURCE).await.is_err() {
                if let Some(started) = started.take() {
                    let _ = started.send(());
                }
                sleep(POLLED).await;
            }
            Instant::now()
        });
        waits.await.context("the poller does not wait")?;
        sleep(hold_time()).await;
        let called = Instant::now();
        holder.release(RESOURCE).await?;
        durations.push(waiting.await?.duration_since(called).as_secs_f64());
        holder.release(RESOURCE).await?;
    }
    Ok(1.0 / Spread::of(durations).median)
}

/// A release and an acquire, one after the other: no hand-over can be faster if the waiter has to take the lock.
async fn two_round_trips(length: Duration, by: &Bare) -> Result<f64> {
    let (begun, mut durations) = (Instant::now(), Vec::new());
    by.take(RESOURCE).await?;
    while begun.elapsed() < length {
        sleep(hold_time()).await;
        let called = Instant::now();
        by.release(RESOURCE).await?;
        by.take(RESOURCE).await?;
        durations.push(called.elapsed().as_secs_f64());
    }
    by.release(RESOURCE).await?;
    Ok(1.0 / Spread::of(durations).median)
}

fn hold_time() -> Duration {
    HELD + Duration::from_micros(fastrand::u64(..VARIES))
}
