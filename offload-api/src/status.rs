//! Status codes: what became of a request, who is to blame, and whether to try again.

/// Who caused a request not to be answered with a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Nobody: the request succeeded.
    Nobody,
    /// Policy or load said no at once; nothing was tried.
    Refusal,
    /// The peer broke the protocol.
    Fault,
    /// The engine, or the operating system under it, failed.
    Error,
}

/// What a client may do about a request that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request gets the same answer.
    Never,
    /// The same request may succeed later, or at another engine.
    Later,
    /// The handle is no longer valid: resolve the key again, then retry.
    Resolve,
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $blame:ident, $retry:ident, $text:literal;)*) => {
        /// Outcome of a request, as it stands in a completion entry.
        ///
        /// The high byte is the blame: 0 success, 1 refusal, 2 fault, 3 error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(into = "u16", try_from = "u16")]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum Status {
            $($(#[$doc])* $name = $code,)*
        }

        impl Status {
            /// Every status, for tests and documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The status with this code, if there is one.
            pub const fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            /// Who is to blame.
            pub const fn blame(self) -> Blame {
                match self { $(Self::$name => Blame::$blame,)* }
            }

            /// What a client may do about it.
            pub const fn retry(self) -> Retry {
                match self { $(Self::$name => Retry::$retry,)* }
            }

            /// One line for people, with the remedy where there is one.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

statuses! {
    /// The result follows.
    Ok = 0x0000, Nobody, Never, "success";

    /// No rule of the key's policy allows this operation.
    PolicyDenied = 0x0101, Refusal, Never, "the key's policy does not allow this operation";
    /// A digest was sent to a key whose policy does not grant raw digests.
    RawDigestDenied = 0x0102, Refusal, Never,
        "the key signs no caller-made digests; grant it with `--allow raw-digest` if it must be a general signer";
    /// The message is no TLS server signature input of a role that the key allows.
    NotTlsServerMessage = 0x0103, Refusal, Never,
        "the message is not the input of a TLS server signature in a role that the key allows";
    /// The engine does not know this operation.
    UnknownOperation = 0x0104, Refusal, Never, "the engine does not know this operation";
    /// The scheme does not fit the key's algorithm, or its policy or TLS role excludes it.
    SchemeDenied = 0x0105, Refusal, Never, "the signature scheme does not fit the key or its policy";
    /// No grant of this connection covers the slot or the right that the request needs.
    NotGranted = 0x0106, Refusal, Never, "no grant of this connection allows it; see `keylane grant list`";
    /// No such object in any slot that this connection may see.
    NotFound = 0x0107, Refusal, Never, "no such object in the slots that this connection may see";
    /// The name exists already.
    AlreadyExists = 0x0108, Refusal, Never, "an object of that name exists already";
    /// The key handle is stale: deleted, revoked, or of another session.
    StaleHandle = 0x0109, Refusal, Resolve, "the key handle is no longer valid; resolve the key again";
    /// No common ABI version.
    AbiUnsupported = 0x010a, Refusal, Never, "client and engine share no ABI version; upgrade the older of the two";
    /// The key material was refused; the detail says why.
    KeyRefused = 0x010b, Refusal, Never, "the key was refused";

    /// A limit of the engine or of the session is reached.
    Busy = 0x0180, Refusal, Later, "a limit is reached; try again later";
    /// The audit log has no room, and its configuration says to refuse.
    AuditFull = 0x0181, Refusal, Later,
        "the audit log is full; free disk space, raise audit.keep, or set audit.when_full = \"prune\"";
    /// The engine is shutting down.
    Draining = 0x0182, Refusal, Later, "the engine is shutting down";
    /// No room for one more key context.
    ContextsFull = 0x0183, Refusal, Later,
        "secret memory is full; raise RLIMIT_MEMLOCK (LimitMEMLOCK= in systemd) and secret_memory_mib";
    /// The time that the client grants is shorter than the work in front of it.
    DeadlineUnmeetable = 0x0184, Refusal, Later, "the deadline could not be met";

    /// An entry, a length or a field is malformed.
    Malformed = 0x0201, Fault, Never, "malformed request";
    /// The ring's cursor broke protocol; the session is quarantined.
    Quarantined = 0x0202, Fault, Never, "the session broke protocol and was detached";

    /// The engine failed.
    Internal = 0x0301, Error, Later, "the engine failed; its log says why";
    /// A result did not pass its check, on the scalar path either; it was withheld.
    CheckFailed = 0x0302, Error, Later, "a computed signature did not pass its check and was withheld";
    /// The store could not be read or written; the detail says why.
    Store = 0x0303, Error, Later, "the token store failed; the engine's log says why";
}

/// In control messages as in completions: by its code, which no later status changes.
impl From<Status> for u16 {
    fn from(status: Status) -> Self {
        status as Self
    }
}

impl TryFrom<u16> for Status {
    type Error = UnknownCode;

    fn try_from(code: u16) -> Result<Self, UnknownCode> {
        Self::from_code(code).ok_or(UnknownCode(code))
    }
}

/// A code that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown code {0:#06x}")]
pub struct UnknownCode(pub u16);

#[cfg(test)]
mod tests {
    use super::{Blame, Status};

    #[test]
    fn high_byte_is_the_blame_and_codes_round_trip() {
        for &status in Status::ALL {
            let code = status as u16;
            let blame = match code >> 8 {
                0 => Blame::Nobody,
                1 => Blame::Refusal,
                2 => Blame::Fault,
                3 => Blame::Error,
                other => panic!("{status:?} has an unknown class {other}"),
            };
            assert_eq!(blame, status.blame(), "{status:?}");
            assert_eq!(Status::from_code(code), Some(status));
        }
        assert_eq!(Status::from_code(0xffff), None);
    }
}
