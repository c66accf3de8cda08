//! `holdfast component run`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use holdfast::{
    Locks,
    resources::{OpenedLocks, OpenedStore},
};
use tokio::runtime::Runtime;

use super::{
    super::{
        arguments::{LogLevel, Run},
        logging, stores,
    },
    plugin::Plugin,
};

pub fn run(args: &Run) -> Result<ExitCode> {
    logging::start(&args.log, LogLevel::Warn, None);
    let plugin = Plugin::load(&args.plugin)?;
    let runtime = Runtime::new().context("cannot start the runtime")?;
    let exit = runtime.block_on(async {
        let locks = open(args).await?;
        let ended = plugin.run(locks.clone(), &args.args).await;
        locks.close().await;
        ended
    });
    // A thread may still wait for stdin.
    runtime.shutdown_background();
    exit.map(ExitCode::from)
}

async fn open(args: &Run) -> Result<Locks> {
    let options = stores::options_of_one(&args.stores, None);
    let OpenedLocks { locks, stores, .. } = stores::open(&args.stores, &options).await?;
    if args.stores.folders().is_empty() {
        for OpenedStore { name, component_type, .. } in &stores {
            tracing::warn!(
                "no --resources-path is given: lending the store {name} of type \
                 {component_type}, whose locks end with this process"
            );
        }
    } else if stores.is_empty() {
        tracing::warn!("the resource files define no lock store");
    }
    Ok(locks)
}
