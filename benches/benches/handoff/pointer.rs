//! A worker thread that is lent a batch by pointer, as workers of one process can.

use std::hint::spin_loop;
use std::sync::Arc;
use std::thread::{self, Thread};

use crossbeam::queue::ArrayQueue;

use crate::REQUEST_BYTES;
use crate::ring::Waiting;

/// Requests in place.
type Batch = Vec<[u64; REQUEST_BYTES as usize / 8]>;

/// A bounded queue with one reader.
struct Inbox(ArrayQueue<Option<Batch>>);

impl Inbox {
    fn new() -> Arc<Self> {
        Arc::new(Self(ArrayQueue::new(4)))
    }

    /// Puts a batch, or the end, before a reader, which is woken if it sleeps.
    fn put(&self, batch: Option<Batch>, reader: &Thread, waiting: Waiting) {
        assert!(self.0.push(batch).is_ok(), "the queue has room");
        if waiting == Waiting::Sleeping {
            reader.unpark();
        }
    }

    fn take(&self, waiting: Waiting) -> Option<Batch> {
        loop {
            match self.0.pop() {
                Some(batch) => return batch,
                None if waiting == Waiting::Spinning => spin_loop(),
                None => thread::park(),
            }
        }
    }
}

/// Calls `measure` with a function that lends `requests` to a thread and gets them back.
pub fn with_thread(waiting: Waiting, requests: u32, measure: impl FnOnce(&mut dyn FnMut())) {
    let (there, back) = (Inbox::new(), Inbox::new());
    let lender = thread::current();
    let worker = thread::spawn({
        let (there, back) = (Arc::clone(&there), Arc::clone(&back));
        move || {
            while let Some(mut batch) = there.take(waiting) {
                // Results are written in place.
                for request in &mut batch {
                    request.fill(1);
                }
                back.put(Some(batch), &lender, waiting);
            }
        }
    });
    let mut batch = Some(vec![[0; REQUEST_BYTES as usize / 8]; requests as usize]);
    measure(&mut || {
        there.put(batch.take(), worker.thread(), waiting);
        batch = back.take(waiting);
    });
    there.put(None, worker.thread(), waiting);
    worker.join().expect("the worker");
}
