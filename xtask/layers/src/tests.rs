//! The rules, on small trees.

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::{check, circles, modules::Crate};

/// A directory with these files.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    directory
}

/// The circles of a crate whose root is `lib.rs`.
fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    let tree = tree(files);
    let krate = Crate::read(&tree.path().join("lib.rs"), tree.path()).unwrap();
    circles::find(&krate)
}

fn assert_no_circle(files: &[(&str, &str)]) {
    assert_eq!(circles_of(files), [""; 0]);
}

fn assert_circle(files: &[(&str, &str)], expected: &str) {
    assert_eq!(circles_of(files), [expected]);
}

#[test]
fn two_files_that_name_each_other_are_a_circle() {
    assert_circle(
        &[
            ("lib.rs", "mod one;\nmod two;\n"),
            ("one.rs", "use crate::two::Two;\npub struct One(Two);\n"),
            ("two.rs", "pub struct Two;\n\nfn one() -> super::one::One { todo!() }\n"),
        ],
        "circle of files: one.rs, two.rs\n  \
         one.rs:1 names crate::two::Two in two.rs\n  \
         two.rs:3 names super::one::One in one.rs",
    );
}

#[test]
fn files_that_name_one_another_in_one_direction_are_no_circle() {
    assert_no_circle(&[
        ("lib.rs", "mod one;\nmod two;\nuse one::One;\nfn f(_: One) {}\n"),
        ("one.rs", "use crate::two::Two;\npub struct One(Two);\n"),
        ("two.rs", "pub struct Two;\n"),
    ]);
}

#[test]
fn a_circle_may_have_many_files() {
    assert_circle(
        &[
            ("lib.rs", "mod a;\nmod b;\nmod c;\nmod d;\n"),
            ("a.rs", "pub fn a() { crate::b::b() }\n"),
            ("b.rs", "use super::c;\npub fn b() { c::c() }\n"),
            ("c.rs", "pub fn c() { vec![crate::a::a()]; }\n"),
            ("d.rs", "pub fn d() { crate::a::a() }\n"),
        ],
        "circle of files: a.rs, b.rs, c.rs\n  \
         a.rs:1 names crate::b::b in b.rs\n  \
         b.rs:2 names c::c in c.rs\n  \
         c.rs:1 names crate::a::a in a.rs",
    );
}

#[test]
fn a_parent_that_declares_and_re_exports_names_nothing() {
    assert_no_circle(&[
        (
            "lib.rs",
            "mod child;\npub use child::Child;\npub(crate) use child::*;\npub struct Root;\n",
        ),
        ("child.rs", "pub struct Child(super::Root);\n"),
    ]);
}

#[test]
fn a_parent_and_a_child_that_name_each_other_are_a_circle() {
    assert_circle(
        &[
            ("lib.rs", "mod child;\npub struct Root;\nfn f(_: child::Child) {}\n"),
            ("child.rs", "pub struct Child(super::Root);\n"),
        ],
        "circle of files: lib.rs, child.rs\n  \
         lib.rs:3 names child::Child in child.rs\n  \
         child.rs:1 names super::Root in lib.rs",
    );
}

#[test]
fn a_re_export_leads_to_the_file_that_defines_the_item() {
    assert_circle(
        &[
            ("lib.rs", "mod one;\nmod two;\npub use one::One as Renamed;\n"),
            ("one.rs", "pub struct One(crate::two::Two);\n"),
            ("two.rs", "use crate::Renamed;\npub struct Two(Box<Renamed>);\n"),
        ],
        "circle of files: one.rs, two.rs\n  \
         one.rs:1 names crate::two::Two in two.rs\n  \
         two.rs:1 names crate::Renamed in one.rs",
    );
}

#[test]
fn everything_of_a_module_is_what_is_named_of_it() {
    let two = ("two.rs", "pub struct Two;\npub fn f(_: crate::one::One) {}\n");
    let lib = ("lib.rs", "mod one;\nmod two;\n");
    assert_no_circle(&[lib, two, ("one.rs", "use crate::two::*;\npub struct One;\n")]);
    assert_circle(
        &[lib, two, ("one.rs", "use crate::two::*;\npub struct One(Two);\n")],
        "circle of files: one.rs, two.rs\n  \
         one.rs:2 names Two in two.rs\n  \
         two.rs:2 names crate::one::One in one.rs",
    );
}

#[test]
fn test_code_does_not_count() {
    assert_no_circle(&[
        ("lib.rs", "mod one;\nmod two;\n"),
        (
            "one.rs",
            "#[cfg(test)]\nmod tests;\n#[cfg(test)]\nuse crate::two::Two;\npub struct One;\n\
             #[cfg(any(test, doctest))]\nfn f(_: Two) {}\n#[tokio::test]\nasync fn g(_: Two) {}\n",
        ),
        ("two.rs", "pub struct Two(super::one::One);\n"),
    ]);
}

#[test]
fn code_without_tests_counts() {
    let circles = circles_of(&[
        ("lib.rs", "mod one;\nmod two;\n"),
        ("one.rs", "#[cfg(not(test))]\nuse crate::two::Two;\npub struct One;\n"),
        ("two.rs", "pub struct Two(super::one::One);\n"),
    ]);
    assert_eq!(circles.len(), 1, "{circles:?}");
}

#[test]
fn folders_that_name_each_other_are_a_circle() {
    assert_circle(
        &[
            ("lib.rs", "mod one;\nmod two;\n"),
            ("one/mod.rs", "mod a;\nmod b;\npub use a::A;\npub use b::B;\n"),
            ("one/a.rs", "pub struct A(crate::two::C);\n"),
            ("one/b.rs", "pub struct B;\n"),
            ("two.rs", "mod c;\nmod d;\npub use c::C;\npub use d::D;\n"),
            ("two/c.rs", "pub struct C;\n"),
            ("two/d.rs", "pub struct D(crate::one::B);\n"),
        ],
        "circle of folders: one, two\n  \
         one/a.rs:1 names crate::two::C in two/c.rs\n  \
         two/d.rs:1 names crate::one::B in one/b.rs",
    );
}

#[test]
fn what_a_macro_generates_belongs_to_the_file_that_calls_it() {
    assert_circle(
        &[
            ("lib.rs", "mod bindings;\nmod user;\n"),
            (
                "bindings.rs",
                "pub mod guest { bindgen!({ with: { \"a\": crate::user::User } }); }\n",
            ),
            ("user.rs", "use crate::bindings::guest::exports::Lock;\npub struct User(Lock);\n"),
        ],
        "circle of files: bindings.rs, user.rs\n  \
         bindings.rs:1 names crate::user::User in user.rs\n  \
         user.rs:1 names crate::bindings::guest::exports::Lock in bindings.rs",
    );
}

#[test]
fn other_crates_and_local_names_are_not_mistaken_for_modules() {
    assert_no_circle(&[
        ("lib.rs", "mod one;\nmod std;\n"),
        (
            "one.rs",
            "pub struct One;\nuse ::std::fmt;\nfn f(std: u8) -> u8 { let one = std; one + self::g(one) }\n\
             fn g(x: u8) -> u8 { x }\n",
        ),
        ("std.rs", "use super::one::One;\npub struct Std(One);\n"),
    ]);
}

/// A package with no dependencies but these.
fn manifest(name: &str, dependencies: &str) -> String {
    format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n[dependencies]\n{dependencies}\n")
}

#[test]
fn a_workspace_is_checked_as_a_whole() {
    let tree = tree(&[
        (
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"guest/rules\", \"host\", \"sidecar\"]\n",
        ),
        ("guest/rules/Cargo.toml", &manifest("rules", "")),
        ("guest/rules/src/lib.rs", "const LUA: &str = include_str!(\"../../../host/a.lua\");\n"),
        (
            "host/Cargo.toml",
            &manifest(
                "host",
                "rules = { path = \"../guest/rules\" }\nsidecar = { path = \"../sidecar\" }",
            ),
        ),
        ("host/src/lib.rs", "mod one;\nmod two;\n"),
        ("host/src/one.rs", "pub struct One(crate::two::Two);\n"),
        ("host/src/two.rs", "pub struct Two(crate::one::One);\n"),
        ("sidecar/Cargo.toml", &manifest("sidecar", "rules = { path = \"../guest/rules\" }")),
        ("sidecar/src/lib.rs", "#[path = \"../../host/src/one.rs\"]\nmod one;\n"),
        ("sidecar/tests/calls.rs", "#[path = \"../../host/src/two.rs\"]\nmod two;\n"),
        ("sidecar/tests/files.rs", "const LUA: &str = include_str!(\"../../host/a.lua\");\n"),
    ]);
    assert_eq!(
        check(&tree.path().join("host")).unwrap(),
        [
            "host depends on sidecar, which is not below it",
            "guest/rules/src/lib.rs includes host/a.lua",
            "circle of files: host/src/one.rs, host/src/two.rs\n  \
             host/src/one.rs:1 names crate::two::Two in host/src/two.rs\n  \
             host/src/two.rs:1 names crate::one::One in host/src/one.rs",
            "sidecar has a module in host/src/one.rs",
            "sidecar has a module in host/src/two.rs",
            "sidecar/tests/files.rs includes host/a.lua",
        ]
    );
}

#[test]
fn a_file_from_outside_the_workspace_is_found() {
    let tree = tree(&[
        ("alone/Cargo.toml", &format!("[workspace]\n{}", manifest("alone", ""))),
        ("alone/src/lib.rs", ""),
        ("alone/tests/calls.rs", "#[path = \"../../other/one.rs\"]\nmod one;\n"),
        ("other/one.rs", ""),
    ]);
    assert_eq!(check(&tree.path().join("alone")).unwrap(), [". has a module in ../other/one.rs"]);
}

#[test]
fn a_module_without_a_file_is_an_error() {
    let tree = tree(&[("lib.rs", "mod missing;\n")]);
    let error = Crate::read(&tree.path().join("lib.rs"), tree.path()).map(drop).unwrap_err();
    assert!(error.to_string().ends_with("has no file for the module missing"), "{error}");
    let error = Crate::read(Path::new("/nowhere/lib.rs"), tree.path()).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nowhere/lib.rs");
}
