//! The program `holdfast` in a release: as a static binary, and as a Debian package.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{
    cargo::{cargo, release_dir, target_dir},
    commands::build::build,
    files,
    needs::musl::{self, Musl},
    process::{output, run, which},
    progress::step,
};

/// Where `sidecar/Cargo.toml` looks for the files of the Debian package besides the binary.
const PARTS: &str = "target/debian-parts";

/// Where the package has the binary.
const BINARY: &str = "/usr/bin/holdfast";

/// Where the unit of `deploy/` has it.
const OF_THE_UNIT: &str = "/usr/local/bin/holdfast";

/// Builds the programs that can be built here, and says what is missing for the others.
pub fn build_all(root: &Path) -> Result<Vec<PathBuf>> {
    let made = [("a static binary", static_binary(root)), ("a Debian package", debian(root))];
    let mut files = Vec::new();
    for (what, made) in made {
        match made {
            Ok(file) => files.push(file),
            Err(error) => eprintln!("xtask: the release goes without {what}: {error:#}"),
        }
    }
    Ok(files)
}

fn static_binary(root: &Path) -> Result<PathBuf> {
    let Musl { target, compiler: (variable, compiler) } = musl::find(root)?;
    let mut build = cargo()?;
    build.args(["build", "--release", "--package", "holdfast-sidecar", "--target", &target]);
    step(&format!("building holdfast for {target}"), || run(build.env(variable, compiler)))?;
    let built = target_dir()?.join(&target).join("release/holdfast");
    let named = target_dir()?.join(format!("holdfast-{}-{target}", env!("CARGO_PKG_VERSION")));
    files::copy_file(&built, &named)?;
    run(Command::new("strip").arg(&named))?;
    Ok(named)
}

fn debian(root: &Path) -> Result<PathBuf> {
    if which("cargo-deb").is_none() {
        bail!("cargo-deb is missing: run `cargo install cargo-deb`");
    }
    build()?;
    step("packaging for Debian", || package(root, &release_dir()?.join("holdfast")))
}

/// Packages a built program with its completions, its manual and its unit.
fn package(root: &Path, program: &Path) -> Result<PathBuf> {
    let parts = root.join(PARTS);
    files::remove(&parts)?;
    files::make(&parts)?;
    let printed = |arguments: &[&str], name: &str| {
        files::write(&parts.join(name), &output(Command::new(program).args(arguments))?)
    };
    printed(&["completions", "bash"], "holdfast.bash")?;
    printed(&["completions", "fish"], "holdfast.fish")?;
    printed(&["completions", "zsh"], "_holdfast")?;
    printed(&["man"], "holdfast.1")?;
    for command in ["serve", "run", "try-lock", "unlock", "check", "health", "component"] {
        printed(&["man", command], &format!("holdfast-{command}.1"))?;
    }
    let unit = files::read(&root.join("deploy/systemd/holdfast.service"))?;
    files::write(&parts.join("holdfast.service"), &unit.replace(OF_THE_UNIT, BINARY))?;
    let mut deb = cargo()?;
    deb.args(["deb", "--no-build", "--package", "holdfast-sidecar", "--output"]).arg(&parts);
    Ok(root.join(output(&mut deb)?.trim_end()))
}
