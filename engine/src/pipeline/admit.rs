//! Stage 2, [`Request`] → [`Admitted`] or a refusal: handle, policy, room in the audit log.
//!
//! What touches no private key is answered here: it needs no batch.

use std::sync::Arc;

use aws_lc_rs::{digest, rand};
use keylane_api::Status;
use keylane_api::wire::KeyHandle;

use super::audit::Auditor;
use super::request::{Admitted, Answer, Buffers, Call, Request, Trail, input, payload, result_room};
use crate::sessions::{Bound, Sessions};

/// What admission makes of a request.
pub enum Verdict {
    /// Goes on to a batch.
    Run(Admitted),
    /// Goes back at once.
    Answer(Answer),
}

/// Admits, refuses or answers a request of `session`.
pub fn admit(
    request: Request,
    session: u32,
    draining: bool,
    sessions: &Sessions,
    auditor: &mut Auditor,
    buffers: &mut Buffers,
) -> Verdict {
    if draining {
        return refuse(request, Status::Draining, buffers);
    }
    match request.call {
        Call::Ping => echo(request, buffers),
        Call::Random(bytes) => random(request, bytes, buffers),
        Call::ExportPublic(handle) => export(request, handle, session, sessions, buffers),
        Call::Sign { handle, .. } => match bound(sessions, session, handle) {
            Ok(bound) => sign(request, bound, auditor, buffers),
            Err(status) => refuse(request, status, buffers),
        },
    }
}

/// The key behind a handle of this session.
fn bound(sessions: &Sessions, session: u32, handle: KeyHandle) -> Result<&Bound, Status> {
    let bound = sessions.bound(session, handle).ok_or(Status::StaleHandle)?;
    let gone = bound.key.is_deleted() || bound.grant.is_revoked();
    if gone { Err(Status::StaleHandle) } else { Ok(bound) }
}

fn sign(request: Request, bound: &Bound, auditor: &mut Auditor, buffers: &mut Buffers) -> Verdict {
    let Request { origin, call, entry, length, room, budget } = request;
    let Call::Sign { scheme, digest, .. } = call else {
        buffers.give(entry);
        return Verdict::Answer(Answer::without(origin, Status::Internal));
    };
    let (key, grant) = (&bound.key, &bound.grant);
    let verdict = if room < key.algorithm.signature_bytes() {
        Err(Status::Malformed)
    } else {
        key.policy.consent(key.algorithm, scheme, input(&entry, length, digest))
    };
    if let Err(status) = verdict
        && !auditor.records_refusal(grant.id())
    {
        buffers.give(entry);
        return Verdict::Answer(Answer::without(origin, status));
    }
    // Reserved before anything runs.
    let Some(place) = auditor.reserve() else {
        buffers.give(entry);
        return Verdict::Answer(Answer::without(origin, Status::AuditFull));
    };
    let mut message_sha256 = [0; 32];
    message_sha256.copy_from_slice(digest::digest(&digest::SHA256, payload(&entry, length)).as_ref());
    let trail = Trail { place, grant: Arc::clone(grant), message_sha256 };
    let expires = (!budget.is_zero()).then(|| auditor.now() + budget);
    let key = Arc::clone(key);
    let admitted = Admitted { origin, key, trail, scheme, digest, prepared: None, expires, entry, length };
    match verdict {
        Ok(()) => Verdict::Run(admitted),
        Err(status) => {
            auditor.record(admitted, status, buffers);
            Verdict::Answer(Answer::without(origin, status))
        }
    }
}

fn echo(request: Request, buffers: &mut Buffers) -> Verdict {
    let Some(mut result) = buffers.take() else { return refuse(request, Status::Busy, buffers) };
    let length = request.length.min(request.room);
    let echoed = payload(&request.entry, length);
    if let Some(room) = result_room(&mut result).get_mut(..length) {
        room.copy_from_slice(echoed);
    }
    answer(request, result, length, buffers)
}

fn random(request: Request, bytes: usize, buffers: &mut Buffers) -> Verdict {
    if bytes > request.room {
        return refuse(request, Status::Malformed, buffers);
    }
    let Some(mut result) = buffers.take() else { return refuse(request, Status::Busy, buffers) };
    let filled = result_room(&mut result).get_mut(..bytes).map(rand::fill);
    if !matches!(filled, Some(Ok(()))) {
        buffers.give(result);
        return refuse(request, Status::Internal, buffers);
    }
    answer(request, result, bytes, buffers)
}

fn export(
    request: Request,
    handle: KeyHandle,
    session: u32,
    sessions: &Sessions,
    buffers: &mut Buffers,
) -> Verdict {
    let key = match bound(sessions, session, handle) {
        Ok(bound) => &bound.key,
        Err(status) => return refuse(request, status, buffers),
    };
    let length = key.public.len();
    let Some(mut result) = buffers.take() else { return refuse(request, Status::Busy, buffers) };
    let Some(room) = result_room(&mut result).get_mut(..length).filter(|_| length <= request.room) else {
        buffers.give(result);
        return refuse(request, Status::Malformed, buffers);
    };
    room.copy_from_slice(&key.public);
    answer(request, result, length, buffers)
}

fn answer(request: Request, result: super::request::Buffer, length: usize, buffers: &mut Buffers) -> Verdict {
    buffers.give(request.entry);
    Verdict::Answer(Answer { origin: request.origin, status: Status::Ok, result: Some((result, length)) })
}

fn refuse(request: Request, status: Status, buffers: &mut Buffers) -> Verdict {
    buffers.give(request.entry);
    Verdict::Answer(Answer::without(request.origin, status))
}
