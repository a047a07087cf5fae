//! Parent and child after a fork.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(clippy::disallowed_types, reason = "nothing here is shared with a peer")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

use keylane_shm::{Own, PerProcess, generation};

/// Runs `child` in a forked child and says whether it returned without a panic.
fn holds_in_child(child: impl FnOnce()) -> bool {
    // SAFETY: the child runs `child` and exits; it waits for no lock that another thread may hold here.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let failed = catch_unwind(AssertUnwindSafe(child)).is_err();
        // SAFETY: ends the child without the parent's exit handlers.
        unsafe { libc::_exit(i32::from(failed)) };
    }
    let mut status = 0;
    // SAFETY: `pid` is our child and `status` is ours.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

#[test]
fn threads_share_a_generation_and_children_do_not() {
    let here = generation();
    assert_eq!(thread::spawn(generation).join().unwrap(), here);
    assert!(holds_in_child(|| {
        let child = generation();
        assert_ne!(child, here);
        assert_eq!(generation(), child);
        assert!(holds_in_child(|| assert!(![here, child].contains(&generation()))));
    }));
    assert_eq!(generation(), here);
}

#[test]
fn a_child_makes_its_own_even_if_the_parents_is_locked() {
    let own = PerProcess::<Mutex<u32>>::new();
    let mut guard = own.get_or_make(|_| Mutex::new(1)).lock().unwrap();
    assert!(holds_in_child(|| {
        assert!(own.get().is_none());
        let made = own.get_or_make(|inherited| {
            assert!(inherited.unwrap().try_lock().is_err());
            Mutex::new(2)
        });
        assert_eq!(*made.lock().unwrap(), 2);
    }));
    *guard += 10;
    drop(guard);
    assert_eq!(*own.get().unwrap().lock().unwrap(), 11);
}

/// Counts its drops.
struct Counted<'a>(&'a AtomicU32);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn racing_threads_agree_on_one_value_and_drop_the_others() {
    const THREADS: u32 = 8;
    let (made, dropped) = (AtomicU32::new(0), AtomicU32::new(0));
    let own = PerProcess::new();
    let start = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        let address = || {
            start.wait();
            let value: &Counted<'_> = own.get_or_make(|_| {
                made.fetch_add(1, Ordering::Relaxed);
                Counted(&dropped)
            });
            std::ptr::from_ref(value).addr()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(address)).collect();
        let addresses: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(addresses.iter().all(|address| *address == addresses[0]));
    });
    assert_eq!(dropped.load(Ordering::Relaxed), made.load(Ordering::Relaxed) - 1);
    drop(own);
    assert_eq!(dropped.load(Ordering::Relaxed), made.load(Ordering::Relaxed));
}

#[test]
fn a_child_neither_sees_nor_drops_what_its_parent_owns() {
    let dropped = AtomicU32::new(0);
    let mut own = Own::new(Counted(&dropped));
    let shared = PerProcess::new();
    shared.get_or_make(|_| Counted(&dropped));
    assert!(holds_in_child(|| {
        assert!(own.get().is_none() && own.get_mut().is_none());
        drop((own, shared));
        assert_eq!(dropped.load(Ordering::Relaxed), 0);
    }));
    // The child's moves were of its own copies; the parent's went into the closure and are dropped here.
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
}
