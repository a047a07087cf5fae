//! Damages everything in turn: no wrong result passes the check.

use super::super::faults::{Plan, Site, planned};
use super::super::{Blinding, Workspace, check, rsa2048, sign};
use super::*;
use crate::Fault;

/// Four operations of different keys, so that every lane is at work, and what they must give.
struct Scene {
    kernels: Kernels,
    keys: Vec<rsa2048::PrivateKey>,
    messages: [[u8; 256]; 4],
    expected: [[u8; 256]; 4],
    blindings: Vec<Blinding<4>>,
    work: Box<rsa2048::Workspace>,
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Right,
    Refused,
}

impl Scene {
    fn new() -> Self {
        let kernels = best();
        let messages = core::array::from_fn(|place| message(place as u64));
        Self {
            kernels,
            keys: keys_2048(kernels),
            messages,
            expected: core::array::from_fn(|place| KEYS_2048[place].raised(&messages[place])),
            blindings: vec![Blinding::EMPTY; 4],
            work: Box::new(Workspace::ZERO),
        }
    }

    /// Signs and checks. A result that passes must be right.
    fn run(&mut self) -> [Verdict; 4] {
        let Self { kernels, keys, messages, expected, blindings, work } = self;
        let jobs: [_; 4] = core::array::from_fn(|place| rsa2048::Job {
            key: &keys[place],
            message: &messages[place],
            blinding: place,
        });
        let mut results = [const { Err(Fault::Wrong) }; 4];
        let mut checked = [const { Err(Fault::Wrong) }; 4];
        sign(*kernels, &jobs, blindings, &mut seeded(3), work, &mut results).unwrap();
        check(*kernels, &jobs, blindings, work, &mut results, &mut checked).unwrap();
        core::array::from_fn(|place| match &checked[place] {
            Ok(result) => {
                assert_eq!(result.get(), &expected[place], "a wrong result has passed");
                Verdict::Right
            }
            Err(fault) => {
                assert_eq!(*fault, Fault::Wrong);
                Verdict::Refused
            }
        })
    }

    /// Runs with one bit flipped and says whether anything was refused; nothing but the operation of that lane may be.
    fn strike(&mut self, plan: Plan) -> bool {
        let (verdicts, was_struck) = planned(plan, || self.run());
        assert!(was_struck, "{plan:?} was never reached");
        let refused = verdicts.iter().filter(|&&verdict| verdict == Verdict::Refused).count();
        assert!(refused <= 1, "{plan:?} spoilt {refused} operations");
        refused == 1
    }

    /// Strikes a site at some of its visits, blocks, lanes and bits, and returns (refused, struck).
    fn storm(&mut self, site: Site, visits: usize, blocks: usize, bits: u32, count: usize) -> (usize, usize) {
        // The pairs are drawn outside the storm: a wrong pair is another test's.
        let mut refused = 0;
        for number in 0..count {
            if self.blindings.iter().any(Blinding::is_spent) {
                assert_eq!(self.run(), [Verdict::Right; 4]);
            }
            let plan = Plan {
                site,
                visit: number * visits / count,
                block: number * 7 % blocks,
                lane: (number * 5 + number / 8) % 8,
                bit: (number as u32 * 11) % bits,
            };
            refused += usize::from(self.strike(plan));
        }
        (refused, count)
    }
}

/// Runs are 30 times slower in plain Rust.
fn thinned(count: usize) -> usize {
    if best().tier() == Tier::Portable { count.div_ceil(40) } else { count }
}

#[test]
fn steps() {
    // 255 windows of four squarings and a multiplication.
    let (refused, struck) = Scene::new().storm(Site::Step, 1275, 20, 52, thinned(1275));
    // A step of a power of zero or one, or a lane without an operation, is harmless; those are rare here.
    assert!(refused * 100 >= struck * 99, "{refused} of {struck}");
}

#[test]
fn table_entries() {
    let mut scene = Scene::new();
    let (refused, struck) = scene.storm(Site::Table, 14, 20, 52, thinned(14 * 20));
    assert!(refused * 100 >= struck * 95, "{refused} of {struck}");
}

#[test]
fn exponent_digits() {
    let (refused, struck) = Scene::new().storm(Site::Window, 256, 1, 4, thinned(256));
    assert!(refused * 100 >= struck * 99, "{refused} of {struck}");
}

#[test]
fn operands_and_recombination() {
    let mut scene = Scene::new();
    let (refused, struck) = scene.storm(Site::Operand, 4, 20, 52, thinned(200));
    assert!(refused * 100 >= struck * 60, "{refused} of {struck}");
    let (refused, struck) = scene.storm(Site::Crt, 3, 20, 52, thinned(200));
    assert!(refused * 100 >= struck * 50, "{refused} of {struck}");
}

/// Every word of a key, damaged before use: found by the sum over the words. Damaged with a sum that fits: found by the
/// check, unless it does no harm.
#[test]
fn context_words() {
    let mut scene = Scene::new();
    assert_eq!(scene.run(), [Verdict::Right; 4]);
    let words = scene.keys[1].words_mut().count();
    let mut harmless = 0;
    for at in (0..words).step_by(words.div_ceil(thinned(words))) {
        let whole = scene.keys[1].clone();
        for is_resealed in [false, true] {
            scene.keys[1] = whole.clone();
            *scene.keys[1].words_mut().nth(at).unwrap() ^= 1 << (at * 11 % 52);
            if is_resealed {
                scene.keys[1].reseal();
            }
            let [first, struck, ..] = scene.run();
            assert_eq!(first, Verdict::Right);
            assert!(is_resealed || struck == Verdict::Refused, "word {at}");
            harmless += usize::from(struck == Verdict::Right);
        }
        scene.keys[1] = whole;
        assert_eq!(scene.run(), [Verdict::Right; 4]);
    }
    // The two sums themselves, and bits above the highest window of an exponent.
    assert!(harmless <= 6, "{harmless} of {words}");
}

/// A wrong pair spoils the result, the check finds it, and the next use draws another one.
#[test]
fn blinding_pairs() {
    let mut scene = Scene::new();
    assert_eq!(scene.run(), [Verdict::Right; 4]);
    for pair in 0..8 {
        scene.blindings[2].damage(pair);
    }
    assert_eq!(scene.run(), [Verdict::Right, Verdict::Right, Verdict::Refused, Verdict::Right]);
    assert_eq!(scene.run(), [Verdict::Right; 4]);
}
