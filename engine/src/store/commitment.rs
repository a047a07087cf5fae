//! One value that stands for all rows, and follows each change in constant time.
//!
//! Every row has a fingerprint, HMAC-SHA-256 under a key of the store's; the sum of all fingerprints modulo 2^256 is
//! independent of their order (MSet-Add-Hash of Clarke et al., ASIACRYPT 2003). Nobody outside sees fingerprints or
//! sums: what is stored and published is another HMAC, over epoch, number of rows and sum. ADR 0003 says why.

use aws_lc_rs::hmac;

use super::row::RowId;

/// Octets of the key of fingerprints.
pub(super) const KEY_BYTES: usize = 32;

/// Stands for one version of one row.
pub(super) type Fingerprint = [u8; 32];

/// Makes fingerprints. Holds the key itself: to be kept on a secret stack only.
pub(super) struct Fingerprinter(hmac::Key);

impl Fingerprinter {
    pub(super) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The fingerprint of a row as it is stored.
    pub(super) fn of_row(&self, id: RowId, value: &[u8]) -> Fingerprint {
        self.hmac(&[b"row", &id.to_bytes(), value])
    }

    /// What the store commits to in an epoch.
    pub(super) fn commitment(&self, epoch: u64, sum: &Sum) -> [u8; 32] {
        let limbs = sum.limbs.map(u64::to_be_bytes);
        self.hmac(&[b"all", &epoch.to_be_bytes(), &sum.rows.to_be_bytes(), limbs.as_flattened()])
    }

    /// Every part but the last has a fixed length.
    fn hmac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        parts.iter().for_each(|part| context.update(part));
        let mut mac = [0; 32];
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }
}

/// Sum of the fingerprints of a set of rows modulo 2^256, and how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub rows: u64,
    /// The least significant first.
    limbs: [u64; 4],
}

impl Sum {
    pub(super) fn add(&mut self, fingerprint: &Fingerprint) {
        self.rows = self.rows.wrapping_add(1);
        let mut carry = false;
        for (limb, other) in self.limbs.iter_mut().zip(limbs(fingerprint)) {
            (*limb, carry) = limb.carrying_add(other, carry);
        }
    }

    pub(super) fn remove(&mut self, fingerprint: &Fingerprint) {
        self.rows = self.rows.wrapping_sub(1);
        let mut borrow = false;
        for (limb, other) in self.limbs.iter_mut().zip(limbs(fingerprint)) {
            (*limb, borrow) = limb.borrowing_sub(other, borrow);
        }
    }
}

fn limbs(fingerprint: &Fingerprint) -> [u64; 4] {
    let mut limbs = [0; 4];
    for (limb, octets) in limbs.iter_mut().zip(fingerprint.as_chunks().0) {
        *limb = u64::from_le_bytes(*octets);
    }
    limbs
}

#[cfg(test)]
mod tests {
    use keylane_api::control::{KeyId, SlotId};
    use proptest::prelude::*;

    use super::{Fingerprint, Fingerprinter, Sum};
    use crate::store::row::RowId;

    fn sum(fingerprints: &[Fingerprint]) -> Sum {
        let mut sum = Sum::default();
        fingerprints.iter().for_each(|fingerprint| sum.add(fingerprint));
        sum
    }

    proptest! {
        #[test]
        fn a_sum_has_no_order_and_gives_back_what_it_took(mut rows: Vec<Fingerprint>, extra: Fingerprint) {
            let before = sum(&rows);
            rows.reverse();
            prop_assert_eq!(sum(&rows), before);
            let mut after = before;
            after.add(&extra);
            prop_assert_ne!(after, before);
            after.remove(&extra);
            prop_assert_eq!(after, before);
        }
    }

    #[test]
    fn carries_go_all_the_way() {
        let mut one = [0; 32];
        one[0] = 1;
        let mut wrapped = sum(&[[0xff; 32], one]);
        wrapped.rows = 0;
        assert_eq!(wrapped, Sum::default());
    }

    #[test]
    fn whatever_is_committed_to_matters() {
        let id = |key| RowId::key(SlotId(1), KeyId(key));
        let [maker, other] = [[1; 32], [2; 32]].map(|key| Fingerprinter::new(&key));
        let row = maker.of_row(id(1), b"value");
        for different in
            [maker.of_row(id(2), b"value"), maker.of_row(id(1), b"valuf"), other.of_row(id(1), b"value")]
        {
            assert_ne!(row, different);
        }
        let whole = maker.commitment(5, &sum(&[row]));
        for different in [
            maker.commitment(6, &sum(&[row])),
            maker.commitment(5, &sum(&[row, [0; 32]])),
            maker.commitment(5, &sum(&[[3; 32]])),
            other.commitment(5, &sum(&[row])),
        ] {
            assert_ne!(whole, different);
        }
    }
}
