//! The compression function, FIPS 180-4 §6.4.2.

use super::{BLOCK_WORDS, DIGEST_WORDS, constants::ROUND};
use crate::lanes::{Block, Lanes, Mask, load_all};

/// Words t−16 … t−1 of the schedule, of which word t takes the oldest one's place.
type Schedule<L> = [L; BLOCK_WORDS];

#[inline(always)]
fn small_sigma0<L: Lanes>(x: L) -> L {
    x.ror::<1>().xor3(x.ror::<8>(), x.shr::<7>())
}

#[inline(always)]
fn small_sigma1<L: Lanes>(x: L) -> L {
    x.ror::<19>().xor3(x.ror::<61>(), x.shr::<6>())
}

#[inline(always)]
fn big_sigma0<L: Lanes>(x: L) -> L {
    x.ror::<28>().xor3(x.ror::<34>(), x.ror::<39>())
}

#[inline(always)]
fn big_sigma1<L: Lanes>(x: L) -> L {
    x.ror::<14>().xor3(x.ror::<18>(), x.ror::<41>())
}

/// One round on the state a … h, which turns by one place.
#[inline(always)]
fn round<L: Lanes>([a, b, c, d, e, f, g, h]: [L; 8], word: L) -> [L; 8] {
    let first = h.add(word).add(big_sigma1(e)).add(e.choose(f, g));
    let second = big_sigma0(a).add(a.majority(b, c));
    [first.add(second), a, b, c, d.add(first), e, f, g]
}

#[inline(always)]
fn extend<L: Lanes>(schedule: &mut Schedule<L>) {
    for t in 0..BLOCK_WORDS {
        let sum = schedule[t]
            .add(small_sigma0(schedule[(t + 1) % 16]))
            .add(schedule[(t + 9) % 16])
            .add(small_sigma1(schedule[(t + 14) % 16]));
        schedule[t] = sum;
    }
}

/// Hashes one more block of message into the states of the lanes in `live`; the others stay.
pub(super) fn compress<L: Lanes>(
    block: &[Block; BLOCK_WORDS],
    live: Mask,
    states: &mut [Block; DIGEST_WORDS],
) {
    L::run(
        #[inline(always)]
        || {
            let before: [L; DIGEST_WORDS] = load_all(states);
            let mut schedule: Schedule<L> = load_all(block);
            let mut state = before;
            for (number, keys) in ROUND.as_chunks::<BLOCK_WORDS>().0.iter().enumerate() {
                if number > 0 {
                    extend(&mut schedule);
                }
                for (word, &key) in schedule.iter().zip(keys) {
                    state = round(state, word.add(L::splat(key)));
                }
            }
            for (to, (old, new)) in states.iter_mut().zip(before.into_iter().zip(state)) {
                L::select(live, old.add(new), old).store(to);
            }
        },
    );
}
