//! `holdfast component compose`. What it composes is run in the tests of stock runtimes.

use std::{collections::BTreeSet, fs};

use holdfast_tests::{PLUGIN, temporary_dir};
use wasmtime::{Engine, component::Component};

use super::{component, no_components, output, write};

/// The names of the imports and of the exports of a component.
fn shape(wasm: &[u8]) -> (BTreeSet<String>, BTreeSet<String>) {
    let engine = Engine::default();
    let component = Component::new(&engine, wasm).unwrap();
    let ty = component.component_type();
    let imports = ty.imports(&engine).map(|(name, _)| name.to_owned()).collect();
    (imports, ty.exports(&engine).map(|(name, _)| name.to_owned()).collect())
}

#[test]
fn a_composed_plugin_imports_only_wasi_and_exports_what_it_did() {
    let folder = temporary_dir();
    let file = folder.path().join("composed.wasm");
    let arguments = ["compose", PLUGIN, "-o", file.to_str().unwrap()];
    assert_eq!(component(&arguments), (Some(0), String::new(), String::new()));
    let composed = fs::read(&file).unwrap();
    let (imports, exports) = shape(&composed);
    let (of_lock_redis, _) = shape(&holdfast_compositions::lock_redis().unwrap().wasm);
    assert_eq!(imports, of_lock_redis);
    assert_eq!(exports, shape(&fs::read(PLUGIN).unwrap()).1);

    let stdout = output(&["compose", PLUGIN, "--output", "-"]).stdout;
    assert!(stdout == composed, "stdout and file differ");
}

/// A component that imports an interface with one function, and exports one that does nothing.
fn importing(interface: &str, function: &str) -> String {
    format!(
        r#"(component
            (import "{interface}" (instance (export "{function}" (func))))
            (core module $code (func (export "f")))
            (core instance $code (instantiate $code))
            (func (export "f") (canon lift (core func $code "f"))))"#
    )
}

#[test]
fn parts_that_cannot_be_composed_are_named() {
    let folder = temporary_dir();
    let out = folder.path().join("out.wasm");
    let out = out.to_str().unwrap();
    let lock = "holdfast:lock/lock";
    for (name, text, why) in [
        ("none.wasm", importing("a:b/c", "f"), format!("does not import {lock}")),
        (
            "next.wasm",
            importing("holdfast:lock/lock@0.2.0", "f"),
            format!("imports {lock}@0.2.0, and the lock component exports {lock}@0.1.0"),
        ),
        (
            "store.wasm",
            importing("holdfast:lock/store@0.1.0", "f"),
            "imports holdfast:lock/store@0.1.0, which the lock component does not export"
                .to_owned(),
        ),
        ("other.wasm", importing("holdfast:lock/lock@0.1.0", "f"), format!("`{lock}@0.1.0`")),
    ] {
        let file = write(folder.path(), name, &text);
        let (code, stdout, stderr) = component(&["compose", &file, "-o", out]);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        let named = stderr.starts_with(&format!("holdfast: {file}: the plugin "));
        assert!(named && stderr.contains(&why), "{stderr}");
    }
    for (file, why) in no_components(folder.path()) {
        let (code, _, stderr) = component(&["compose", &file, "-o", out]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.starts_with(&why), "{stderr}");
    }
    assert!(!fs::exists(out).unwrap());

    let nowhere = "/no/such/folder/out.wasm";
    let (code, _, stderr) = component(&["compose", PLUGIN, "-o", nowhere]);
    assert_eq!(code, Some(2));
    assert!(stderr.starts_with(&format!("holdfast: cannot write {nowhere}: ")), "{stderr}");
}
