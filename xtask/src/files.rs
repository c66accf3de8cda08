//! Files and directories, with error messages for people.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Creates a directory and its parents.
pub fn make(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))
}

/// Removes a directory, if it exists.
pub fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

/// Removes a file, if it exists.
pub fn remove_file(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Reads a text file.
pub fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Writes a file.
pub fn write(file: &Path, content: &str) -> Result<()> {
    fs::write(file, content).with_context(|| format!("cannot write {}", file.display()))
}

/// All files below a directory, sorted. Files that a directory's `.gitignore` names are left out: running a program in
/// place leaves such files behind.
pub fn below(directory: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read {}", directory.display());
    let ignored = fs::read_to_string(directory.join(".gitignore")).unwrap_or_default();
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        if ignored.lines().any(|name| entry.file_name() == name) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            files.extend(below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Copies a file, and creates the directories above the copy.
pub fn copy_file(file: &Path, copy: &Path) -> Result<()> {
    copy.parent().map_or(Ok(()), make)?;
    fs::copy(file, copy).with_context(|| format!("cannot write {}", copy.display()))?;
    Ok(())
}

/// Copies all files below a directory.
pub fn copy(from: &Path, into: &Path) -> Result<()> {
    for file in below(from)? {
        copy_file(&file, &into.join(file.strip_prefix(from)?))?;
    }
    Ok(())
}

/// A lock on `path`, held until it is dropped, so that two commands at once do the work once.
pub fn lock(path: &Path) -> Result<File> {
    let path = path.with_added_extension("lock");
    path.parent().map_or(Ok(()), make)?;
    let lock = File::create(&path).and_then(|file| file.lock().map(|()| file));
    lock.with_context(|| format!("cannot lock {}", path.display()))
}
