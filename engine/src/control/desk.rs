//! What clients ask, answered: this file knows requests and answers, and no socket.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use keylane_api::Status;
use keylane_api::control::{self, KeyInfo, KeySelector, Reply, Request};
use keylane_api::wire::{ABI, AbiRange, KeyHandle};

use super::connection::{Answer, Packet};
use super::handles::{Handles, Position};
use super::sessions::{Session, Sessions};
use super::shares::{Exceeded, Party};
use super::workers::Workers;
use crate::directory::{Directory, Peer};
use crate::limits::{NAME_BYTES_MAX, PROGRAM_BYTES_MAX, SESSION_CHANNELS_MAX, SESSION_HANDLES_MAX};
use crate::messages::{Binding, Refusal, ToWorker};

/// Who asks.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) peer: Peer,
    /// Through which socket it came; `None` is the engine's default one.
    pub(super) listener: Option<PathBuf>,
    /// Its session, once it said who it is.
    pub(super) session: Option<u32>,
}

impl Caller {
    /// Whose shares it takes from.
    pub(super) fn party(&self) -> Party {
        Party::new(self.listener.as_deref(), self.peer.uid)
    }
}

/// Everything that requests read and change.
pub(super) struct Desk {
    pub(super) directory: Directory,
    pub(super) workers: Workers,
    pub(super) sessions: Sessions,
    /// The engine's flag page, handed to every client.
    pub(super) flag_page: OwnedFd,
    pub(super) busy_poll: bool,
    /// Nothing new begins any more.
    pub(super) draining: bool,
    /// Sessions detached because the peer broke protocol.
    pub(super) quarantined: u64,
}

/// A reply, and descriptors to go with it.
pub(super) type Outcome = Result<(Reply, Vec<OwnedFd>), Refusal>;

impl Desk {
    /// Answers one packet. A packet that breaks protocol is answered and ends the connection.
    pub(super) fn serve(&mut self, caller: &mut Caller, packet: &[u8]) -> Answer {
        let request = match control::decode(packet) {
            Ok(request) => request,
            Err(error) => return last(&refusal(Status::Malformed, error.to_string())),
        };
        match (caller.session, request) {
            (None, Request::Hello { abi, program }) => match self.greet(caller, abi, &program) {
                Ok(outcome) => reply(Ok(outcome)),
                Err(refused) => last(&refused),
            },
            (None, _) => last(&refusal(Status::Malformed, "the first message must be Hello")),
            (Some(_), Request::Hello { .. }) => last(&refusal(Status::Malformed, "Hello was said before")),
            (Some(session), request) => reply(self.carry_out(session, request)),
        }
    }

    fn carry_out(&mut self, session: u32, request: Request) -> Outcome {
        match request {
            // Answered by `serve`.
            Request::Hello { .. } => Err(refusal(Status::Malformed, "Hello was said before")),
            Request::OpenChannel { shape, wake_descriptor } => {
                self.open_channel(session, shape, wake_descriptor)
            }
            Request::CloseChannel { channel } => self.close_channel(session, channel),
            Request::ResolveKey { selector } => self.resolve(session, &selector),
            Request::ReleaseKey { handle } => self.release(session, handle),
        }
    }

    fn greet(&mut self, caller: &mut Caller, abi: AbiRange, program: &str) -> Outcome {
        self.admit_new_work()?;
        if program.len() > PROGRAM_BYTES_MAX {
            let detail = format!("the program's name has more than {PROGRAM_BYTES_MAX} octets");
            return Err(refusal(Status::Malformed, detail));
        }
        let version = ABI.common(abi).ok_or_else(|| {
            let detail = format!("client: {} to {}, engine: {} to {}", abi.min, abi.max, ABI.min, ABI.max);
            refusal(Status::AbiUnsupported, detail)
        })?;
        let visible = self.directory.visible(caller.listener.as_deref(), caller.peer);
        if visible.is_empty() {
            return Err(not_granted(caller));
        }
        let party = caller.party();
        let admitted = self.sessions.shares().sessions.admit(&party, 1);
        admitted.map_err(|beyond| exceeded(&party, beyond, "sessions"))?;
        let flag_page = self.flag_page.try_clone().map_err(|error| no_descriptor(&error))?;
        let session = self.sessions.add(Session {
            peer: caller.peer,
            listener: caller.listener.clone(),
            party,
            visible,
            handles: Handles::default(),
            bells: BTreeMap::new(),
            ring_bytes: 0,
            channels: Vec::new(),
            closing: 0,
        });
        caller.session = Some(session);
        let Peer { pid, uid, gid } = caller.peer;
        tracing::debug!(session, program, pid, uid, gid, "a session begins");
        let welcome = Reply::Welcome {
            abi: version,
            session,
            engine_pid: std::process::id(),
            busy_poll: self.busy_poll,
            channels_max: u32::try_from(SESSION_CHANNELS_MAX).unwrap_or(u32::MAX),
        };
        Ok((welcome, vec![flag_page]))
    }

    fn resolve(&mut self, session_number: u32, selector: &KeySelector) -> Outcome {
        self.admit_new_work()?;
        let session = self.sessions.get_mut(session_number).ok_or_else(ended)?;
        let found = self.directory.resolve(&session.visible, selector);
        let (key, grant) = found.ok_or_else(|| refusal(Status::NotFound, describe(selector)))?;
        let live = self.directory.live(grant).ok_or_else(|| refusal(Status::NotFound, describe(selector)))?;
        let held = session.handles.hold(key.clone(), grant);
        let Position { index, generation } =
            held.ok_or_else(|| busy(format!("the session has {SESSION_HANDLES_MAX} key handles")))?;
        // Before the reply: no worker may meet the handle before it knows it.
        self.workers.broadcast(|| {
            let (key, grant) = (key.clone(), Arc::clone(live));
            ToWorker::Bind(Binding { session: session_number, index, generation, key, grant })
        });
        let info = KeyInfo {
            handle: KeyHandle { session: session_number, index, generation, reserved: 0 },
            slot: key.slot,
            key: key.key,
            label: key.label.clone(),
            algorithm: key.algorithm,
            public: key.public.to_vec(),
            schemes: key.policy.schemes(key.algorithm),
        };
        Ok((Reply::KeyResolved(info), Vec::new()))
    }

    fn release(&mut self, session_number: u32, handle: KeyHandle) -> Outcome {
        let session = self.sessions.get_mut(session_number).ok_or_else(ended)?;
        let position = Position { index: handle.index, generation: handle.generation };
        if handle.session != session_number || !session.handles.release(position) {
            return Err(refusal(Status::StaleHandle, "the session has no such key handle"));
        }
        self.workers.broadcast(|| ToWorker::Unbind { session: session_number, index: handle.index });
        Ok((Reply::Done, Vec::new()))
    }

    /// Ends a session, everywhere.
    pub(super) fn detach(&mut self, session: u32) {
        if self.sessions.leave(session, self.workers.len()).is_some() {
            self.workers.broadcast(|| ToWorker::Detach { session });
        }
    }

    /// Whether the engine takes on anything that it would have to look after.
    pub(super) fn admit_new_work(&self) -> Result<(), Refusal> {
        if self.draining {
            return Err(refusal(Status::Draining, "the engine is shutting down; reconnect in a moment"));
        }
        if self.workers.are_behind() {
            return Err(busy("a worker has not read its messages yet"));
        }
        Ok(())
    }
}

/// Encodes a reply. Replies to clients are far shorter than a packet; one that is not would be our mistake.
pub(super) fn encode(reply: &Reply) -> Vec<u8> {
    control::encode(reply).unwrap_or_else(|error| {
        tracing::error!(%error, "a reply does not fit a packet");
        let refused = Reply::Refused { status: Status::Internal, detail: String::new() };
        control::encode(&refused).unwrap_or_default()
    })
}

fn reply(outcome: Outcome) -> Answer {
    Answer::Reply(match outcome {
        Ok((reply, descriptors)) => Packet { bytes: encode(&reply), descriptors },
        Err(refused) => refused_packet(&refused),
    })
}

fn last(refused: &Refusal) -> Answer {
    Answer::Last(refused_packet(refused))
}

/// A refusal on its way to a client.
pub(super) fn refused_packet(refused: &Refusal) -> Packet {
    let Refusal { status, detail } = refused.clone();
    Packet { bytes: encode(&Reply::Refused { status, detail }), descriptors: Vec::new() }
}

pub(super) fn refusal(status: Status, detail: impl Into<String>) -> Refusal {
    Refusal { status, detail: detail.into() }
}

/// A limit is reached; `which` names it.
pub(super) fn busy(which: impl Into<String>) -> Refusal {
    refusal(Status::Busy, which)
}

/// A party has its share of something.
pub(super) fn exceeded(party: &Party, Exceeded { has, left }: Exceeded, of_what: &str) -> Refusal {
    busy(format!(
        "{party} has {has} {of_what}, and {left} are left for everybody: nobody gets more than is left"
    ))
}

pub(super) fn no_descriptor(error: &io::Error) -> Refusal {
    busy(format!(
        "the engine has no descriptor left ({error}); raise RLIMIT_NOFILE (LimitNOFILE= in systemd)"
    ))
}

/// The session was detached while its last packet was read.
pub(super) fn ended() -> Refusal {
    refusal(Status::Quarantined, Status::Quarantined.text())
}

fn not_granted(caller: &Caller) -> Refusal {
    let Peer { uid, gid, .. } = caller.peer;
    let listener =
        caller.listener.as_ref().map_or(String::new(), |path| format!(" --listener {}", path.display()));
    let detail = format!(
        "no slot is granted to uid {uid}, gid {gid} on this socket; \
         the administrator does that with `keylane grant add --slot SLOT --uid {uid}{listener}`"
    );
    refusal(Status::NotGranted, detail)
}

fn describe(selector: &KeySelector) -> String {
    match selector {
        KeySelector::Label { slot: Some(slot), label } => {
            format!("no key {} in a slot {}", quoted(label), quoted(slot))
        }
        KeySelector::Label { slot: None, label } => format!("no key {} in any granted slot", quoted(label)),
        KeySelector::Object { slot, key } => format!("no key {} in slot {}", key.0, slot.0),
        KeySelector::Public(_) => "no key with this public half in any granted slot".to_owned(),
    }
}

/// A name as the peer wrote it, no longer than names are.
fn quoted(name: &str) -> String {
    format!("{:?}", name.get(..name.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or_default())
}
