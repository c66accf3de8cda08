//! Command lines of `deploy/` and `docs/`, run on this machine.

use std::process::{Command, Output};

use holdfast_tests::{
    holdfast::{Holdfast, command},
    read,
};
use rustix::process::Signal;
use saphyr::{LoadableYamlNode, Yaml};

use crate::HOLDFAST;

/// A file of `deploy/`.
pub fn file(name: &str) -> String {
    read(&format!("deploy/{name}"))
}

/// The documents of a YAML file.
pub fn documents(text: &str) -> Vec<Yaml<'_>> {
    Yaml::load_from_str(text).unwrap()
}

/// The document of this kind.
pub fn of_kind<'a, 'b>(documents: &'a [Yaml<'b>], kind: &str) -> &'a Yaml<'b> {
    documents.iter().find(|document| document["kind"].as_str().unwrap() == kind).unwrap()
}

/// The output of `holdfast serve --help`.
pub fn help_of_serve() -> String {
    let Output { status, stdout, .. } =
        command(HOLDFAST).args(["serve", "--help"]).output().unwrap();
    assert!(status.success());
    String::from_utf8(stdout).unwrap()
}

/// The options of a `holdfast serve`, each with its value if it has one.
pub struct Options(Vec<(String, Option<String>)>);

impl Options {
    /// Parses the words after the program's name: `serve`, then options as `--name value` or `--name=value`.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words = words.into_iter().peekable();
        assert_eq!(words.next(), Some("serve"));
        let mut options = Vec::new();
        while let Some(word) = words.next() {
            let (option, value) = match word.split_once('=') {
                Some((option, value)) => (option, Some(value)),
                None => (word, words.next_if(|word| !word.starts_with("--"))),
            };
            assert!(option.starts_with("--"), "{option} is no option");
            options.push((option.to_owned(), value.map(str::to_owned)));
        }
        Self(options)
    }

    /// The value of an option, which must appear once.
    pub fn value(&self, option: &str) -> &str {
        let values: Vec<_> = self.0.iter().filter(|(name, _)| name == option).collect();
        let [(_, Some(value))] = values[..] else { panic!("{option} appears as {values:?}") };
        value
    }

    /// The value of an option that is a number.
    pub fn number(&self, option: &str) -> i64 {
        self.value(option).parse().unwrap()
    }

    /// The command with these options, but free ports, loopback addresses in place of wildcards, and another
    /// folder of resources.
    pub fn serve(&self, resources: &str) -> Command {
        let mut command = command(HOLDFAST);
        command.arg("serve");
        for (option, value) in &self.0 {
            command.arg(option);
            match option.as_str() {
                "--resources-path" => _ = command.arg(resources),
                option if option.ends_with("-port") => _ = command.arg("0"),
                option if option.contains("-listen-address") => _ = command.arg(loopback(value)),
                _ => _ = command.args(value),
            }
        }
        command
    }
}

fn loopback(addresses: &Option<String>) -> String {
    let addresses = addresses.as_deref().unwrap_or_default();
    addresses.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")
}

/// Checks that a command serves, is healthy, and exits with 0 when it is asked to end.
pub fn assert_serves(command: Command) {
    let mut holdfast = Holdfast::start(command);
    let address = holdfast.http();
    let (_, port) = address.rsplit_once(':').unwrap();
    assert!(self::command(HOLDFAST).args(["health", "--port", port]).status().unwrap().success());
    assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
}
