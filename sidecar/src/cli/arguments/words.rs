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

use super::daprd::{self, DaprdOption, Form, Here};

/// How many letters may be wrong in a name that is suggested.
const TYPOS: usize = 2;

/// Words for clap.
#[derive(Debug, Default)]
pub struct Words {
    /// Options as `--name=value`, without those that have no effect here.
    pub words: Vec<OsString>,
    /// A line about each option that has no effect here.
    pub ignored: Vec<String>,
}

type Rest = Peekable<vec::IntoIter<OsString>>;

/// Reads the words after `serve`. Fails with a line about each option that `serve` does not take.
pub fn read(serve: &Command, words: Vec<OsString>) -> Result<Words, Vec<String>> {
    let mut rest = words.into_iter().peekable();
    let (mut read, mut problems) = (Words::default(), Vec::new());
    while let Some(word) = rest.next() {
        if word == "--" {
            read.words.push(word);
            read.words.extend(rest.by_ref());
        } else if let Some((name, value)) = option(&word) {
            if let Some(ours) = find(serve, name) {
                read.words.push(with_value(ours, name, value, &mut rest));
            } else if let Some(daprds) = daprd::find(name) {
                match without(daprds, value, &mut rest) {
                    Ok(line) => read.ignored.push(line),
                    Err(line) => problems.push(line),
                }
            } else {
                problems.push(unknown(serve, name));
                rest.next_if(|next| !next.as_encoded_bytes().starts_with(b"-"));
            }
        } else {
            read.words.push(word);
        }
    }
    if problems.is_empty() { Ok(read) } else { Err(problems) }
}

/// The name and the value of `--name=value`, `--name`, or either with one dash. One letter after one dash is
/// no name.
fn option(word: &OsStr) -> Option<(&str, Option<&str>)> {
    let word = word.to_str()?;
    let name = match word.strip_prefix("--") {
        Some(name) => name,
        None => word.strip_prefix('-').filter(|name| name.len() > 1)?,
    };
    Some(match name.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (name, None),
    })
}

fn find<'a>(serve: &'a Command, name: &str) -> Option<&'a Arg> {
    serve.get_arguments().find(|arg| names(arg).contains(&name))
}

fn names(arg: &Arg) -> Vec<&str> {
    arg.get_long().into_iter().chain(arg.get_all_aliases().into_iter().flatten()).collect()
}

/// `--name=value`. The value may begin with a dash, or be empty.
fn with_value(arg: &Arg, name: &str, value: Option<&str>, rest: &mut Rest) -> OsString {
    let separate = arg.get_action().takes_values() && !arg.is_require_equals_set();
    let value = match value {
        Some(value) => Some(value.into()),
        None if separate => rest.next(),
        None => None,
    };
    let mut word = OsString::from(format!("--{name}"));
    if let Some(value) = value {
        word.push("=");
        word.push(value);
    }
    word
}

/// The line about an option of daprd that `serve` does not have.
fn without(option: &DaprdOption, value: Option<&str>, rest: &mut Rest) -> Result<String, String> {
    let DaprdOption { name, form, here, reason } = *option;
    let value = match (value, form) {
        (Some(value), _) => value.to_owned(),
        (None, Form::Switch) => "true".to_owned(),
        (None, Form::Value) => match rest.next() {
            Some(value) => value.to_string_lossy().into_owned(),
            None => return Err(format!("--{name}: a value is missing")),
        },
    };
    match here {
        Here::Only(only) if value != only => Err(format!("--{name} {value}: {reason}")),
        Here::Same | Here::Refused => Err(format!("--{name}: {reason}")),
        Here::Ignored | Here::Only(_) => Ok(format!("--{name} has no effect: {reason}")),
    }
}

fn unknown(serve: &Command, name: &str) -> String {
    let ours = serve.get_arguments().flat_map(names);
    let distance = |known: &&str| strsim::damerau_levenshtein(known, name);
    match ours.min_by_key(distance).filter(|known| distance(known) <= TYPOS) {
        Some(known) => format!("--{name}: there is no such option; did you mean --{known}?"),
        None => format!("--{name}: there is no such option"),
    }
}

#[cfg(test)]
mod tests {
    use clap::{ArgAction, arg};

    use super::*;

    fn read(words: &[&str]) -> Result<(Vec<String>, Vec<String>), Vec<String>> {
        let switch = Arg::new("s").long("log-as-json").num_args(0..=1).require_equals(true);
        let serve = Command::new("serve")
            .arg(arg!(--"app-id" <ID>))
            .arg(arg!(--"resources-path" <DIR>).alias("components-path"))
            .arg(switch.action(ArgAction::Set));
        let words = words.iter().map(Into::into).collect();
        let Words { words, ignored } = super::read(&serve, words)?;
        Ok((words.into_iter().map(|word| word.into_string().unwrap()).collect(), ignored))
    }

    #[test]
    fn options_are_written_as_daprd_takes_them() {
        for (words, expected) in [
            (&["-app-id", "x"][..], &["--app-id=x"][..]),
            (&["--app-id=x", "-h"], &["--app-id=x", "-h"]),
            (&["--app-id", "--x"], &["--app-id=--x"]),
            (&["--app-id="], &["--app-id="]),
            (&["--app-id"], &["--app-id"]),
            (&["-components-path", "a,b"], &["--components-path=a,b"]),
            (&["--log-as-json", "-log-as-json=F"], &["--log-as-json", "--log-as-json=F"]),
            (&["more", "--", "-app-id", "x"], &["more", "--", "-app-id", "x"]),
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
            "--mode has no effect: there is no control plane",
            "--enable-mtls has no effect: sidecars do not talk to each other",
            "--app-ssl has no effect: the application is never called",
        ];
        assert_eq!(ignored, reasons);
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
            "--config",
        ])
        .unwrap_err();
        let expected = [
            "--log-file: the log goes to stderr",
            "--mode kubernetes: there is no control plane",
            "--nonsense: there is no such option",
            "--ap-id: there is no such option; did you mean --app-id?",
            "--config: a value is missing",
        ];
        assert_eq!(problems, expected);
    }
}
