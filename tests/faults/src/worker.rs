//! A worker: a process that takes and releases locks until its standard input ends. It writes each call to
//! its standard output, when it starts and when it ends.

use std::{
    io::{self, Read},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args;
use holdfast::store::{
    Store,
    properties::Properties,
    redis::{self, RedisSettings},
};
use tokio::{sync::watch, task::JoinSet};

use crate::task::{Journal, Task};

/// The command line of a worker.
#[derive(Args)]
pub struct Arguments {
    /// The `host:port` of each server, with commas between
    #[arg(long)]
    address: String,
    /// The number of this process in the run
    #[arg(long)]
    process: u32,
    /// How many tasks take locks
    #[arg(long)]
    tasks: u32,
    /// How many keys there are
    #[arg(long)]
    keys: usize,
    /// What the choices depend on
    #[arg(long)]
    seed: u64,
    /// A setting of the store, `name=value`
    #[arg(long)]
    setting: Vec<String>,
}

/// Works until the standard input ends.
pub fn work(arguments: &Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no runtime")?;
    let (stop, stopped) = watch::channel(false);
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        stop.send_replace(true);
    });
    runtime.block_on(run(arguments, stopped))
}

async fn run(arguments: &Arguments, stopped: watch::Receiver<bool>) -> Result<()> {
    let Some(store) = connect(arguments, &stopped).await? else { return Ok(()) };
    let journal = Arc::new(Journal::new(arguments.process));
    let mut tasks = JoinSet::new();
    for number in 0..arguments.tasks {
        let task = Task {
            store: store.clone(),
            journal: journal.clone(),
            number,
            keys: arguments.keys,
            stopped: stopped.clone(),
            random: fastrand::Rng::with_seed(arguments.seed.wrapping_add(number.into())),
        };
        tasks.spawn(task.run());
    }
    while let Some(ended) = tasks.join_next().await {
        ended.context("a task failed")??;
    }
    store.close().await;
    Ok(())
}

/// Connects; a server that cannot be used now is tried again. `None` if the worker has to stop before.
async fn connect(
    arguments: &Arguments,
    stopped: &watch::Receiver<bool>,
) -> Result<Option<Arc<dyn Store>>> {
    let mut properties = Properties::default();
    properties.insert("redisHost", &*arguments.address);
    for setting in &arguments.setting {
        let (name, value) = setting.split_once('=').context("a setting is `name=value`")?;
        properties.insert(name, value);
    }
    let settings = RedisSettings::parse(&properties)?;
    while !*stopped.borrow() {
        if let Ok(store) = redis::connect("faults", settings.clone()).await {
            return Ok(Some(store));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(None)
}
