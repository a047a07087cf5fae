//! A submission ring and a completion ring, and the client's sleep: the shared memory of one client thread.

use core::cell::Cell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

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
    /// The client's sleep word when it was last found asleep.
    woken_at: Cell<u32>,
}

impl EngineChannel {
    pub(crate) fn new(geometry: Geometry, client: Arc<Memory>, engine: Arc<Memory>) -> Self {
        Self {
            submissions: Consumer::new(geometry.submission(), client.clone(), engine.clone()),
            completions: Producer::new(geometry.completion(), engine.clone(), client.clone()),
            client,
            engine,
            woken_at: Cell::new(0),
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

    /// Makes this worker the owner: the client looks at that worker's sleep word from now on. The new owner calls
    /// this before its first look at the submissions; then none is missed, whichever word the client looked at.
    pub fn own(&self, worker: u32) {
        self.engine.line(OWNER).store(worker, Ordering::Relaxed);
        // SYNC: channel-owner (owner, then ring). Pairs with `ClientChannel::owner_sleeps`.
        fence(Ordering::SeqCst);
    }

    /// Whether the client fell asleep and was not woken since. `true` once for each sleep: whoever hears it owes the
    /// wake. To be called after every publication.
    pub fn client_sleeps(&self) -> bool {
        // SYNC: client-sleep (tail, then sleep word). Pairs with `ClientChannel::announce_sleep`.
        fence(Ordering::SeqCst);
        let word = self.client.line(SLEEP).load();
        is_asleep(word) && self.woken_at.replace(word) != word
    }

    /// Wakes the client's thread out of [`ClientChannel::sleep`].
    ///
    /// # Errors
    /// What Linux says of the futex.
    pub fn wake(&self) -> io::Result<()> {
        futex::wake(self.completions.tail())
    }
}

/// The client's side of a channel.
#[derive(Debug)]
pub struct ClientChannel {
    submissions: Producer,
    completions: Consumer,
    client: Arc<Memory>,
    engine: Arc<Memory>,
    /// The sleep word: odd while asleep, another number for each sleep.
    sleep_word: Cell<u32>,
}

impl ClientChannel {
    pub(crate) fn new(geometry: Geometry, client: Arc<Memory>, engine: Arc<Memory>) -> Self {
        Self {
            submissions: Producer::new(geometry.submission(), client.clone(), engine.clone()),
            completions: Consumer::new(geometry.completion(), engine.clone(), client.clone()),
            client,
            engine,
            sleep_word: Cell::new(0),
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
        fence(Ordering::SeqCst);
        let owner = self.engine.line(OWNER).load();
        flags.sleeps(owner as usize)
    }

    /// Asks to be woken by the next completion. To be followed by one more look at the completions, and only then by
    /// a wait. [`ClientChannel::sleep`] does all of it for a thread; this is for event loops that wait for a
    /// descriptor.
    pub fn announce_sleep(&self) {
        if !is_asleep(self.sleep_word.get()) {
            self.advance_sleep_word();
        }
        // SYNC: client-sleep (sleep word, then tail). Pairs with `EngineChannel::client_sleeps`.
        fence(Ordering::SeqCst);
    }

    /// Asks not to be woken any more.
    pub fn announce_awake(&self) {
        if is_asleep(self.sleep_word.get()) {
            self.advance_sleep_word();
        }
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
        let (tail, seen) = self.completions.tail();
        let expired = futex::wait(tail, seen, timeout);
        Ok(match self.completions.available()? {
            0 if expired => Woken::TimedOut,
            0 => Woken::Early,
            _ => Woken::Completions,
        })
    }

    fn advance_sleep_word(&self) {
        let word = self.sleep_word.get().wrapping_add(1);
        self.sleep_word.set(word);
        self.client.line(SLEEP).store(word, Ordering::Relaxed);
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

const fn is_asleep(word: u32) -> bool {
    word % 2 == 1
}
