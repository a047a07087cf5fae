//! Where tests spoil a computation; elsewhere nothing is left of it.

use super::comb::Window;
use crate::lanes::Block;

/// A place where values pass in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// The digest that gives the nonce.
    NonceDigest,
    /// The nonce.
    Nonce,
    /// The digits that a comb still has to read.
    CombBits,
    /// The sum of a comb.
    CombPoint,
    /// Entries of the table, for the whole batch.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests read the table through the hook"))]
    Table,
    /// A product of Zs, on the way to their inverse.
    Product,
    /// x and y of R.
    Coordinates,
    /// R as octets, before it is hashed.
    Encoded,
    /// The digest of R, A and the message.
    HashDigest,
    /// It modulo ℓ.
    Hash,
    /// The secret scalar in its lane.
    Secret,
    /// The second half of the signature.
    Answer,
}

#[cfg(not(test))]
#[inline(always)]
pub(crate) fn strike(_: Site, _: &mut [Block]) {}

#[cfg(not(test))]
#[inline(always)]
pub(crate) fn strike_table(_: usize, _: &Window) -> Option<Box<Window>> {
    None
}

#[cfg(test)]
pub(crate) use planned::{Plan, plan, strike, strike_table};

#[cfg(test)]
mod planned {
    use std::cell::Cell;

    use super::{Block, Site, Window};

    /// What shall happen once.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Plan {
        pub(crate) site: Site,
        /// How many times the site is passed before; for the table, the window.
        pub(crate) visit: usize,
        pub(crate) word: usize,
        /// Bits that are flipped.
        pub(crate) flip: u64,
    }

    thread_local! {
        static PLAN: Cell<Option<Plan>> = const { Cell::new(None) };
    }

    /// Plans a fault on this thread; gives the plan that is left over, if it has not happened.
    pub(crate) fn plan(plan: Option<Plan>) -> Option<Plan> {
        PLAN.replace(plan)
    }

    pub(crate) fn strike(site: Site, blocks: &mut [Block]) {
        let Some(plan) = PLAN.get().filter(|plan| plan.site == site) else { return };
        PLAN.set(plan.visit.checked_sub(1).map(|visit| Plan { visit, ..plan }));
        if plan.visit == 0 {
            blocks[plan.word / 8 % blocks.len()].0[plan.word % 8] ^= plan.flip;
        }
    }

    /// A window with a spoilt word, for the rest of this plan: memory that is wrong stays wrong.
    pub(crate) fn strike_table(number: usize, window: &Window) -> Option<Box<Window>> {
        let plan = PLAN.get().filter(|plan| plan.site == Site::Table && plan.visit == number)?;
        let mut window = Box::new(window.clone());
        let blocks = window.0.as_flattened_mut().as_flattened_mut();
        blocks[plan.word / 8 % blocks.len()].0[plan.word % 8] ^= plan.flip;
        Some(window)
    }
}
