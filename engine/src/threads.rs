//! The engine's threads: named, pinned if asked, and running on stacks in secret memory, because whoever handles a key
//! leaves pieces of it on its stack.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use crate::engine::EngineError;
use crate::os::process;
use crate::os::stack::SecretStack;

/// Threads that have been started.
#[derive(Default)]
pub struct Threads {
    running: Vec<(String, JoinHandle<()>)>,
}

impl Threads {
    /// Starts a thread that runs `body` on a secret stack of `stack_bytes`.
    ///
    /// A panic in it ends the process: the others could only wait for ever for what it owed them, while clients
    /// reattach to a restarted engine by themselves.
    pub fn start(
        &mut self,
        name: String,
        core: Option<usize>,
        stack_bytes: usize,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<(), EngineError> {
        let own_name = name.clone();
        let guarded = move || {
            if catch_unwind(AssertUnwindSafe(body)).is_err() {
                tracing::error!(thread = own_name, "panicked; the engine ends");
                std::process::abort();
            }
        };
        let stack = SecretStack::new(stack_bytes)?;
        let handle = process::spawn(&name, core, stack, guarded)
            .map_err(|cause| EngineError::System { what: "start a thread", cause })?;
        self.running.push((name, handle));
        Ok(())
    }

    /// Waits for all of them.
    pub fn join(self) {
        for (name, handle) in self.running {
            if handle.join().is_err() {
                tracing::error!(thread = name, "ended with a panic");
            }
        }
    }
}
