//! `cargo xtask layers`: arrows point down only. Checks the workspaces whose directories it is given.
//!
//! - A package depends only on packages of lower layers (`layers.rs`).
//! - The files of a package, and its folders, form no circle (`circles.rs`).
//! - A package includes no file from outside its own directory, nor do its tests (`outside.rs`).
//!
//! An arrow goes from file A to file B if A names an item that B defines. A re-export (`pub use`) names
//! nothing, and a file that names an item through it points to the file that defines the item. `mod x;` names
//! nothing either. Test code does not count.
//!
//! `packages.rs` asks cargo for the packages, `modules.rs` reads the modules of a crate, `resolve.rs` finds the
//! module that defines what a path names, and `arrows.rs` collects the arrows.

use std::{env, path::Path, process::ExitCode};

use anyhow::Result;

mod arrows;
mod circles;
mod layers;
mod modules;
mod outside;
mod packages;
mod resolve;
#[cfg(test)]
mod tests;

use modules::Crate;
use packages::Workspace;

fn main() -> ExitCode {
    let mut count = 0;
    for workspace in env::args_os().skip(1) {
        match check(Path::new(&workspace)) {
            Ok(faults) => {
                count += faults.len();
                faults.iter().for_each(|fault| println!("{fault}"));
            }
            Err(error) => {
                eprintln!("layers: {error:#}");
                return ExitCode::FAILURE;
            }
        }
    }
    if count > 0 {
        eprintln!("layers: {count} found");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The violations in the workspace that `directory` is in, each as a text of one or more lines.
fn check(directory: &Path) -> Result<Vec<String>> {
    let Workspace { root, packages } = packages::read(directory)?;
    let mut faults = layers::upward(&packages);
    for package in &packages {
        for target in &package.targets {
            let krate = Crate::read(&target.root_file, &root)?;
            faults.extend(circles::find(&krate));
            faults.extend(outside::find(&krate, package));
        }
    }
    Ok(faults)
}
