//! The authorities whose certificates are trusted: those of the system, or those that the environment names.
//!
//! The crate `rustls-native-certs` reads the system's authorities. This module reads those that the environment names,
//! because the crate skips files that it cannot read, and reads devices and pipes without an end.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::input_file;

/// The largest file with certificates, in MiB. The file of a system has less than one.
const MAX_FILE_MIB: u64 = 16;

const FILE: &str = "SSL_CERT_FILE";

const FOLDERS: &str = "SSL_CERT_DIR";

/// Why there are no trusted authorities.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthoritiesError {
    /// A file or a folder cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// A file has no certificate in PEM form.
    #[error("no certificate in {}", .0.display())]
    Empty(
        /// The file.
        PathBuf,
    ),
    /// A variable of the environment names a file or folder that cannot be used.
    #[error("{variable}: {error}")]
    Variable {
        /// The variable.
        variable: &'static str,
        /// The problem.
        error: Box<AuthoritiesError>,
    },
    /// The system has no authority, or the folders that the environment names have none.
    #[error("no trusted certificates {0}")]
    Nowhere(
        /// The place without authorities.
        String,
    ),
}

/// The authorities in the file `SSL_CERT_FILE` and in the folders `SSL_CERT_DIR`, or those of the system if neither
/// variable is set.
///
/// # Errors
///
/// If there are none, or a variable names a file or folder that cannot be read.
pub fn trusted() -> Result<RootCertStore, AuthoritiesError> {
    named_by(env::var_os)
}

/// The authorities in a file, as PEM text.
///
/// # Errors
///
/// If the file cannot be read, or has none.
pub fn in_file(file: &Path) -> Result<RootCertStore, AuthoritiesError> {
    let roots = store(read(file)?);
    if roots.is_empty() { Err(AuthoritiesError::Empty(file.to_owned())) } else { Ok(roots) }
}

fn named_by(
    variable: impl Fn(&'static str) -> Option<OsString>,
) -> Result<RootCertStore, AuthoritiesError> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let (file, folders) = (set(FILE), set(FOLDERS));
    if file.is_none() && folders.is_none() {
        return of_system();
    }
    let about =
        |variable| move |error| AuthoritiesError::Variable { variable, error: Box::new(error) };
    let mut roots = RootCertStore::empty();
    if let Some(file) = file {
        roots = in_file(Path::new(&file)).map_err(about(FILE))?;
    }
    if let Some(folders) = folders {
        let folders = env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty());
        let more = store(in_folders(folders).map_err(about(FOLDERS))?);
        let new = more.roots.into_iter().filter(|anchor| !roots.roots.contains(anchor));
        let new: Vec<_> = new.collect();
        roots.extend(new);
    }
    if roots.is_empty() {
        let folders = "in the folders".to_owned();
        return Err(about(FOLDERS)(AuthoritiesError::Nowhere(folders)));
    }
    Ok(roots)
}

fn of_system() -> Result<RootCertStore, AuthoritiesError> {
    let found = rustls_native_certs::load_native_certs();
    let roots = store(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(AuthoritiesError::Nowhere(format!("on this system{why}")));
    }
    Ok(roots)
}

/// The certificates in the files of folders. A file may have several names there. Folders may also have other files.
fn in_folders(
    folders: impl Iterator<Item = PathBuf>,
) -> Result<Vec<CertificateDer<'static>>, AuthoritiesError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        |cause| AuthoritiesError::Unreadable { path, cause }
    };
    let mut files = BTreeSet::new();
    for folder in folders {
        for entry in fs::read_dir(&folder).map_err(unreadable(&folder))? {
            let path = entry.map_err(unreadable(&folder))?.path();
            // Skips a link that leads nowhere.
            let Ok(file) = fs::canonicalize(&path) else { continue };
            if file.is_file() {
                files.insert(file);
            }
        }
    }
    let mut certificates = Vec::new();
    for file in files {
        match read(&file) {
            Ok(more) => certificates.extend(more),
            Err(error) => tracing::warn!("{FOLDERS}: {error}; skipped"),
        }
    }
    certificates.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
    certificates.dedup();
    Ok(certificates)
}

/// The certificates in a file, without the broken ones.
fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, AuthoritiesError> {
    let unreadable = |cause| AuthoritiesError::Unreadable { path: file.to_owned(), cause };
    let pem = input_file::read(file, MAX_FILE_MIB).map_err(unreadable)?;
    Ok(CertificateDer::pem_slice_iter(&pem).flatten().collect())
}

fn store(certificates: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    roots
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use holdfast_tests::certificates::Authority;

    use super::*;

    fn read(file: &str, folders: &str) -> Result<usize, String> {
        let of = |name| match name {
            FILE => Some(file.into()),
            _ => Some(folders.into()),
        };
        named_by(of).map(|roots| roots.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_environment_names_is_read_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for sub in ["one", "two", "empty"] {
            fs::create_dir(path(sub)).unwrap();
        }
        let (ca, notes, pipe) = (path("one/ca.pem"), path("two/notes.txt"), path("two/pipe"));
        fs::write(&ca, Authority::new().certificate()).unwrap();
        fs::write(path("two/other.pem"), Authority::new().certificate()).unwrap();
        fs::write(&notes, "nothing").unwrap();
        std::os::unix::fs::symlink(&ca, path("one/0123.0")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("one/zero")).unwrap();
        std::os::unix::fs::symlink("nowhere", path("one/1234.0")).unwrap();
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());

        let (one, two, empty, none) = (path("one"), path("two"), path("empty"), path("none"));
        assert_eq!(read(&ca, ""), Ok(1));
        assert_eq!(read("", &one), Ok(1));
        assert_eq!(read("", &format!("{one}::{two}:{empty}")), Ok(2));
        assert_eq!(read(&ca, &format!("{one}:{two}")), Ok(2));
        let missing = "No such file or directory (os error 2)";
        let irregular = "it is not a regular file";
        for (file, folders, expected) in [
            (&*none, &*one, format!("SSL_CERT_FILE: cannot read {none}: {missing}")),
            (&one, "", format!("SSL_CERT_FILE: cannot read {one}: {irregular}")),
            (&pipe, "", format!("SSL_CERT_FILE: cannot read {pipe}: {irregular}")),
            ("/dev/zero", &one, format!("SSL_CERT_FILE: cannot read /dev/zero: {irregular}")),
            (&notes, &one, format!("SSL_CERT_FILE: no certificate in {notes}")),
            (&ca, &none, format!("SSL_CERT_DIR: cannot read {none}: {missing}")),
            ("", &empty, "SSL_CERT_DIR: no trusted certificates in the folders".to_owned()),
        ] {
            assert_eq!(read(file, folders), Err(expected), "{file} {folders}");
        }
    }
}
