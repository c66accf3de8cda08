//! `docs/from-dapr.md` says of the binary what is so.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod binary;

use std::path::Path;

use binary::{
    deployed::{Options, read},
    holdfast, knows,
};
use holdfast_tests::{holdfast::Holdfast, redis_server::RedisServer};
use tempfile::TempDir;

const PAGE: &str = "docs/from-dapr.md";

/// The options of daprd, and what each is here.
fn options(page: &str) -> Vec<(&str, &str)> {
    let table = page.split("\n## ").find(|part| part.starts_with("The options of daprd")).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let rows: Vec<_> =
        rows.map(|(option, rest)| (option, rest.split(' ').next().unwrap())).collect();
    assert!(rows.len() > 50, "{}", rows.len());
    rows
}

#[test]
fn the_options_table_is_true() {
    for (option, here) in options(&read(PAGE)) {
        let refused = || {
            let output = holdfast().args(["serve", option]).output().unwrap();
            let error = String::from_utf8(output.stderr).unwrap();
            error.starts_with(&format!("error: unexpected argument '{option}' found"))
        };
        match here {
            "same" => assert!(knows(option), "{option} is missing"),
            "other" | "none" => assert!(refused(), "{option} is known"),
            _ => panic!("{option} is {here}"),
        }
    }
}

#[test]
fn every_option_of_daprds_that_there_is_is_in_the_table() {
    let page = read(PAGE);
    let listed: Vec<_> = options(&page).into_iter().map(|(option, _)| option).collect();
    let help = binary::help_of_serve();
    let (daprds, _own) = help.split_once("\nLimits:\n").unwrap();
    let known = daprds.split([' ', '\n', ',', ']']).filter(|word| word.starts_with("--dapr-"));
    for option in known {
        assert!(listed.contains(&option), "{option} is not in the table");
    }
}

#[test]
fn its_links_lead_somewhere() {
    let (page, readme) = (read(PAGE), read("README.md"));
    let links: Vec<_> = page.split("](").skip(1).filter_map(|rest| rest.split_once(')')).collect();
    assert!(links.len() > 10);
    for (link, _) in links {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let in_docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
        assert!(file.is_empty() || in_docs.exists(), "{link}");
        let text = if file.is_empty() { page.clone() } else { read(&format!("docs/{file}")) };
        let headings = text.lines().filter_map(|line| line.strip_prefix("## "));
        let mut anchors = headings.map(anchor);
        assert!(heading.is_empty() || anchors.any(|anchor| anchor == heading), "{link}");
    }
    assert!(readme.contains("](docs/from-dapr.md)"));
}

/// What a heading is linked by: lower case, dashes for spaces, no other signs.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[tokio::test]
async fn both_exclude_each_other_on_the_way() {
    let redis = RedisServer::start();
    let folder = TempDir::new().unwrap();
    let component = format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: lockstore\nspec:\n\
         \x20 type: lock.redis\n  version: v1\n  metadata:\n  - name: redisHost\n    value: {}\n",
        redis.address()
    );
    std::fs::write(folder.path().join("lockstore.yaml"), component).unwrap();
    let folder = folder.path().to_str().unwrap();
    let page = read(PAGE);

    // What daprd sends for the first call of the page.
    let key = "lock||app1||moving";
    redis.run::<()>(&["SET", key, "daprd", "EX", "60", "NX"]);
    let binary = Path::new(env!("CARGO_BIN_EXE_holdfast"));
    let holdfast = Holdfast::serve(binary, &["--app-id", "app1", "--resources-path", folder]);
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
    assert_eq!(answers, [r#"{"success":false}"#, r#"{"status":0}"#]);
    assert_eq!(redis.run::<i64>(&["EXISTS", key]), 0);
    assert!(redis.run::<Vec<String>>(&["KEYS", "*"]).is_empty());
}

#[test]
fn its_command_lines_are_taken() {
    let page = read(PAGE).replace("\\\n", "");
    let lines = page.lines().filter_map(|line| line.trim().strip_prefix("holdfast serve "));
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.len(), 2);
    let folder = TempDir::new().unwrap();
    for line in lines {
        let options = Options::parse(["serve"].into_iter().chain(line.split_whitespace()));
        binary::deployed::assert_serves(options.serve(folder.path().to_str().unwrap()));
    }
}
