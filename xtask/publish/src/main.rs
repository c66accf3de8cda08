//! The command line behind `cargo xtask package` and `cargo xtask publish`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};
use holdfast_publish::{
    package::{self, Places},
    registry::{self, Place},
};

/// Packages the components and the contract, and publishes them
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the files of a release
    Package {
        /// The workspace
        #[arg(long)]
        root: PathBuf,
        /// The components as they were built
        #[arg(long)]
        components: PathBuf,
        /// Where the release is to be; what is there is removed
        #[arg(long)]
        dist: PathBuf,
    },
    /// Puts a release into an OCI registry
    Publish {
        /// The release
        #[arg(long)]
        dist: PathBuf,
        /// `HOST[:PORT]/NAMESPACE`
        #[arg(long)]
        registry: String,
        /// Over HTTP without TLS
        #[arg(long)]
        insecure: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not Debug: that would add a backtrace to a message for people.
            eprintln!("holdfast-publish: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Package { root, components, dist } => {
            let files = package::write(&Places { root, components, dist: dist.clone() }).await?;
            for file in files {
                println!("{}", dist.join(file).display());
            }
        }
        Command::Publish { dist, registry, insecure } => {
            let place = Place { registry: &registry, insecure };
            for (package, new) in registry::publish(&dist, &place).await? {
                let what = if new { "now has" } else { "has, unchanged," };
                println!("{registry} {what} {package}");
            }
        }
    }
    Ok(())
}
