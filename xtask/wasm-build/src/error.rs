//! Why a component or a module cannot be built.

use std::{env::JoinPathsError, io, path::PathBuf};

use wasmparser::BinaryReaderError;

use crate::target::{CHOICE, TARGET};

/// Why there is no component or module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither rustup's target nor Debian's toolchain is installed.
    #[error("the target {TARGET} is missing: run `rustup target add {TARGET}`{also}")]
    NoToolchain {
        /// The other command that works here.
        also: &'static str,
    },
    /// [`CHOICE`] has an unknown value.
    #[error("{CHOICE} is {0:?}: it may be \"rustup\" or \"debian\"")]
    UnknownToolchain(String),
    /// A variable that cargo sets for build scripts and `cargo run` is not set.
    #[error("{0} is not set: run this with cargo")]
    NoVariable(&'static str),
    /// There is no manifest with a `[workspace]` in this directory or above it.
    #[error("no cargo workspace in or above {0}")]
    NoWorkspace(PathBuf),
    /// The package has neither the source of a component beside it nor the component in it.
    #[error(
        "there is neither {wasm} nor its source in {source_dir}: depend on the published package, or on a \
         checkout of the whole repository (`cargo vendor` copies neither of them from a git dependency)"
    )]
    NoSource {
        /// The file of the component.
        wasm: PathBuf,
        /// The directory of its source, relative to the package.
        source_dir: PathBuf,
    },
    /// A directory that belongs in a search path has a colon in its name.
    #[error("cannot make a search path: {0}")]
    SearchPath(#[from] JoinPathsError),
    /// A program could not be started.
    #[error("cannot run {program}: {source}")]
    Run {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The package did not compile.
    #[error("{package} did not build for {TARGET}\n{stderr}")]
    Build {
        /// The package.
        package: String,
        /// The messages of the nested cargo and its compiler.
        stderr: String,
    },
    /// The package compiled, but cargo reported no WebAssembly.
    #[error("{package} was built, but cargo reports no .wasm file")]
    NoWasm {
        /// The package.
        package: String,
    },
    /// The component could not be read, or could not be written without its debug names.
    #[error("cannot copy the component of {package}: {source}")]
    Copy {
        /// The package.
        package: String,
        /// The system's reason.
        source: io::Error,
    },
    /// What was built is not a component.
    #[error("{package} was built, but not into a component: {source}")]
    NoComponent {
        /// The package.
        package: String,
        /// What is wrong with it.
        source: BinaryReaderError,
    },
}
