//! Every bound of the engine, and how the bounds relate.
//!
//! Nothing in the data plane grows: what is counted here is allocated at start or refused.

use std::time::Duration;

/// Workers of one engine.
pub const WORKERS_MAX: usize = 64;
/// Sessions at once. Of these, of channels, rings and strangers, nobody may have more than is left for others.
pub const SESSIONS_MAX: usize = 4_096;
/// Channels of one session: one for each of the 512 threads on which tokio lets a process block, and as many again.
pub const SESSION_CHANNELS_MAX: usize = 1_024;
/// Channels at once, over all workers.
pub const CHANNELS_MAX: usize = 16_384;
/// Key handles of one session.
pub const SESSION_HANDLES_MAX: usize = 4_096;
/// Octets of all rings of one session.
pub const SESSION_RING_BYTES_MAX: u64 = 64 << 20;
/// Octets of all rings.
pub const RING_BYTES_MAX: u64 = 2 << 30;

/// Connections that have not said who they are; further ones wait to be accepted.
pub const STRANGERS_MAX: usize = 512;
/// How long a connection may take to say who it is.
pub const HELLO_MAX: Duration = Duration::from_secs(5);
/// How long it may take while there are [`STRANGERS_MAX`].
pub const HELLO_MAX_CROWDED: Duration = Duration::from_millis(250);
/// Octets of a program's name in its first message.
pub const PROGRAM_BYTES_MAX: usize = 64;
/// Administrators connected at once.
pub const ADMINS_MAX: usize = 32;
/// Requests answered to one connection before the next has its turn.
pub const REQUESTS_PER_TURN: usize = 16;
/// How long the control thread answers connections before it looks after mail and audit log again.
pub const TURN_MAX: Duration = Duration::from_millis(5);
/// Connections accepted from one listener before the next has its turn.
pub const ACCEPTS_PER_TURN: usize = 64;

/// Entries of a ring, smallest and largest.
pub const RING_ENTRIES_MIN: u32 = 8;
/// See [`RING_ENTRIES_MIN`].
pub const RING_ENTRIES_MAX: u32 = 4_096;
/// Octets of an entry, largest. Bounds the private copy that intake makes.
pub const ENTRY_BYTES_MAX: u32 = 1_024;

/// Stack of a worker, in secret memory: kernels keep up to some hundred KiB on it.
pub const WORKER_STACK_BYTES: usize = 1 << 20;
/// Secret memory that a worker takes for itself: its stack, and what the kernels of all algorithms work in.
pub const WORKER_SECRET_BYTES: usize = WORKER_STACK_BYTES + (1 << 20);

/// Requests that one worker holds between intake and complete.
pub const WORKER_REQUESTS_MAX: usize = 1_024;
/// Those of one session among them: two batches, so that the next fills while one runs.
pub const SESSION_REQUESTS_MAX: u32 = 256;
/// Requests of one worker that wait for a context. The rest of its room stays for keys that are ready.
pub const LOOKUP_WAITING_MAX: usize = WORKER_REQUESTS_MAX / 2;
/// Entries taken from all channels of a worker between two slices of work.
pub const TURN_ENTRIES_MAX: u32 = 1_024;
/// Entries taken from one channel before the next channel has its turn.
pub const INTAKE_BURST: u32 = 64;
/// Operations of one batch.
pub const BATCH_MAX: usize = 128;
/// RSA operations between two rounds of intake.
pub const RSA_SLICE_MAX: usize = 8;
/// Octets of one `Random` request.
pub const RANDOM_BYTES_MAX: usize = 512;

/// Audit records of one worker that wait for the disk: what a crash can lose. 4 MiB.
pub const AUDIT_RING_RECORDS: usize = 65_536;
/// How long a record may wait before the control thread starts to write it. It is written earlier when a ring is half
/// full; a write costs several system calls, which a busy engine must not make for every few operations.
pub const AUDIT_FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// Refusals of one grant that one worker records one by one in a second; of the others it records how many.
pub const REFUSAL_RECORDS_MAX: u32 = 100;

/// Messages to one worker that wait.
pub const WORKER_INBOX: usize = 4_096;
/// Jobs that wait for the keeper thread.
pub const KEEPER_INBOX: usize = 4_096;
/// Jobs that the preparer thread has not looked at yet.
pub const PREPARER_INBOX: usize = 4_096;

/// Longest spin before parking.
pub const SPIN_MAX: Duration = Duration::from_micros(50);
/// Longest park of a worker: the pace at which sessions that ring too often are looked at.
pub const PARK_MAX: Duration = Duration::from_millis(50);
/// Doorbell edges that brought no new entry, in one second, before a session is polled instead.
pub const EMPTY_BELLS_MAX: u32 = 1_000;
/// How long SIGTERM waits for requests in flight.
pub const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Octets of a slot's name or a key's label.
pub const NAME_BYTES_MAX: usize = 64;
/// Octets of an imported key file.
pub const KEY_FILE_BYTES_MAX: usize = 64 * 1024;

const _: () = {
    assert!(RSA_SLICE_MAX <= BATCH_MAX);
    assert!(BATCH_MAX <= WORKER_REQUESTS_MAX);
    assert!(2 * BATCH_MAX <= SESSION_REQUESTS_MAX as usize);
    // No session keeps the others out.
    assert!(2 * SESSION_REQUESTS_MAX as usize <= WORKER_REQUESTS_MAX);
    assert!(INTAKE_BURST <= TURN_ENTRIES_MAX);
    // A reserved audit entry always finds room in its worker's ring.
    assert!(WORKER_REQUESTS_MAX <= AUDIT_RING_RECORDS);
    assert!(RING_ENTRIES_MIN.is_power_of_two() && RING_ENTRIES_MAX.is_power_of_two());
    assert!(keylane_api::wire::SUBMISSION_BYTES_DEFAULT <= ENTRY_BYTES_MAX);
    assert!(keylane_api::wire::COMPLETION_BYTES_DEFAULT <= ENTRY_BYTES_MAX);
    assert!(
        RANDOM_BYTES_MAX + keylane_api::wire::COMPLETION_HEADER_BYTES
            <= keylane_api::wire::COMPLETION_BYTES_DEFAULT as usize
    );
    // Whoever is alone may have half of everything: at least one session with all that a session can have.
    assert!(2 * SESSION_CHANNELS_MAX <= CHANNELS_MAX);
    assert!(2 * SESSION_RING_BYTES_MAX <= RING_BYTES_MAX);
    // A channel of the largest shape can be opened.
    assert!(2 * RING_ENTRIES_MAX as u64 * ENTRY_BYTES_MAX as u64 <= SESSION_RING_BYTES_MAX);
    assert!(TURN_MAX.as_nanos() < AUDIT_FLUSH_INTERVAL.as_nanos());
};
