//! How to wait inside `sign()`, which rustls calls synchronously.
//!
//! | the calling thread | how it waits |
//! |---|---|
//! | worker of a multi-thread tokio runtime | `block_in_place`: its other tasks move to another thread, so their signatures join the batch |
//! | `block_on` of such a runtime, also with a `LocalSet` | parks: it is no worker, nothing else waits for it |
//! | current-thread runtime | parks, and everything on that runtime with it; `block_in_place` panics there |
//! | anything else | parks |
//!
//! To park is to spin for about the expected time of the operation first; `keylane_api` does both.

use tokio::runtime::{Handle, RuntimeFlavor, worker_index};
use tokio::task::block_in_place;

/// Runs `wait`, which blocks this thread, in the way that disturbs others least.
pub(crate) fn waiting<R>(wait: impl FnOnce() -> R) -> R {
    if is_worker() { block_in_place(wait) } else { wait() }
}

/// Whether this is a worker thread of a multi-thread runtime: the one place where `block_in_place` has an effect, and
/// it never panics there. The flavour alone is not enough, as a `LocalSet` has its runtime's; the index alone neither,
/// as a current-thread runtime counts as its own worker.
fn is_worker() -> bool {
    worker_index().is_some()
        && Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::runtime::{Builder, Runtime};
    use tokio::task::LocalSet;

    use super::{is_worker, waiting};

    /// Longer than anything here takes; reached only on failure.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn one_worker() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).build().unwrap()
    }

    #[test]
    fn tasks_of_a_blocked_worker_go_on() {
        let runtime = one_worker();
        let (other_ran, ran) = mpsc::channel();
        let blocked = runtime.spawn(async move {
            // Goes to the queue of the only worker, which is this thread.
            tokio::spawn(async move { other_ran.send(()) });
            waiting(|| ran.recv_timeout(PATIENCE))
        });
        assert_eq!(runtime.block_on(blocked).unwrap(), Ok(()));
    }

    #[test]
    fn waits_wherever_it_is_called() {
        let multi = one_worker();
        let current = Builder::new_current_thread().build().unwrap();
        // A wait within a wait is no worker's any more, and just waits.
        let tell = || (is_worker(), waiting(is_worker));
        assert_eq!(tell(), (false, false), "outside of any runtime");
        assert_eq!(
            multi.block_on(async { tokio::spawn(async move { tell() }).await.unwrap() }),
            (true, false)
        );
        assert_eq!(multi.block_on(async { tell() }), (false, false), "block_on of a multi-thread runtime");
        assert_eq!(LocalSet::new().block_on(&multi, async { tell() }), (false, false), "LocalSet on one");
        assert_eq!(current.block_on(async { waiting(|| 7) }), 7, "current-thread runtime");
        assert_eq!(LocalSet::new().block_on(&current, async { waiting(|| 7) }), 7, "LocalSet on one");
        let blocking = multi.block_on(async { tokio::task::spawn_blocking(tell).await.unwrap() });
        assert_eq!(blocking, (false, false), "blocking pool");
    }

    #[test]
    fn waits_in_a_local_set_of_a_worker() {
        let runtime = one_worker();
        let task = runtime.spawn(async {
            let handle = tokio::runtime::Handle::current();
            waiting(|| handle.block_on(LocalSet::new().run_until(async { waiting(|| 7) })))
        });
        assert_eq!(runtime.block_on(task).unwrap(), 7);
    }
}
