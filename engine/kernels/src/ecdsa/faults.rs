//! Where tests spoil a computation. Outside of tests and without the feature `faults` nothing of this exists.

use crate::lanes::Block;

thread_local! {
    /// Whether bounds of values may be exceeded on this thread, because something spoils them.
    pub(crate) static SPOILS: core::cell::Cell<bool> = const { core::cell::Cell::new(false) };
}

/// A place of the computation: its name, its number (a window, a vector), and the memory that may be spoilt.
type Touch = Box<dyn FnMut(&'static str, usize, &mut [Block])>;

/// What a test wants to happen.
#[derive(Default)]
pub(crate) struct Faults(pub(crate) Option<Touch>);

impl Clone for Faults {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Faults {
    /// The computation passes a place.
    pub(crate) fn touch(&mut self, name: &'static str, number: usize, memory: &mut [Block]) {
        if let Some(touch) = &mut self.0 {
            touch(name, number, memory);
        }
    }
}
