//! The variables that stand for options.

use std::{collections::BTreeSet, env, ffi::OsStr as SystemStr};

use clap::{
    Command, Error,
    builder::{OsStr, Resettable},
    error::{ContextKind, ContextValue},
};

use super::words;

/// Variables of ours that stand for no option: the token of operators, and what `run` gives its command.
const OTHERS: [&str; 4] =
    ["HOLDFAST_ADMIN_TOKEN", "HOLDFAST_FENCING_TOKEN", "HOLDFAST_OWNER", "HOLDFAST_RESOURCE"];

/// The variables of a command's options.
fn of(command: &Command) -> impl Iterator<Item = &SystemStr> {
    command.get_arguments().filter_map(|arg| arg.get_env())
}

/// An empty variable counts as unset, and so does one that Kubernetes has set.
pub fn without_useless(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let value = arg.get_env().and_then(env::var_os);
        let is_empty = value.is_some_and(|value| value.is_empty());
        match is_empty || arg.get_env().is_some_and(is_service_link) {
            true => arg.env(Resettable::<OsStr>::Reset),
            false => arg,
        }
    });
    command.mut_subcommands(without_useless)
}

/// Whether Kubernetes has set the variable. For each service of its namespace a container gets variables: for one
/// named `holdfast-admin` among them `HOLDFAST_ADMIN_PORT`, which is `tcp://10.0.0.7:80` then.
fn is_service_link(variable: &SystemStr) -> bool {
    let is_port = variable.to_str().is_some_and(|name| name.ends_with("_PORT"));
    is_port && env::var(variable).is_ok_and(|value| value.contains("://"))
}

/// A line about each variable of a command that Kubernetes has set.
pub fn service_links(command: &Command) -> impl Iterator<Item = String> {
    let set = of(command).filter(|variable| is_service_link(variable));
    set.map(|variable| {
        format!(
            "the variable {} is ignored: its value is an address and no port, as Kubernetes sets it for a service of \
             that name (enableServiceLinks: false in the pod turns that off)",
            variable.to_string_lossy()
        )
    })
}

/// A line about each variable that is set and whose name is almost one of ours.
pub fn misspelt(command: &Command) -> impl Iterator<Item = String> {
    let mut ours = BTreeSet::from(OTHERS.map(str::to_owned));
    collect(command, &mut ours);
    let set = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let unknown: Vec<_> =
        set.filter(|name| name.starts_with("HOLDFAST_") && !ours.contains(name)).collect();
    unknown.into_iter().filter_map(move |name| {
        let meant = words::nearest_name(&name, ours.iter().map(String::as_str))?;
        Some(format!("the variable {name} has no effect; did you mean {meant}?"))
    })
}

/// Collects the variables of a command and of its subcommands.
fn collect(command: &Command, variables: &mut BTreeSet<String>) {
    variables.extend(of(command).map(|name| name.to_string_lossy().into_owned()));
    for command in command.get_subcommands() {
        collect(command, variables);
    }
}

/// A variable of the command whose value is not UTF-8.
pub fn not_utf8(command: &Command) -> Option<String> {
    let is_not_utf8 =
        |name: &&SystemStr| env::var_os(name).is_some_and(|value| value.to_str().is_none());
    of(command).find(is_not_utf8).map(|name| name.to_string_lossy().into_owned())
}

/// Names the variable that a wrong value comes from. Clap names the option.
pub fn named(error: Error, command: &mut Command) -> Error {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let (Some(arg), Some(value)) =
        (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue))
    else {
        return error;
    };
    let Some(variable) = variable_of(command, &arg).filter(|name| {
        // An option would take precedence.
        let typed = arg.split([' ', '=', '[']).next().unwrap_or_default();
        let typed = env::args_os().any(|word| {
            let word = word.to_string_lossy();
            word.trim_start_matches('-').split('=').next() == Some(typed.trim_start_matches('-'))
        });
        !typed && env::var(name).is_ok_and(|set| set == value)
    }) else {
        return error;
    };
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let line = line.replace(&format!("'{arg}'"), &format!("the variable {variable}"));
    command.error(error.kind(), line)
}

/// The variable of the argument that clap shows like this.
fn variable_of(command: &Command, shown: &str) -> Option<String> {
    let mut arguments = command.get_arguments();
    let here = arguments.find(|arg| arg.to_string() == shown).and_then(|arg| arg.get_env());
    match here {
        Some(name) => Some(name.to_string_lossy().into_owned()),
        None => command.get_subcommands().find_map(|command| variable_of(command, shown)),
    }
}
