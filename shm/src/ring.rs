//! One single-producer, single-consumer queue between two sides that do not trust each other.
//!
//! The producer writes the ring's region (tail and entries); the consumer writes its head into *its own* region, so
//! that neither needs to write where the other does. Each side keeps its cursors in private memory and never reads
//! them back; the peer's cursor is a claim that is checked whenever it is read.

use core::cell::Cell;
use core::marker::PhantomData;
use std::sync::Arc;

use crate::cursor::Cursor;
use crate::fault::RingFault;
use crate::geometry::{HEAD, RingShape, TAIL};
use crate::memory::Memory;
use crate::sync::{Ordering, SharedU32, SharedU64, fence};

/// What both halves know.
#[derive(Debug)]
struct Ends {
    shape: RingShape,
    /// The producer's region: tail and entries.
    ring: Arc<Memory>,
    /// The consumer's region: head.
    back: Arc<Memory>,
    /// A half belongs to one thread at a time.
    unshared: PhantomData<Cell<()>>,
}

impl Ends {
    fn tail(&self) -> &SharedU32 {
        self.ring.line(TAIL)
    }

    fn head(&self) -> &SharedU32 {
        self.back.line(HEAD)
    }

    fn entry(&self, position: Cursor) -> &[SharedU64] {
        let words = self.shape.entry_words as usize;
        let first = position.index(self.shape.entries) * words;
        &self.ring.words()[first..first + words]
    }
}

/// The half that writes entries.
///
/// ```compile_fail
/// fn shared<T: Sync>() {}
/// shared::<keylane_shm::Producer>();
/// ```
#[derive(Debug)]
pub struct Producer {
    ends: Ends,
    /// Where the next entry is staged.
    staged: Cursor,
    /// What the consumer may see.
    published: Cursor,
    /// The consumer's head as last believed.
    head: Cursor,
}

impl Producer {
    /// The producing half of the ring in `ring`, whose consumer writes to `back`.
    pub(crate) fn new(shape: RingShape, ring: Arc<Memory>, back: Arc<Memory>) -> Self {
        let ends = Ends { shape, ring, back, unshared: PhantomData };
        Self { ends, staged: Cursor::START, published: Cursor::START, head: Cursor::START }
    }

    /// Entries that can be pushed now; at least this many. The consumer's head is read again only if the one known
    /// leaves no room.
    ///
    /// # Errors
    /// The consumer's head is none that it can have reached.
    pub fn free(&mut self) -> Result<u32, RingFault> {
        self.has_room_for(1)?;
        Ok(self.room())
    }

    /// Whether so many entries can be pushed now. The consumer's head is read again only if the one known leaves less
    /// room.
    ///
    /// # Errors
    /// As [`Producer::free`].
    pub fn has_room_for(&mut self, entries: u32) -> Result<bool, RingFault> {
        if self.room() < entries {
            self.follow_head()?;
        }
        Ok(self.room() >= entries)
    }

    /// Stages one entry whose first words are `words`; the rest keeps what an earlier entry left there. `false` when
    /// the ring is full.
    ///
    /// # Errors
    /// As [`Producer::free`], or [`RingFault::EntryTooLong`].
    pub fn push(&mut self, words: &[u64]) -> Result<bool, RingFault> {
        let entry_words = self.ends.shape.entry_words as usize;
        if words.len() > entry_words {
            return Err(RingFault::EntryTooLong { words: words.len(), entry_words });
        }
        if self.free()? == 0 {
            return Ok(false);
        }
        for (shared, word) in self.ends.entry(self.staged).iter().zip(words) {
            shared.store(*word);
        }
        self.staged = self.staged.next();
        Ok(true)
    }

    /// Lets the consumer see everything staged.
    pub fn publish(&mut self) {
        if self.published != self.staged {
            self.published = self.staged;
            // SYNC: entry-publish (release). Pairs with `Consumer::follow_tail`.
            self.ends.tail().store(self.published.raw(), Ordering::Release);
        }
    }

    /// What the consumer may see.
    pub(crate) fn published(&self) -> Cursor {
        self.published
    }

    /// The word that changes with every publication.
    pub(crate) fn tail(&self) -> &SharedU32 {
        self.ends.tail()
    }

    fn room(&self) -> u32 {
        self.ends.shape.entries - self.staged.since(self.head)
    }

    fn follow_head(&mut self) -> Result<(), RingFault> {
        let claim = self.ends.head().load();
        // SYNC: entry-release (acquire). Pairs with `Consumer::release`. A load and a fence, because only relaxed
        // loads are defined on a read-only mapping.
        fence(Ordering::Acquire);
        let reach = self.published.since(self.head);
        self.head = self.head.follow(claim, reach).map_err(RingFault::Head)?;
        Ok(())
    }
}

/// The half that reads entries.
///
/// ```compile_fail
/// fn shared<T: Sync>() {}
/// shared::<keylane_shm::Consumer>();
/// ```
#[derive(Debug)]
pub struct Consumer {
    ends: Ends,
    /// The next entry to read.
    position: Cursor,
    /// What the producer may overwrite.
    released: Cursor,
    /// The producer's tail as last believed.
    tail: Cursor,
}

impl Consumer {
    /// The consuming half of the ring in `ring`; its head goes to `back`.
    pub(crate) fn new(shape: RingShape, ring: Arc<Memory>, back: Arc<Memory>) -> Self {
        let ends = Ends { shape, ring, back, unshared: PhantomData };
        Self { ends, position: Cursor::START, released: Cursor::START, tail: Cursor::START }
    }

    /// Entries that can be read now; at least this many. The producer's tail is read again only if the one known
    /// leaves none.
    ///
    /// # Errors
    /// The producer's tail is none that it can have reached.
    pub fn available(&mut self) -> Result<u32, RingFault> {
        if self.position == self.tail {
            self.follow_tail()?;
        }
        Ok(self.tail.since(self.position))
    }

    /// Copies the front entry's first words to `out`, as many as both hold, and moves on. `false`, with `out`
    /// untouched, when the ring is empty.
    ///
    /// # Errors
    /// As [`Consumer::available`].
    pub fn pop(&mut self, out: &mut [u64]) -> Result<bool, RingFault> {
        let Some(mut front) = self.front()? else { return Ok(false) };
        front.read(0, out);
        front.consume();
        Ok(true)
    }

    /// The front entry, for who decides by its first words how many of the others to copy.
    ///
    /// # Errors
    /// As [`Consumer::available`].
    pub fn front(&mut self) -> Result<Option<Front<'_>>, RingFault> {
        Ok(if self.available()? == 0 { None } else { Some(Front { consumer: self, unread: 0 }) })
    }

    /// Gives everything consumed back to the producer.
    pub fn release(&mut self) {
        if self.released != self.position {
            self.released = self.position;
            // SYNC: entry-release (release). Pairs with `Producer::follow_head`: our reads are over.
            self.ends.head().store(self.released.raw(), Ordering::Release);
        }
    }

    /// The next entry to read.
    pub(crate) fn position(&self) -> Cursor {
        self.position
    }

    /// The word that changes with every publication.
    pub(crate) fn tail(&self) -> &SharedU32 {
        self.ends.tail()
    }

    fn follow_tail(&mut self) -> Result<(), RingFault> {
        let claim = self.ends.tail().load();
        // SYNC: entry-publish (acquire). Pairs with `Producer::publish`. A load and a fence, because only relaxed
        // loads are defined on a read-only mapping.
        fence(Ordering::Acquire);
        // An honest producer knows of no more room than was released.
        let reach = self.ends.shape.entries - self.tail.since(self.released);
        self.tail = self.tail.follow(claim, reach).map_err(RingFault::Tail)?;
        Ok(())
    }
}

/// The entry at a ring's front: readable once, from its start to its end.
#[derive(Debug)]
pub struct Front<'a> {
    consumer: &'a mut Consumer,
    unread: usize,
}

impl Front<'_> {
    /// Copies the words from `first_word` on to `out`, and says how many: fewer than asked for at the entry's end, and
    /// none from before where an earlier call stopped, because no word of shared memory is read twice.
    pub fn read(&mut self, first_word: usize, out: &mut [u64]) -> usize {
        let entry = self.consumer.ends.entry(self.consumer.position);
        if first_word < self.unread || first_word > entry.len() {
            return 0;
        }
        let count = out.len().min(entry.len() - first_word);
        for (word, shared) in out.iter_mut().zip(&entry[first_word..]) {
            *word = shared.load();
        }
        self.unread = first_word + count;
        count
    }

    /// Moves the consumer past this entry. Dropping it instead leaves it at the front.
    pub fn consume(self) {
        self.consumer.position = self.consumer.position.next();
    }
}
