//! The layers of the workspace, and dependencies that point up.

use std::path::Path;

use crate::packages::{Dependency, Package};

/// For each top folder, the folders whose packages its own may depend on.
const LAYERS: &[(&str, &[&str])] = &[
    ("guest", &["guest"]),
    ("common", &["common", "guest/rules"]),
    ("host", &["host", "common", "guest/rules"]),
    ("sidecar", &["sidecar", "host", "common", "guest/rules", "adapters/compose"]),
    ("adapters", &["adapters", "common", "guest/abi", "guest/rules"]),
];

/// The packages in these folders may depend on any other.
const ABOVE_ALL: [&str; 3] = ["tests", "examples", "xtask"];

/// Build scripts of all layers may depend on this one. It is not part of what they build.
const BUILD_HELPER: &str = "xtask/wasm-build";

/// Whether a package is above all layers.
fn may_use_anything(package: &Package) -> bool {
    ABOVE_ALL.iter().any(|folder| package.directory.starts_with(folder))
}

/// The dependencies that point up, one a line.
pub fn upward(packages: &[Package]) -> Vec<String> {
    let mut upward = Vec::new();
    for package in packages.iter().filter(|package| !may_use_anything(package)) {
        let layer = LAYERS.iter().find(|(folder, _)| package.directory.starts_with(folder));
        let below = layer.map_or(&[][..], |(_, below)| below);
        for dependency in package.dependencies.iter().filter(|it| !is_allowed(it, below)) {
            let (from, to) = (package.directory.display(), dependency.directory.display());
            upward.push(match layer {
                Some(_) => format!("{from} depends on {to}, which is not below it"),
                None => format!("{from} depends on {to}, and is in no layer"),
            });
        }
    }
    upward
}

fn is_allowed(dependency: &Dependency, below: &[&str]) -> bool {
    let helps_build = dependency.build && dependency.directory == Path::new(BUILD_HELPER);
    helps_build || below.iter().any(|folder| dependency.directory.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(directory: &str, dependencies: &[(&str, bool)]) -> Package {
        let dependency = |(directory, build): &(&str, bool)| Dependency {
            directory: directory.into(),
            build: *build,
        };
        Package {
            directory: directory.into(),
            targets: Vec::new(),
            dependencies: dependencies.iter().map(dependency).collect(),
        }
    }

    #[test]
    fn a_dependency_that_points_down_is_allowed() {
        let packages = [
            package("sidecar", &[("host", false), ("sidecar/proto", false)]),
            package("host", &[("host/component", false), ("common/redis-rules", false)]),
            package("host/component", &[("xtask/wasm-build", true)]),
            package("adapters/cli", &[("guest/abi", false)]),
            package("tests/bench", &[("sidecar", false), ("guest", false)]),
        ];
        assert_eq!(upward(&packages), [""; 0]);
    }

    #[test]
    fn a_dependency_that_points_up_is_found() {
        let packages = [
            package("host", &[("sidecar", false), ("guest", false)]),
            package("guest/rules", &[("common/redis-rules", false)]),
            package("common/x", &[("xtask/wasm-build", false)]),
            package("elsewhere", &[("host", false)]),
        ];
        assert_eq!(
            upward(&packages),
            [
                "host depends on sidecar, which is not below it",
                "host depends on guest, which is not below it",
                "guest/rules depends on common/redis-rules, which is not below it",
                "common/x depends on xtask/wasm-build, which is not below it",
                "elsewhere depends on host, and is in no layer",
            ]
        );
    }
}
