//! Reads files that a user names: only regular files, up to a maximum size.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

const MIB: u64 = 1 << 20;

/// Reads a regular file of at most `limit` MiB.
///
/// # Errors
///
/// If the file cannot be read, is not a regular file, or is larger.
pub fn read(file: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for its writer.
    if !fs::metadata(file)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(file)?.take(limit * MIB + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit * MIB {
        return Err(io::Error::other(format!("it is larger than {limit} MiB")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_too_large_or_not_regular_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        let refusal =
            |file: &Path| read(file, 1).map(|bytes| bytes.len()).map_err(|error| error.to_string());
        fs::write(&file, vec![b'x'; 1 << 20]).unwrap();
        assert_eq!(refusal(&file), Ok(1 << 20));
        fs::write(&file, vec![b'x'; (1 << 20) + 1]).unwrap();
        assert_eq!(refusal(&file), Err("it is larger than 1 MiB".to_owned()));
        for file in [folder.path(), Path::new("/dev/zero")] {
            assert_eq!(refusal(file), Err("it is not a regular file".to_owned()));
        }
        assert!(refusal(&folder.path().join("none")).is_err());
    }
}
