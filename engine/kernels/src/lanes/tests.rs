use proptest::prelude::*;

use super::*;
use crate::tier::Kernel;
use crate::{Kernels, Tier};

/// Every operation on the same three vectors.
struct Everything([Block; 3], [Block; 8]);

impl Kernel for Everything {
    type Output = (Vec<Block>, Vec<Mask>);

    fn run<L: Lanes>(self) -> Self::Output {
        L::run(|| {
            let [a, b, c] = [L::load(&self.0[0]), L::load(&self.0[1]), L::load(&self.0[2])];
            let short: &[Block; 2] = self.1.first_chunk().unwrap();
            let vectors = [
                L::splat(self.0[0].0[0]),
                a.add(b),
                a.sub(b),
                a.and(b),
                a.or(b),
                a.xor(b),
                a.shl::<0>(),
                a.shl::<13>(),
                a.shr::<63>(),
                a.shr::<52>(),
                a.sar::<52>(),
                c.madd_lo(a, b),
                c.madd_hi(a, b),
                L::select(0b1010_0110, a, b),
                L::lookup(&[self.1[0]], a),
                L::lookup(short, a),
                L::lookup(&self.1, a),
                a.ror::<1>(),
                a.ror::<41>(),
                a.swap_octets(),
                a.xor3(b, c),
                a.choose(b, c),
                a.majority(b, c),
                a.shl_by(17),
                a.shr_by(64),
                a.shr_by(3),
                a.swap::<1>(),
                a.swap::<2>(),
                a.swap::<4>(),
            ];
            let stored = vectors.map(|vector| {
                let mut block = Block::default();
                vector.store(&mut block);
                block
            });
            (stored.to_vec(), vec![a.is_zero(), a.and(b).is_zero(), a.equals(b), a.equals(a)])
        })
    }
}

fn words() -> impl Strategy<Value = Block> {
    let word = prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(DIGIT_MASK),
        Just(DIGIT_MASK + 1),
        Just(1 << 63),
        0u64..64,
        any::<u64>(),
    ];
    proptest::array::uniform8(word).prop_map(Block)
}

proptest! {
    #[test]
    fn tiers_agree(
        vectors in proptest::array::uniform3(words()),
        table in proptest::array::uniform8(words()),
    ) {
        let portable = Kernels::with_tier(Tier::Portable).unwrap();
        let expected = portable.dispatch(Everything(vectors, table));
        for tier in Tier::ALL.into_iter().filter(|tier| tier.is_available()) {
            let kernels = Kernels::with_tier(tier).unwrap();
            prop_assert_eq!(&kernels.dispatch(Everything(vectors, table)), &expected, "{:?}", tier);
        }
    }

    #[test]
    fn portable_is_what_it_says(vectors in proptest::array::uniform3(words()), table in proptest::array::uniform8(words())) {
        let kernels = Kernels::with_tier(Tier::Portable).unwrap();
        let (got, masks) = kernels.dispatch(Everything(vectors, table));
        let flat: Vec<u64> = table.iter().flat_map(|block| block.0).collect();
        for lane in 0..8 {
            let [a, b, c] = vectors.map(|block| block.0[lane]);
            let product = u128::from(a & DIGIT_MASK) * u128::from(b & DIGIT_MASK);
            prop_assert_eq!(got[11].0[lane], c.wrapping_add((product & u128::from(DIGIT_MASK)) as u64));
            prop_assert_eq!(got[12].0[lane], c.wrapping_add((product >> 52) as u64));
            prop_assert_eq!(got[10].0[lane], (a as i64 >> 52) as u64);
            prop_assert_eq!(got[14].0[lane], flat[a as usize % 8]);
            prop_assert_eq!(got[15].0[lane], flat[a as usize % 16]);
            prop_assert_eq!(got[16].0[lane], flat[a as usize % 64]);
            prop_assert_eq!(got[18].0[lane], a.rotate_right(41));
            prop_assert_eq!(got[19].0[lane], a.swap_bytes());
            prop_assert_eq!(got[20].0[lane], a ^ b ^ c);
            prop_assert_eq!(got[21].0[lane], (a & b) | (!a & c));
            prop_assert_eq!(got[22].0[lane], (a & b) | (a & c) | (b & c));
            prop_assert_eq!(got[23].0[lane], a << 17);
            prop_assert_eq!(got[24].0[lane], 0);
            prop_assert_eq!(got[25].0[lane], a >> 3);
            for (number, distance) in [(26, 1), (27, 2), (28, 4)] {
                prop_assert_eq!(got[number].0[lane], vectors[0].0[lane ^ distance]);
            }
            prop_assert_eq!(masks[0] >> lane & 1 == 1, a == 0);
            prop_assert_eq!(masks[2] >> lane & 1 == 1, a == b);
        }
    }
}
