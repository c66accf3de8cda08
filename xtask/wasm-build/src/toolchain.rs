//! Which compiler builds the components: the one rustup has the target for, or Debian's, unpacked
//! under `target/` by `cargo xtask setup`.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, workspace};

/// The target every component is built for.
pub const TARGET: &str = "wasm32-wasip2";

/// The variable that forces a toolchain: `rustup` or `debian`.
pub const CHOICE: &str = "HOLDFAST_WASM_TOOLCHAIN";

/// A compiler for [`TARGET`].
#[derive(Debug)]
pub enum Toolchain {
    /// The compiler cargo already uses, with the target's prebuilt library in this directory.
    Rustup(PathBuf),
    /// Debian's compiler and library source, unpacked below this directory.
    Debian(PathBuf),
}

impl Toolchain {
    /// The toolchain to build with: rustup's, where it has the target.
    ///
    /// # Errors
    ///
    /// When there is none, or not the one that [`CHOICE`] demands.
    pub fn find(root: &Path) -> Result<Self, Error> {
        let rustup = || rustup_library().map(Self::Rustup);
        let debian =
            || Some(workspace::debian_toolchain(root)).filter(|dir| dir.is_dir()).map(Self::Debian);
        let found = match Self::forced()?.as_deref() {
            Some("rustup") => rustup(),
            Some(_) => debian(),
            None => rustup().or_else(debian),
        };
        found.ok_or(Error::NoToolchain)
    }

    /// What [`CHOICE`] demands: `rustup`, `debian` or, unset or empty, nothing.
    ///
    /// # Errors
    ///
    /// When it demands something else.
    pub fn forced() -> Result<Option<String>, Error> {
        let choice = env::var_os(CHOICE).unwrap_or_default();
        match choice.to_string_lossy().as_ref() {
            "" => Ok(None),
            known @ ("rustup" | "debian") => Ok(Some(known.into())),
            other => Err(Error::UnknownToolchain(other.into())),
        }
    }

    /// Lets `cargo` build with this toolchain.
    pub(crate) fn apply(&self, cargo: &mut Command) -> Result<(), Error> {
        // Without this the linker starts from wasi-libc, which imports a dozen WASI interfaces.
        let mut flags = vec!["-Clink-self-contained=no".to_owned()];
        match self {
            Self::Rustup(library) => {
                // The prebuilt library expects `memcmp` of wasi-libc. An archive gives only what is
                // missing, so nothing that imports comes with it.
                flags.push(format!("-Lnative={}", library.join("self-contained").display()));
                flags.push("-Clink-arg=-lc".into());
            }
            Self::Debian(root) => {
                cargo
                    // Debian has no prebuilt library, and cargo builds one only "unstably".
                    .args(["-Zbuild-std=core,alloc", "-Zbuild-std-features=compiler-builtins-mem"])
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("RUSTC", root.join("usr/bin/rustc"))
                    .env("LD_LIBRARY_PATH", join(library_dirs(root))?)
                    .env("PATH", join(linker_dir().into_iter().chain(search_path()))?);
            }
        }
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        Ok(())
    }
}

/// The directories below `root`, an unpacked Debian package, that hold its shared libraries.
pub fn library_dirs(root: &Path) -> Vec<PathBuf> {
    let lib = root.join("usr/lib");
    let multiarch = fs::read_dir(&lib).into_iter().flatten().flatten().map(|entry| entry.path());
    let multiarch = multiarch.filter(|path| path.to_string_lossy().contains("-linux-"));
    multiarch.chain([lib.clone()]).collect()
}

fn rustup_library() -> Option<PathBuf> {
    let library = target_libdir(&["--target", TARGET])?;
    let mut files = fs::read_dir(&library).ok()?.flatten();
    let installed = files.any(|file| file.file_name().to_string_lossy().starts_with("libcore-"));
    installed.then_some(library)
}

/// Where rustup's toolchain keeps `wasm-component-ld` and `rust-lld`, which Debian's lacks.
fn linker_dir() -> Option<PathBuf> {
    Some(target_libdir(&[])?.parent()?.join("bin"))
}

fn target_libdir(target: &[&str]) -> Option<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output =
        Command::new(rustc).args(["--print", "target-libdir"]).args(target).output().ok()?;
    let directory = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| directory.trim_end().into())
}

fn search_path() -> Vec<PathBuf> {
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect()
}

fn join(directories: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<OsString, Error> {
    Ok(env::join_paths(directories)?)
}
