//! Stage 8: release-store and doorbell. The only place that writes completions.

use bytemuck::bytes_of;
use keylane_api::wire::{COMPLETION_HEADER_BYTES, CompletionHeader};
use keylane_shm::RingFault;

use super::request::{Answer, Buffers};
use crate::seat::Seat;

/// Publishes an answer on its channel. Returns whether it is the first since the client was last told.
pub fn complete(seat: &mut Seat, answer: Answer, buffers: &mut Buffers) -> Result<bool, RingFault> {
    let Answer { origin, status, result } = answer;
    let length = result.as_ref().map_or(0, |(_, length)| *length);
    let header = CompletionHeader {
        tag: origin.tag,
        status: status as u16,
        // Octets of an entry: fits.
        length: u32::try_from(length).unwrap_or(0),
        ..CompletionHeader::default()
    };
    let pushed = match result {
        Some((mut entry, length)) => {
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(entry.as_mut_slice());
            bytes.split_at_mut(COMPLETION_HEADER_BYTES).0.copy_from_slice(bytes_of(&header));
            let end = COMPLETION_HEADER_BYTES + length;
            let words = end.div_ceil(8);
            // The ring takes whole words, and the buffer's last user may have been another tenant.
            if let Some(rest) = bytes.get_mut(end..words * 8) {
                rest.fill(0);
            }
            let pushed = seat.half.completions().push(entry.split_at(words).0);
            buffers.give(entry);
            pushed
        }
        None => seat.half.completions().push(bytemuck::cast_slice(&[header])),
    }?;
    debug_assert!(pushed, "intake saw a free entry, and a cursor that goes back is a fault of its own");
    Ok(seat.publish())
}
