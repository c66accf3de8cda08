//! The compiler of components: the one that rustup has the target for, or Debian's, which
//! `cargo xtask setup` unpacks below `target/`.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Error,
    target::{CHOICE, TARGET},
    workspace,
};

/// A compiler for [`TARGET`].
#[derive(Debug)]
pub enum Toolchain {
    /// The compiler that cargo uses, with the target's prebuilt library in this directory.
    Rustup(PathBuf),
    /// Debian's compiler and library source, unpacked in this directory.
    Debian(PathBuf),
}

impl Toolchain {
    /// The toolchain to build with: rustup's if it has the target, or else Debian's.
    ///
    /// # Errors
    ///
    /// If there is none, or not the one that [`CHOICE`] names.
    pub fn find(root: &Path) -> Result<Self, Error> {
        let rustup = || rustup_library().map(Self::Rustup);
        let debian =
            || Some(workspace::debian_toolchain(root)).filter(|dir| dir.is_dir()).map(Self::Debian);
        let found = match Self::chosen()?.as_deref() {
            Some("rustup") => rustup(),
            Some(_) => debian(),
            None => rustup().or_else(debian),
        };
        found.ok_or_else(|| Error::NoToolchain { also: workspace::setup_hint(root) })
    }

    /// The value of [`CHOICE`]: `rustup` or `debian`, or none if it is unset or empty.
    ///
    /// # Errors
    ///
    /// If it has another value.
    pub fn chosen() -> Result<Option<String>, Error> {
        let choice = env::var_os(CHOICE).unwrap_or_default();
        match choice.to_string_lossy().as_ref() {
            "" => Ok(None),
            known @ ("rustup" | "debian") => Ok(Some(known.into())),
            other => Err(Error::UnknownToolchain(other.into())),
        }
    }

    /// Makes `cargo` build with this toolchain.
    pub(crate) fn apply(&self, cargo: &mut Command) -> Result<(), Error> {
        let mut flags = vec![
            // Otherwise wasi-libc is linked, which imports a dozen WASI interfaces.
            "-Clink-self-contained=no".to_owned(),
            // Otherwise every address, and every number of a function, takes five bytes. Most fit into two.
            "-Clink-arg=--compress-relocations".to_owned(),
            // The target's default is code for libraries that are loaded at any address, which adds the address of
            // the library to every other.
            "-Crelocation-model=static".to_owned(),
        ];
        match self {
            Self::Rustup(library) => {
                // The prebuilt library needs `memcmp` from wasi-libc. The linker takes only the missing functions of an
                // archive, and these import nothing.
                flags.push(format!("-Lnative={}", library.join("self-contained").display()));
                flags.push("-Clink-arg=-lc".into());
            }
            Self::Debian(root) => {
                cargo
                    // Debian has no prebuilt library, and building one is an unstable feature.
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

/// The directories with shared libraries below `root`, where Debian packages are unpacked.
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

/// The directory of `wasm-component-ld` and `rust-lld` in rustup's toolchain. Debian's lacks them.
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
