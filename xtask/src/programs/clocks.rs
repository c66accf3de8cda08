//! libfaketime, from Debian's package, which sets the clocks of the servers and processes that tests start.

use std::path::Path;

use anyhow::{Context, Result};
use holdfast_wasm_build::library_dirs;

use super::{
    group::{Group, Place, Program},
    servers::{link, unpacked},
};

pub const CLOCKS: Group = Group {
    choice: "HOLDFAST_CLOCKS",
    directory: "HOLDFAST_CLOCK_",
    what: "the clock",
    made: "clocks",
    shared: None,
    programs: &[Program {
        name: "faketime",
        sources: &[],
        tools: &[],
        version: &["apt-get", "--version"],
        prepare: faketime,
    }],
};

const LIBRARY: &str = "libfaketime.so.1";

/// Puts the library into `place`.
fn faketime(place: &Place) -> Result<()> {
    let unpacked = unpacked(place, &["libfaketime"])?;
    let folders = library_dirs(&unpacked);
    let mut libraries = folders.iter().map(|folder| folder.join("faketime").join(LIBRARY));
    let library = libraries.find(|library| Path::exists(library));
    link(&library.context("Debian's package has no libfaketime")?, &place.made.join(LIBRARY))
}
