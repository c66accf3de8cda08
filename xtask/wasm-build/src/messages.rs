//! The nested cargo's JSON messages: the path of the file, and the members that it is made of.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The result of a nested build.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The last `.wasm` that was built. Cargo builds a package after its dependencies.
    pub(crate) wasm: Option<PathBuf>,
    packages: Vec<PathBuf>,
}

impl Report {
    /// Reads the messages, and ignores those that report no artifact.
    pub(crate) fn read(stdout: &[u8]) -> Self {
        let mut report = Self::default();
        for line in String::from_utf8_lossy(stdout).lines() {
            let Ok(message) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            if message["reason"] == "compiler-artifact" {
                report.add(&message);
            }
        }
        report
    }

    fn add(&mut self, artifact: &Value) {
        let files = artifact["filenames"].as_array().into_iter().flatten();
        let wasm = files.filter_map(Value::as_str).find(|file| file.ends_with(".wasm"));
        if let Some(wasm) = wasm {
            self.wasm = Some(wasm.into());
        }
        let manifest = artifact["manifest_path"].as_str().map(Path::new);
        if let Some(directory) = manifest.and_then(Path::parent) {
            self.packages.push(directory.into());
        }
    }

    /// The directories of the packages in the workspace. A standard library unpacked in its `target/` is
    /// left out.
    pub(crate) fn members(&self, root: &Path) -> impl Iterator<Item = &Path> {
        let target = root.join("target");
        self.packages
            .iter()
            .map(PathBuf::as_path)
            .filter(move |package| package.starts_with(root) && !package.starts_with(&target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#"
{"reason":"compiler-artifact","manifest_path":"/w/target/wasm-toolchain/core/Cargo.toml","filenames":["/w/target/wasm/libcore.rlib"]}
{"reason":"compiler-artifact","manifest_path":"/registry/serde/Cargo.toml","filenames":["/w/target/wasm/libserde.rlib"]}
{"reason":"compiler-artifact","manifest_path":"/w/rules/Cargo.toml","filenames":["/w/target/wasm/rules.wasm"]}
{"reason":"build-script-executed","out_dir":"/w/target/wasm/out"}
{"reason":"compiler-artifact","manifest_path":"/w/guest/Cargo.toml","filenames":["/w/target/wasm/libguest.rlib","/w/target/wasm/guest.wasm"]}
{"reason":"build-finished","success":true}
"#;

    #[test]
    fn the_result_is_the_last_wasm() {
        let report = Report::read(MESSAGES.as_bytes());
        assert_eq!(report.wasm.as_deref(), Some(Path::new("/w/target/wasm/guest.wasm")));
    }

    #[test]
    fn members_are_the_packages_of_the_workspace() {
        let report = Report::read(MESSAGES.as_bytes());
        let members: Vec<_> = report.members(Path::new("/w")).collect();
        assert_eq!(members, [Path::new("/w/rules"), Path::new("/w/guest")]);
    }
}
