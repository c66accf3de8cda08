//! `holdfast component compose`.

use anyhow::{Result, anyhow};

use super::{super::arguments::Compose, file};

pub fn compose(args: &Compose) -> Result<()> {
    let wasm = file::read(&args.plugin)?;
    let composed = holdfast_compositions::plugin(&wasm);
    // The text contains the causes, which `anyhow` would repeat.
    let composed = composed.map_err(|error| anyhow!("{}: {error}", args.plugin.display()))?;
    file::write(&args.output, &composed)
}
