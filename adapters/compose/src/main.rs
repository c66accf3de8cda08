//! `holdfast-compositions DIR` writes all compositions into a folder.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.context("usage: holdfast-compositions DIR")?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for composition in holdfast_compositions::all()? {
        let file = folder.join(composition.name);
        fs::write(&file, &composition.wasm)
            .with_context(|| format!("cannot write {}", file.display()))?;
        println!("{:>7} bytes  {}", composition.wasm.len(), file.display());
    }
    Ok(())
}
