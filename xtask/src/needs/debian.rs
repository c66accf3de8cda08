//! Debian packages, downloaded and unpacked into a directory below `target/`. Nothing is installed, so this
//! needs no privileges and starts no service.

use std::{
    env, fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use holdfast_wasm_build::library_dirs;

use crate::{
    files::{lock, make, remove, write},
    process::{output, run, which},
};

/// Unpacks the packages that `wanted` names, and those of their dependencies that the system lacks, into
/// `into`. Does nothing if `into` exists: it is created only once everything is in it.
pub fn unpack(into: &Path, wanted: impl Fn() -> Result<Vec<String>>) -> Result<()> {
    if which("apt-get").is_none() || which("dpkg-deb").is_none() {
        bail!("this is not a Debian system (apt-get or dpkg-deb is missing)");
    }
    let _lock = lock(into)?;
    if into.is_dir() {
        return Ok(());
    }
    let partial = into.with_added_extension("partial");
    remove(&partial)?;
    let versions = download(&partial, &wanted).or_else(|stale| {
        update_lists().context(stale)?;
        remove(&partial)?;
        download(&partial, &wanted)
    })?;
    unpack_downloads(&partial)?;
    write(&partial.join("packages.txt"), &versions)?;
    fs::rename(&partial, into).with_context(|| format!("cannot create {}", into.display()))
}

/// Writes a script that starts an unpacked program with the libraries unpacked beside it. A variable
/// in the environment would give these libraries to every other program as well.
pub fn launcher(unpacked: &Path, program: &str, launcher: &Path) -> Result<()> {
    let standard = library_dirs(unpacked);
    // Some packages keep libraries of their own there.
    let below =
        standard.iter().flat_map(fs::read_dir).flatten().flatten().map(|entry| entry.path());
    let below: Vec<_> = below.filter(|path| path.is_dir()).collect();
    let libraries = env::join_paths(standard.iter().chain(&below))?;
    let script = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH='{}' exec '{}' \"$@\"\n",
        libraries.display(),
        unpacked.join(program).display(),
    );
    write(launcher, &script)?;
    fs::set_permissions(launcher, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot create {} executable", launcher.display()))
}

/// The direct dependencies of `package`.
pub fn depends(package: &str) -> Result<Vec<String>> {
    let listing = output(Command::new("apt-cache").args(["depends", "--important", package]))?;
    Ok(dependencies(&listing))
}

/// Downloads the packages, and returns their names and versions, one a line.
fn download(partial: &Path, wanted: impl Fn() -> Result<Vec<String>>) -> Result<String> {
    let mut simulate = Command::new("apt-get");
    simulate.args(["install", "--simulate", "--no-install-recommends", "--reinstall"]);
    let packages = to_install(&output(simulate.args(wanted()?))?);
    if packages.is_empty() {
        bail!("apt-get names no package to download");
    }
    let downloads = downloads(partial);
    make(&downloads)?;
    eprintln!("xtask: downloading from Debian: {}", packages.join(" "));
    let mut apt = Command::new("apt-get");
    // For root, apt downloads as a user who cannot write here.
    apt.args(["download", "--quiet", "--option", "APT::Sandbox::User=root"]);
    output(apt.args(&packages).current_dir(&downloads))?;
    Ok(packages.join("\n") + "\n")
}

fn unpack_downloads(partial: &Path) -> Result<()> {
    let downloads = downloads(partial);
    let packages = fs::read_dir(&downloads).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    for package in packages.with_context(|| format!("cannot read {}", downloads.display()))? {
        output(Command::new("dpkg-deb").arg("--extract").arg(package.path()).arg(partial))?;
    }
    remove(&downloads)
}

fn update_lists() -> Result<()> {
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !root {
        bail!("run `apt-get update` as root, then try again");
    }
    eprintln!("xtask: updating apt's package lists");
    run(Command::new("apt-get").args(["update", "--quiet", "--quiet"]))
}

fn downloads(partial: &Path) -> PathBuf {
    partial.join("download")
}

/// `name=version` for every line like `Inst libllvm22 (1:22.1.8 Debian-Security:12 [amd64])`. For an
/// upgrade, the old version comes first, in square brackets.
fn to_install(simulation: &str) -> Vec<String> {
    let lines = simulation.lines().filter_map(|line| line.strip_prefix("Inst "));
    lines
        .filter_map(|line| {
            let name = line.split_whitespace().next()?;
            let version = line.split_once('(')?.1.split_whitespace().next()?;
            Some(format!("{name}={version}"))
        })
        .collect()
}

/// The packages in lines like `  Depends: libllvm22`; an alternative starts with a bar. Virtual packages,
/// in angle brackets, are left out.
fn dependencies(listing: &str) -> Vec<String> {
    let lines = listing.lines().map(|line| line.trim_start_matches([' ', '|']));
    let names = lines.filter_map(|line| line.strip_prefix("Depends: "));
    names.filter(|name| !name.starts_with('<')).map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulation_names_packages_and_versions() {
        let simulation = "\
Reading package lists...
The following NEW packages will be installed:
  libllvm22 rustc-web
Remv rustup [1.26]
Inst libllvm22 (1:22.1.8-1~deb12u1 Debian-Security:12/oldstable-security [amd64])
Inst rustc-web [1.85.0] (1.96.0+dfsg1 Debian-Security:12 [amd64]) []
Conf libllvm22 (1:22.1.8-1~deb12u1 Debian-Security:12/oldstable-security [amd64])
";
        let expected = ["libllvm22=1:22.1.8-1~deb12u1", "rustc-web=1.96.0+dfsg1"];
        assert_eq!(to_install(simulation), expected);
    }

    #[test]
    fn dependencies_are_real_packages() {
        let listing = "\
libstd-rust-web-dev
  Depends: libstd-rust-web-1.96
 |Depends: gcc
  Depends: <libc-dev>
    libc6-dev
  Conflicts: <rustup>
";
        assert_eq!(dependencies(listing), ["libstd-rust-web-1.96", "gcc"]);
    }
}
