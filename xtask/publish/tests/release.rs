//! The files of a release are complete and valid, and always the same.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use cyclonedx_bom::{models::bom::Bom, validation::Validate};
use holdfast_publish::{
    ARTIFACTS, Form,
    package::{self, Places},
};
use serde_json::Value;
use wasm_metadata::{Metadata, Payload};
use wit_component::DecodedWasm;

use common::{CRATE, release, root};

fn metadata(wasm: &[u8]) -> Metadata {
    match Payload::from_binary(wasm).unwrap() {
        Payload::Component { metadata, .. } | Payload::Module(metadata) => metadata,
    }
}

/// Runs a program in a directory.
fn run(directory: &Path, program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).current_dir(directory).output().unwrap()
}

#[tokio::test]
async fn two_runs_write_the_same_files() {
    let ((one, files), (other, others)) = (release().await, release().await);
    assert_eq!(files, others);
    for file in files {
        let read = |folder: &Path| fs::read(folder.join("dist").join(&file)).unwrap();
        assert!(read(one.path()) == read(other.path()), "{file} differs");
    }
}

#[tokio::test]
async fn it_has_every_component_the_contract_and_the_crates_and_nothing_else() {
    let (folder, files) = release().await;
    let mut expected =
        [CRATE, "holdfast:lock@0.1.0.wasm", "SHA256SUMS"].map(str::to_owned).to_vec();
    for artifact in ARTIFACTS {
        expected.extend([".wasm", ".cdx.json"].map(|end| artifact.name.to_owned() + end));
    }
    expected.sort();
    let mut files = files;
    files.sort();
    assert_eq!(files, expected);
    let there = fs::read_dir(folder.path().join("dist")).unwrap();
    let mut there: Vec<_> =
        there.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    there.sort();
    assert_eq!(there, expected);
}

/// Each copy of the work must come with its license.
#[test]
fn every_published_crate_has_the_license_and_a_readme() {
    let root = root();
    let metadata = ["metadata", "--no-deps", "--offline", "--format-version=1"];
    let metadata: Value = serde_json::from_slice(&run(&root, "cargo", &metadata).stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let published: Vec<&str> = packages
        .iter()
        .filter(|package| package["publish"].is_null())
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    assert!(published.contains(&"holdfast"), "{published:?}");
    for name in published {
        let list = ["package", "--list", "--offline", "--allow-dirty", "--package", name];
        let listed = run(&root, "cargo", &list);
        let files = String::from_utf8(listed.stdout).unwrap();
        for document in ["LICENSE", "README.md"] {
            assert!(
                files.lines().any(|file| file == document),
                "{name} has no {document}: {files}"
            );
        }
    }
}

#[tokio::test]
async fn the_sums_are_those_of_the_files() {
    let (folder, files) = release().await;
    let dist = folder.path().join("dist");
    let checked = run(&dist, "sha256sum", &["--check", "--strict", "--quiet", "SHA256SUMS"]);
    assert!(checked.status.success(), "{checked:?}");
    let sums = fs::read_to_string(dist.join("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count(), files.len() - 1, "each file but the sums themselves");
}

#[tokio::test]
async fn a_component_has_metadata_and_is_otherwise_as_it_was_built() {
    let (folder, _) = release().await;
    for artifact in ARTIFACTS {
        let file = format!("{}.wasm", artifact.name);
        let wasm = fs::read(folder.path().join("dist").join(&file)).unwrap();
        let metadata = metadata(&wasm);
        assert_eq!(metadata.name.as_deref(), Some(artifact.name));
        assert_eq!(metadata.description.as_ref().unwrap().to_string(), artifact.description);
        assert_eq!(metadata.version.as_ref().unwrap().to_string(), "0.1.0");
        assert_eq!(metadata.licenses.as_ref().unwrap().to_string(), "Apache-2.0");

        let built = fs::read(root().join("target/components").join(&file)).unwrap();
        if artifact.form == Form::Filter {
            assert_eq!(code(&wasm), code(&built));
            continue;
        }
        let wit = |wasm: &[u8]| {
            let DecodedWasm::Component(resolve, world) = wit_component::decode(wasm).unwrap()
            else {
                panic!("{file} is not a component");
            };
            let package = resolve.worlds[world].package.unwrap();
            let mut printer = wit_component::WitPrinter::default();
            printer.print(&resolve, package, &[]).unwrap();
            printer.output.to_string()
        };
        assert_eq!(wit(&wasm), wit(&built));
    }
}

/// The sections of a module that are no metadata.
fn code(module: &[u8]) -> Vec<&[u8]> {
    let mut sections = Vec::new();
    let mut rest = &module[8..];
    while let Some((&id, mut after)) = rest.split_first() {
        let (mut size, mut shift) = (0, 0);
        while let Some((&byte, more)) = after.split_first() {
            size |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            after = more;
            if byte < 0x80 {
                break;
            }
        }
        let (section, others) = after.split_at(size);
        if id != 0 {
            sections.push(section);
        }
        rest = others;
    }
    sections
}

#[tokio::test]
async fn the_contract_is_that_of_the_sources_with_its_documentation() {
    let (folder, _) = release().await;
    let wasm = fs::read(folder.path().join("dist/holdfast:lock@0.1.0.wasm")).unwrap();
    let metadata = metadata(&wasm);
    assert_eq!(metadata.name.as_deref(), Some("holdfast:lock"));
    assert_eq!(metadata.version.as_ref().unwrap().to_string(), "0.1.0");
    assert_eq!(metadata.licenses.as_ref().unwrap().to_string(), "Apache-2.0");
    let DecodedWasm::WitPackage(resolve, package) = wit_component::decode(&wasm).unwrap() else {
        panic!("a component, not a package");
    };
    let package = &resolve.packages[package];
    assert_eq!(package.name.to_string(), "holdfast:lock@0.1.0");
    let mut interfaces: Vec<_> = package.interfaces.keys().collect();
    interfaces.sort();
    assert_eq!(interfaces, ["admin", "json", "lease", "lock", "steps", "store", "types"]);
    for id in package.interfaces.values() {
        assert!(resolve.interfaces[*id].docs.contents.is_some());
    }
    let worlds: Vec<_> = package.worlds.keys().collect();
    assert_eq!(worlds, ["guest", "plugin", "operator", "store-provider"]);
}

#[tokio::test]
async fn the_bill_of_materials_is_valid_and_names_what_is_compiled_in() {
    let (folder, _) = release().await;
    for artifact in ARTIFACTS {
        let file = folder.path().join("dist").join(format!("{}.cdx.json", artifact.name));
        let json = fs::read(&file).unwrap();
        let bom = Bom::parse_from_json(json.as_slice()).unwrap();
        let validation = bom.validate();
        assert!(validation.passed(), "{validation:?}");

        let json: Value = serde_json::from_slice(&json).unwrap();
        let wasm = fs::read(file.with_file_name(format!("{}.wasm", artifact.name))).unwrap();
        let hash = json.pointer("/metadata/component/hashes/0/content").unwrap();
        assert_eq!(hash, &Value::from(sha256(&wasm)));

        let components = json["components"].as_array().unwrap();
        let references: Vec<_> =
            components.iter().map(|component| component["bom-ref"].as_str().unwrap()).collect();
        let named = |name: &str| {
            references.iter().any(|reference| reference.split('@').next() == Some(name))
        };
        for name in artifact.crates {
            assert!(named(name), "{name} is missing");
        }
        assert!(named("datealgo"), "a dependency is missing");
        for name in ["serde_derive", "wit-bindgen-rust-macro", "proptest", "wasmtime"] {
            assert!(!named(name), "{name} is not compiled in");
        }
        for component in components {
            assert!(!component["licenses"].is_null(), "{component} has no license");
            assert!(component["purl"].as_str().unwrap().starts_with("pkg:cargo/"));
        }
        for dependency in json["dependencies"].as_array().unwrap() {
            for on in dependency["dependsOn"].as_array().into_iter().flatten() {
                assert!(references.contains(&on.as_str().unwrap()), "{on} is not a component");
            }
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_missing_or_unknown_component_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = async || {
        let (components, dist) = (folder.path().join("components"), folder.path().join("dist"));
        let places = Places { root: root(), components, files: Vec::new(), dist };
        package::write(&places).await.unwrap_err().to_string()
    };
    let components = folder.path().join("components");
    fs::create_dir(&components).unwrap();
    assert!(error().await.contains("has no holdfast-filter.wasm"), "{}", error().await);

    for artifact in ARTIFACTS {
        fs::write(components.join(format!("{}.wasm", artifact.name)), "").unwrap();
    }
    assert!(error().await.contains("is not a component"), "{}", error().await);
    fs::write(components.join("unheard-of.wasm"), "").unwrap();
    let unknown = "has unheard-of.wasm, which xtask/publish/src/artifacts.rs does not name";
    assert!(error().await.contains(unknown), "{}", error().await);
}
