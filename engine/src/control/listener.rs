//! A socket in the file system that processes connect to.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keylane_api::control::socket::{PATH_BYTES_MAX, connect};
use rustix::fs::{FileType, FlockOperation, Mode, OFlags, flock, fstat};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::os::socket::Socket;

/// How long an engine that starts waits for the socket of one that was killed. io_uring keeps the files that were
/// registered with it until a work queue has cleaned up, which is after the process is gone.
const HANDOVER: Duration = Duration::from_secs(5);
/// How often it tries meanwhile.
const HANDOVER_STEP: Duration = Duration::from_millis(10);

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;
/// Mode of directories made for a socket: whoever is granted something must reach it.
const DIRECTORY_MODE: u32 = 0o755;

/// Why nobody can connect at a path.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Longer than a socket address.
    #[error(
        "the socket path {path} has {bytes} octets, Linux allows {PATH_BYTES_MAX}; choose a shorter directory",
        path = path.display()
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// A relative path means something else to every process.
    #[error("the socket path {path} is not absolute; give it from the root", path = path.display())]
    NotAbsolute {
        /// The path.
        path: PathBuf,
    },
    /// Something else is in the way.
    #[error("{path} exists and is no socket; move it away or choose another path", path = path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Another process answers there.
    #[error(
        "another process listens on {path}; stop it (is an engine running already?) or choose another path",
        path = path.display()
    )]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// Linux refused a step.
    #[error("cannot {step} {path}: {source}", path = path.display())]
    System {
        /// What was tried.
        step: &'static str,
        /// With what.
        path: PathBuf,
        /// What Linux said.
        source: io::Error,
    },
}

/// A listening socket. Its file goes when it is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    file: SocketFile,
    /// Dropped last: nobody else looks at the path before the socket's file is gone.
    _lock: PathLock,
}

impl Listener {
    /// Listens at `path`, replacing a socket file at which nobody answers. Nobody can connect before the file has
    /// its `mode`.
    pub fn bind(path: &Path, mode: u32) -> Result<Self, ListenError> {
        let address = address(path)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .map_err(failed("make a socket for", path))?;
        let lock = PathLock::take(path)?;
        make_way(path)?;
        net::bind(&socket, &address).map_err(failed("bind a socket to", path))?;
        let file = SocketFile::adopt(path, mode)?;
        net::listen(&socket, BACKLOG).map_err(failed("listen on", path))?;
        Ok(Self { socket, file, _lock: lock })
    }

    /// As [`bind`](Self::bind), but gives a killed engine's socket time to go. Only at start: it may sleep.
    pub fn take_over(path: &Path, mode: u32) -> Result<Self, ListenError> {
        let until = Instant::now() + HANDOVER;
        loop {
            match Self::bind(path, mode) {
                Err(ListenError::InUse { .. }) if Instant::now() < until => std::thread::sleep(HANDOVER_STEP),
                outcome => return outcome,
            }
        }
    }

    /// As [`take_over`](Self::take_over), in a directory that is made if it is missing.
    pub fn take_over_in_new_directory(path: &Path, mode: u32) -> Result<Self, ListenError> {
        address(path)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            let made = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(parent);
            made.map_err(failed("make the directory", parent))?;
        }
        Self::take_over(path, mode)
    }

    /// The next connection, if one waits.
    pub fn accept(&self) -> io::Result<Option<Socket>> {
        loop {
            match net::accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => return Ok(Some(Socket::new(socket))),
                Err(Errno::AGAIN) => return Ok(None),
                // The client gave up while it waited.
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.file.path
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The right to listen at a path: without it, engines that start at once take each other's sockets for stale ones, which
/// they are between bind and listen, and remove them. Its file stays when it is dropped.
#[derive(Debug)]
struct PathLock(OwnedFd);

impl PathLock {
    fn take(path: &Path) -> Result<Self, ListenError> {
        let mut file = path.as_os_str().to_owned();
        file.push(".lock");
        // In a directory that may belong to a tenant: no link is followed, no pipe waited for.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let lock = rustix::fs::open(&file, flags, Mode::RUSR | Mode::WUSR).map_err(failed("lock", path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(lock)),
            Err(Errno::WOULDBLOCK) => Err(ListenError::InUse { path: path.to_owned() }),
            Err(error) => Err(failed("lock", path)(error)),
        }
    }
}

impl Drop for PathLock {
    /// By name: closing alone leaves the lock to a child that was forked and has not called exec yet.
    fn drop(&mut self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// The file of a bound socket, removed when dropped.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode: what stands at the path later may be somebody else's.
    identity: (u64, u64),
}

impl SocketFile {
    /// Gives a socket that was just bound its mode, whatever the umask. A symbolic link put in its place meanwhile is
    /// not followed: the directory may belong to a tenant, and the engine may be root.
    fn adopt(path: &Path, mode: u32) -> Result<Self, ListenError> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(failed("look at", path))?;
        let stat = fstat(&file).map_err(failed("look at", path))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
            return Err(ListenError::NotASocket { path: path.to_owned() });
        }
        let by_descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
        fs::set_permissions(by_descriptor, Permissions::from_mode(mode))
            .map_err(failed("set the mode of", path))?;
        Ok(Self { path: path.to_owned(), identity: (stat.st_dev, stat.st_ino) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = |metadata: fs::Metadata| (metadata.dev(), metadata.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(ours) {
            // A file that stays behind is replaced by whoever listens there next.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a grant's listener can be at `path`.
pub fn check_path(path: &Path) -> Result<(), ListenError> {
    if !path.is_absolute() {
        return Err(ListenError::NotAbsolute { path: path.to_owned() });
    }
    address(path).map(drop)
}

fn address(path: &Path) -> Result<SocketAddrUnix, ListenError> {
    let bytes = path.as_os_str().len();
    if bytes > PATH_BYTES_MAX {
        return Err(ListenError::PathTooLong { path: path.to_owned(), bytes });
    }
    SocketAddrUnix::new(path).map_err(failed("make a socket address of", path))
}

/// Removes a socket file at which nobody answers.
fn make_way(path: &Path) -> Result<(), ListenError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", path)(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    let Err(error) = connect(path) else { return Err(ListenError::InUse { path: path.to_owned() }) };
    match Errno::from_io_error(&error) {
        Some(Errno::CONNREFUSED) => fs::remove_file(path).map_err(failed("remove the stale socket", path)),
        // A full backlog, or a socket of another type: somebody is there.
        Some(Errno::AGAIN | Errno::PROTOTYPE) => Err(ListenError::InUse { path: path.to_owned() }),
        _ => Err(failed("connect to", path)(error)),
    }
}

fn failed<E: Into<io::Error>>(step: &'static str, path: &Path) -> impl FnOnce(E) -> ListenError {
    let path = path.to_owned();
    move |error| ListenError::System { step, path, source: error.into() }
}

#[cfg(test)]
mod tests;
