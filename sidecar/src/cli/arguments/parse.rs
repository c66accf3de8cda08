//! From the words of the command line to arguments.

use std::{collections::BTreeMap, ffi::OsString};

use clap::{
    ArgMatches, Command, Error, FromArgMatches,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};

use super::{
    Cli, command, variables,
    words::{self, Words},
};

/// The arguments.
#[derive(Debug)]
pub struct Parsed {
    pub cli: Cli,
    pub given: Given,
    /// A line about each option, and each variable, that has no effect.
    pub ignored: Vec<String>,
}

/// How each argument was given, for messages about it.
#[derive(Debug, Default)]
pub struct Given(BTreeMap<String, Source>);

/// The source of an argument.
#[derive(Debug)]
struct Source {
    /// The option, or the variable.
    name: String,
    /// Whether it was set, and is not the default.
    is_set: bool,
}

/// Why words cannot be parsed, or the output that they ask for in place of a command.
#[derive(Debug)]
pub struct Refused {
    pub error: Error,
    /// Whether the log is to be JSON, as far as the words could be read.
    pub log_as_json: bool,
}

/// Parses the words of a command line, the first of which is the program's name.
pub fn parse(words: Vec<OsString>) -> Result<Parsed, Refused> {
    let whole = command();
    let mut command = variables::without_useless(whole.clone());
    command.build();
    let Words { words, mut ignored, problems } = read(&command, words);
    let log_as_json = {
        let (command, rest) = chosen(&command, &words);
        words::ask_for_json(command, rest)
    };
    let (chosen, _) = chosen(&whole, &words);
    ignored.extend(variables::service_links(chosen));
    // The server in a container has the same variables as other commands there, and warns of them once.
    if chosen.get_name() == "serve" {
        ignored.extend(variables::misspelt(&whole));
    }
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
        let (chosen, rest) = chosen(command, &words);
        let error = variables::named(error, &mut chosen.clone());
        let error = with_place_of_word(with_bytes(error, chosen, rest));
        let error = with_case(with_one_dash(error, chosen, rest), chosen);
        with_place_of_option(with_dashed_value(error, chosen, rest))
    })?;
    let given = Given::of(command, &matches);
    let cli = Cli::from_arg_matches_mut(&mut matches)?;
    // Clap would also refuse the variable, which may be set for other programs.
    if let super::Command::Health(health) = &cli.command
        && health.unix_domain_socket.is_some()
        && given.set("port") == Some("--port")
    {
        let conflict =
            "the argument '--unix-domain-socket <DIR>' cannot be used with '--port <PORT>'";
        let mut chosen = chosen(command, &words).0.clone();
        return Err(chosen.error(ErrorKind::ArgumentConflict, conflict));
    }
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

/// Adds the place of a misplaced word. Clap says only that the word is not expected.
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

/// Names a long option with one dash in full. Clap names only its first letter.
fn with_one_dash(mut error: Error, command: &Command, words: &[OsString]) -> Error {
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(letter)) = error.get(ContextKind::InvalidArg)
        && let Some((typed, meant)) = words::with_one_dash(command, words, letter)
    {
        error.insert(ContextKind::InvalidArg, ContextValue::String(typed));
        // The suggestion is for the letter.
        error.remove(ContextKind::Suggested);
        if let Some(meant) = meant {
            error.insert(ContextKind::SuggestedArg, ContextValue::String(meant));
        }
    }
    error
}

/// Suggests an option that differs only in case, which clap does not.
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

/// Says how an option gets a value that begins with a dash. Clap proposes `--`, after which it would be no value.
fn with_dashed_value(mut error: Error, command: &Command, words: &[OsString]) -> Error {
    if error.kind() == ErrorKind::UnknownArgument
        && error.get(ContextKind::SuggestedArg).is_none()
        && let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg)
        && let Some((option, value)) = words::dashed_value(command, words, word)
    {
        let tip = format!("write the value after an equals sign: {option}={value}");
        let tip = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
        error.insert(ContextKind::Suggested, tip);
    }
    error
}

/// Says where an option stands, in place of a tip that names the option as it was typed: words after `--` are no
/// options.
fn with_place_of_option(mut error: Error) -> Error {
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg)
        && let Some(ContextValue::String(meant)) = error.get(ContextKind::SuggestedArg)
        && word.split_once('=').map_or(word.as_str(), |(name, _)| name) == meant
    {
        error.remove(ContextKind::SuggestedArg);
        let tip = ContextValue::StyledStrs(vec![StyledStr::from("write options before --")]);
        error.insert(ContextKind::Suggested, tip);
    }
    error
}

/// Names the word or the variable that is not UTF-8, which clap does not.
fn with_bytes(error: Error, command: &Command, words: &[OsString]) -> Error {
    if error.kind() != ErrorKind::InvalidUtf8 {
        return error;
    }
    let word = words.iter().find(|word| word.to_str().is_none());
    let whose = match (word, variables::not_utf8(command)) {
        (Some(word), _) => format!("the word {}", word.display()),
        (None, Some(variable)) => format!("the variable {variable}"),
        (None, None) => return error,
    };
    command.clone().error(ErrorKind::InvalidUtf8, format!("{whose} is not UTF-8"))
}
