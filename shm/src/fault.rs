//! What a peer, or the caller, did wrong on a ring.

/// A ring is not to be used further: the session that shares it is quarantined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingFault {
    /// The peer consumes, and its head is none that it can have reached.
    #[error("the peer's head {0}")]
    Head(CursorFault),
    /// The peer produces, and its tail is none that it can have reached.
    #[error("the peer's tail {0}")]
    Tail(CursorFault),
    /// The caller's fault: more words than an entry holds. Nothing was staged, and the ring stays usable.
    #[error("{words} words do not fit an entry of {entry_words}")]
    EntryTooLong {
        /// Words to push.
        words: usize,
        /// Words of an entry.
        entry_words: usize,
    },
}

/// How a cursor in shared memory broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorFault {
    /// It went back.
    #[error("went back from {from} to {to}")]
    Regressed {
        /// Last value believed.
        from: u32,
        /// Value found.
        to: u32,
    },
    /// It went beyond what this side had made possible.
    #[error("jumped from {from} to {to}, {reach} entries were possible")]
    Jumped {
        /// Last value believed.
        from: u32,
        /// Value found.
        to: u32,
        /// Entries that it could have advanced.
        reach: u32,
    },
}
