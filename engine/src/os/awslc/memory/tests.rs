use super::*;
use crate::os::secret;

fn sized(bytes: usize, fill: u8) -> *mut c_void {
    secret::report().unwrap();
    // SAFETY: the hook has no precondition.
    let block = unsafe { malloc(bytes, ptr::null(), 0) };
    assert!(!block.is_null());
    // SAFETY: a fresh block of that size.
    unsafe { ptr::write_bytes(block.cast::<u8>(), fill, bytes) };
    block
}

/// A block as aws-lc's own allocator makes it.
fn earlier(bytes: usize, fill: u8) -> *mut c_void {
    // SAFETY: room for the prefix and the block.
    let whole = unsafe { libc::malloc(PREFIX_BYTES + bytes) };
    // SAFETY: malloc(3) aligns for a usize.
    unsafe { whole.cast::<usize>().write(bytes) };
    // SAFETY: the block follows its prefix.
    let block = unsafe { whole.byte_add(PREFIX_BYTES) };
    // SAFETY: a fresh block of that size.
    unsafe { ptr::write_bytes(block.cast::<u8>(), fill, bytes) };
    block
}

#[test]
fn realloc_keeps_contents_wherever_the_block_came_from() {
    for block in [sized(40, 7), earlier(40, 7)] {
        // SAFETY: a live block of either allocator.
        let grown = unsafe { realloc(block, 5_000, ptr::null(), 0) };
        assert!(memory().unwrap().heap().contains(grown.cast()));
        // SAFETY: realloc(3) promises the old contents.
        assert_eq!(unsafe { std::slice::from_raw_parts(grown.cast::<u8>(), 40) }, [7; 40]);
        // SAFETY: a live block.
        unsafe { free(grown, ptr::null(), 0) };
    }
    // SAFETY: free(3) takes a null pointer.
    unsafe { free(ptr::null_mut(), ptr::null(), 0) };
    // SAFETY: a live block of aws-lc's own allocator.
    unsafe { free(earlier(10, 1), ptr::null(), 0) };
}

#[test]
fn a_failed_realloc_keeps_the_block() {
    let block = sized(16, 9);
    // SAFETY: a live block.
    assert!(unsafe { realloc(block, usize::MAX / 2, ptr::null(), 0) }.is_null());
    // SAFETY: the block is still live.
    assert_eq!(unsafe { std::slice::from_raw_parts(block.cast::<u8>(), 16) }, [9; 16]);
    // SAFETY: as above.
    unsafe { free(block, ptr::null(), 0) };
}

#[test]
fn aws_lc_allocates_here() {
    secret::report().unwrap();
    // SAFETY: no precondition.
    let number = unsafe { aws_lc_sys::BN_new() };
    assert!(memory().unwrap().heap().contains(number.cast()));
    // SAFETY: a live number.
    unsafe { aws_lc_sys::BN_free(number) };
}
