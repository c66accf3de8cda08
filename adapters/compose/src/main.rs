//! `holdfast-compositions DIR` writes all compositions into a folder, and `holdfast-compositions --parts DIR` writes
//! their parts.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1).peekable();
    let parts = arguments.next_if(|first| first == "--parts").is_some();
    let folder = arguments.next().map(PathBuf::from);
    let folder = folder.context("usage: holdfast-compositions [--parts] DIR")?;
    let files = if parts { holdfast_compositions::parts() } else { holdfast_compositions::all()? };
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for composition in files {
        let file = folder.join(composition.name);
        fs::write(&file, &composition.wasm)
            .with_context(|| format!("cannot write {}", file.display()))?;
        println!("{:>7} bytes  {}", composition.wasm.len(), file.display());
    }
    Ok(())
}
