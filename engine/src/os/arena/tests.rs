use rustix::process::{Signal, WaitOptions, WaitStatus};

use super::*;
use crate::os::own_process;

const BYTES: usize = 4 * GUARD_BYTES;

/// What a child of fork(2) finds at the arena's start: its exit code, or the signal that ended it.
fn in_a_child(arena: &Arena) -> WaitStatus {
    // SAFETY: the child only reads one byte and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: the address is mapped in the parent; whether the child has it is the question.
        let byte = unsafe { arena.start().as_ptr().read_volatile() };
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(i32::from(byte)) };
    }
    let child = rustix::process::Pid::from_raw(child).unwrap();
    rustix::process::waitpid(Some(child), WaitOptions::empty()).unwrap().unwrap().1
}

fn write_and_read(arena: &Arena) {
    for offset in [0, BYTES - 1] {
        let byte = arena.start().as_ptr().wrapping_add(offset);
        // SAFETY: inside the arena, which is ours.
        unsafe { byte.write_volatile(42) };
        // SAFETY: as above.
        assert_eq!(unsafe { byte.read_volatile() }, 42);
    }
}

#[test]
fn secret_files_are_no_part_of_a_child() {
    own_process::run("os::arena::tests::secret_files_are_no_part_of_a_child", || {
        let Ok(file) = memfd_secret(BYTES) else { return };
        let arena = Arena::map_file(BYTES, Ok(file)).unwrap();
        assert_eq!(arena.protection(), Protection::MemfdSecret);
        write_and_read(&arena);
        assert_eq!(in_a_child(&arena).terminating_signal(), Some(Signal::SEGV.as_raw()));
    });
}

#[test]
fn locked_memory_is_zero_in_a_child_and_left_out_of_dumps() {
    own_process::run("os::arena::tests::locked_memory_is_zero_in_a_child_and_left_out_of_dumps", || {
        let arena = Arena::map_file(BYTES, Err(Errno::NOSYS)).unwrap();
        assert_eq!(arena.protection(), Protection::Mlock);
        write_and_read(&arena);
        assert_eq!(in_a_child(&arena).exit_status(), Some(0));
        let flags = flags_at(arena.start().as_ptr().addr());
        // Locked, not dumped, wiped on fork (proc_pid_smaps(5)).
        assert!(["lo", "dd", "wf"].iter().all(|flag| flags.contains(flag)), "{flags}");
    });
}

/// `VmFlags` of the mapping that starts at `address`.
fn flags_at(address: usize) -> String {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mapping = maps.split_once(&format!("\n{address:x}-")).unwrap().1;
    mapping.lines().find_map(|line| line.strip_prefix("VmFlags:")).unwrap().to_owned()
}

#[test]
fn beyond_the_limit_is_typed_and_leaves_nothing_mapped() {
    own_process::run("os::arena::tests::beyond_the_limit_is_typed_and_leaves_nothing_mapped", || {
        become_nobody(64 << 10);
        let before = mapped_pages();
        for file in [memfd_secret(1 << 20), Err(Errno::NOSYS)] {
            let error = Arena::map_file(1 << 20, file).unwrap_err();
            assert_eq!(error, SecretMemoryError::MemlockTooSmall { needed: 1 << 20, limit: 64 << 10 });
        }
        assert!(mapped_pages() < before + 128, "the reserved mebibytes are given back");
    });
}

/// Without privileges, and with so many bytes of RLIMIT_MEMLOCK.
fn become_nobody(memlock: u64) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Memlock, Rlimit { current: Some(memlock), maximum: Some(memlock) }).unwrap();
    // SAFETY: changes who this process is; fails when it is nobody already.
    unsafe { libc::setuid(65_534) };
}

fn mapped_pages() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').next().unwrap().parse().unwrap()
}
