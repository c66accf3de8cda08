//! Checks the links of the README, of the pages beside it, and of those in `docs/` and `examples/`: the file must
//! exist, and have the heading. A path of this repository that a page names in backticks must exist as well, and
//! so must a test that follows it as in `tests/file.rs::name`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::files;

/// A name in backticks that begins with one of these folders is a path.
const FOLDERS: [&str; 11] = [
    "adapters", "common", "deploy", "docs", "examples", "guest", "host", "sidecar", "tests", "wit",
    "xtask",
];

/// Checks all pages.
pub fn check(root: &Path) -> Result<()> {
    let mut broken = Vec::new();
    for page in pages(root)? {
        let prose = prose(&read(&page)?);
        let links = links(&prose).filter(|link| !leads_somewhere(&page, link));
        let paths = paths(&prose).filter(|path| !names_something(root, path));
        let shown = page.strip_prefix(root)?.display();
        broken.extend(links.chain(paths).map(|missing| format!("{shown}: {missing}")));
    }
    if !broken.is_empty() {
        bail!("broken links and paths:\n{}", broken.join("\n"));
    }
    Ok(())
}

fn pages(root: &Path) -> Result<Vec<PathBuf>> {
    let top = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];
    let mut pages = top.map(|page| root.join(page)).to_vec();
    for folder in ["docs", "examples"] {
        let files = files::below(&root.join(folder))?;
        pages.extend(files.into_iter().filter(|file| file.extension().is_some_and(|e| e == "md")));
    }
    Ok(pages)
}

/// A page without its code blocks.
fn prose(text: &str) -> String {
    let mut in_code = false;
    let kept = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    });
    kept.collect::<Vec<_>>().join("\n")
}

/// The targets of links, without those to other sites.
fn links(prose: &str) -> impl Iterator<Item = &str> {
    let targets = prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    targets.filter(|target| !target.contains("://"))
}

/// The paths in backticks, without patterns.
fn paths(prose: &str) -> impl Iterator<Item = &str> {
    let spans = prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    spans.filter(|span| {
        let folder = span.split_once('/').map(|(folder, _)| folder);
        folder.is_some_and(|folder| FOLDERS.contains(&folder)) && !span.contains(['*', '…', ' '])
    })
}

/// Whether a path exists and, if a function's name follows it, has that function.
fn names_something(root: &Path, path: &str) -> bool {
    match path.split_once("::") {
        None => root.join(path).exists(),
        Some((file, name)) => fs::read_to_string(root.join(file))
            .is_ok_and(|text| text.contains(&format!("fn {name}("))),
    }
}

fn leads_somewhere(page: &Path, link: &str) -> bool {
    let (file, heading) = match link.split_once('#') {
        Some((file, heading)) => (file, Some(heading)),
        None => (link, None),
    };
    let target = match file {
        "" => page.to_owned(),
        file => page.parent().unwrap_or(page).join(file),
    };
    match heading {
        None => target.exists(),
        Some(heading) => fs::read_to_string(target).is_ok_and(|text| has_heading(&text, heading)),
    }
}

fn has_heading(text: &str, wanted: &str) -> bool {
    let prose = prose(text);
    let mut headings = prose.lines().filter(|line| line.starts_with('#'));
    headings.any(|heading| anchor(heading.trim_start_matches('#').trim()) == wanted)
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_paths_are_found_outside_code_blocks() {
        let text =
            "[a](b.md#c) and `wit/`, `tests/*.rs`, `no/path`\n```sh\n[d](e)\n```\n[f](https://g)";
        let prose = prose(text);
        assert_eq!(links(&prose).collect::<Vec<_>>(), ["b.md#c"]);
        assert_eq!(paths(&prose).collect::<Vec<_>>(), ["wit/"]);
    }

    #[test]
    fn a_test_is_found_in_its_file() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands");
        assert!(names_something(&folder, "links.rs"));
        assert!(names_something(&folder, "links.rs::a_test_is_found_in_its_file"));
        assert!(!names_something(&folder, "links.rs::a_test_that_is_missing"));
        assert!(!names_something(&folder, "none.rs::a_test_is_found_in_its_file"));
    }

    #[test]
    fn headings_are_known_by_their_anchors() {
        assert!(has_heading("# One\n## Settings of `lock.redis`\n", "settings-of-lockredis"));
        assert!(!has_heading("```\n# one\n```\n", "one"));
    }
}
