//! Why an operation did not succeed: who is to blame, and whether to try again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keylane_shm::{GeometryError, RegionError, RingFault};

use crate::control::CodecError;
use crate::control::socket::PATH_BYTES_MAX;
use crate::{Blame, Retry, Status};

/// Why an operation gave no result.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine said no, or failed.
    #[error("{}", refusal(*status, detail))]
    Refused {
        /// Which answer.
        status: Status,
        /// More for people; may be empty.
        detail: String,
    },
    /// This channel has as many operations in flight as it has entries.
    #[error("all {entries} entries of the channel are in flight; collect some results first")]
    RingFull {
        /// Entries of the channel.
        entries: usize,
    },
    /// The engine has the operation and did not answer in time.
    #[error("the engine did not answer within the deadline")]
    DeadlineExceeded,
    /// No engine could be reached, again or at all, within the deadline.
    #[error("{0}")]
    EngineGone(#[source] Arc<ConnectError>),
    /// The engine broke protocol.
    #[error("the engine broke protocol: {0}")]
    Protocol(#[source] Arc<ProtocolFault>),
    /// The engine has another key of that name.
    #[error(
        "the engine's key {key} is not the one expected: its public key differs; make the key reference anew"
    )]
    KeyMismatch {
        /// What was asked for.
        key: String,
    },
    /// The public key is malformed or of a kind that no engine holds.
    #[error("not the DER SubjectPublicKeyInfo of a supported algorithm")]
    PublicKey,
    /// More octets than an entry of the channel holds.
    #[error(
        "{bytes} octets do not fit an entry of the channel, which holds {bytes_max}; open it with larger ones"
    )]
    PayloadTooLong {
        /// Octets of the payload.
        bytes: usize,
        /// Octets that fit.
        bytes_max: usize,
    },
    /// The ticket's result has been taken already, or the ticket is another channel's.
    #[error("no operation of this channel has that ticket")]
    UnknownTicket,
    /// A channel cannot have such a shape.
    #[error("no channel has such a shape: {0}")]
    Shape(#[from] GeometryError),
    /// Linux refused something to this process.
    #[error("cannot wait for the engine: {0}")]
    System(#[source] Arc<io::Error>),
}

impl Error {
    /// Who is to blame.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Refused { status, .. } => status.blame(),
            Self::Protocol(_) => Blame::Fault,
            Self::EngineGone(cause) => cause.blame(),
            Self::DeadlineExceeded | Self::System(_) => Blame::Error,
            _ => Blame::Refusal,
        }
    }

    /// What may be done about it.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused { status, .. } => status.retry(),
            Self::EngineGone(cause) if !cause.is_passing() => Retry::Never,
            Self::RingFull { .. } | Self::DeadlineExceeded | Self::EngineGone(_) | Self::System(_) => {
                Retry::Later
            }
            _ => Retry::Never,
        }
    }

    pub(crate) fn refused(status: Status) -> Self {
        Self::Refused { status, detail: String::new() }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::System(Arc::new(error))
    }
}

impl From<ProtocolFault> for Error {
    fn from(fault: ProtocolFault) -> Self {
        Self::Protocol(Arc::new(fault))
    }
}

fn refusal(status: Status, detail: &str) -> String {
    match detail {
        "" => status.text().to_owned(),
        detail => format!("{}: {detail}", status.text()),
    }
}

/// Why there is no session with the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody listens.
    #[error("cannot reach the engine at {socket}: {source}; is `keylane serve` running?", socket = socket.display())]
    NotRunning {
        /// The engine's socket.
        socket: PathBuf,
        /// What Linux said.
        source: io::Error,
    },
    /// The socket is not for this user.
    #[error(
        "cannot reach the engine at {socket}: permission denied; see socket_mode in the engine's configuration and \
         the rights of the directory", socket = socket.display()
    )]
    Forbidden {
        /// The engine's socket.
        socket: PathBuf,
    },
    /// The path does not fit a socket address.
    #[error("{socket}: too long for a socket path, Linux allows {PATH_BYTES_MAX} octets; choose a shorter one", socket = socket.display())]
    PathTooLong {
        /// The engine's socket.
        socket: PathBuf,
    },
    /// The connection ended.
    #[error("the engine at {socket} hung up: {source}; its log says why", socket = socket.display())]
    HungUp {
        /// The engine's socket.
        socket: PathBuf,
        /// What Linux said.
        source: io::Error,
    },
    /// No answer on the control socket.
    #[error("the engine at {socket} gave no answer within {waited:?}", socket = socket.display())]
    Silent {
        /// The engine's socket.
        socket: PathBuf,
        /// How long it had.
        waited: Duration,
    },
    /// The engine does not want this client.
    #[error("the engine at {socket} refused: {}", refusal(*status, detail), socket = socket.display())]
    Refused {
        /// The engine's socket.
        socket: PathBuf,
        /// Which answer.
        status: Status,
        /// More for people; may be empty.
        detail: String,
    },
    /// What came is not what this version expects.
    #[error("the engine at {socket} broke protocol: {source}; is it of the same version?", socket = socket.display())]
    Protocol {
        /// The engine's socket.
        socket: PathBuf,
        /// How.
        source: ProtocolFault,
    },
    /// Linux refused something to this process, such as one more descriptor.
    #[error("cannot connect to the engine at {socket}: {source}", socket = socket.display())]
    System {
        /// The engine's socket.
        socket: PathBuf,
        /// What Linux said.
        source: io::Error,
    },
}

impl ConnectError {
    /// Sorts what Linux said when connecting.
    pub(crate) fn connecting(socket: &Path, source: io::Error) -> Self {
        let socket = socket.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
                Self::NotRunning { socket, source }
            }
            io::ErrorKind::PermissionDenied => Self::Forbidden { socket },
            _ if socket.as_os_str().len() > PATH_BYTES_MAX => Self::PathTooLong { socket },
            _ => Self::System { socket, source },
        }
    }

    /// Who is to blame.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Refused { status, .. } => status.blame(),
            Self::Protocol { .. } => Blame::Fault,
            Self::Forbidden { .. } | Self::PathTooLong { .. } => Blame::Refusal,
            _ => Blame::Error,
        }
    }

    /// Whether it may pass by itself, as when the engine restarts.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NotRunning { .. } | Self::HungUp { .. } | Self::Silent { .. } | Self::System { .. } => true,
            Self::Refused { status, .. } => status.retry() != Retry::Never,
            Self::Forbidden { .. } | Self::PathTooLong { .. } | Self::Protocol { .. } => false,
        }
    }
}

/// How an engine broke protocol.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolFault {
    /// A packet that is no message.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// An answer to another question.
    #[error("an answer to another question")]
    UnexpectedReply,
    /// Not the descriptors that belong to the message.
    #[error("{got} descriptors instead of {expected}")]
    Descriptors {
        /// How many belong to it.
        expected: usize,
        /// How many came.
        got: usize,
    },
    /// An ABI version that this client did not offer.
    #[error("ABI version {0}, which was not offered")]
    Abi(u16),
    /// A channel that is smaller than asked for, or impossible.
    #[error("a channel of another shape than asked for")]
    Shape,
    /// A region that is not what it should be.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// A ring's cursor is none that it can have.
    #[error(transparent)]
    Ring(#[from] RingFault),
    /// A completion of an operation that is not in flight.
    #[error("a completion with tag {0:#x}, which is not in flight")]
    UnknownTag(u64),
    /// A completion with a status that does not exist.
    #[error("a completion with status {0:#06x}, which does not exist")]
    UnknownStatus(u16),
    /// A completion with an impossible length.
    #[error("a completion with {0} octets, which its operation does not give")]
    Length(u32),
}
