//! Which implementation runs on this machine.

use crate::lanes::{Lanes, Portable};

/// An implementation of every kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Plain Rust, the reference: constant time, on every machine.
    Portable,
    /// AVX-512 with IFMA, on x86-64.
    Avx512Ifma,
}

impl Tier {
    /// The fastest last.
    pub const ALL: [Self; 2] = [Self::Portable, Self::Avx512Ifma];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx512Ifma => "avx512ifma",
        }
    }

    /// Whether this processor has the instructions, and Linux saves the registers.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Avx512Ifma => crate::lanes::has_avx512(),
        }
    }
}

/// What it is, and whether a tier gives it.
type Answer = (&'static str, fn(Kernels) -> bool);

/// The known answers of every kernel, the simplest first.
const ANSWERS: &[Answer] = &[
    ("lanes", crate::lanes::proves),
    ("SHA-512", crate::sha512::proves),
    ("Ed25519", crate::ed25519::proves),
    ("X25519", crate::x25519::proves),
    ("RSA", crate::rsa::proves),
    ("ECDSA P-256", crate::p256::proves),
    ("ECDSA P-384", crate::p384::proves),
];

/// Why a tier is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The processor lacks the instructions.
    #[error("this processor has no {} kernels", .0.name())]
    Unavailable(Tier),
    /// A known answer came out wrong.
    #[error(
        "the {tier} kernels failed their self-test in {answer}: this processor or its memory computes wrongly, and no \
         key must be used on it", tier = .0.name(), answer = .1
    )]
    WrongAnswer(Tier, &'static str),
}

/// A tier that has proven itself. Every kernel takes it, so that none runs unproven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernels {
    tier: Tier,
}

impl Kernels {
    /// The fastest tier of this machine.
    pub fn select() -> Result<Self, Refused> {
        let best = Tier::ALL.into_iter().rev().find(|tier| tier.is_available());
        Self::with_tier(best.unwrap_or(Tier::Portable))
    }

    /// This tier, if the machine has it and it passes its known answers.
    pub fn with_tier(tier: Tier) -> Result<Self, Refused> {
        if !tier.is_available() {
            return Err(Refused::Unavailable(tier));
        }
        let kernels = Self { tier };
        kernels.prove()?;
        Ok(kernels)
    }

    /// Which one.
    pub fn tier(self) -> Tier {
        self.tier
    }

    /// Runs `kernel` over the lanes of this tier.
    pub(crate) fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
        match self.tier {
            Tier::Portable => kernel.run::<Portable>(),
            #[cfg(target_arch = "x86_64")]
            Tier::Avx512Ifma => kernel.run::<crate::lanes::Avx512>(),
            #[cfg(not(target_arch = "x86_64"))]
            Tier::Avx512Ifma => kernel.run::<Portable>(),
        }
    }

    /// Known answers of every kernel, in this order.
    fn prove(self) -> Result<(), Refused> {
        match ANSWERS.iter().find(|(_, holds)| !holds(self)) {
            Some((name, _)) => Err(Refused::WrongAnswer(self.tier, name)),
            None => Ok(()),
        }
    }
}

/// A computation that is written once for every tier.
pub(crate) trait Kernel {
    /// What it gives.
    type Output;

    /// Computes on these lanes.
    fn run<L: Lanes>(self) -> Self::Output;
}
