//! One value in secret memory.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::super::heap::BLOCK_ALIGN;
use super::{MEMORY, SecretMemoryError, memory};

/// A value in secret memory, like a `Box`: erased when dropped, never printed.
pub struct SecretBox<T> {
    block: NonNull<u8>,
    value: NonNull<T>,
}

// SAFETY: the value belongs to this box alone, like that of a `Box<T>`.
unsafe impl<T: Send> Send for SecretBox<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for SecretBox<T> {}

impl<T> SecretBox<T> {
    /// Places what `make` gives. It may pass over the stack, which therefore must be a secret one if the value is one.
    pub fn new_with(make: impl FnOnce() -> T) -> Result<Self, SecretMemoryError> {
        let slack = align_of::<T>().saturating_sub(BLOCK_ALIGN);
        let block = memory()?.allocate(size_of::<T>() + slack)?;
        let offset = block.as_ptr().align_offset(align_of::<T>());
        debug_assert!(offset <= slack, "a block is aligned to {BLOCK_ALIGN}");
        // SAFETY: the block has `slack` bytes more than the value, and `offset` is no more than that.
        let value = unsafe { block.add(offset) }.cast::<T>();
        // SAFETY: aligned, with room for the value, and nobody else's.
        unsafe { value.write(make()) };
        Ok(Self { block, value })
    }
}

impl<T> Deref for SecretBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: initialised in `new_with`, and ours until `drop`.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for SecretBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; `&mut self` makes the access unique.
        unsafe { self.value.as_mut() }
    }
}

impl<T> Drop for SecretBox<T> {
    fn drop(&mut self) {
        // SAFETY: initialised in `new_with`, and not used again.
        unsafe { self.value.drop_in_place() };
        if let Some(memory) = MEMORY.get() {
            // SAFETY: the block came from this heap in `new_with` and nobody can reach it any more.
            unsafe { memory.heap.free(self.block) };
        }
    }
}

impl<T> fmt::Debug for SecretBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBox({} bytes)", size_of::<T>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(64))]
    struct Aligned([u64; 200]);

    #[test]
    fn values_are_aligned_apart_and_dropped() {
        static DROPS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        struct Counted(Aligned);
        impl Drop for Counted {
            fn drop(&mut self) {
                DROPS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let made = |number: u64| SecretBox::new_with(|| Counted(Aligned([number; 200]))).unwrap();
        let mut boxes: Vec<_> = (0..20).map(made).collect();
        for (number, each) in (0..).zip(&mut boxes) {
            assert!(std::ptr::from_ref(&each.0).addr().is_multiple_of(64));
            assert!(memory().unwrap().heap().contains(std::ptr::from_ref(&**each).cast()));
            assert_eq!(each.0.0, [number; 200]);
            each.0.0[7] = 1;
        }
        drop(boxes);
        assert_eq!(DROPS.load(std::sync::atomic::Ordering::Relaxed), 20);
    }
}
