//! The C compiler: Rust links with it, and the TLS library has parts in C.

use anyhow::{Result, bail};

use crate::process::which;

/// Fails if there is none on `PATH`.
pub fn find() -> Result<()> {
    if which("cc").is_none() {
        bail!("the C compiler `cc` is missing: run `apt-get install build-essential`");
    }
    Ok(())
}
