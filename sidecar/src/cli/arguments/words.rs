//! The words after `serve`, read as daprd reads its own: by the rules of Go's pflag, and with one dash or two
//! (`cmd/daprd/options/options.go`).
//!
//! Own code: clap stops at the first option that it does not know, and guesses what daprd's options meant.

use std::{
    ffi::{OsStr, OsString},
    iter::Peekable,
    vec,
};

use clap::{Arg, Command};

use super::{
    daprd::{self, DaprdOption, Form, Here},
    values::boolean,
};

/// Another name is suggested if at most one of every [`LETTERS`] letters is wrong, and at most [`TYPOS`] in all.
const LETTERS: usize = 3;
const TYPOS: usize = 2;

/// Words for clap.
#[derive(Debug, Default)]
pub struct Words {
    /// Options as `--name=value`, without those that have no effect here.
    pub words: Vec<OsString>,
    /// A line about each option that has no effect here.
    pub ignored: Vec<String>,
    /// A line about each option that `serve` does not take.
    pub problems: Vec<String>,
}

/// Options that count as not given if the last value of each is empty.
const UNSET_BY_EMPTY: [&str; 3] = ["components-path", "dapr-public-port", "unix-domain-socket"];

/// The option whose values are lists, and add up. Empty parts are ignored.
const LIST: &str = "resources-path";

type Rest = Peekable<vec::IntoIter<OsString>>;

/// Reads the words after `serve`.
pub fn read(serve: &Command, words: Vec<OsString>) -> Words {
    let mut rest = words.into_iter().peekable();
    let mut read = Words::default();
    while let Some(word) = rest.next() {
        if word == "--" {
            read.words.push(word);
            read.words.extend(rest.by_ref());
        } else if let Some(Typed { typed, name, value }) = option(&word) {
            if let Some(ours) = find(serve, name) {
                let value = value_of(serve, ours, value, &mut rest);
                match value.is_none() && takes_next(ours) {
                    // Clap would take a later word as the value, if the words in between have no effect.
                    true => read.problems.push(missing(typed)),
                    false => read.add(name, value),
                }
            } else if let Some(daprds) = daprd::find(name) {
                match without(serve, daprds, typed, value, &mut rest) {
                    Ok(line) => read.ignored.push(line),
                    Err(line) => read.problems.push(line),
                }
            } else if word.len() == 2 && has_letter(serve, name) {
                read.words.push(word);
            } else {
                read.problems.push(unknown(serve, typed, name));
                rest.next_if(|next| !next.as_encoded_bytes().starts_with(b"-"));
            }
        } else {
            read.words.push(word);
        }
    }
    read
}

/// Whether the words that clap gets ask for a log of JSON, as far as they are right.
pub fn ask_for_json(command: &Command, words: &[OsString]) -> bool {
    let mut json = false;
    for word in words.iter().take_while(|word| *word != "--") {
        if let Some(Typed { name, value, .. }) = option(word)
            && find(command, name).is_some_and(|arg| arg.get_id() == LOG_AS_JSON)
        {
            json = boolean(value.unwrap_or("true")).unwrap_or(json);
        }
    }
    json
}

/// The id of the option for a log in JSON.
const LOG_AS_JSON: &str = "log_as_json";

/// An option as it was typed: with its dashes, and without; and its value after `=`.
struct Typed<'a> {
    typed: &'a str,
    name: &'a str,
    value: Option<&'a str>,
}

/// Reads `--name=value`, `--name`, or either with one dash.
fn option(word: &OsStr) -> Option<Typed<'_>> {
    let word = word.to_str()?;
    let (typed, value) = match word.split_once('=') {
        Some((typed, value)) => (typed, Some(value)),
        None => (word, None),
    };
    let name = match typed.strip_prefix("--") {
        Some(name) => name,
        None => typed.strip_prefix('-').filter(|name| !name.is_empty())?,
    };
    Some(Typed { typed, name, value })
}

/// Whether the command has an option of this one letter.
fn has_letter(command: &Command, letter: &str) -> bool {
    let is_it = |short: char| letter.chars().eq([short]);
    command.get_arguments().filter_map(Arg::get_short).any(is_it)
}

fn find<'a>(serve: &'a Command, name: &str) -> Option<&'a Arg> {
    serve.get_arguments().find(|arg| names(arg).contains(&name))
}

/// Whether an option without `=` takes the next word as its value.
fn takes_next(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

fn names(arg: &Arg) -> Vec<&str> {
    arg.get_long().into_iter().chain(arg.get_all_aliases().into_iter().flatten()).collect()
}

/// The value of an option.
fn value_of(serve: &Command, arg: &Arg, value: Option<&str>, rest: &mut Rest) -> Option<OsString> {
    match value {
        Some(value) => Some(value.into()),
        None if takes_next(arg) => next_value(serve, rest),
        None => None,
    }
}

/// The line about an option whose value is not there.
fn missing(typed: &str) -> String {
    format!("{typed}: a value is missing")
}

/// The next word as a value. It may begin with a dash, or be empty. For daprd it may be the name of an option, too, but
/// then the value was forgotten.
fn next_value(serve: &Command, rest: &mut Rest) -> Option<OsString> {
    let is_option = |name: &str| find(serve, name).is_some() || daprd::find(name).is_some();
    rest.next_if(|word| *word != "--" && !option(word).is_some_and(|it| is_option(it.name)))
}

impl Words {
    /// Adds an option as `--name=value`, unless its value is one that daprd takes for none.
    fn add(&mut self, name: &str, value: Option<OsString>) {
        let mut word = OsString::from(format!("--{name}"));
        let Some(value) = value else { return self.words.push(word) };
        word.push("=");
        if UNSET_BY_EMPTY.contains(&name) && value.is_empty() {
            let earlier = word.as_encoded_bytes();
            self.words.retain(|word| !word.as_encoded_bytes().starts_with(earlier));
            return;
        }
        let value = if name == LIST { without_empty_parts(value) } else { value };
        if name == LIST && value.is_empty() {
            return;
        }
        word.push(value);
        self.words.push(word);
    }
}

/// The parts of a list that are not empty.
fn without_empty_parts(list: OsString) -> OsString {
    let Some(text) = list.to_str() else { return list };
    let parts: Vec<_> = text.split(',').filter(|part| !part.is_empty()).collect();
    parts.join(",").into()
}

/// The line about an option of daprd that `serve` does not have.
fn without(
    serve: &Command,
    option: &DaprdOption,
    typed: &str,
    value: Option<&str>,
    rest: &mut Rest,
) -> Result<String, String> {
    let DaprdOption { form, here, reason, .. } = *option;
    let value = match (value, form) {
        (Some(value), _) => value.to_owned(),
        (None, Form::Switch) => "true".to_owned(),
        (None, Form::Value) => match next_value(serve, rest) {
            Some(value) => value.to_string_lossy().into_owned(),
            None => return Err(missing(typed)),
        },
    };
    match here {
        Here::Only(only) if value != only => {
            let is_meant = nearest_name(&value.to_lowercase(), [only].into_iter()).is_some();
            let meant = format!("did you mean {only}?");
            let reason = if is_meant { meant.as_str() } else { reason };
            let value = if value.is_empty() { "''" } else { &value };
            Err(format!("{typed} {value}: {reason}"))
        }
        Here::Same | Here::Refused => Err(format!("{typed}: {reason}")),
        Here::Ignored | Here::Only(_) => Ok(format!("{typed} has no effect: {reason}")),
    }
}

/// The line about an option that neither `serve` nor daprd has, with the one that was perhaps meant.
fn unknown(serve: &Command, typed: &str, name: &str) -> String {
    let is_letter = has_letter(serve, name);
    if is_letter && !typed.starts_with("--") {
        return format!("{typed}: it takes no value");
    }
    let taken = daprd::OPTIONS.iter().filter(|option| option.here != Here::Refused);
    let known = serve.get_arguments().flat_map(names).chain(taken.map(|option| option.name));
    let meant = match is_letter {
        true => Some(format!("-{name}")),
        false => nearest_name(&name.to_lowercase(), known).map(|known| format!("--{known}")),
    };
    match meant {
        Some(meant) => format!("{typed}: unknown option; did you mean {meant}?"),
        None => format!("{typed}: unknown option"),
    }
}

/// The known name that is nearest to this one, if it is near.
pub fn nearest_name<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / LETTERS).min(TYPOS);
    let with_distance = known.map(|known| (strsim::damerau_levenshtein(known, name), known));
    let (distance, known) = with_distance.min_by_key(|(distance, _)| *distance)?;
    (distance <= allowed).then_some(known)
}

/// The first word that begins with this dash and letter and has further letters, as it was typed, and the option that
/// was perhaps meant.
pub fn with_one_dash(
    command: &Command,
    words: &[OsString],
    letter: &str,
) -> Option<(String, Option<String>)> {
    if letter.starts_with("--") || letter.chars().count() != 2 {
        return None;
    }
    let mut options = words.iter().take_while(|word| *word != "--").filter_map(|word| option(word));
    let is_longer = |typed: &str| typed.len() > letter.len() && typed.starts_with(letter);
    let Typed { typed, name, .. } = options.find(|option| is_longer(option.typed))?;
    let meant = nearest_name(&name.to_lowercase(), command.get_arguments().flat_map(names));
    Some((typed.to_owned(), meant.map(|name| format!("--{name}"))))
}

/// The first word that begins like `typed` and follows an option that takes a value, and that option.
pub fn dashed_value<'a>(
    command: &Command,
    words: &'a [OsString],
    typed: &str,
) -> Option<(&'a str, &'a str)> {
    let words = words.iter().take_while(|word| *word != "--");
    let words: Vec<_> = words.filter_map(|word| word.to_str()).collect();
    words.windows(2).find_map(|pair| {
        let &[option, value] = pair else { return None };
        let arg = find(command, option.strip_prefix("--")?)?;
        (takes_next(arg) && value.starts_with(typed)).then_some((option, value))
    })
}

/// An option of the command whose name differs from a word only in upper case.
pub fn in_other_case(command: &Command, word: &str) -> Option<String> {
    let name = option(OsStr::new(word))?.name.to_lowercase();
    find(command, &name).map(|_| format!("--{name}"))
}

#[cfg(test)]
mod tests {
    use clap::{ArgAction, arg};

    use super::*;

    fn read(words: &[&str]) -> Result<(Vec<String>, Vec<String>), Vec<String>> {
        let switch = Arg::new("s").long("log-as-json").num_args(0..=1).require_equals(true);
        let mut serve = Command::new("serve")
            .arg(arg!(--"app-id" <ID>))
            .arg(arg!(--"resources-path" <DIR>))
            .arg(arg!(--"components-path" <DIR>))
            .arg(switch.action(ArgAction::Set));
        serve.build();
        let words = words.iter().map(Into::into).collect();
        let Words { words, ignored, problems } = super::read(&serve, words);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok((words.into_iter().map(|word| word.into_string().unwrap()).collect(), ignored))
    }

    #[test]
    fn options_are_written_as_daprd_takes_them() {
        for (words, expected) in [
            (&["-app-id", "x"][..], &["--app-id=x"][..]),
            (&["--app-id=x", "-h"], &["--app-id=x", "-h"]),
            (&["--app-id", "--x"], &["--app-id=--x"]),
            (&["--app-id="], &["--app-id="]),
            (&["-components-path", "a,b"], &["--components-path=a,b"]),
            (&["--log-as-json", "-log-as-json=F"], &["--log-as-json", "--log-as-json=F"]),
            (&["more", "--", "-app-id", "x"], &["more", "--", "-app-id", "x"]),
            (&["--resources-path", "a,,b,"], &["--resources-path=a,b"]),
            (&["--resources-path=", "--resources-path", ",", "--app-id=x"], &["--app-id=x"]),
            (&["--resources-path", "a", "--resources-path="], &["--resources-path=a"]),
            (&["--components-path", "a", "-components-path", "", "--", "x"], &["--", "x"]),
            (&["--components-path=", "--components-path=a,"], &["--components-path=a,"]),
        ] {
            let (words, ignored) = read(words).unwrap();
            assert_eq!(words, expected);
            assert!(ignored.is_empty());
        }
    }

    #[test]
    fn options_without_effect_are_left_out_with_their_values() {
        let (words, ignored) = read(&[
            "--app-max-concurrency",
            "-1",
            "-mode=standalone",
            "--enable-mtls",
            "--app-ssl=false",
            "--app-id",
            "x",
        ])
        .unwrap();
        assert_eq!(words, ["--app-id=x"]);
        let reasons = [
            "--app-max-concurrency has no effect: the application is never called",
            "-mode has no effect: there is no control plane",
            "--enable-mtls has no effect: sidecars do not talk to each other",
            "--app-ssl has no effect: the application is never called",
        ];
        assert_eq!(ignored, reasons);
    }

    #[test]
    fn no_option_is_the_value_of_another() {
        for words in [
            &["--app-id"][..],
            &["--app-id", "--resources-path", "d"],
            &["--app-id", "-enable-mtls", "d"],
            &["--app-id", "--app-id=x"],
            &["--app-id", "--", "x"],
        ] {
            assert_eq!(read(words).unwrap_err(), ["--app-id: a value is missing"], "{words:?}");
        }
    }

    #[test]
    fn every_problem_is_reported() {
        let problems = read(&[
            "--log-file",
            "f",
            "--mode",
            "kubernetes",
            "--nonsense",
            "x",
            "--ap-id",
            "-apid",
            "--APP-ID",
            "--id",
            "-x",
            "--allowed-origins=",
            "--mode",
            "Standalone",
            "--mode=standalon",
            "--app-port",
            "--log-as-json",
            "--config",
        ])
        .unwrap_err();
        let expected = [
            "--log-file: the log goes to stderr",
            "--mode kubernetes: there is no control plane",
            "--nonsense: unknown option",
            "--ap-id: unknown option; did you mean --app-id?",
            "-apid: unknown option",
            "--APP-ID: unknown option; did you mean --app-id?",
            "--id: unknown option",
            "-x: unknown option",
            "--allowed-origins '': there is no CORS",
            "--mode Standalone: did you mean standalone?",
            "--mode standalon: did you mean standalone?",
            "--app-port: a value is missing",
            "--config: a value is missing",
        ];
        assert_eq!(problems, expected);
    }
}
