//! A channel at its worker: the engine's half of its rings, and whether its client must be woken.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use keylane_shm::{EngineChannel, RingFault};
use rustix::net::{SendFlags, send};

use crate::limits::SESSION_REQUESTS_MAX;
use crate::messages::ChannelSeat;
use crate::pipeline::request::Origin;

/// A channel and what its worker remembers of it.
pub struct Seat {
    index: u32,
    generation: u32,
    session: u32,
    channel: u32,
    submission_words: usize,
    completion_bytes: usize,
    wake: Option<OwnedFd>,
    offered: u32,
    published: bool,
    /// The rings.
    pub half: EngineChannel,
    /// Requests taken in and not answered.
    in_flight: u32,
    /// Those of all channels of the session at this worker, which alone counts.
    share: Arc<AtomicU32>,
}

impl Seat {
    /// Its position among the worker's seats.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Its session.
    pub fn session(&self) -> u32 {
        self.session
    }

    /// Its channel number.
    pub fn channel(&self) -> u32 {
        self.channel
    }

    /// Words of a submission entry.
    pub fn submission_words(&self) -> usize {
        self.submission_words
    }

    /// Octets of a completion entry.
    pub fn completion_bytes(&self) -> usize {
        self.completion_bytes
    }

    /// The origin of a request of this channel.
    pub fn origin(&self, tag: u64) -> Origin {
        Origin { seat: self.index, generation: self.generation, tag }
    }

    /// Looks how many entries wait. Nothing is offered by a channel whose peer broke protocol.
    pub fn look(&mut self) -> Result<(), RingFault> {
        self.offered = 0;
        self.offered = self.half.submissions().available()?;
        Ok(())
    }

    /// Entries that waited at the last look.
    pub fn offered(&self) -> u32 {
        self.offered
    }

    /// Requests that its session may still have in flight.
    pub fn share_left(&self) -> u32 {
        SESSION_REQUESTS_MAX.saturating_sub(self.share.load(Ordering::Relaxed))
    }

    /// A request was taken in.
    pub fn took(&mut self) {
        self.in_flight += 1;
        self.share.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was answered.
    pub fn answered(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.share.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether the completion ring has a free entry beyond those that the requests in flight will fill.
    pub fn has_completion_room(&mut self) -> Result<bool, RingFault> {
        self.half.completions().has_room_for(self.in_flight + 1)
    }

    /// Makes the pushed completions visible. Returns whether the client has now something that it was not told of,
    /// and had not before.
    pub fn publish(&mut self) -> bool {
        self.half.completions().publish();
        !std::mem::replace(&mut self.published, true)
    }

    /// Wakes the client if it sleeps and has something new: once for each sleep. Returns whether a system call was made.
    pub fn ring(&mut self) -> bool {
        let sleeps = std::mem::take(&mut self.published) && self.half.client_sleeps();
        if sleeps {
            // A wake that fails is no loss: a full socket is readable, and a sleeper looks again by itself (≤ 50 ms).
            let _ = match &self.wake {
                Some(socket) => {
                    send(socket, &[1], SendFlags::DONTWAIT | SendFlags::NOSIGNAL).map(|_| ()).ok()
                }
                None => self.half.wake().ok(),
            };
        }
        sleeps
    }
}

impl Drop for Seat {
    /// Nobody answers its requests any more.
    fn drop(&mut self) {
        self.share.fetch_sub(self.in_flight, Ordering::Relaxed);
    }
}

/// The channels of one worker. Positions are reused, generations tell the users of one position apart.
#[derive(Default)]
pub struct Seats {
    places: Vec<Option<Seat>>,
    generations: Vec<u32>,
    /// Position whose turn is first.
    first: usize,
}

impl Seats {
    /// Seats a channel.
    pub fn add(&mut self, channel: ChannelSeat) {
        let free = self.places.iter().position(Option::is_none).unwrap_or_else(|| {
            self.places.push(None);
            self.generations.push(0);
            self.places.len() - 1
        });
        let of_session = |seat: &&Seat| seat.session == channel.session;
        let share = self.places.iter().flatten().find(of_session).map(|seat| Arc::clone(&seat.share));
        let Some(generation) = self.generations.get_mut(free) else { return };
        *generation = generation.wrapping_add(1);
        let (submission_bytes, completion_bytes) = channel.entry_bytes;
        let seat = Seat {
            // Bounded by CHANNELS_MAX.
            index: u32::try_from(free).unwrap_or(u32::MAX),
            generation: *generation,
            session: channel.session,
            channel: channel.channel,
            submission_words: submission_bytes as usize / 8,
            completion_bytes: completion_bytes as usize,
            wake: channel.wake,
            offered: 0,
            published: false,
            half: channel.half,
            in_flight: 0,
            share: share.unwrap_or_default(),
        };
        if let Some(place) = self.places.get_mut(free) {
            *place = Some(seat);
        }
    }

    /// The channel that a request came from, if it is still there.
    pub fn find(&mut self, origin: Origin) -> Option<&mut Seat> {
        let seat = self.places.get_mut(origin.seat as usize)?.as_mut()?;
        (seat.generation == origin.generation).then_some(seat)
    }

    /// The channel in this position.
    pub fn at(&mut self, index: u32) -> Option<&mut Seat> {
        self.places.get_mut(index as usize)?.as_mut()
    }

    /// Removes the channels that `gone` picks; returns how many.
    pub fn remove(&mut self, gone: impl Fn(&Seat) -> bool) -> u64 {
        let mut removed = 0;
        for place in &mut self.places {
            if let Some(mut seat) = place.take_if(|seat| gone(seat)) {
                seat.half.retire();
                removed += 1;
            }
        }
        removed
    }

    /// Every channel.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Seat> {
        self.places.iter_mut().flatten()
    }

    /// Every channel, beginning with the one whose turn is first.
    pub fn in_turn(&mut self) -> impl Iterator<Item = &mut Seat> {
        let first = self.first.min(self.places.len());
        let (last, next) = self.places.split_at_mut(first);
        next.iter_mut().chain(last).flatten()
    }

    /// The one in this position was the last that found room: the next round begins behind it.
    pub fn begin_behind(&mut self, index: u32) {
        self.first = (index as usize + 1) % self.places.len().max(1);
    }
}
