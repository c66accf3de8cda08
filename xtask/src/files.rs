//! Files and directories below `target/`, with errors for people.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use anyhow::{Context, Result};

/// Makes a directory and those above it.
pub fn make(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))
}

/// Removes a directory that may not be there.
pub fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

/// Writes a file.
pub fn write(file: &Path, content: &str) -> Result<()> {
    fs::write(file, content).with_context(|| format!("cannot write {}", file.display()))
}

/// A lock on what is at `path`, held until it is dropped: two commands at once make it once.
pub fn lock(path: &Path) -> Result<File> {
    let path = path.with_added_extension("lock");
    path.parent().map_or(Ok(()), make)?;
    let lock = File::create(&path).and_then(|file| file.lock().map(|()| file));
    lock.with_context(|| format!("cannot lock {}", path.display()))
}
