//! The file of a Unix domain socket: which process may take it, and which removes it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// The file of a socket that this process listens on. Dropping it removes the file, unless another process has put its
/// own in its place.
pub struct SocketFile {
    path: PathBuf,
    /// The device and the inode, which distinguish the file from others at its path.
    identity: (u64, u64),
}

impl SocketFile {
    /// Listens on the path. A file that an ended process left there is removed first.
    pub async fn listen(path: PathBuf, backlog: u32) -> io::Result<(UnixListener, Self)> {
        let _turn = Turn::take(&path);
        remove_if_abandoned(&path).await?;
        let socket = UnixSocket::new_stream()?;
        socket.bind(&path)?;
        // At once: a socket that does not listen looks abandoned.
        let listener = socket.listen(backlog)?;
        let identity = identity(&path)?;
        Ok((listener, Self { path, identity }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _turn = Turn::take(&self.path);
        let removed = match identity(&self.path) {
            Ok(identity) if identity != self.identity => return,
            Ok(_) => fs::remove_file(&self.path),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Keeps other processes of Holdfast from changing the folder until it is dropped.
struct Turn(#[expect(dead_code, reason = "closing it ends the turn")] File);

impl Turn {
    /// `None` where the folder cannot be locked: then two processes that begin or end at the same moment may remove each
    /// other's files.
    fn take(path: &Path) -> Option<Self> {
        let folder = File::open(path.parent()?).ok()?;
        flock(&folder, FlockOperation::LockExclusive).ok()?;
        Some(Self(folder))
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

async fn remove_if_abandoned(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // A process listens there: binding the path fails, and says so.
        _ => Ok(()),
    }
}
