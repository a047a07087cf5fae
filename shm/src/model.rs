//! Channels and flag pages in loom's memory instead of a region, for `tests/loom.rs`.

use std::sync::Arc;

use crate::channel::{ClientChannel, EngineChannel};
use crate::flags::{ClientFlags, EngineFlags};
use crate::geometry::{CHANNEL_LINES_FIRST, Geometry};
use crate::memory::{Layout, Memory};

/// Both sides of a channel whose rings have two entries of two words: every state, few interleavings.
pub fn channel() -> (EngineChannel, ClientChannel) {
    let geometry = Geometry::of_model();
    let client = Arc::new(Memory::new(geometry.submission().layout(), &CHANNEL_LINES_FIRST));
    let engine = Arc::new(Memory::new(geometry.completion().layout(), &CHANNEL_LINES_FIRST));
    (
        EngineChannel::new(geometry, client.clone(), engine.clone()),
        ClientChannel::new(geometry, client, engine),
    )
}

/// Both sides of the flag page of `workers` workers.
pub fn flags(workers: usize) -> (EngineFlags, ClientFlags) {
    let page = Arc::new(Memory::new(Layout { lines: workers, words: 0 }, &[]));
    (EngineFlags::new(page.clone()), ClientFlags::new(page))
}
