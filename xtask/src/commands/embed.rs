//! `cargo xtask embed`: whether a program outside this workspace can embed Holdfast.
//!
//! A program is built twice: from the published crates, without network and without a WebAssembly target; and
//! from this source. The second build must also fail with advice if the target is missing. Another program
//! composes components, from the published crates.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};
use holdfast_wasm_build::{CHOICE, TARGET, workspace};

use crate::{
    cargo::cargo,
    commands::components::parts,
    crates::{self, Published},
    files,
    process::output,
};

/// The program. It prints `Acquired`.
const PROGRAM: &str = r#"
use std::{sync::Arc, time::Duration};

use holdfast::{Locks, Resource, store::memory::MemoryStore};

#[tokio::main]
async fn main() {
    let store = Arc::new(MemoryStore::new());
    let locks = Locks::builder().app_id("app").store("locks", store).build().unwrap();
    let resource = Resource { store: "locks", id: "resource" };
    println!("{:?}", locks.try_lock(resource, "owner", Duration::from_secs(60)).await.unwrap());
}
"#;

/// The program that composes components. It prints `holdfast-lock-redis.wasm`.
const COMPOSER: &str = r#"
fn main() {
    println!("{}", holdfast_compositions::lock_redis().unwrap().name);
}
"#;

/// The dependencies of the programs on published crates.
const LIBRARY: &str = "holdfast = { version = \"*\", features = [\"resources\"] }";
const COMPOSITIONS: &str = "holdfast-compositions = \"*\"";

const ADVICE: &str = "run `rustup target add wasm32-wasip2`";

/// Builds and runs the programs.
pub fn embed() -> Result<()> {
    let root = workspace::root()?;
    let published = crates::package(&root, &parts()?)?;
    let place = Place::new(&root)?;
    let vendor = place.vendor(&published)?;

    let published = place.project("published", LIBRARY, PROGRAM, &vendor)?;
    let composer = place.project("composer", COMPOSITIONS, COMPOSER, &vendor)?;
    for (project, prints) in [(&published, "Acquired"), (&composer, "holdfast-lock-redis.wasm")] {
        place.build_without_target(project)?;
        if place.target.join("wasm").exists() {
            bail!("the build of a published crate wrote outside of its OUT_DIR");
        }
        place.run(project, prints)?;
    }

    let host = root.join("host");
    let source =
        format!("holdfast = {{ path = \"{}\", features = [\"resources\"] }}", host.display());
    let from_source = place.project("from-source", &source, PROGRAM, &vendor)?;
    let Err(refused) = place.build_without_target(&from_source) else {
        bail!("a build from source without {TARGET} succeeded");
    };
    if !refused.to_string().contains(ADVICE) {
        bail!("a build from source without {TARGET} gives no advice: {refused}");
    }
    place.run(&from_source, "Acquired")
}

/// A directory outside of the workspace, for the programs and the packages that they are made of.
struct Place {
    directory: PathBuf,
    /// The target directory of the programs. It is kept.
    target: PathBuf,
}

impl Place {
    fn new(root: &Path) -> Result<Self> {
        let directory = env::temp_dir().join(format!("holdfast-embed-{}", std::process::id()));
        files::make(&directory)?;
        let target = root.join("target/embed");
        // A build script writes there, which shows that it runs.
        files::remove(&target.join("wasm"))?;
        Ok(Self { directory, target })
    }

    /// Vendors the published crates and all that they depend on, and returns the directory.
    fn vendor(&self, published: &[Published]) -> Result<PathBuf> {
        let mut manifest = manifest(&[LIBRARY, COMPOSITIONS].join("\n")) + "\n[patch.crates-io]\n";
        for Published { name, unpacked, .. } in published {
            manifest += &format!("{name} = {{ path = \"{}\" }}\n", unpacked.display());
        }
        let project = self.directory.join("vendored");
        self.write(&project, &manifest, PROGRAM)?;
        let vendor = self.directory.join("vendor");
        output(cargo()?.args(["vendor", "--quiet"]).arg(&vendor).current_dir(&project))?;

        for Published { name, unpacked, .. } in published {
            let copy = vendor.join(name);
            files::copy(unpacked, &copy)?;
            // Without sums, cargo does not verify the files.
            files::write(&copy.join(".cargo-checksum.json"), r#"{"files":{}}"#)?;
        }
        Ok(vendor)
    }

    /// Writes a program with these dependencies on Holdfast, which gets all other packages from `vendor`.
    fn project(
        &self,
        name: &str,
        dependencies: &str,
        program: &str,
        vendor: &Path,
    ) -> Result<PathBuf> {
        let project = self.directory.join(name);
        self.write(&project, &manifest(dependencies), program)?;
        let config = format!(
            "[source.crates-io]\nreplace-with = \"vendor\"\n\n[source.vendor]\ndirectory = \"{}\"\n",
            vendor.display()
        );
        files::make(&project.join(".cargo"))?;
        files::write(&project.join(".cargo/config.toml"), &config)?;
        Ok(project)
    }

    fn write(&self, project: &Path, manifest: &str, program: &str) -> Result<()> {
        files::make(&project.join("src"))?;
        files::write(&project.join("Cargo.toml"), manifest)?;
        files::write(&project.join("src/main.rs"), program)
    }

    fn cargo(&self, command: &str, project: &Path) -> Result<Command> {
        let mut cargo = cargo()?;
        cargo.args([command, "--quiet", "--offline"]).current_dir(project);
        cargo.env("CARGO_TARGET_DIR", &self.target);
        Ok(cargo)
    }

    /// Builds a program with an empty cargo home and a compiler that has no target for components.
    fn build_without_target(&self, project: &Path) -> Result<()> {
        let compiler = self.directory.join("rustc");
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *'--target {TARGET}'*) exit 1 ;; esac\nexec rustc \"$@\"\n"
        );
        files::write(&compiler, &script)?;
        fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755))?;
        let mut cargo = self.cargo("build", project)?;
        cargo.env("CARGO_HOME", self.directory.join("cargo-home"));
        output(cargo.env("RUSTC", compiler).env(CHOICE, "rustup")).map(drop)
    }

    /// Runs a program, which prints this line.
    fn run(&self, project: &Path, prints: &str) -> Result<()> {
        let printed = output(&mut self.cargo("run", project)?)?;
        if printed.trim_end() != prints {
            bail!("the program in {} printed {printed:?}", project.display());
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // It is in the system's directory for temporary files.
        let _ = files::remove(&self.directory);
    }
}

/// The manifest of a program with these dependencies on Holdfast.
fn manifest(dependencies: &str) -> String {
    format!(
        r#"[package]
name = "embedder"
edition = "2024"

[dependencies]
{dependencies}
tokio = {{ version = "1", features = ["macros", "rt-multi-thread"] }}

[profile.dev]
debug = "none"
"#
    )
}
