//! The compiler of static binaries: rustup's target for musl, and musl's headers for the parts in C.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    files,
    needs::debian,
    process::{output, which},
};

/// The target, and the variable with the C compiler for it, as the crate `cc` reads it.
pub struct Musl {
    pub target: String,
    pub compiler: (String, PathBuf),
}

/// Adds the target with rustup, and fetches the headers, where they are missing.
pub fn find(root: &Path) -> Result<Musl> {
    let target = format!("{}-unknown-linux-musl", env::consts::ARCH);
    let libraries = ["--print", "target-libdir", "--target", &target];
    let libraries = output(Command::new("rustc").args(libraries).current_dir(root))?;
    if !Path::new(libraries.trim_end()).is_dir() {
        if which("rustup").is_none() {
            bail!("the target {target} is missing, and rustup, which could add it");
        }
        output(Command::new("rustup").args(["target", "add", &target]).current_dir(root))
            .with_context(|| {
                format!("run `rustup target add {target}` where its server is reached")
            })?;
    }
    let compiler = match which("musl-gcc") {
        Some(compiler) => compiler,
        None => unpacked(root).context("musl-gcc is missing: run `apt-get install musl-tools`")?,
    };
    let variable = format!("CC_{}", target.replace('-', "_"));
    Ok(Musl { target, compiler: (variable, compiler) })
}

/// The system's compiler with musl's headers, from Debian's package.
fn unpacked(root: &Path) -> Result<PathBuf> {
    let musl = root.join("target/musl");
    debian::unpack(&musl, || Ok(vec!["musl-dev".to_owned()]))?;
    let own = output(Command::new("cc").arg("-print-file-name=include"))?;
    let headers = musl.join(format!("usr/include/{}-linux-musl", env::consts::ARCH));
    let compiler = musl.join("musl-cc");
    let script = format!(
        "#!/bin/sh\nexec cc -nostdinc -isystem '{}' -isystem '{}' \"$@\"\n",
        headers.display(),
        own.trim_end(),
    );
    files::write(&compiler, &script)?;
    fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", compiler.display()))?;
    Ok(compiler)
}
