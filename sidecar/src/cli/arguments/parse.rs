//! From the words of the command line to arguments.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr as SystemStr, OsString},
};

use clap::{
    ArgMatches, Command, Error, FromArgMatches,
    builder::{OsStr, Resettable, StyledStr},
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};

use super::{
    Cli, command,
    words::{self, Words},
};

/// The arguments.
#[derive(Debug)]
pub struct Parsed {
    pub cli: Cli,
    pub given: Given,
    /// A line about each option that has no effect.
    pub ignored: Vec<String>,
}

/// How each argument was given, for messages about it.
#[derive(Debug, Default)]
pub struct Given(BTreeMap<String, Source>);

/// What gave an argument.
#[derive(Debug)]
struct Source {
    /// The option, or the variable.
    name: String,
    /// Whether it was set, and is not the default.
    is_set: bool,
}

/// Why words are no arguments, or what they ask for in place of a command.
#[derive(Debug)]
pub struct Refused {
    pub error: Error,
    /// Whether the log is to be JSON, as far as the words could be read.
    pub log_as_json: bool,
}

/// Parses the words of a command line, the first of which is the program's name.
pub fn parse(words: Vec<OsString>) -> Result<Parsed, Refused> {
    let whole = command();
    let mut command = without_useless_variables(whole.clone());
    command.build();
    let Words { words, mut ignored, problems } = read(&command, words);
    let log_as_json = {
        let (command, rest) = chosen(&command, &words);
        words::ask_for_json(command, rest)
    };
    ignored.extend(service_links(chosen(&whole, &words).0));
    matched(&mut command, words, &problems)
        .map(|(cli, given)| Parsed { cli, given, ignored })
        .map_err(|error| Refused { error, log_as_json })
}

fn matched(
    command: &mut Command,
    words: Vec<OsString>,
    problems: &[String],
) -> Result<(Cli, Given), Error> {
    if let Some(serve) = command.find_subcommand_mut("serve")
        && !problems.is_empty()
    {
        let lines = problems.join("\n  ");
        return Err(
            serve.error(ErrorKind::UnknownArgument, format!("serve does not take\n  {lines}"))
        );
    }
    let matches = command.try_get_matches_from_mut(&words);
    let mut matches = matches.map_err(|error| {
        let error = naming_its_variable(error, command);
        with_case(with_place_of_word(error), chosen(command, &words).0)
    })?;
    let given = Given::of(command, &matches);
    let cli = Cli::from_arg_matches_mut(&mut matches)?;
    Ok((cli, given))
}

/// The command that the words name, and the words after its name.
fn chosen<'a>(command: &'a Command, words: &'a [OsString]) -> (&'a Command, &'a [OsString]) {
    let (mut command, mut rest) = (command, words.get(1..).unwrap_or_default());
    while let [name, after @ ..] = rest
        && let Some(found) = command.find_subcommand(name)
    {
        (command, rest) = (found, after);
    }
    (command, rest)
}

impl Given {
    fn of(command: &Command, matches: &ArgMatches) -> Self {
        let (mut command, mut matches) = (command, matches);
        while let Some((name, of_it)) = matches.subcommand()
            && let Some(found) = command.find_subcommand(name)
        {
            (command, matches) = (found, of_it);
        }
        let names = command.get_arguments().filter_map(|arg| {
            let id = arg.get_id().as_str();
            let source = match matches.try_contains_id(id) {
                Ok(true) => matches.value_source(id),
                _ => None,
            };
            let name = match arg.get_env() {
                Some(variable) if source == Some(ValueSource::EnvVariable) => {
                    variable.to_string_lossy().into_owned()
                }
                _ => format!("--{}", arg.get_long()?),
            };
            let is_set = source.is_some_and(|source| source != ValueSource::DefaultValue);
            Some((id.to_owned(), Source { name, is_set }))
        });
        Self(names.collect())
    }

    /// The option, or the variable, that gave the argument with this id.
    pub fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.0.get(id).map_or(id, |source| &source.name)
    }

    /// As [`name`](Self::name), if it was set.
    pub fn set(&self, id: &str) -> Option<&str> {
        self.0.get(id).filter(|source| source.is_set).map(|source| source.name.as_str())
    }
}

/// Reads the words after `serve` by daprd's rules.
fn read(command: &Command, words: Vec<OsString>) -> Words {
    let is_serve = words.get(1).is_some_and(|word| word == "serve");
    let Some(serve) = command.find_subcommand("serve").filter(|_| is_serve) else {
        return Words { words, ..Words::default() };
    };
    let mut words = words.into_iter();
    let first: Vec<_> = words.by_ref().take(2).collect();
    let read = words::read(serve, words.collect());
    Words { words: first.into_iter().chain(read.words).collect(), ..read }
}

/// An empty variable counts as unset, and so does one that Kubernetes has set.
fn without_useless_variables(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let value = arg.get_env().and_then(env::var_os);
        let is_empty = value.is_some_and(|value| value.is_empty());
        match is_empty || arg.get_env().is_some_and(is_service_link) {
            true => arg.env(Resettable::<OsStr>::Reset),
            false => arg,
        }
    });
    command.mut_subcommands(without_useless_variables)
}

/// Whether Kubernetes has set the variable. For each service of its namespace a container gets variables: for one
/// named `holdfast-admin` among them `HOLDFAST_ADMIN_PORT`, which is `tcp://10.0.0.7:80` then.
fn is_service_link(variable: &SystemStr) -> bool {
    let is_port = variable.to_str().is_some_and(|name| name.ends_with("_PORT"));
    is_port && env::var(variable).is_ok_and(|value| value.contains("://"))
}

/// A line about each variable of a command that Kubernetes has set.
fn service_links(command: &Command) -> Vec<String> {
    let variables = command.get_arguments().filter_map(|arg| arg.get_env());
    let set = variables.filter(|variable| is_service_link(variable));
    set.map(|variable| {
        format!(
            "the variable {} is ignored: its value is an address and no port, as Kubernetes sets it for a service of \
             that name (enableServiceLinks: false in the pod turns that off)",
            variable.to_string_lossy()
        )
    })
    .collect()
}

/// Of a word that belongs elsewhere, clap says only that it is not expected.
fn with_place_of_word(mut error: Error) -> Error {
    let word = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(word))) => word.as_str(),
        _ => return error,
    };
    let usage = error.to_string();
    let (takes_program, needs_program) = (usage.contains("-- <"), usage.contains(" -- <"));
    let tip = match word {
        word if word.starts_with('-') => return error,
        "true" | "false" if !needs_program => "write the value after an equals sign",
        _ if takes_program => "write the command and its arguments after --",
        _ => return error,
    };
    let tip = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
    error.insert(ContextKind::Suggested, tip);
    error
}

/// Clap suggests no option that differs in upper case.
fn with_case(mut error: Error, command: &Command) -> Error {
    if error.kind() == ErrorKind::UnknownArgument
        && error.get(ContextKind::SuggestedArg).is_none()
        && let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg)
        && let Some(known) = words::in_other_case(command, word)
    {
        error.insert(ContextKind::SuggestedArg, ContextValue::String(known));
    }
    error
}

/// Clap names the option, also if the value comes from its variable.
fn naming_its_variable(error: Error, command: &mut Command) -> Error {
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
