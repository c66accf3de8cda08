//! The file `SHA256SUMS`, for `sha256sum --check`.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The name of the file.
pub const FILE: &str = "SHA256SUMS";

/// The content of the file: the sums of these files in `directory`, one a line.
pub fn of(directory: &Path, files: &[String]) -> Result<String> {
    let mut sums = String::new();
    for file in files {
        let path = directory.join(file);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        writeln!(sums, "{}  {file}", hex(&bytes))?;
    }
    Ok(sums)
}

/// The SHA-256 of `bytes`, in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}
