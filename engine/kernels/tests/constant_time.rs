//! Constant time, by single steps: a batch runs twice with different secrets and equal public inputs, in a forked child that is
//! traced instruction by instruction. The sequences of instruction addresses and of the addresses of all memory operands must be
//! identical, and no general-purpose register may receive a value that differs, except in the functions listed below.
//!
//! What ships is traced: `cargo test --release -p keylane-kernels --test constant_time`.
//!
//! The children are forked from one process, so they share its addresses; nothing needs to be switched off.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "../src/rsa/tests/keys.rs"]
#[allow(dead_code, reason = "shared with the tests of RSA")]
mod keys;
#[path = "constant_time/step.rs"]
mod step;
#[path = "constant_time/symbols.rs"]
mod symbols;

use std::collections::BTreeMap;
use std::hint::black_box;

use aws_lc_rs::rsa::KeySize;
use keylane_kernels::rsa::{self, rsa2048};
use keylane_kernels::{Fault, Kernels, RandomFailed, Tier, ed25519, p256, p384, x25519};
use step::{Step, trace};
use symbols::Symbols;

/// Where octets and words of secrets pass through general-purpose registers, by a part of the function's symbol, and why that
/// is harmless: nothing there is computed with but sums and shifts. Vector code is in functions named `with_instructions`.
const CARRIERS: [(&str, &str); 9] = [
    ("6sha512", "octets of messages (prefix and nonce) are put into the words of their lanes"),
    (
        "ed25519",
        "scalars are put into their lanes, R and S in and out of octets; a key's words are summed up",
    ),
    ("x25519", "secrets are put into the words of their lanes, results into octets"),
    (
        "safegcd",
        "the one inversion of a batch of ECDSA, in scalar code: shifts, masks and products, no branch",
    ),
    ("5ecdsa", "scalars, digests and nonces are put into their lanes, r and s into octets; memory is erased"),
    ("p2565check", "the same, inlined"),
    ("p3845check", "the same, inlined"),
    ("8function6FnOnce9call_once", "the closures of these tests, which build jobs and look at results"),
    ("outside of this program", "memcpy moves octets; raise() reads the child's number"),
];

/// What two traces show.
#[derive(Debug, Default)]
struct Findings {
    steps: usize,
    /// The first instruction after which the two took different ways, or its memory operands differed.
    departure: Option<String>,
    /// Functions in which a register received different values, with a count.
    carriers: BTreeMap<String, usize>,
}

impl Findings {
    /// The functions that are not listed.
    fn strangers(&self) -> Vec<&String> {
        let is_listed = |name: &&String| CARRIERS.iter().any(|(part, _)| name.contains(part));
        self.carriers.keys().filter(|name| !is_listed(name)).collect()
    }
}

/// Runs `run` after `prepare(1)` and after `prepare(2)`, which put secrets into the same memory.
fn compare<T: ?Sized>(state: &mut T, mut prepare: impl FnMut(&mut T, u8), run: fn(&mut T)) -> Findings {
    let symbols = Symbols::of_this_program();
    let mut traces = [Vec::new(), Vec::new()];
    for (number, steps) in traces.iter_mut().enumerate() {
        prepare(state, u8::try_from(number).unwrap() + 1);
        *steps = trace(|| run(state));
    }
    let [one, other] = traces;
    let mut findings = Findings { steps: one.len(), ..Findings::default() };
    let mut before: Option<(&Step, &Step)> = None;
    for (at, (one, other)) in one.iter().zip(&other).enumerate() {
        if one.rip != other.rip || one.operands != other.operands {
            let last = before.map_or(0, |(one, _)| one.rip);
            findings.departure =
                Some(format!("step {at}: {} after {}", symbols.name(one.rip), symbols.name(last)));
            break;
        }
        if let Some((old_one, old_other)) = before {
            // Registers that the last instruction wrote, and differently.
            let wrote = (0..Step::REGISTERS).any(|register| {
                let (new_one, new_other) = (one.registers[register], other.registers[register]);
                let is_new =
                    new_one != old_one.registers[register] || new_other != old_other.registers[register];
                is_new && new_one != new_other
            });
            if wrote {
                *findings.carriers.entry(symbols.name(old_one.rip)).or_default() += 1;
            }
        }
        before = Some((one, other));
    }
    if findings.departure.is_none() && one.len() != other.len() {
        findings.departure = Some(format!("{} steps against {}", one.len(), other.len()));
    }
    findings
}

fn assert_constant(what: &str, findings: &Findings) {
    println!("{what}: {} steps; values that differ pass through {:#?}", findings.steps, findings.carriers);
    assert!(findings.steps > 10_000, "{what}: the kernel did not run");
    assert_eq!(findings.departure, None, "{what} depends on a secret");
    assert_eq!(findings.strangers(), Vec::<&String>::new(), "{what}: registers that hold secrets");
}

/// The tier of vectors; the portable one takes its time, and is the same source.
fn kernels() -> Option<Kernels> {
    Tier::Avx512Ifma.is_available().then(|| Kernels::with_tier(Tier::Avx512Ifma).unwrap())
}

#[expect(clippy::unnecessary_wraps, reason = "a source of randomness may fail")]
fn fixed(octets: &mut [u8]) -> Result<(), RandomFailed> {
    octets.fill(0x5a);
    Ok(())
}

struct Signing {
    kernels: Kernels,
    keys: [ed25519::Key; 3],
    work: ed25519::Workspace,
    results: [Result<keylane_kernels::Unchecked<[u8; 64]>, Fault>; 3],
    checked: [Result<keylane_kernels::Checked<[u8; 64]>, Fault>; 3],
}

#[test]
#[cfg_attr(debug_assertions, ignore = "assertions make it ten times as long, and do not ship: --release")]
fn ed25519_signs_and_checks_in_constant_time() {
    let Some(kernels) = kernels() else { return };
    let keys = |number: u8| {
        [1, 2, 3].map(|i| ed25519::Key::new(kernels, &[number * 16 + i; 32], &mut fixed).unwrap())
    };
    let mut signing = Box::new(Signing {
        kernels,
        keys: keys(0),
        work: ed25519::Workspace::default(),
        results: [const { Err(Fault::Wrong) }; 3],
        checked: [const { Err(Fault::Wrong) }; 3],
    });
    let findings = compare(
        &mut *signing,
        |signing, number| signing.keys.clone_from(&keys(number)),
        |signing| {
            let Signing { kernels, keys, work, results, checked } = signing;
            let jobs = keys.each_ref().map(|key| ed25519::Job { key, message: &[0x20; 130] });
            ed25519::sign(*kernels, &jobs, work, results);
            ed25519::check(*kernels, &jobs, &mut fixed, work, results, checked);
            // Evidence that it ran: a fault would end the child otherwise than it should.
            assert!(checked.iter().all(Result::is_ok));
        },
    );
    assert_constant("Ed25519", &findings);
}

/// Signing with nonces that are derived from the keys, and checking; a batch of three, and so one with empty lanes.
macro_rules! curve {
    ($test:ident, $curve:ident, $octets:literal) => {
        #[test]
        #[cfg_attr(
            debug_assertions,
            ignore = "assertions make it ten times as long, and do not ship: --release"
        )]
        fn $test() {
            struct Signing {
                kernels: Kernels,
                keys: [$curve::SigningKey; 3],
                work: $curve::Workspace,
                results: [Result<keylane_kernels::Unchecked<$curve::Signature>, Fault>; 3],
                checked: [Result<keylane_kernels::Checked<$curve::Signature>, Fault>; 3],
            }
            let Some(kernels) = kernels() else { return };
            let keys =
                |number: u8| [1, 2, 3].map(|i| $curve::SigningKey::new(&[number * 16 + i; $octets]).unwrap());
            let mut signing = Box::new(Signing {
                kernels,
                keys: keys(0),
                work: $curve::Workspace::new(),
                results: [const { Err(Fault::Wrong) }; 3],
                checked: [const { Err(Fault::Wrong) }; 3],
            });
            let findings = compare(
                &mut *signing,
                |signing, number| signing.keys.clone_from(&keys(number)),
                |signing| {
                    let Signing { kernels, keys, work, results, checked } = signing;
                    let jobs = keys.each_ref().map(|key| $curve::Job { key, digest: &[0x20; $octets] });
                    $curve::sign(*kernels, &jobs, &mut fixed, work, results);
                    $curve::check(*kernels, &jobs, work, results, checked);
                    assert!(checked.iter().all(Result::is_ok));
                },
            );
            assert_constant(stringify!($curve), &findings);
        }
    };
}

curve!(p256_signs_and_checks_in_constant_time, p256, 32);
curve!(p384_signs_and_checks_in_constant_time, p384, 48);

struct Rsa {
    kernels: Kernels,
    keys: [rsa2048::PrivateKey; 2],
    blindings: [rsa2048::Blinding; 2],
    work: rsa2048::Workspace,
    results: [Result<keylane_kernels::Unchecked<[u8; 256]>, Fault>; 2],
    checked: [Result<keylane_kernels::Checked<[u8; 256]>, Fault>; 2],
}

fn rsa_keys(kernels: Kernels) -> [rsa2048::PrivateKey; 2] {
    [(); 2].map(|()| {
        let numbers = keys::generate(KeySize::Rsa2048);
        let [modulus, public_exponent, _, p, q, dp, dq, q_inverse] = &numbers.integers[..] else {
            panic!("eight numbers")
        };
        let parts = rsa::PrivateParts { modulus, public_exponent, p, q, dp, dq, q_inverse };
        rsa2048::PrivateKey::new(kernels, &parts).unwrap()
    })
}

/// The moduli differ too, and choose nothing.
#[test]
#[ignore = "millions of steps take minutes: tests/run --full"]
fn rsa_signs_and_checks_in_constant_time() {
    let Some(kernels) = kernels() else { return };
    let sets = [rsa_keys(kernels), rsa_keys(kernels)];
    let mut signing = Box::new(Rsa {
        kernels,
        keys: sets[0].clone(),
        blindings: [const { rsa2048::Blinding::EMPTY }; 2],
        work: rsa2048::Workspace::ZERO,
        results: [const { Err(Fault::Wrong) }; 2],
        checked: [const { Err(Fault::Wrong) }; 2],
    });
    let findings = compare(
        &mut *signing,
        |signing, number| {
            signing.keys.clone_from(&sets[usize::from(number) - 1]);
            // Drawing is eight private operations more, by the same code.
            let Rsa { keys, blindings, work, .. } = signing;
            for (blinding, key) in blindings.iter_mut().zip(&*keys) {
                blinding.renew(kernels, key, &mut fixed, work).unwrap();
            }
        },
        |signing| {
            let Rsa { kernels, keys, blindings, work, results, checked } = signing;
            // Below every modulus.
            let message = &[0x20; 256];
            let job = |blinding: usize| rsa2048::Job { key: &keys[blinding], message, blinding };
            let jobs = [job(0), job(1)];
            rsa::sign(*kernels, &jobs, blindings, &mut fixed, work, results).unwrap();
            rsa::check(*kernels, &jobs, blindings, work, results, checked).unwrap();
            assert!(checked.iter().all(Result::is_ok));
        },
    );
    assert_constant("RSA-2048", &findings);
}

struct Agreement {
    kernels: Kernels,
    secrets: [[u8; 32]; 3],
    work: x25519::Workspace,
    results: [Result<keylane_kernels::Unchecked<[u8; 32]>, Fault>; 3],
}

fn agreement(kernels: Kernels) -> Box<Agreement> {
    let results = [const { Err(Fault::Wrong) }; 3];
    Box::new(Agreement { kernels, secrets: [[0; 32]; 3], work: x25519::Workspace::default(), results })
}

fn set_secrets(agreement: &mut Agreement, number: u8) {
    for (i, secret) in agreement.secrets.iter_mut().enumerate() {
        for (at, octet) in secret.iter_mut().enumerate() {
            *octet = u8::try_from(at * 7 + i * 3).unwrap() ^ number.wrapping_mul(0x5b);
        }
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "assertions make it ten times as long, and do not ship: --release")]
fn x25519_shares_in_constant_time() {
    let Some(kernels) = kernels() else { return };
    let findings = compare(&mut *agreement(kernels), set_secrets, |agreement| {
        let Agreement { kernels, secrets, work, results } = agreement;
        let jobs = secrets.each_ref().map(|secret| x25519::Job { secret, peer: &[9; 32] });
        x25519::shared(*kernels, &jobs, work, results);
    });
    assert_constant("X25519, shared", &findings);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "assertions make it ten times as long, and do not ship: --release")]
fn x25519_makes_public_values_in_constant_time() {
    let Some(kernels) = kernels() else { return };
    let findings = compare(&mut *agreement(kernels), set_secrets, |agreement| {
        let Agreement { kernels, secrets, work, results } = agreement;
        x25519::public(*kernels, &secrets.each_ref(), work, results);
    });
    assert_constant("X25519, public", &findings);
}

#[test]
fn a_planted_branch_is_found() {
    let findings = compare(
        &mut 0u8,
        |secret, number| *secret = number,
        |secret| {
            if black_box(*secret) == 1 {
                black_box(3);
            }
        },
    );
    assert!(findings.departure.is_some());
}

#[test]
fn a_planted_index_is_found() {
    let findings = compare(
        &mut (0u8, [0u64; 16]),
        |(secret, _), number| *secret = number,
        |(secret, table)| {
            black_box(table[usize::from(black_box(*secret) & 15)]);
        },
    );
    assert!(findings.departure.is_some());
}

#[inline(never)]
fn planted(secret: u64) -> u64 {
    black_box(secret) * 3
}

#[test]
fn a_planted_register_is_found() {
    let findings = compare(
        &mut 0u64,
        |secret, number| *secret = u64::from(number),
        |secret| {
            black_box(planted(*secret));
        },
    );
    assert_eq!(findings.departure, None);
    assert!(!findings.strangers().is_empty());
}
