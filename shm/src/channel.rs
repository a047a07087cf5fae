//! A submission ring and a completion ring, and the client's sleep: the shared memory of one client thread.

use core::cell::Cell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::cursor::Cursor;
use crate::fault::RingFault;
use crate::flags::ClientFlags;
use crate::futex;
use crate::geometry::{Geometry, OWNER, SLEEP};
use crate::memory::Memory;
use crate::ring::{Consumer, Producer};
use crate::sync::{Ordering, fence};

/// The engine's side of a channel. Only the worker that owns it may touch it.
#[derive(Debug)]
pub struct EngineChannel {
    submissions: Consumer,
    completions: Producer,
    /// Where the client announces its sleep.
    client: Arc<Memory>,
    /// Where the engine names the owner.
    engine: Arc<Memory>,
    /// The completion tail at the last look at the client's sleep word.
    looked_at: Cell<Cursor>,
}

impl EngineChannel {
    pub(crate) fn new(geometry: Geometry, client: Arc<Memory>, engine: Arc<Memory>) -> Self {
        Self {
            submissions: Consumer::new(geometry.submission(), client.clone(), engine.clone()),
            completions: Producer::new(geometry.completion(), engine.clone(), client.clone()),
            client,
            engine,
            looked_at: Cell::new(Cursor::START),
        }
    }

    /// What the client asks for.
    pub fn submissions(&mut self) -> &mut Consumer {
        &mut self.submissions
    }

    /// What the engine answers.
    pub fn completions(&mut self) -> &mut Producer {
        &mut self.completions
    }

    /// Names the worker that owns the channel: the client looks at that worker's sleep word from now on. The owner
    /// calls this when it gets the channel, with the channel's bell already in its [`crate::Parker`].
    pub fn own(&self, worker: u32) {
        // SYNC: channel-owner (owner, then ring). The fence between them is that of the owner's next
        // `EngineFlags::announce_sleep`. Pairs with `ClientChannel::owner_sleeps`.
        self.engine.line(OWNER).store(worker, Ordering::Relaxed);
    }

    /// Whether the client waits for what was published since the last call. `true` at most once for each wait:
    /// whoever hears it owes the wake. To be called after publishing.
    pub fn client_sleeps(&self) -> bool {
        // SYNC: client-sleep (tail, then sleep word). Pairs with `ClientChannel::announce_sleep`.
        fence(Ordering::SeqCst);
        let waits_beyond = self.client.line(SLEEP).load();
        let tail = self.completions.published();
        let looked_at = self.looked_at.replace(tail);
        looked_at.until(waits_beyond) < tail.since(looked_at)
    }

    /// Wakes the client's thread out of [`ClientChannel::sleep`].
    ///
    /// # Errors
    /// What Linux says of the futex.
    pub fn wake(&self) -> io::Result<()> {
        futex::wake(self.completions.tail())
    }

    /// Ends the channel while its client may live on, and gives its memory back, whatever descriptors and mappings the
    /// client keeps: else whoever opens and closes channels could take all memory there is.
    #[cfg(not(loom))]
    pub fn retire(&mut self) {
        for region in [&self.client, &self.engine] {
            // Nothing else can be done: pages that stay are freed when the client is done with them.
            let _ = region.release_pages();
        }
    }
}

/// The client's side of a channel.
#[derive(Debug)]
pub struct ClientChannel {
    submissions: Producer,
    completions: Consumer,
    client: Arc<Memory>,
    engine: Arc<Memory>,
}

impl ClientChannel {
    pub(crate) fn new(geometry: Geometry, client: Arc<Memory>, engine: Arc<Memory>) -> Self {
        Self {
            submissions: Producer::new(geometry.submission(), client.clone(), engine.clone()),
            completions: Consumer::new(geometry.completion(), engine.clone(), client.clone()),
            client,
            engine,
        }
    }

    /// What the client asks for.
    pub fn submissions(&mut self) -> &mut Producer {
        &mut self.submissions
    }

    /// What the engine answers.
    pub fn completions(&mut self) -> &mut Consumer {
        &mut self.completions
    }

    /// Whether the worker that owns the channel now must be rung. To be called after every publication.
    pub fn owner_sleeps(&self, flags: &ClientFlags) -> bool {
        // SYNC: channel-owner (tail, then owner). Pairs with `EngineChannel::own`.
        // SYNC: worker-sleep (tail, then sleep word). Pairs with `EngineFlags::announce_sleep`.
        fence(Ordering::SeqCst);
        let owner = self.engine.line(OWNER).load();
        flags.shows_asleep(owner as usize)
    }

    /// Asks to be woken by the next completion. To be followed by one more look at the completions, and only then by
    /// a wait. [`ClientChannel::sleep`] does all of it for a thread; this is for event loops that wait for a
    /// descriptor.
    pub fn announce_sleep(&self) {
        self.wait_beyond(self.completions.position());
        // SYNC: client-sleep (sleep word, then tail). Pairs with `EngineChannel::client_sleeps`.
        fence(Ordering::SeqCst);
    }

    /// Asks not to be woken any more.
    pub fn announce_awake(&self) {
        // What is past was published and looked at before: nobody is woken for it.
        self.wait_beyond(self.completions.position().previous());
    }

    /// Blocks until there are completions, at most `timeout`. May return earlier than either.
    ///
    /// # Errors
    /// As [`Consumer::available`].
    pub fn sleep(&mut self, timeout: Duration) -> Result<Woken, RingFault> {
        self.announce_sleep();
        let woken = self.wait(timeout);
        self.announce_awake();
        woken
    }

    fn wait(&mut self, timeout: Duration) -> Result<Woken, RingFault> {
        if self.completions.available()? > 0 {
            return Ok(Woken::Completions);
        }
        let position = self.completions.position();
        let expired = futex::wait(self.completions.tail(), position.raw(), timeout);
        Ok(match self.completions.available()? {
            0 if expired => Woken::TimedOut,
            0 => Woken::Early,
            _ => Woken::Completions,
        })
    }

    /// The sleep word is the completion tail beyond which the client waits. The engine compares it with what it
    /// published, so one wait is never mistaken for another.
    fn wait_beyond(&self, tail: Cursor) {
        self.client.line(SLEEP).store(tail.raw(), Ordering::Relaxed);
    }
}

/// Why [`ClientChannel::sleep`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// There are completions.
    Completions,
    /// The time is up.
    TimedOut,
    /// Neither: a signal, or a wake that somebody else had caused.
    Early,
}
