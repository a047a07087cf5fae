//! Starts an engine, part by part, and runs it until it is told to stop.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use keylane_kernels::{Kernels, Refused, Tier};
use keylane_shm::{EngineFlags, RegionError};

use crate::audit::{self, Archive, AuditLog, AuditRing, Newest, Record, Segment};
use crate::config::{Config, ConfigError, KernelChoice};
use crate::control::{Control, ControlError, ControlParts, WorkerPort};
use crate::counters::Counters;
use crate::crypto::MultiBuffer;
use crate::directory::Directory;
use crate::keeper::{self, Keeper};
use crate::limits::{KEEPER_INBOX, PREPARER_INBOX, WORKER_INBOX, WORKER_STACK_BYTES};
use crate::mailbox::Mailbox;
use crate::messages::{FromWorker, KeeperDone, KeeperJob, PreparerJob, ToWorker};
use crate::os::process;
use crate::os::secret::{self, SecretMemoryError};
use crate::pipeline::Pipeline;
use crate::pipeline::audit::Auditor;
use crate::pipeline::lookup::Lookup;
use crate::preparer::{self, Preparer};
use crate::store::{Place, Store, StoreError};
use crate::threads::Threads;
use crate::unlock::Unlock;
use crate::worker::{self, Waiting, Worker};

/// Directory of the audit segments in the store.
pub const AUDIT_DIRECTORY: &str = "audit";
/// Stacks of keeper and preparer, in secret memory: they generate, parse and prepare keys.
const KEEPER_STACK_BYTES: usize = 1024 * 1024;

/// Why an engine did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Keys cannot be protected in memory as asked.
    #[error(transparent)]
    SecretMemory(#[from] SecretMemoryError),
    /// The token store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit log cannot be opened.
    #[error("audit log: {0}")]
    Audit(io::Error),
    /// The audit log belongs to another store.
    #[error("the audit log in {0} belongs to another store; move it away")]
    ForeignAudit(PathBuf),
    /// The processor computes wrongly.
    #[error("{0}; kernels = \"off\" signs with aws-lc alone")]
    Kernels(#[from] Refused),
    /// A region cannot be made.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// Linux refused something that every engine needs.
    #[error("cannot {what}: {cause}")]
    System {
        /// What.
        what: &'static str,
        /// Why not.
        cause: io::Error,
    },
    /// The control thread failed.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// Protects the process and its memory. To be called before anything secret is read.
pub fn protect(config: &Config) -> Result<(), EngineError> {
    process::harden().map_err(system("switch core dumps off"))?;
    secret::init(config.secret_options())?;
    Ok(())
}

/// Runs an engine on this thread and those that it starts, until SIGTERM or SIGINT.
pub fn run(config: &Config, unlock: Unlock, accept_rollback: bool) -> Result<(), EngineError> {
    config.validate()?;
    protect(config)?;
    let kernels = kernels(config)?;
    let opened = Opened::open(config, unlock, accept_rollback)?;
    let directory = Directory::load(opened.store.slots(), opened.store.grants(), opened.store.keys());
    let mail = Mail::new(config.worker_count()).map_err(system("make a mailbox"))?;
    let (flags, flag_page) = EngineFlags::create(config.worker_count())?;
    let mut threads = Threads::default();
    let outcome = start_workers(config, kernels, &mail, flags, &mut threads).and_then(
        |(workers, audit_rings, full)| {
            let store_epoch = opened.store.epoch();
            let Opened { store, archive, segment, next, segments, preface } = opened;
            let mut audit = AuditLog::new(segment, next, segments, audit_rings, full);
            preface.into_iter().for_each(|record| audit.append(record));
            start_keeper(store, archive, kernels, &mail, &mut threads)?;
            let parts = ControlParts {
                config: config.clone(),
                directory,
                workers,
                from_workers: Arc::clone(&mail.from_workers),
                keeper: Arc::clone(&mail.keeper),
                from_keeper: Arc::clone(&mail.from_keeper),
                audit,
                kernels,
                flag_page,
                store_epoch,
            };
            Ok(Control::new(parts)?.run()?)
        },
    );
    mail.stop_all();
    threads.join();
    outcome
}

type Started = (Vec<WorkerPort>, Vec<Arc<AuditRing>>, Arc<AtomicBool>);

/// The kernels to use, proven by their known answers; `None` where the scalar path is faster than any.
fn kernels(config: &Config) -> Result<Option<Kernels>, Refused> {
    let fast = Tier::Avx512Ifma;
    let wanted = config.kernels == KernelChoice::Auto && fast.is_available();
    wanted.then(|| Kernels::with_tier(fast)).transpose()
}

fn start_workers(
    config: &Config,
    kernels: Option<Kernels>,
    mail: &Mail,
    flags: EngineFlags,
    threads: &mut Threads,
) -> Result<Started, EngineError> {
    let flags = Arc::new(flags);
    let full = Arc::new(AtomicBool::new(false));
    let (mut workers, mut rings) = (Vec::new(), Vec::new());
    for (index, inbox) in mail.workers.iter().enumerate() {
        let core = config.cores.get(index).copied();
        let counters = Arc::new(Counters::new(number(index), core.map(number)));
        let ring = Arc::new(AuditRing::new(Arc::clone(&full)));
        let lookup = Lookup::new(index, Arc::clone(&mail.preparer));
        let auditor = Auditor::new(Arc::clone(&ring));
        let pipeline = Pipeline::new(lookup, MultiBuffer::new(kernels), auditor, Arc::clone(&counters));
        let ports = worker::Ports { inbox: Arc::clone(inbox), control: Arc::clone(&mail.from_workers) };
        let waiting = if config.busy_poll { Waiting::BusyPoll } else { Waiting::SpinThenPark(config.spin()) };
        let worker = Worker::new(index, ports, Arc::clone(&flags), waiting, Arc::clone(&counters), pipeline)
            .map_err(system("make a worker"))?;
        threads.start(format!("keylane-w{index}"), core, WORKER_STACK_BYTES, move || worker.run())?;
        workers.push(WorkerPort { inbox: Arc::clone(inbox), counters });
        rings.push(ring);
    }
    Ok((workers, rings, full))
}

fn start_keeper(
    store: Store,
    archive: Archive,
    kernels: Option<Kernels>,
    mail: &Mail,
    threads: &mut Threads,
) -> Result<(), EngineError> {
    let store = Arc::new(Mutex::new(store));
    let ports = preparer::Ports { inbox: Arc::clone(&mail.preparer), workers: mail.workers.clone() };
    let preparer = Preparer::new(ports, Arc::clone(&store), kernels).map_err(system("make the preparer"))?;
    threads.start("keylane-prepare".to_owned(), None, KEEPER_STACK_BYTES, move || preparer.run())?;
    let ports = keeper::Ports { inbox: Arc::clone(&mail.keeper), control: Arc::clone(&mail.from_keeper) };
    let keeper = Keeper::new(ports, store, archive).map_err(system("make the keeper"))?;
    threads.start("keylane-keeper".to_owned(), None, KEEPER_STACK_BYTES, move || keeper.run())
}

/// The store and the audit log beside it, which vouch for each other.
struct Opened {
    store: Store,
    archive: Archive,
    segment: Segment,
    /// Made in advance by the last engine.
    next: Option<Segment>,
    segments: usize,
    /// First records of this run.
    preface: Vec<Record>,
}

impl Opened {
    fn open(config: &Config, unlock: Unlock, accept_rollback: bool) -> Result<Self, EngineError> {
        // First, so that nothing is made where no store is, and nobody else is at the log.
        let place = Place::open(&config.store)?;
        let lost_max = audit::lost_max(config.worker_count());
        let archive = Archive::open(&config.store.join(AUDIT_DIRECTORY), config.audit, lost_max)
            .map_err(EngineError::Audit)?;
        let newest = archive.newest().map_err(EngineError::Audit)?;
        let seen = newest.as_ref().map(|newest| newest.witness);
        let store = Store::open_at(place, unlock.as_with(), seen.map(|seen| seen.epoch), accept_rollback)?;
        // The secret that opened the store is not needed again.
        drop(unlock);
        let now = keeper::witness(&store);
        if seen.is_some_and(|seen| seen.store != now.store) {
            return Err(EngineError::ForeignAudit(config.store.join(AUDIT_DIRECTORY)));
        }
        let preface = preface(config, newest.as_ref(), &store);
        let (segment, next) = match newest {
            Some(newest) => (newest.segment, newest.next),
            None => (archive.create(0, now).map_err(EngineError::Audit)?, None),
        };
        let segments = archive.segments().map_err(EngineError::Audit)?.len();
        Ok(Self { store, archive, segment, next, segments, preface })
    }
}

/// What the log says first: what may have been lost, what was overridden, and where the store stands.
fn preface(config: &Config, newest: Option<&Newest>, store: &Store) -> Vec<Record> {
    let gap = newest.filter(|newest| !newest.clean).map(|newest| Record::gap(newest.lost_max));
    let rollback = store.rolled_back().map(Record::rollback_accepted);
    let lost_max = audit::lost_max(config.worker_count());
    let start = [Record::start(lost_max), Record::epoch(store.epoch(), store.commitment())];
    gap.into_iter().chain(rollback).chain(start).collect()
}

/// The mailboxes between the engine's threads.
struct Mail {
    workers: Vec<Arc<Mailbox<ToWorker>>>,
    from_workers: Arc<Mailbox<FromWorker>>,
    keeper: Arc<Mailbox<KeeperJob>>,
    preparer: Arc<Mailbox<PreparerJob>>,
    from_keeper: Arc<Mailbox<KeeperDone>>,
}

impl Mail {
    fn new(workers: usize) -> io::Result<Self> {
        let worker = |_| Mailbox::new(WORKER_INBOX).map(Arc::new);
        Ok(Self {
            workers: (0..workers).map(worker).collect::<io::Result<_>>()?,
            from_workers: Arc::new(Mailbox::new(WORKER_INBOX)?),
            keeper: Arc::new(Mailbox::new(KEEPER_INBOX)?),
            preparer: Arc::new(Mailbox::new(PREPARER_INBOX)?),
            from_keeper: Arc::new(Mailbox::new(KEEPER_INBOX)?),
        })
    }

    /// Whoever has a full mailbox reads it first: the threads are waited for.
    fn stop_all(&self) {
        for worker in &self.workers {
            let _ = worker.send(ToWorker::Stop);
        }
        let _ = self.keeper.send(KeeperJob::Stop);
        let _ = self.preparer.send(PreparerJob::Stop);
    }
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> EngineError {
    move |cause| EngineError::System { what, cause }
}

/// A worker's or core's number: far below 2^32.
pub(crate) fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
