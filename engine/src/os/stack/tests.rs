use std::hint::black_box;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use rustix::event::{Timespec, epoll};

use super::*;

fn in_secret_memory<T>(value: &T) -> bool {
    memory().unwrap().heap().contains(std::ptr::from_ref(value).cast())
}

#[test]
fn locals_are_in_secret_memory_and_erased_afterwards() {
    static LEFT: AtomicPtr<[u8; 64]> = AtomicPtr::new(std::ptr::null_mut());
    let mut stack = SecretStack::new(64 << 10).unwrap();
    stack.run(|| {
        let mut key = [0xa5u8; 64];
        assert!(in_secret_memory(black_box(&key)));
        LEFT.store(black_box(&raw mut key), Relaxed);
    });
    let left = LEFT.load(Relaxed);
    let (limit, bytes) = (stack.limit, stack.bytes);
    // SAFETY: the address is in the stack's block, which is still ours.
    assert_eq!(unsafe { left.read_volatile() }, [0xa5; 64], "the test would see a key that was left");
    drop(stack);
    // Take the block again before another test can; if another was faster, there is nothing to look at.
    let again = memory().unwrap().allocate(bytes).unwrap();
    if again == limit {
        // SAFETY: the address is in the block that was just taken.
        assert_eq!(unsafe { left.read_volatile() }, [0; 64]);
    }
    // SAFETY: the block was just taken, and given back once.
    unsafe { memory().unwrap().heap().free(again) };
}

#[test]
fn values_and_panics_cross() {
    assert_eq!(on_secret_stack(32 << 10, || 6 * 7).unwrap(), 42);
    let caught = std::panic::catch_unwind(|| on_secret_stack(32 << 10, || panic!("inside")));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"inside"));
    let within = on_secret_stack(64 << 10, || std::panic::catch_unwind(|| panic!("caught inside")).is_err());
    assert!(within.unwrap());
}

#[test]
fn stacks_nest_and_move_between_threads() {
    let mut outer = SecretStack::new(64 << 10).unwrap();
    let inside = || {
        let local = 0u8;
        in_secret_memory(black_box(&local))
    };
    let thread = std::thread::spawn(move || outer.run(|| on_secret_stack(32 << 10, inside).unwrap()));
    assert!(thread.join().unwrap());
}

#[test]
fn below_the_stack_is_a_guard() {
    let stack = SecretStack::new(16 << 10).unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let guard = format!("{:x}-{:x} ---", stack.limit.addr(), stack.limit.addr().get() + GUARD_BYTES);
    assert!(maps.contains(&guard), "{guard}");
}

#[test]
fn too_large_is_typed() {
    let error = on_secret_stack(1 << 40, || ()).unwrap_err();
    assert!(matches!(error, SecretMemoryError::Exhausted { .. }));
}

/// What workers and the keeper do while they live on such a stack.
#[test]
fn system_calls_work_on_it() {
    on_secret_stack(128 << 10, || {
        let (ours, theirs) = rustix::pipe::pipe().unwrap();
        let mut read = [0u8; 5];
        assert_eq!(rustix::io::write(&theirs, b"bytes".map(black_box).as_slice()), Ok(5));

        let set = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        epoll::add(&set, &ours, epoll::EventData::new_u64(7), epoll::EventFlags::IN).unwrap();
        let mut events =
            [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }];
        let timeout = Timespec { tv_sec: 5, tv_nsec: 0 };
        assert_eq!(epoll::wait(&set, events.as_mut_slice(), Some(&timeout)), Ok(1));
        assert_eq!({ events[0].data }.u64(), 7);

        assert_eq!(rustix::io::read(&ours, &mut read), Ok(5));
        assert_eq!(&read, b"bytes");
        assert!(in_secret_memory(&read) && in_secret_memory(&events));
        futexes_work();
    })
    .unwrap();
}

fn futexes_work() {
    let turn = Mutex::new(false);
    let changed = Condvar::new();
    assert!(in_secret_memory(&turn));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            *turn.lock().unwrap() = true;
            changed.notify_one();
        });
        let mut mine = turn.lock().unwrap();
        while !*mine {
            mine = changed.wait(mine).unwrap();
        }
    });
}

#[cfg(target_arch = "x86_64")]
#[test]
fn vector_registers_are_wiped() {
    if !std::arch::is_x86_feature_detected!("avx512f") {
        return;
    }
    // SAFETY: the processor has AVX-512F.
    let left = unsafe { after_wipe() };
    assert_eq!(left, [0; 2]);
}

/// Puts a pattern into a low and a high vector register, wipes, and says what is left in them.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn after_wipe() -> [u64; 2] {
    let wipe: extern "C" fn() = {
        extern "C" fn wipe() {
            registers::wipe();
        }
        wipe
    };
    let (low, high): (u64, u64);
    // SAFETY: the call follows the C calling convention, whose clobbers are declared; the red zone is stepped over.
    unsafe {
        std::arch::asm!(
            "vpbroadcastq zmm5, r12",
            "vpbroadcastq zmm20, r12",
            "mov r13, rsp",
            "sub rsp, 256",
            "and rsp, -16",
            "call {wipe}",
            "mov rsp, r13",
            "vmovq r12, xmm5",
            "vmovq r13, xmm20",
            wipe = in(reg) wipe,
            // Callee-saved, so that the call leaves them alone.
            inout("r12") u64::MAX => low,
            out("r13") high,
            clobber_abi("C"),
        );
    }
    [low, high]
}
