//! `docs/from-dapr.md` describes the program correctly.

use holdfast_tests::{
    holdfast::{Holdfast, command},
    http_api::{HELD, RELEASED},
    read,
    redis_server::RedisServer,
    repository,
    resources::Resources,
    temporary_dir,
};

use holdfast_sidecar::cli::daprd::{DaprdOption, Form, Here, OPTIONS};

use crate::{
    HOLDFAST,
    deployed::{Options, assert_serves, help_of_serve},
};

const PAGE: &str = "docs/from-dapr.md";

/// The rows of the table of daprd's options.
fn rows(page: &str) -> Vec<&str> {
    let table = page.split("\n## ").find(|part| part.starts_with("The options of daprd")).unwrap();
    table.lines().filter(|line| line.starts_with("| `--")).collect()
}

/// The row of an option.
fn row(option: &DaprdOption) -> String {
    let DaprdOption { name, here, reason, .. } = option;
    let here = match here {
        Here::Same => "same".to_owned(),
        Here::Ignored => "ignored".to_owned(),
        Here::Only(value) => format!("only `{value}`"),
        Here::Refused => "refused".to_owned(),
    };
    let reason = if reason.is_empty() { String::new() } else { format!("{reason} ") };
    format!("| `--{name}` | {here} | {reason}|")
}

/// Whether `holdfast serve` has an option.
fn has_option(option: &str) -> bool {
    help_of_serve().split([' ', '\n', ',', '[', ']', '=']).any(|word| word == option)
}

#[test]
fn the_table_of_options_is_the_programs() {
    let expected: Vec<_> = OPTIONS.iter().map(row).collect();
    assert_eq!(rows(&read(PAGE)), expected);
    assert!(OPTIONS.len() > 50, "{}", OPTIONS.len());
}

#[test]
fn the_table_of_options_is_true() {
    for DaprdOption { name, form, here, reason } in OPTIONS {
        let known = has_option(&format!("--{name}"));
        assert_eq!(known, *here == Here::Same, "--{name}");
        if *here == Here::Refused {
            let value = (*form == Form::Value).then_some("1");
            let option = format!("--{name}");
            let output = command(HOLDFAST).args(["serve", &option]).args(value).output().unwrap();
            let error = String::from_utf8(output.stderr).unwrap();
            assert!(error.contains(&format!("\n  --{name}: {reason}\n")), "{error}");
        }
    }
}

#[test]
fn the_links_of_the_page_lead_somewhere() {
    let (page, readme) = (read(PAGE), read("README.md"));
    let links: Vec<_> = page.split("](").skip(1).filter_map(|rest| rest.split_once(')')).collect();
    assert!(links.len() > 10);
    for (link, _) in links {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let in_docs = repository("docs").join(file);
        assert!(file.is_empty() || in_docs.exists(), "{link}");
        let text = if file.is_empty() { page.clone() } else { read(&format!("docs/{file}")) };
        let headings = text.lines().filter(|line| line.starts_with('#'));
        let mut anchors = headings.map(|line| anchor(line.trim_start_matches('#').trim_start()));
        assert!(heading.is_empty() || anchors.any(|anchor| anchor == heading), "{link}");
    }
    assert!(readme.contains("](docs/from-dapr.md)"));
}

/// The anchor of a heading: lower case, dashes for spaces, no other punctuation.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[tokio::test]
async fn daprd_and_holdfast_exclude_each_other() {
    let redis = RedisServer::start();
    let resources = Resources::in_redis(&redis, &[]);
    let page = read(PAGE);

    // The command that daprd sends for the first call of the page.
    let key = "lock||app1||moving";
    redis.run::<()>(&["SET", key, "daprd", "EX", "60", "NX"]);
    let arguments = ["--app-id", "app1", "--resources-path", resources.path()];
    let holdfast = Holdfast::serve(HOLDFAST, &arguments);
    let (_, calls) = page.split_once("http://localhost:3600").unwrap();
    let mut answers = Vec::new();
    for call in calls.split("http://localhost:3600") {
        let (path, rest) = call.split_once(" \\\n     -d '").unwrap();
        let (body, rest) = rest.split_once("' ").unwrap();
        let (said, _) = rest.trim_start().trim_start_matches("# ").split_once('\n').unwrap();
        let (status, answer) = holdfast.post(path, body).await;
        assert_eq!((status, answer.as_str()), (200, said));
        answers.push(answer);
    }
    assert_eq!(answers, [HELD, RELEASED]);
    assert_eq!(redis.run::<i64>(&["EXISTS", key]), 0);
    assert!(redis.run::<Vec<String>>(&["KEYS", "*"]).is_empty());
}

#[test]
fn the_command_lines_of_the_page_work() {
    let page = read(PAGE).replace("\\\n", "");
    let lines = page.lines().filter_map(|line| line.trim().strip_prefix("holdfast serve "));
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.len(), 2);
    let folder = temporary_dir();
    for line in lines {
        let options = Options::parse(["serve"].into_iter().chain(line.split_whitespace()));
        assert_serves(options.serve(folder.path().to_str().unwrap()));
    }
}
