//! What every command needs before it can build.

use std::path::Path;

use anyhow::{Result, bail};

use crate::{run::which, wasm_target};

/// Sees to all of it, and leaves alone what is there.
pub fn all(root: &Path) -> Result<()> {
    c_compiler()?;
    wasm_target::install(root)
}

/// Rust links with it, and the TLS library has parts in C.
fn c_compiler() -> Result<()> {
    if which("cc").is_none() {
        bail!("the C compiler `cc` is missing: run `apt-get install build-essential`");
    }
    Ok(())
}
