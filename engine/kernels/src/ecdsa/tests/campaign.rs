//! The fault campaign: every limb of everything that signing and its check keep in memory, at every step, every entry of
//! the tables, every word of a key and of what goes in and comes out, is spoilt in turn. What leaves must be right.

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use num_bigint::BigUint;

use super::oracle::{Oracle, octets};
use super::{tiers, wide};
use crate::ecdsa::comb::Window;
use crate::ecdsa::curve::{Curve, P256, P384};
use crate::ecdsa::faults::SPOILS;
use crate::ecdsa::key::Key;
use crate::ecdsa::modulus::{P256Field, P256Order, P384Field, P384Order};
use crate::ecdsa::work::{Operation, Scratch};
use crate::ecdsa::{api, public};
use crate::lanes::{Block, DIGIT_MASK};
use crate::{Fault, Kernels, RandomFailed, Tier};

/// A job of any curve.
#[derive(Clone)]
struct Task<const N: usize> {
    key: Key<N>,
    digest: Vec<u8>,
}

impl<const N: usize> Operation<N> for Task<N> {
    fn key(&self) -> &Key<N> {
        &self.key
    }

    fn digest(&self) -> &[u8] {
        &self.digest
    }
}

/// A batch, and the signatures that it must give.
struct Batch<const N: usize, const LEN: usize> {
    tasks: Vec<Task<N>>,
    nonces: Vec<[u8; 64]>,
    expected: Vec<[u8; LEN]>,
}

impl<const N: usize, const LEN: usize> Batch<N, LEN> {
    fn new<C: Curve<N>>(oracle: &Oracle, count: usize) -> Self {
        let random = |label, i| BigUint::from_bytes_be(&octets(label, i, 64)) % &oracle.n;
        let numbers: Vec<_> = (0..count).map(|i| random("campaign key", i)).collect();
        let nonces: Vec<_> = (0..count).map(|i| random("campaign nonce", i)).collect();
        let digests: Vec<_> = (0..count).map(|i| octets("campaign digest", i, C::OCTETS)).collect();
        let expected =
            (0..count).map(|i| oracle.sign(&numbers[i], &digests[i], &nonces[i]).try_into().unwrap());
        Self {
            expected: expected.collect(),
            tasks: numbers
                .iter()
                .zip(digests)
                .map(|(number, digest)| Task { key: Key::new::<C>(&oracle.encode(number)).unwrap(), digest })
                .collect(),
            nonces: nonces.iter().map(wide).collect(),
        }
    }

    /// Signs, lets `between` spoil what it wants, checks, and counts the signatures that left, all of them right.
    fn run<C: Curve<N>>(
        &self,
        kernels: Kernels,
        work: &mut Scratch<N>,
        between: impl FnOnce(&mut Vec<Task<N>>, &mut [[u8; LEN]]),
    ) -> usize {
        let mut none = |_: &mut [u8]| Err(RandomFailed);
        SPOILS.set(true);
        let mut tasks = self.tasks.clone();
        let mut results: Vec<_> = tasks.iter().map(|_| Err(Fault::Wrong)).collect();
        let mut out: Vec<_> = tasks.iter().map(|_| Err(Fault::Wrong)).collect();
        api::sign::<C, _, N, LEN>(kernels, &tasks, Some(&self.nonces), &mut none, work, &mut results);
        let mut signatures: Vec<[u8; LEN]> = results
            .iter()
            .map(|result| result.as_ref().map_or([0; LEN], |unchecked| *unchecked.expose()))
            .collect();
        between(&mut tasks, &mut signatures);
        let mut results: Vec<_> =
            signatures.into_iter().map(|signature| Ok(crate::Unchecked::new(signature))).collect();
        api::check::<C, _, N, LEN>(kernels, &tasks, work, &mut results, &mut out);
        let left = out
            .iter()
            .zip(&self.expected)
            .filter_map(|(got, expected)| got.as_ref().ok().map(|got| (got, expected)));
        left.map(|(got, expected)| assert_eq!(got.get(), expected, "a wrong signature left")).count()
    }
}

fn fastest() -> Kernels {
    tiers().last().unwrap()
}

/// How a fault changes a word.
const PATTERNS: [fn(u64, u32) -> u64; 3] =
    [|word, bit| word ^ 1 << bit, |_, _| 0, |word, _| word ^ DIGIT_MASK];

/// The number of places (calls and blocks) where a run may be spoilt.
fn places<C: Curve<N>, const N: usize, const LEN: usize>(
    batch: &Batch<N, LEN>,
    kernels: Kernels,
) -> Vec<(usize, usize)> {
    let places = Rc::new(RefCell::new(Vec::new()));
    let mut work = Box::new(Scratch::new());
    let (seen, mut call) = (Rc::clone(&places), 0);
    work.faults.0 = Some(Box::new(move |_, _, memory| {
        seen.borrow_mut().extend((0..memory.len()).map(|block| (call, block)));
        call += 1;
    }));
    assert_eq!(
        batch.run::<C>(kernels, &mut work, |_, _| ()),
        batch.tasks.len(),
        "nothing happens without a fault"
    );
    work.faults.0 = None;
    places.take()
}

fn spoil_memory<C: Curve<N>, const N: usize, const LEN: usize>(
    oracle: &Oracle,
    kernels: Kernels,
    fill: usize,
    stride: usize,
) {
    let batch = Batch::<N, LEN>::new::<C>(oracle, fill);
    let mut work = Box::new(Scratch::new());
    let (mut runs, mut found) = (0, 0);
    for (number, (call, block)) in places::<C, N, LEN>(&batch, kernels).into_iter().enumerate() {
        if number % stride != 0 {
            continue;
        }
        for (which, pattern) in PATTERNS.into_iter().enumerate() {
            // One lane, or all of them.
            let only = (!number.is_multiple_of(3)).then_some(number % 8);
            let mut now = 0;
            work.faults.0 = Some(Box::new(move |_, _, memory| {
                if now == call {
                    for lane in (0..8).filter(|lane| only.is_none_or(|only| only == *lane)) {
                        let bit = (number * 7 + lane * 5 + which) % 52;
                        memory[block].0[lane] = pattern(memory[block].0[lane], bit as u32);
                    }
                }
                now += 1;
            }));
            runs += 1;
            found += usize::from(batch.run::<C>(kernels, &mut work, |_, _| ()) < fill);
        }
    }
    work.faults.0 = None;
    // The others hit memory that this batch does not use, or a word that was so already.
    assert!(3 * found > runs, "{found} of {runs} were found");
}

#[test]
fn spoilt_memory_is_found() {
    spoil_memory::<P256, 5, 64>(&Oracle::p256(), fastest(), 8, 1);
    spoil_memory::<P256, 5, 64>(&Oracle::p256(), fastest(), 16, 3);
    spoil_memory::<P384, 8, 96>(&Oracle::p384(), fastest(), 8, 3);
    spoil_memory::<P384, 8, 96>(&Oracle::p384(), fastest(), 16, 17);
    let portable = Kernels::with_tier(Tier::Portable).unwrap();
    spoil_memory::<P256, 5, 64>(&Oracle::p256(), portable, 8, 41);
    spoil_memory::<P384, 8, 96>(&Oracle::p384(), portable, 8, 211);
}

/// A step is lost: what it wrote is as it was before. Or it is done twice, which is to lose one step less.
fn lose_steps<C: Curve<N>, const N: usize, const LEN: usize>(oracle: &Oracle) {
    let (kernels, fill) = (fastest(), 16);
    let batch = Batch::<N, LEN>::new::<C>(oracle, fill);
    for step in 1..C::comb().len() {
        let mut work = Box::new(Scratch::new());
        let mut kept: Vec<Vec<Block>> = Vec::new();
        let (mut now, mut slice) = (0, 0);
        work.faults.0 = Some(Box::new(move |name, number, memory| {
            if name != "sum" || number != 0 {
                return;
            }
            // k and the recoded scalar, five pieces of the sum, and then what a step does not write.
            if now == step - 1 {
                kept.push(memory.to_vec());
            } else if now == step && (2..7).contains(&slice) {
                memory.copy_from_slice(&kept[slice]);
            }
            slice += 1;
            if slice == PIECES {
                (slice, now) = (0, now + 1);
            }
        }));
        assert_eq!(
            batch.run::<C>(kernels, &mut work, |_, _| ()),
            8,
            "step {step} of the first vector was lost"
        );
    }
}

/// Pieces of memory that [`touch`](crate::ecdsa::sign) shows at every visit.
const PIECES: usize = 14;

#[test]
fn lost_steps_are_found() {
    lose_steps::<P256, 5, 64>(&Oracle::p256());
    lose_steps::<P384, 8, 96>(&Oracle::p384());
}

#[test]
fn spoilt_keys_digests_and_results_are_found() {
    spoil_inputs::<P256, 5, 64>(&Oracle::p256());
    spoil_inputs::<P384, 8, 96>(&Oracle::p384());
}

fn spoil_inputs<C: Curve<N>, const N: usize, const LEN: usize>(oracle: &Oracle) {
    let kernels = fastest();
    let batch = Batch::<N, LEN>::new::<C>(oracle, 9);
    let mut work = Box::new(Scratch::new());
    for bit in 0..52 * N {
        for copy in 0..2 {
            // Before signing and ever since, and only after it.
            let spoil = |task: &mut Task<N>| {
                let number = if copy == 0 { &mut task.key.scalar } else { &mut task.key.opposite };
                number[bit / 52] ^= 1 << (bit % 52);
            };
            let mut tasks = batch.tasks.clone();
            spoil(&mut tasks[bit % 9]);
            let spoilt = Batch { tasks, nonces: batch.nonces.clone(), expected: batch.expected.clone() };
            assert_eq!(spoilt.run::<C>(kernels, &mut work, |_, _| ()), 8, "bit {bit} of copy {copy}");
            let after = batch.run::<C>(kernels, &mut work, |tasks, _| spoil(&mut tasks[bit % 9]));
            assert_eq!(after, 9 - copy, "the first copy is not read any more, the second is");
        }
    }
    for bit in 0..8 * LEN {
        let left = batch
            .run::<C>(kernels, &mut work, |_, signatures| signatures[bit % 9][bit / 8] ^= 1 << (bit % 8));
        assert_eq!(left, 8, "bit {bit} of a signature");
        if bit < 4 * LEN {
            let left = batch
                .run::<C>(kernels, &mut work, |tasks, _| tasks[bit % 9].digest[bit / 8] ^= 1 << (bit % 8));
            assert_eq!(left, 8, "bit {bit} of a digest");
        }
    }
    // A signature is that of its job, not of another; s + n and n − s are none.
    assert_eq!(batch.run::<C>(kernels, &mut work, |_, signatures| signatures.swap(0, 1)), 7);
    let opposite = |signatures: &mut [[u8; LEN]]| {
        let s = &oracle.n - BigUint::from_bytes_be(&signatures[0][LEN / 2..]);
        signatures[0][LEN / 2..].copy_from_slice(&oracle.encode(&s));
    };
    assert_eq!(batch.run::<C>(kernels, &mut work, |_, signatures| opposite(signatures)), 8);
    assert_eq!(batch.run::<C>(kernels, &mut work, |_, signatures| signatures[0] = [0; LEN]), 8);
    // A check without its signing finds nothing to stand on.
    assert_eq!(
        batch.run::<C>(kernels, &mut work, |tasks, _| tasks.iter_mut().for_each(|task| task.digest.fill(0))),
        0
    );
}

type Comb<const N: usize> = Vec<Window<N>>;

macro_rules! spoilt_curve {
    ($name:ident, $table:ident, $of:ident, $field:ident, $order:ident, $digits:literal) => {
        /// The curve with a comb that a test has spoilt.
        struct $name;

        thread_local! {
            static $table: Cell<&'static [Window<$digits>]> = Cell::new($of::comb());
        }

        impl $name {
            fn with(spoil: impl FnOnce(&mut Comb<$digits>)) {
                let copy = |window: &Window<$digits>| Window { x: window.x, y: window.y, tag: window.tag };
                let mut comb: Comb<$digits> = $of::comb().iter().map(copy).collect();
                spoil(&mut comb);
                $table.set(comb.leak());
            }
        }

        impl Curve<$digits> for $name {
            type Field = $field;
            type Order = $order;
            const B: [u64; $digits] = $of::B;
            const THREE: [u64; $digits] = $of::THREE;
            const OCTETS: usize = $of::OCTETS;
            const HALF: usize = $of::HALF;
            const EXCEPTIONS: [[u64; $digits]; 2] = $of::EXCEPTIONS;

            fn comb() -> &'static [Window<$digits>] {
                $table.get()
            }
        }
    };
}

spoilt_curve!(Spoilt256, TABLE_256, P256, P256Field, P256Order, 5);
spoilt_curve!(Spoilt384, TABLE_384, P384, P384Field, P384Order, 8);

/// 64 odd nonces that between them select every entry of every window below the top, half of them with a minus.
fn nonces_for_every_entry(oracle: &Oracle, windows: usize) -> Vec<BigUint> {
    let below_top = oracle.n.bits() - 2;
    (0..64u32)
        .map(|lane| {
            let recoded = (0..windows).fold(BigUint::ZERO, |sum, j| {
                let entry = (lane + 5 * j as u32) % 64;
                let digit = if (lane + j as u32).is_multiple_of(2) { 64 + entry } else { 63 - entry };
                sum + (BigUint::from(digit) << (7 * j))
            });
            let mask = (BigUint::from(1u32) << below_top) - 1u32;
            ((recoded & mask) << 1u32) + 1u32
        })
        .collect()
}

macro_rules! spoil_tables {
    ($spoilt:ident, $curve:ident, $oracle:expr, $digits:literal, $len:literal, $stride:literal) => {{
        let oracle = $oracle;
        let mut batch = Batch::<$digits, $len>::new::<$curve>(&oracle, 64);
        let windows = $curve::comb().len();
        let nonces = nonces_for_every_entry(&oracle, windows);
        batch.nonces = nonces.iter().map(wide).collect();
        let mut work = Box::new(Scratch::new());
        // What leaves is compared with what the sound tables give, which aws-lc and the oracle have seen elsewhere.
        let mut none = |_: &mut [u8]| Err(RandomFailed);
        let mut results: Vec<_> = (0..64).map(|_| Err(Fault::Wrong)).collect();
        api::sign::<$curve, _, $digits, $len>(fastest(), &batch.tasks, Some(&batch.nonces), &mut none, &mut work, &mut results);
        batch.expected = results.iter().map(|result| *result.as_ref().unwrap().expose()).collect();
        for window in (0..windows).step_by($stride) {
            for column in 0..=2 * $digits {
                $spoilt::with(|comb| {
                    let Window { x, y, tag } = &mut comb[window];
                    let column = match column {
                        c if c < $digits => &mut x[c],
                        c if c < 2 * $digits => &mut y[c - $digits],
                        _ => tag,
                    };
                    for (entry, word) in column.iter_mut().flat_map(|block| &mut block.0).enumerate() {
                        *word ^= 1 << ((entry * 11 + window * 3) % 52);
                    }
                });
                let left = batch.run::<$spoilt>(fastest(), &mut work, |_, _| ());
                assert_eq!(left, 0, "window {window}, column {column}");
            }
            // Entries in each other's places, with their tags; and windows.
            $spoilt::with(|comb| {
                let Window { x, y, tag } = &mut comb[window];
                x.iter_mut().chain(y).chain([tag]).for_each(|column| column.reverse());
            });
            assert_eq!(batch.run::<$spoilt>(fastest(), &mut work, |_, _| ()), 0, "window {window} in disorder");
            if window + 1 == windows {
                continue;
            }
            $spoilt::with(|comb| comb.swap(window, window + 1));
            assert_eq!(batch.run::<$spoilt>(fastest(), &mut work, |_, _| ()), 0, "window {window} elsewhere");
        }
    }};
}

#[test]
fn spoilt_tables_are_found() {
    spoil_tables!(Spoilt256, P256, Oracle::p256(), 5, 64, 1);
}

/// A few windows: every copy of this table is half a megabyte that stays.
#[test]
fn spoilt_tables_of_p384_are_found() {
    spoil_tables!(Spoilt384, P384, Oracle::p384(), 8, 96, 9);
}

#[test]
fn a_spoilt_table_gives_no_public_key() {
    let oracle = Oracle::p256();
    let number = BigUint::from(7u32);
    let key = Key::new::<P256>(&oracle.encode(&number)).unwrap();
    let public: [u8; 65] = oracle.public(&number).try_into().unwrap();
    assert!(public::verify::<P256, 5>(fastest(), &key, &public).is_ok());
    SPOILS.set(true);
    Spoilt256::with(|comb| comb[9].y.iter_mut().flatten().for_each(|block| block.0 = [1; 8]));
    assert!(public::verify::<Spoilt256, 5>(fastest(), &key, &public).is_err());
}
