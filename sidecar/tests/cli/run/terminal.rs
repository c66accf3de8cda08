//! `script` of util-linux lends a terminal.

use std::{
    fs,
    io::{Read, Write},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

use holdfast_tests::{LONG, process::Watched};

use super::{Place, wait_until};

/// Runs a shell script on a terminal, on which this is typed: what the terminal shows.
fn on_terminal(place: &Place, script: &str, typed: &[u8], until: impl Fn() -> bool) -> String {
    fs::write(place.folder.path().join("script.sh"), script).unwrap();
    // The parent of the tests may ignore some signals, as nohup does.
    let mut terminal = Command::new("env");
    terminal.args(["--default-signal", "script", "-qec", "sh script.sh", "/dev/null"]);
    terminal.current_dir(place.folder.path());
    terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).env("SHELL", "/bin/sh");
    let mut terminal = Watched::start(terminal);
    let process = terminal.process_mut();
    let mut keyboard = process.stdin.take().unwrap();
    let mut screen = process.stdout.take().unwrap();
    wait_until("the terminal is ready", until);
    keyboard.write_all(typed).unwrap();
    let (send, shown) = mpsc::channel();
    thread::spawn(move || {
        let mut shown = String::new();
        screen.read_to_string(&mut shown).unwrap();
        // Nobody may wait for it any more.
        let _ = send.send(shown);
    });
    let shown = shown.recv_timeout(LONG).expect("the script does not end");
    drop(keyboard);
    shown
}

/// The words of `holdfast run` in a script.
fn run(place: &Place, script: &str) -> String {
    let command = place.command(&[], &["sh", "-c", script]);
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let quote =
        |word: &std::ffi::OsStr| format!("'{}'", word.to_str().unwrap().replace('\'', "'\\''"));
    words.map(quote).collect::<Vec<_>>().join(" ")
}

/// A process in the background that reads from a terminal is stopped.
#[test]
fn the_command_reads_from_the_terminal_and_so_do_those_who_come_after_it() {
    let place = Place::new();
    let run = run(&place, "read line; echo the command read $line");
    let script = format!("{run}\necho code $?\nread line\necho the script read $line\n");
    let shown = on_terminal(&place, &script, b"one\ntwo\n", || true);
    assert!(shown.contains("the command read one"), "{shown}");
    assert!(shown.contains("code 0"), "{shown}");
    assert!(shown.contains("the script read two"), "{shown}");
}

/// The reader may be a pager.
#[test]
fn a_command_that_writes_into_a_pipe_leaves_the_terminal_to_the_reader_until_it_asks() {
    let place = Place::new();
    // Long enough for the terminal to be given to the command, if it were: that it is not shows nowhere.
    let quiet = run(&place, "sleep 0.2; touch started; while [ ! -e go ]; do sleep 0.05; done");
    let asking = run(&place, "read line < /dev/tty; echo the command read $line");
    let script = format!(
        "{quiet} | {{ while [ ! -e started ]; do sleep 0.05; done; read line < /dev/tty; echo the reader read $line; touch go; }}\n\
         {asking} | cat\nread line\necho the script read $line\n"
    );
    let shown = on_terminal(&place, &script, b"one\ntwo\nthree\n", || true);
    assert!(shown.contains("the reader read one"), "{shown}");
    assert!(shown.contains("the command read two"), "{shown}");
    assert!(shown.contains("the script read three"), "{shown}");
}

#[test]
fn ctrl_c_goes_to_the_command() {
    let place = Place::new();
    let run = run(&place, "echo ready > said; while [ -e here ]; do sleep 0.05; done");
    let script = format!("{run}\necho code $?\n");
    let ready = || place.said("said").contains("ready");
    let shown = on_terminal(&place, &script, b"\x03", ready);
    assert!(shown.contains("code 130"), "{shown}");
    assert!(place.is_free());
}

/// A shell with job control sees that the command is stopped, and continues it.
#[test]
fn ctrl_z_stops_the_command_until_the_shell_continues_it() {
    let place = Place::new();
    let run = run(&place, "echo ready > said; read line; echo the command read $line");
    let script = format!("set -m\n{run}\necho stopped $?\nfg > /dev/null\necho code $?\n");
    let ready = || place.said("said").contains("ready");
    let shown = on_terminal(&place, &script, b"\x1aone\n", ready);
    assert!(shown.contains("stopped 147"), "{shown}");
    assert!(shown.contains("the command read one"), "{shown}");
    assert!(shown.contains("code 0"), "{shown}");
}
