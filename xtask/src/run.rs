//! Starting programs, with errors for people.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, bail};
use holdfast_wasm_build::workspace;

/// The cargo that runs us, in the workspace's root.
pub fn cargo() -> Result<Command> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace::root()?);
    // `cargo run` sets these for us. Some build scripts watch them, and would run again whenever a
    // plain cargo command follows one of ours.
    for (name, _) in env::vars_os() {
        let ours = ["CARGO_MANIFEST_", "CARGO_PKG_"];
        if name.to_str().is_some_and(|name| ours.iter().any(|prefix| name.starts_with(prefix))) {
            cargo.env_remove(name);
        }
    }
    Ok(cargo)
}

/// Runs `command` on our own terminal.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {}", name(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// Runs `command` in silence and returns what it printed; where it fails, its own last complaint is
/// the error.
pub fn output(command: &mut Command) -> Result<String> {
    // Messages that are read must not be translated.
    command.env("LC_ALL", "C").env("RUST_BACKTRACE", "0");
    let output = command.output().with_context(|| format!("cannot run {}", name(command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(anyhow!("`{}` failed: {}", line(command), complaint(&stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where `program` is on `PATH`.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// The line that names the error (apt says `E:`, rustup `error:`), or else the last one.
fn complaint(stderr: &str) -> &str {
    let mut lines = stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let named = lines.clone().find(|line| line.starts_with("E:") || line.starts_with("error:"));
    named.or_else(|| lines.next_back()).unwrap_or("it did not say why")
}

fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}

fn line(command: &Command) -> String {
    let args = command.get_args().map(|arg| arg.to_string_lossy().into_owned());
    [name(command)].into_iter().chain(args).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn the_complaint_is_the_named_error() {
        let apt = "Reading state...\nE: Unable to locate package rustc-web\nE: No packages\n";
        assert_eq!(complaint(apt), "E: Unable to locate package rustc-web");
        assert_eq!(complaint("warning\nno such thing\n\n"), "no such thing");
        assert_eq!(complaint(""), "it did not say why");
    }
}
