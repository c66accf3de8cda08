//! What is asked: the arguments of the native commands, by the rules of their parser.

use alloc::{format, string::String, vec::Vec};

use crate::help::{self, Topic};

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// `--help`, of this
    Help(Topic),
    /// `--version`
    Version,
    /// A call.
    Call(Command),
}

/// A call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `try-lock`
    TryLock {
        /// The lock.
        lock: Lock,
        /// How long it is held at most, in seconds.
        expiry: i32,
    },
    /// `unlock`
    Unlock {
        /// The lock.
        lock: Lock,
    },
}

/// What the calls have in common.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    /// The store's name.
    pub(crate) store: String,
    /// What is locked.
    pub(crate) resource: String,
    /// Who locks it.
    pub(crate) owner: String,
    /// Whether the reply is wanted in the form of the HTTP API.
    pub(crate) json: bool,
}

impl Asked {
    /// What the words, without the program's name, ask for. The error is the text for stderr.
    pub(crate) fn of(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut words = words.into_iter();
        let Some(command) = words.next() else { return Err(help::of(Topic::Program).into()) };
        match command.as_str() {
            "try-lock" => Given::read(Topic::TryLock, words)?.asked(),
            "unlock" => Given::read(Topic::Unlock, words)?.asked(),
            "-h" | "--help" => Ok(Self::Help(Topic::Program)),
            "-V" | "--version" => Ok(Self::Version),
            "help" => match words.next().as_deref() {
                None => Ok(Self::Help(Topic::Program)),
                Some("try-lock") => Ok(Self::Help(Topic::TryLock)),
                Some("unlock") => Ok(Self::Help(Topic::Unlock)),
                Some(other) => Err(unknown(other)),
            },
            option if option.starts_with('-') => {
                Err(wrong(Topic::Program, &format!("unexpected argument '{option}' found")))
            }
            other => Err(unknown(other)),
        }
    }
}

/// The arguments of a command, as they came.
struct Given {
    topic: Topic,
    operands: Vec<String>,
    owner: Option<String>,
    expiry: Option<String>,
    json: bool,
    help: bool,
}

impl Given {
    fn read(topic: Topic, mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (operands, json, help) = (Vec::new(), false, false);
        let mut given = Self { topic, operands, owner: None, expiry: None, json, help };
        let mut only_operands = false;
        while let Some(word) = words.next() {
            let is_option = word.len() > 1 && word.starts_with('-');
            if only_operands || !is_option {
                given.operands.push(word);
            } else if word == "--" {
                only_operands = true;
            } else {
                given.option(&word, &mut words)?;
            }
        }
        Ok(given)
    }

    fn option(
        &mut self,
        word: &str,
        words: &mut impl Iterator<Item = String>,
    ) -> Result<(), String> {
        let topic = self.topic;
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.into())),
            None => (word, None),
        };
        let (slot, shown) = match name {
            "--owner" => (&mut self.owner, "--owner <OWNER>"),
            "--expiry" if topic == Topic::TryLock => (&mut self.expiry, "--expiry <SECONDS>"),
            "--json" | "--help" | "-h" if value.is_none() => {
                *(if name == "--json" { &mut self.json } else { &mut self.help }) = true;
                return Ok(());
            }
            _ => return Err(wrong(topic, &format!("unexpected argument '{word}' found"))),
        };
        if slot.is_some() {
            let problem = format!("the argument '{shown}' cannot be used multiple times");
            return Err(wrong(topic, &problem));
        }
        let missing = || format!("a value is required for '{shown}' but none was supplied");
        let mut next = || words.next().filter(|word| !is_name(word));
        *slot = Some(value.or_else(&mut next).ok_or_else(|| wrong(topic, &missing()))?);
        Ok(())
    }

    fn asked(self) -> Result<Asked, String> {
        let Self { topic, operands, owner, expiry, json, help } = self;
        if help {
            return Ok(Asked::Help(topic));
        }
        let mut operands = operands.into_iter();
        let (store, resource) = (operands.next(), operands.next());
        if let Some(more) = operands.next() {
            return Err(wrong(topic, &format!("unexpected argument '{more}' found")));
        }
        let missing = |name: &str| {
            wrong(topic, &format!("the following required argument was not provided: {name}"))
        };
        let owner = owner.ok_or_else(|| missing("--owner <OWNER>"))?;
        let expiry = match (topic, expiry) {
            (Topic::TryLock, None) => return Err(missing("--expiry <SECONDS>")),
            (_, expiry) => expiry.map(|text| seconds(&text)).transpose()?,
        };
        let store = store.ok_or_else(|| missing("<STORE>"))?;
        let resource = resource.ok_or_else(|| missing("<RESOURCE>"))?;
        let lock = Lock { store, resource, owner, json };
        Ok(Asked::Call(match expiry {
            Some(expiry) => Command::TryLock { lock, expiry },
            None => Command::Unlock { lock },
        }))
    }
}

fn seconds(text: &str) -> Result<i32, String> {
    text.parse().map_err(|problem| {
        let problem = format!("invalid value '{text}' for '--expiry <SECONDS>': {problem}");
        wrong(Topic::TryLock, &problem)
    })
}

/// Whether a word is an option, and so no option's value. A negative number is a value.
fn is_name(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-') && word.parse::<i64>().is_err()
}

fn unknown(command: &str) -> String {
    wrong(Topic::Program, &format!("unrecognized subcommand '{command}'"))
}

fn wrong(topic: Topic, problem: &str) -> String {
    let usage = help::usage(topic);
    format!("error: {problem}\n\nUsage: {usage}\n\nFor more information, try '--help'.\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Asked, String> {
        Asked::of(line.split(' ').filter(|word| !word.is_empty()).map(String::from))
    }

    fn lock(json: bool) -> Lock {
        Lock { store: "s".into(), resource: "r".into(), owner: "o".into(), json }
    }

    #[test]
    fn calls_are_understood_in_each_order() {
        for line in [
            "try-lock s r --owner o --expiry 60",
            "try-lock --expiry=60 --owner=o s r",
            "try-lock s --owner o --expiry 60 -- r",
        ] {
            let call = Command::TryLock { lock: lock(false), expiry: 60 };
            assert_eq!(asked(line), Ok(Asked::Call(call)), "{line}");
        }
        let negative = asked("try-lock s r --owner o --expiry -5 --json");
        let call = Command::TryLock { lock: lock(true), expiry: -5 };
        assert_eq!(negative, Ok(Asked::Call(call)));
        let unlock = asked("unlock s r --json --owner o");
        assert_eq!(unlock, Ok(Asked::Call(Command::Unlock { lock: lock(true) })));
    }

    #[test]
    fn words_that_look_like_options_are_operands_after_two_dashes() {
        let Ok(Asked::Call(Command::Unlock { lock })) = asked("unlock --owner=-o -- -s --json")
        else {
            panic!("no call");
        };
        let Lock { store, resource, owner, json } = lock;
        assert_eq!((&*store, &*resource, &*owner, json), ("-s", "--json", "-o", false));
    }

    #[test]
    fn empty_words_are_the_rules_business() {
        let words = ["unlock", "s", "", "--owner", ""].map(String::from);
        let Ok(Asked::Call(Command::Unlock { lock })) = Asked::of(words) else {
            panic!("no call");
        };
        assert_eq!((&*lock.resource, &*lock.owner), ("", ""));
    }

    #[test]
    fn help_and_version() {
        for (line, what) in [
            ("--help", Asked::Help(Topic::Program)),
            ("help", Asked::Help(Topic::Program)),
            ("help unlock", Asked::Help(Topic::Unlock)),
            ("try-lock -h", Asked::Help(Topic::TryLock)),
            ("unlock s r --help", Asked::Help(Topic::Unlock)),
            ("-V", Asked::Version),
        ] {
            assert_eq!(asked(line), Ok(what), "{line}");
        }
        assert_eq!(asked(""), Err(help::of(Topic::Program).into()));
        for topic in [Topic::Program, Topic::TryLock, Topic::Unlock] {
            assert!(help::of(topic).contains(help::usage(topic)));
        }
    }

    #[test]
    fn mistakes_are_named() {
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
            let said = asked(line);
            let named = said.as_ref().is_err_and(|said| said.contains(problem));
            assert!(named, "{line}: {said:?}");
        }
    }
}
