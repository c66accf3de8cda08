//! The program accepts the command lines of the systemd unit and the image, and their ports and paths agree.

use holdfast_tests::{
    holdfast::{Holdfast, command},
    read,
    resources::{Resources, in_memory},
};
use rustix::process::Signal;

use crate::{
    HOLDFAST,
    deployed::{self, Options, assert_serves, help_of_serve},
};

/// Where the program is installed.
const INSTALLED: &str = "/usr/local/bin/holdfast";

/// How long stores may take to close after the grace period, in seconds.
const CLOSING: i64 = 5;

/// The lines of a file, each that ends in a backslash joined with the next.
fn joined(text: &str) -> Vec<String> {
    text.replace("\\\n", "").lines().map(str::to_owned).collect()
}

#[test]
fn the_systemd_unit_starts_the_program() {
    let unit = deployed::file("systemd/holdfast.service");
    let lines = joined(&unit);
    let setting = |name: &str| {
        let values = lines.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let values: Vec<_> = values.collect();
        assert_eq!(values.len(), 1, "{name} appears as {values:?}");
        values[0]
    };
    let mut words = setting("ExecStart").split_whitespace();
    assert_eq!(words.next(), Some(INSTALLED));
    let options = Options::parse(words);

    let resources = Resources::new(&[("memory.yaml", &in_memory("memory"))]);
    assert_serves(options.serve(resources.path()));

    assert_eq!(setting("Type"), "notify");
    let grace = options.number("--dapr-graceful-shutdown-seconds");
    assert!(setting("TimeoutStopSec").parse::<i64>().unwrap() > grace + CLOSING);
    let installed = unit.lines().filter(|line| line.starts_with("#   install"));
    let installed = installed.collect::<Vec<_>>().join("\n");
    let environment = setting("EnvironmentFile").trim_start_matches('-');
    for path in ["/usr/local/bin/", options.value("--resources-path"), environment] {
        assert!(installed.contains(path), "{path} is not in:\n{installed}");
    }
}

#[test]
fn the_image_starts_the_program_and_checks_its_health() {
    let lines = joined(&deployed::file("docker/Dockerfile"));
    let instructions = |name: &str| {
        let rest = lines.iter().filter_map(|line| line.trim().strip_prefix(name));
        rest.map(|rest| rest.trim().to_owned()).collect::<Vec<_>>()
    };
    let one = |name: &str| {
        let found = instructions(name);
        assert_eq!(found.len(), 1, "{name} appears as {found:?}");
        found[0].clone()
    };
    let words = |json: &str| serde_json::from_str::<Vec<String>>(json).unwrap();

    assert_eq!(words(&one("ENTRYPOINT ")), [INSTALLED]);
    assert!(one("COPY --from=build ").ends_with(INSTALLED));
    let command = words(&one("CMD "));
    let options = Options::parse(command.iter().map(String::as_str));
    let environment: Vec<_> = instructions("ENV ");
    let environment: Vec<_> =
        environment.iter().map(|setting| setting.split_once('=').unwrap()).collect();
    assert_eq!(environment, [("DAPR_LISTEN_ADDRESSES", "0.0.0.0")]);

    // Free ports for those that CMD leaves at their defaults.
    let mut command = options.serve("");
    command.envs(environment).envs([("DAPR_HTTP_PORT", "0"), ("DAPR_GRPC_PORT", "0")]);
    command.args(["--metrics-port", "0"]);
    let mut holdfast = Holdfast::start(command);
    let line = holdfast.wait_for("listening on http://");
    let (_, port) = line.split_once("listening on http://0.0.0.0:").unwrap();

    let (_, health) = one("HEALTHCHECK ").split_once("CMD ").map(own).unwrap();
    let health = words(&health);
    assert_eq!(health[0], INSTALLED);
    let ask =
        || self::command(HOLDFAST).args(&health[1..]).env("DAPR_HTTP_PORT", port).output().unwrap();
    assert_eq!(ask().status.code(), Some(0));
    assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
    assert_eq!(ask().status.code(), Some(1));

    let help = help_of_serve();
    for port in one("EXPOSE ").split_whitespace() {
        assert!(help.contains(&format!("[default: {port}]")), "{port}");
    }
}

fn own((a, b): (&str, &str)) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

#[test]
fn the_image_is_built_with_the_workspaces_compiler() {
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap();
    let image = format!("FROM rust:{}-bookworm AS build", channel.trim_matches('"'));
    let dockerfile = deployed::file("docker/Dockerfile");
    assert!(dockerfile.lines().any(|line| line == image), "no {image}");
    // The build's sources are copied, and large folders are not.
    let ignored = read(".dockerignore");
    let ignored: Vec<_> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(ignored, [".git", "**/target", "deploy", "docs"]);
}
