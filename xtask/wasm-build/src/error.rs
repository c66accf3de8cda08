//! What can go wrong while a component is built.

use std::{env::JoinPathsError, io, path::PathBuf};

use crate::toolchain::{CHOICE, TARGET};

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither rustup's target nor Debian's toolchain is there.
    #[error("the target {TARGET} is missing: run `cargo xtask setup`")]
    NoToolchain,
    /// The variable that forces a toolchain names one that does not exist.
    #[error("{CHOICE} is {0:?}: it may be \"rustup\" or \"debian\"")]
    UnknownToolchain(String),
    /// Cargo sets this variable for build scripts and `cargo run`; somebody else called.
    #[error("{0} is not set: run this with cargo")]
    NoVariable(&'static str),
    /// No manifest with a `[workspace]` in or above this directory.
    #[error("no cargo workspace in or above {0}")]
    NoWorkspace(PathBuf),
    /// A directory that has to go on a search path cannot: its name has a colon.
    #[error("cannot make a search path: {0}")]
    SearchPath(#[from] JoinPathsError),
    /// A program could not be started.
    #[error("cannot run {program}: {source}")]
    Run {
        /// Which program.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The package did not compile.
    #[error("{package} did not build for {TARGET}\n{stderr}")]
    Build {
        /// Which package.
        package: String,
        /// What the nested cargo and its compiler said.
        stderr: String,
    },
    /// The package compiled, but cargo named no component among what it made.
    #[error("{package} was built, but cargo reports no component")]
    NoComponent {
        /// Which package.
        package: String,
    },
}
