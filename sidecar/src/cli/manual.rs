//! `holdfast completions` and `holdfast man`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap_complete::Shell;
use clap_mangen::Man;

use super::arguments;

/// Prints the completions of a shell.
pub fn completions(shell: Shell) -> Result<ExitCode> {
    let mut command = arguments::command();
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    print(&text)
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
    let mut text = Vec::new();
    Man::new(command.clone()).title(title).render(&mut text).context("the page cannot be made")?;
    print(&text)
}

fn print(text: &[u8]) -> Result<ExitCode> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text).and_then(|()| stdout.flush()).context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}
