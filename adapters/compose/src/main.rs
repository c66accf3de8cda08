//! Writes the compositions into a folder: `holdfast-compositions DIR`.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.context("name the folder that the components are to be written to")?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for composition in holdfast_compositions::all()? {
        let file = folder.join(composition.name);
        fs::write(&file, &composition.wasm)
            .with_context(|| format!("cannot write {}", file.display()))?;
        println!("{:>7} bytes  {}", composition.wasm.len(), file.display());
    }
    Ok(())
}
