//! The command line of the tool behind `cargo xtask package` and `cargo xtask publish`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};
use holdfast_publish::{
    package::{self, Places},
    registry::{self, Place},
};

/// Packages a release, and publishes it
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the files of a release
    Package {
        /// The root of the workspace
        #[arg(long)]
        root: PathBuf,
        /// The directory of the built components
        #[arg(long)]
        components: PathBuf,
        /// Other files of the release, such as `.crate` files
        files: Vec<PathBuf>,
        /// The directory of the release, which is emptied first
        #[arg(long)]
        dist: PathBuf,
    },
    /// Puts a release into an OCI registry
    Publish {
        /// The directory of the release
        #[arg(long)]
        dist: PathBuf,
        /// `HOST[:PORT]/NAMESPACE`
        #[arg(long)]
        registry: String,
        /// Use HTTP without TLS
        #[arg(long)]
        insecure: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not Debug, which would add a backtrace.
            eprintln!("holdfast-publish: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Package { root, components, files, dist } => {
            let places = Places { root, components, files, dist: dist.clone() };
            let files = package::write(&places).await?;
            for file in files {
                println!("{}", dist.join(file).display());
            }
        }
        Command::Publish { dist, registry, insecure } => {
            let place = Place { registry: &registry, insecure };
            for (package, new) in registry::publish(&dist, &place).await? {
                let what = if new { "now has" } else { "already has" };
                println!("{registry} {what} {package}");
            }
        }
    }
    Ok(())
}
