//! Stage 1, entry → [`Request`]: shared memory is read once, into a private copy, and only the copy is looked at.

use std::time::Duration;

use keylane_api::wire::{
    COMPLETION_HEADER_BYTES, FLAG_DIGEST, Operation, SUBMISSION_HEADER_BYTES, SubmissionHeader,
};
use keylane_api::{Scheme, Status};
use keylane_shm::RingFault;

use super::request::{Answer, Buffer, Buffers, Call, Request, payload};
use crate::limits::RANDOM_BYTES_MAX;
use crate::seat::Seat;

/// What intake makes of one entry.
pub enum Taken {
    /// A well-formed request.
    Request(Request),
    /// A typed no: the entry is malformed or asks for what the engine does not know.
    Answer(Answer),
}

/// Takes the next entry of a channel; `None` when there is none, or when the channel's completion ring has no free
/// entry for the answer: then the entry waits, and costs only its owner.
pub fn take(seat: &mut Seat, buffers: &mut Buffers) -> Result<Option<Taken>, RingFault> {
    if !seat.has_completion_room()? {
        return Ok(None);
    }
    let Some(mut entry) = buffers.take() else { return Ok(None) };
    let words = seat.submission_words();
    let Some(copy) = entry.get_mut(..words) else {
        buffers.give(entry);
        return Ok(None);
    };
    match seat.half.submissions().pop(copy) {
        Ok(true) => {}
        Ok(false) => {
            buffers.give(entry);
            return Ok(None);
        }
        Err(fault) => {
            buffers.give(entry);
            return Err(fault);
        }
    }
    seat.took();
    let header = header(&entry);
    let origin = seat.origin(header.tag);
    let room = seat.completion_bytes() - COMPLETION_HEADER_BYTES;
    match validate(&header, words * 8 - SUBMISSION_HEADER_BYTES, &entry) {
        Ok((call, length)) => {
            let budget = Duration::from_micros(header.budget_us.into());
            Ok(Some(Taken::Request(Request { origin, call, entry, length, room, budget })))
        }
        Err(status) => {
            buffers.give(entry);
            Ok(Some(Taken::Answer(Answer::without(origin, status))))
        }
    }
}

fn header(entry: &Buffer) -> SubmissionHeader {
    let bytes: &[u8] = bytemuck::cast_slice(entry.as_slice());
    bytemuck::pod_read_unaligned(bytes.split_at(SUBMISSION_HEADER_BYTES).0)
}

/// The call and its payload's length, or why the entry is refused. `payload_max` is what the entry can hold.
fn validate(header: &SubmissionHeader, payload_max: usize, entry: &Buffer) -> Result<(Call, usize), Status> {
    let length = header.length as usize;
    if length > payload_max
        || header.reserved != 0
        || header.flags & !FLAG_DIGEST != 0
        || header.key.reserved != 0
    {
        return Err(Status::Malformed);
    }
    let operation = Operation::from_code(header.operation).ok_or(Status::UnknownOperation)?;
    let digest = header.flags & FLAG_DIGEST != 0;
    if operation != Operation::Sign && (digest || header.scheme != 0) {
        return Err(Status::Malformed);
    }
    let call = match operation {
        Operation::Ping => Call::Ping,
        Operation::Random => Call::Random(random_bytes(payload(entry, length))?),
        Operation::ExportPublic => Call::ExportPublic(header.key),
        Operation::Sign => {
            let scheme = Scheme::from_code(header.scheme).ok_or(Status::SchemeDenied)?;
            if digest && scheme.digest_bytes() != Some(length) {
                return Err(Status::Malformed);
            }
            Call::Sign { handle: header.key, scheme, digest }
        }
        _ => return Err(Status::UnknownOperation),
    };
    Ok((call, length))
}

fn random_bytes(payload: &[u8]) -> Result<usize, Status> {
    let bytes = <[u8; 4]>::try_from(payload).map_err(|_| Status::Malformed)?;
    let wanted = u32::from_le_bytes(bytes) as usize;
    if wanted == 0 || wanted > RANDOM_BYTES_MAX { Err(Status::Malformed) } else { Ok(wanted) }
}
