//! A command line of `deploy/`, tried out on this machine.

use std::{fs, path::PathBuf, process::Command};

use super::{Serving, holdfast};

/// A file of `deploy/`.
pub fn file(name: &str) -> String {
    read(&format!("deploy/{name}"))
}

/// A file of the workspace.
pub fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The options of `holdfast serve`, each with its value, if it has one.
pub struct Options(Vec<(String, Option<String>)>);

impl Options {
    /// Takes what follows the program's name, with values in either of their forms.
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

    /// The value of an option, which must be there once.
    pub fn value(&self, option: &str) -> &str {
        let values: Vec<_> = self.0.iter().filter(|(name, _)| name == option).collect();
        let [(_, Some(value))] = values[..] else { panic!("{option} is there as {values:?}") };
        value
    }

    /// The value of an option that is a number.
    pub fn number(&self, option: &str) -> i64 {
        self.value(option).parse().unwrap()
    }

    /// The same with free ports, and another folder of component files.
    pub fn serve(&self, components: &str) -> Command {
        let mut command = holdfast();
        command.arg("serve");
        for (option, value) in &self.0 {
            command.arg(option);
            match option.as_str() {
                "--resources-path" => _ = command.arg(components),
                option if option.ends_with("-port") => _ = command.arg("0"),
                _ => _ = command.args(value),
            }
            if option == "--dapr-public-port" {
                command.args(["--dapr-public-listen-address", "127.0.0.1"]);
            }
        }
        command
    }
}

/// Serves until it is asked for its health and ended.
pub fn assert_serves(command: Command) {
    let mut serving = Serving::start(command);
    let port = serving.port("listening on http://");
    assert!(holdfast().args(["health", "--port", &port]).status().unwrap().success());
    assert_eq!(serving.terminate(), Some(0));
}
