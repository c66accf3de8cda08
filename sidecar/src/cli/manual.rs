//! `holdfast completions` and `holdfast man`.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{arguments, output};

/// Prints the completions of a shell.
pub fn completions(shell: Shell) -> Result<ExitCode> {
    let mut command = arguments::command();
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the page of a command, or of the program.
pub fn page(names: &[String]) -> Result<ExitCode> {
    let mut program = arguments::command();
    program.build();
    let mut command = &program;
    for name in names {
        match command.find_subcommand(name) {
            Some(found) => command = found,
            None => bail!("there is no command {}", names.join(" ")),
        }
    }
    let title = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let page = Man::new(command.clone())
        .title(title)
        .source(concat!("holdfast ", env!("CARGO_PKG_VERSION")))
        .manual("Holdfast Manual");
    let mut text = Vec::new();
    page.render(&mut text).context("the page cannot be made")?;
    let text = String::from_utf8(text).context("the page cannot be made")?;
    // The heading of what follows the options, which clap_mangen does not let us choose.
    output::print(text.replace("\n.SH EXTRA\n", "\n.SH NOTES\n").as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
