use super::*;
use crate::os::own_process;

#[test]
fn bytes_live_in_the_arena_and_are_erased() {
    let mut secret = SecretBytes::copy_from(b"a secret of some length").unwrap();
    let start = secret.as_ptr();
    assert!(memory().unwrap().heap.contains(start));
    assert_eq!(format!("{secret:?}"), "SecretBytes(23 bytes)");
    secret.truncate(8);
    assert_eq!(&*secret, b"a secret");
    // SAFETY: `truncate` gave these bytes up, but the block is still ours.
    assert_eq!(unsafe { slice::from_raw_parts(start.wrapping_add(8), 15) }, [0; 15]);
    assert_eq!(secret.try_clone().unwrap(), secret);
    assert_ne!(secret, SecretBytes::zeroed(8).unwrap());
}

#[test]
fn empty_is_fine() {
    let mut empty = SecretBytes::zeroed(0).unwrap();
    empty.truncate(3);
    assert!(empty.is_empty());
}

#[test]
fn exhaustion_is_typed_and_names_the_remedy() {
    let bytes = report().unwrap().bytes;
    let error = SecretBytes::zeroed(bytes + 1).unwrap_err();
    assert_eq!(error, SecretMemoryError::Exhausted { requested: bytes + 1, bytes });
    assert!(error.to_string().contains("secret_memory_mib"));
    assert!(SecretMemoryError::memlock(1 << 20).to_string().contains("LimitMEMLOCK="));
}

#[test]
fn guards_surround_the_arena() {
    let memory = memory().unwrap();
    let (start, bytes) = (memory.arena.start().as_ptr().addr(), memory.arena.bytes());
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let access = |address: usize| {
        maps.lines().find_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (from, to) = range.split_once('-')?;
            let range = usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?;
            range.contains(&address).then(|| rest[..4].to_owned())
        })
    };
    assert!(access(start).unwrap().starts_with("rw"));
    assert!(access(start + bytes - 1).unwrap().starts_with("rw"));
    assert!(access(start - 1).unwrap().starts_with("---"));
    assert!(access(start + bytes).unwrap().starts_with("---"));
}

#[test]
fn the_first_size_stays_and_requirements_are_checked() {
    own_process::run("os::secret::tests::the_first_size_stays_and_requirements_are_checked", || {
        let first = init(SecretOptions { bytes: Some(5 << 20), require: Some(Protection::Mlock) }).unwrap();
        assert_eq!(first.bytes, 5 << 20);
        assert!(first.used_bytes > 0, "aws-lc's generator is in it already");
        let second = init(SecretOptions { bytes: Some(1 << 20), require: None }).unwrap();
        assert_eq!(second.bytes, 5 << 20);
        let best = init(SecretOptions { bytes: None, require: Some(Protection::MemfdSecret) });
        match first.protection {
            Protection::MemfdSecret => assert_eq!(best.unwrap().bytes, 5 << 20),
            reached @ Protection::Mlock => {
                assert_eq!(
                    best,
                    Err(SecretMemoryError::Protection { required: Protection::MemfdSecret, reached })
                );
            }
        }
    });
}

#[test]
fn too_much_is_refused_and_less_may_follow() {
    own_process::run("os::secret::tests::too_much_is_refused_and_less_may_follow", || {
        let needed = 1 << 46;
        let error = init(SecretOptions { bytes: Some(needed), require: None }).unwrap_err();
        assert!(
            matches!(error, SecretMemoryError::TooLarge { needed: asked, .. } if asked == needed),
            "{error}"
        );
        assert!(error.to_string().contains("secret_memory_mib"));
        init(SecretOptions::default()).unwrap();
    });
}

#[test]
fn aws_lc_in_use_before_is_an_error() {
    own_process::run("os::secret::tests::aws_lc_in_use_before_is_an_error", || {
        aws_lc_rs::rand::fill(&mut [0; 16]).unwrap();
        assert_eq!(init(SecretOptions::default()), Err(SecretMemoryError::AllocatorTooLate));
    });
}

#[test]
fn the_default_fits_the_limit() {
    own_process::run("os::secret::tests::the_default_fits_the_limit", || {
        let bytes = report().unwrap().bytes;
        assert!((BYTES_LEAST..=BYTES_WANTED).contains(&bytes));
        assert!(bytes <= memlock_limit().max(BYTES_LEAST));
    });
}
