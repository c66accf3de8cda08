//! Starting programs, with error messages for people.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, bail};

/// Runs `command` with this program's own input and output.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {}", name(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// Runs `command` without showing its output, and returns that output. If it fails, the error carries the command's own
/// message.
pub fn output(command: &mut Command) -> Result<String> {
    // The output is parsed, so it must not be translated.
    command.env("LC_ALL", "C").env("RUST_BACKTRACE", "0");
    let output = command.output().with_context(|| format!("cannot run {}", name(command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(anyhow!("`{}` failed: {}", line(command), error_line(&stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The path of `program`, if it is on `PATH`.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// The line that names the error (apt starts it with `E:`, rustup with `error:`), or else the last line.
fn error_line(stderr: &str) -> &str {
    let mut lines = stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let named = lines.clone().find(|line| line.starts_with("E:") || line.starts_with("error:"));
    named.or_else(|| lines.next_back()).unwrap_or("no reason given")
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
    use super::error_line;

    #[test]
    fn the_error_line_is_the_one_that_names_the_error() {
        let apt = "Reading state...\nE: Unable to locate package rustc-web\nE: No packages\n";
        assert_eq!(error_line(apt), "E: Unable to locate package rustc-web");
        assert_eq!(error_line("warning\nno such thing\n\n"), "no such thing");
        assert_eq!(error_line(""), "no reason given");
    }
}
