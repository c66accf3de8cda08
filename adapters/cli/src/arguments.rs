//! Parses the command line by the same rules as the native commands.

use alloc::{format, string::String, vec::Vec};

use crate::help::{self, Topic};

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The help text of a topic.
    Help(Topic),
    /// The name and version of the program.
    Version,
    /// A call of the lock component.
    Call(Call),
}

/// A call of the lock component.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// The function to call.
    pub(crate) verb: Verb,
    /// The name of the store.
    pub(crate) store: String,
    /// The resource id.
    pub(crate) resource: String,
    /// The lock owner.
    pub(crate) owner: String,
    /// Print the HTTP API's reply instead of a word.
    pub(crate) json: bool,
}

/// A function of the lock component.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// `try-lock`
    TryLock {
        /// The time to live of the lock, in seconds.
        expiry: i32,
    },
    /// `unlock`
    Unlock,
}

impl Request {
    /// Parses the arguments that follow the program's name. The error is the text for stderr.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut rest = arguments.into_iter();
        let Some(command) = rest.next() else { return Err(help::text(Topic::Program).into()) };
        match command.as_str() {
            "try-lock" => Words::split(Topic::TryLock, rest)?.into_request(),
            "unlock" => Words::split(Topic::Unlock, rest)?.into_request(),
            "-h" | "--help" => Ok(Self::Help(Topic::Program)),
            "-V" | "--version" => Ok(Self::Version),
            "help" => match rest.next().as_deref() {
                None => Ok(Self::Help(Topic::Program)),
                Some("try-lock") => Ok(Self::Help(Topic::TryLock)),
                Some("unlock") => Ok(Self::Help(Topic::Unlock)),
                Some(other) => Err(unknown_command(other)),
            },
            option if option.starts_with('-') => Err(unexpected(Topic::Program, option)),
            other => Err(unknown_command(other)),
        }
    }
}

/// The arguments of a command, sorted into positional ones and options but not yet checked.
struct Words {
    topic: Topic,
    positional: Vec<String>,
    owner: Option<String>,
    expiry: Option<String>,
    json: bool,
    help: bool,
}

impl Words {
    fn split(topic: Topic, mut rest: impl Iterator<Item = String>) -> Result<Self, String> {
        let (positional, json, help) = (Vec::new(), false, false);
        let mut words = Self { topic, positional, owner: None, expiry: None, json, help };
        let mut options_ended = false;
        while let Some(word) = rest.next() {
            let is_option = word.len() > 1 && word.starts_with('-');
            if options_ended || !is_option {
                words.positional.push(word);
            } else if word == "--" {
                options_ended = true;
            } else {
                words.add_option(&word, &mut rest)?;
            }
        }
        Ok(words)
    }

    /// Stores the option `word`, taking its value from `rest` unless it has the form `--name=value`.
    fn add_option(
        &mut self,
        word: &str,
        rest: &mut impl Iterator<Item = String>,
    ) -> Result<(), String> {
        let topic = self.topic;
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.into())),
            None => (word, None),
        };
        let (slot, usage) = match name {
            "--owner" => (&mut self.owner, "--owner <OWNER>"),
            "--expiry" if topic == Topic::TryLock => (&mut self.expiry, "--expiry <SECONDS>"),
            "--json" | "--help" | "-h" if value.is_none() => {
                *(if name == "--json" { &mut self.json } else { &mut self.help }) = true;
                return Ok(());
            }
            _ => return Err(unexpected(topic, word)),
        };
        if slot.is_some() {
            let problem = format!("the argument '{usage}' cannot be used multiple times");
            return Err(usage_error(topic, &problem));
        }
        let missing = || format!("a value is required for '{usage}' but none was supplied");
        let mut next_value = || rest.next().filter(|word| !is_option_name(word));
        *slot = Some(value.or_else(&mut next_value).ok_or_else(|| usage_error(topic, &missing()))?);
        Ok(())
    }

    fn into_request(self) -> Result<Request, String> {
        let Self { topic, positional, owner, expiry, json, help } = self;
        if help {
            return Ok(Request::Help(topic));
        }
        let mut positional = positional.into_iter();
        let (store, resource) = (positional.next(), positional.next());
        if let Some(extra) = positional.next() {
            return Err(unexpected(topic, &extra));
        }
        let missing = |name: &str| {
            let problem = format!("the following required argument was not provided: {name}");
            usage_error(topic, &problem)
        };
        let owner = owner.ok_or_else(|| missing("--owner <OWNER>"))?;
        let verb = match (topic, expiry) {
            (Topic::TryLock, None) => return Err(missing("--expiry <SECONDS>")),
            (_, Some(text)) => Verb::TryLock { expiry: parse_seconds(&text)? },
            (_, None) => Verb::Unlock,
        };
        let store = store.ok_or_else(|| missing("<STORE>"))?;
        let resource = resource.ok_or_else(|| missing("<RESOURCE>"))?;
        Ok(Request::Call(Call { verb, store, resource, owner, json }))
    }
}

fn parse_seconds(text: &str) -> Result<i32, String> {
    text.parse().map_err(|problem| {
        let problem = format!("invalid value '{text}' for '--expiry <SECONDS>': {problem}");
        usage_error(Topic::TryLock, &problem)
    })
}

/// Whether a word names an option and so cannot be a value. A negative number can be a value.
fn is_option_name(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-') && word.parse::<i64>().is_err()
}

fn unknown_command(name: &str) -> String {
    usage_error(Topic::Program, &format!("unrecognized subcommand '{name}'"))
}

fn unexpected(topic: Topic, argument: &str) -> String {
    usage_error(topic, &format!("unexpected argument '{argument}' found"))
}

fn usage_error(topic: Topic, problem: &str) -> String {
    let usage = help::usage(topic);
    format!("error: {problem}\n\nUsage: {usage}\n\nFor more information, try '--help'.\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, String> {
        Request::parse(line.split(' ').filter(|word| !word.is_empty()).map(String::from))
    }

    fn call(verb: Verb, json: bool) -> Request {
        let (store, resource, owner) = ("s".into(), "r".into(), "o".into());
        Request::Call(Call { verb, store, resource, owner, json })
    }

    #[test]
    fn options_may_stand_anywhere() {
        for line in [
            "try-lock s r --owner o --expiry 60",
            "try-lock --expiry=60 --owner=o s r",
            "try-lock s --owner o --expiry 60 -- r",
        ] {
            assert_eq!(parse(line), Ok(call(Verb::TryLock { expiry: 60 }, false)), "{line}");
        }
        let negative = parse("try-lock s r --owner o --expiry -5 --json");
        assert_eq!(negative, Ok(call(Verb::TryLock { expiry: -5 }, true)));
        assert_eq!(parse("unlock s r --json --owner o"), Ok(call(Verb::Unlock, true)));
    }

    #[test]
    fn two_dashes_end_the_options() {
        let Ok(Request::Call(call)) = parse("unlock --owner=-o -- -s --json") else {
            panic!("no call");
        };
        let Call { verb, store, resource, owner, json } = call;
        assert_eq!((&*store, &*resource, &*owner, json), ("-s", "--json", "-o", false));
        assert_eq!(verb, Verb::Unlock);
    }

    #[test]
    fn empty_values_are_left_to_the_lock_component() {
        let arguments = ["unlock", "s", "", "--owner", ""].map(String::from);
        let Ok(Request::Call(call)) = Request::parse(arguments) else {
            panic!("no call");
        };
        assert_eq!((&*call.resource, &*call.owner), ("", ""));
    }

    #[test]
    fn help_and_version() {
        for (line, request) in [
            ("--help", Request::Help(Topic::Program)),
            ("help", Request::Help(Topic::Program)),
            ("help unlock", Request::Help(Topic::Unlock)),
            ("try-lock -h", Request::Help(Topic::TryLock)),
            ("unlock s r --help", Request::Help(Topic::Unlock)),
            ("-V", Request::Version),
        ] {
            assert_eq!(parse(line), Ok(request), "{line}");
        }
        assert_eq!(parse(""), Err(help::text(Topic::Program).into()));
        for topic in [Topic::Program, Topic::TryLock, Topic::Unlock] {
            assert!(help::text(topic).contains(help::usage(topic)));
        }
    }

    #[test]
    fn errors_name_the_problem() {
        for (line, problem) in [
            ("lock s r", "unrecognized subcommand 'lock'"),
            ("help lock", "unrecognized subcommand 'lock'"),
            ("--json", "unexpected argument '--json' found"),
            ("unlock s r", "--owner <OWNER>"),
            ("try-lock s r --owner o", "--expiry <SECONDS>"),
            ("unlock --owner o", "<STORE>"),
            ("unlock s --owner o", "<RESOURCE>"),
            ("unlock s r t --owner o", "unexpected argument 't' found"),
            ("unlock s r --owner o --expiry 5", "unexpected argument '--expiry' found"),
            ("unlock s r --owner", "a value is required for '--owner <OWNER>'"),
            ("unlock s r --owner --json", "a value is required for '--owner <OWNER>'"),
            ("unlock s r --owner o --owner p", "cannot be used multiple times"),
            ("unlock s r --owner o --json=yes", "unexpected argument '--json=yes' found"),
            ("unlock s r --owner o --resources-path d", "unexpected argument '--resources-path'"),
            ("try-lock s r --owner o --expiry soon", "invalid value 'soon' for '--expiry"),
            ("try-lock s r --owner o --expiry 2147483648", "number too large"),
        ] {
            let result = parse(line);
            let named = result.as_ref().is_err_and(|message| message.contains(problem));
            assert!(named, "{line}: {result:?}");
        }
    }
}
