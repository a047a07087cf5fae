//! Hardening the process, telling the service manager, and threads that live in secret memory.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread::JoinHandle;

use rustix::process::{DumpableBehavior, Resource, Rlimit};

use super::stack::SecretStack;

/// Makes sure that no core of this process is ever written, that nobody of the same user may attach to it, and that it
/// never gains privileges.
pub fn harden() -> io::Result<()> {
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}

/// What a service manager hears (sd_notify(3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Clients are served.
    Ready,
    /// The engine is shutting down.
    Stopping,
}

/// Tells the service manager that started this process, if one did: `NOTIFY_SOCKET` names its socket.
pub fn notify(notice: Notice) -> io::Result<()> {
    match std::env::var_os("NOTIFY_SOCKET") {
        Some(path) => send_notice(path.as_bytes(), notice),
        None => Ok(()),
    }
}

fn send_notice(path: &[u8], notice: Notice) -> io::Result<()> {
    let address = match path {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    let text: &[u8] = match notice {
        Notice::Ready => b"READY=1",
        Notice::Stopping => b"STOPPING=1",
    };
    UnixDatagram::unbound()?.send_to_addr(text, &address).map(drop)
}

/// The cores that this process may use.
pub fn cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// Starts a thread that runs `f` on `stack`: pinned to `core` if one is given, and with every signal blocked.
///
/// Signals are for the thread that expects them. Linux would save the registers of the interrupted one, key and all,
/// wherever the handler's stack is. `f` and its result cross ordinary memory: see [`SecretStack::run`].
///
/// # Errors
/// When Linux starts no thread, or `core` is not among [`cores`].
pub fn spawn<R: Send + 'static>(
    name: &str,
    core: Option<usize>,
    mut stack: SecretStack,
    f: impl FnOnce() -> R + Send + 'static,
) -> io::Result<JoinHandle<R>> {
    if let Some(core) = core.filter(|core| !cores().contains(core)) {
        let text = format!("core {core} is not among the cores of this process, {:?}", cores());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        block_signals();
        if let Some(id) = core {
            core_affinity::set_for_current(core_affinity::CoreId { id });
        }
        stack.run(f)
    })
}

/// Blocks every signal that is not about an error of the thread itself.
fn block_signals() {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: sigfillset(3) initialises the set.
    unsafe { libc::sigfillset(set.as_mut_ptr()) };
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGTRAP] {
        // SAFETY: the set is initialised.
        unsafe { libc::sigdelset(set.as_mut_ptr(), signal) };
    }
    // SAFETY: the set is initialised; the old mask is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests;
