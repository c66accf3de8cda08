//! A call through the component, without I/O: the rules natively, a warm instance, and a fresh instance
//! for each step. All use the store in memory, on one thread.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use holdfast::{Attempt, Limits, Locks, Resource, UnlockStatus, Verb, store::memory::MemoryStore};
use holdfast_rules::types as rules;
use holdfast_tests::MINUTE;
use tokio::runtime::{self, Runtime};

use crate::{
    native::Native,
    rounds::Rounds,
    table::Table,
    workload::{APP_ID, OWNER, STORE_NAME, lock_body},
};

/// How many pairs of calls are made between two looks at the clock.
const PAIRS: usize = 32;

/// Measures the calls, and adds the rows.
pub fn measure(rounds: Rounds, table: &mut Table) -> Result<()> {
    let runtime = runtime::Builder::new_current_thread().build()?;
    let native = Native::new(Arc::new(MemoryStore::new()))?;
    let warm = locks(Limits::default())?;
    let mut never_kept = Limits::default();
    never_kept.instance_memory_kept = 0;
    let fresh = locks(never_kept)?;

    let [native_typed, warm_typed, fresh_typed] = rounds.run([
        &mut |length| repeat(&runtime, length, async || native_typed(&native).await),
        &mut |length| repeat(&runtime, length, async || typed(&warm).await),
        &mut |length| repeat(&runtime, length, async || typed(&fresh).await),
    ])?;
    let body = lock_body("resource", OWNER);
    let body = body.as_bytes();
    let [native_json, warm_json, fresh_json] = rounds.run([
        &mut |length| repeat(&runtime, length, async || json_native(&native, body).await),
        &mut |length| repeat(&runtime, length, async || json(&warm, body).await),
        &mut |length| repeat(&runtime, length, async || json(&fresh, body).await),
    ])?;

    let aim = "adds at most 0.80 µs";
    table.call("a call, warm instance / native rules", &warm_typed, &native_typed, aim);
    let aim = "adds at most 1.10 µs";
    table.call("a JSON call, warm instance / native rules", &warm_json, &native_json, aim);
    table.call("a call, fresh instances / native rules", &fresh_typed, &native_typed, "");
    table.call("a JSON call, fresh instances / native rules", &fresh_json, &native_json, "");
    Ok(())
}

fn locks(limits: Limits) -> Result<Locks> {
    let store = Arc::new(MemoryStore::new());
    Ok(Locks::builder().app_id(APP_ID).store(STORE_NAME, store).limits(limits).build()?)
}

/// Makes pairs of calls, one after the other, and returns the calls per second.
fn repeat(runtime: &Runtime, length: Duration, pair: impl AsyncFn() -> Result<()>) -> Result<f64> {
    runtime.block_on(async {
        let start = Instant::now();
        let mut pairs = 0_u32;
        while start.elapsed() < length {
            for _ in 0..PAIRS {
                pair().await?;
                pairs += 1;
            }
        }
        Ok(f64::from(2 * pairs) / start.elapsed().as_secs_f64())
    })
}

async fn native_typed(native: &Native<Arc<MemoryStore>>) -> Result<()> {
    let taken = native.try_lock(black_box(STORE_NAME), black_box("resource"), OWNER, 60_000).await;
    ensure!(taken == Ok(true), "not taken: {taken:?}");
    let freed = native.unlock(black_box(STORE_NAME), black_box("resource"), OWNER).await;
    ensure!(freed == Ok(rules::UnlockStatus::Success), "not freed: {freed:?}");
    Ok(())
}

async fn typed(locks: &Locks) -> Result<()> {
    let resource = Resource { store: black_box(STORE_NAME), id: black_box("resource") };
    let taken = locks.try_lock(resource, OWNER, MINUTE).await;
    ensure!(taken == Ok(Attempt::Acquired), "not taken: {taken:?}");
    let freed = locks.unlock(resource, OWNER).await;
    ensure!(freed == Ok(UnlockStatus::Success), "not freed: {freed:?}");
    Ok(())
}

async fn json_native(native: &Native<Arc<MemoryStore>>, body: &[u8]) -> Result<()> {
    let taken = native.json(rules::Verb::TryLock, STORE_NAME, black_box(body)).await;
    ensure!(taken.body == br#"{"success":true}"#, "not taken: {taken:?}");
    let freed = native.json(rules::Verb::Unlock, STORE_NAME, black_box(body)).await;
    ensure!(freed.body == br#"{"status":0}"#, "not freed: {freed:?}");
    Ok(())
}

async fn json(locks: &Locks, body: &[u8]) -> Result<()> {
    let taken = locks.json(Verb::TryLock, STORE_NAME, black_box(body)).await?;
    ensure!(taken.body == br#"{"success":true}"#, "not taken: {taken:?}");
    let freed = locks.json(Verb::Unlock, STORE_NAME, black_box(body)).await?;
    ensure!(freed.body == br#"{"status":0}"#, "not freed: {freed:?}");
    Ok(())
}
