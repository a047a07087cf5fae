//! Where tests of the check damage a computation. Nothing of it is in other builds.

use crate::lanes::Block;

/// What may be damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// What the lanes were loaded with.
    Operand,
    /// A power in the table.
    Table,
    /// A digit of the exponent.
    Window,
    /// An intermediate result of the exponentiation.
    Step,
    /// A residue, or what recombines them.
    Crt,
}

/// Damages the blocks if a test has asked for it.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn strike(_: Site, _: &mut [Block]) {}

#[cfg(test)]
pub(super) use planned::{Plan, planned, strike};

#[cfg(test)]
mod planned {
    use core::cell::Cell;

    use super::{Block, Site};

    /// One bit to be flipped: at the `visit`th time that the site is passed, in this block and lane.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Plan {
        pub(in super::super) site: Site,
        pub(in super::super) visit: usize,
        pub(in super::super) block: usize,
        pub(in super::super) lane: usize,
        pub(in super::super) bit: u32,
    }

    thread_local! {
        static PLAN: Cell<Option<Plan>> = const { Cell::new(None) };
    }

    /// Runs `f` under the plan, and says whether the plan was carried out.
    pub(in super::super) fn planned<R>(plan: Plan, f: impl FnOnce() -> R) -> (R, bool) {
        PLAN.set(Some(plan));
        let result = f();
        (result, PLAN.take().is_none())
    }

    pub(in super::super) fn strike(site: Site, blocks: &mut [Block]) {
        let Some(plan) = PLAN.get().filter(|plan| plan.site == site) else { return };
        if plan.visit > 0 {
            PLAN.set(Some(Plan { visit: plan.visit - 1, ..plan }));
            return;
        }
        PLAN.set(None);
        let count = blocks.len();
        blocks[plan.block % count].0[plan.lane] ^= 1 << plan.bit;
    }
}
