//! The instruction set that the network runs with, chosen at run time.

use pulp::Simd;

/// An instruction set that this processor has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Isa {
    /// 512 bits on x86-64.
    #[cfg(target_arch = "x86_64")]
    Wide(pulp::x86::V4),
    /// 256 bits on x86-64, with FMA.
    #[cfg(target_arch = "x86_64")]
    Medium(pulp::x86::V3),
    /// 128 bits on ARM.
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
    /// Plain loops of four numbers, which compilers turn into vectors where they can.
    Plain(pulp::Scalar128b),
}

/// Work that is compiled for each instruction set.
pub(crate) trait Work {
    /// What it gives.
    type Output;

    /// The work with one instruction set.
    fn with<S: Simd>(self, simd: S) -> Self::Output;
}

impl Isa {
    /// Every set that this processor has, the widest first.
    pub(crate) fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            found.extend(pulp::x86::V4::try_new().map(Self::Wide));
            found.extend(pulp::x86::V3::try_new().map(Self::Medium));
        }
        #[cfg(target_arch = "aarch64")]
        found.extend(pulp::aarch64::Neon::try_new().map(Self::Neon));
        found.push(Self::Plain(pulp::Scalar128b));
        found
    }

    /// Does the work with this set.
    pub(crate) fn run<W: Work>(self, work: W) -> W::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Wide(simd) => work.with(simd),
            #[cfg(target_arch = "x86_64")]
            Self::Medium(simd) => work.with(simd),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => work.with(simd),
            Self::Plain(simd) => work.with(simd),
        }
    }

    /// Numbers per vector.
    pub(crate) fn lanes(self) -> usize {
        struct Lanes;
        impl Work for Lanes {
            type Output = usize;
            fn with<S: Simd>(self, _: S) -> usize {
                S::F32_LANES
            }
        }
        self.run(Lanes)
    }
}

/// `a * b + c`, in one step where the processor has one.
#[inline(always)]
pub(crate) fn multiply_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    // Plain loops would call a function of the C library for each number.
    if cfg!(target_arch = "aarch64") || S::F32_LANES > 4 {
        simd.mul_add_e_f32s(a, b, c)
    } else {
        simd.add_f32s(simd.mul_f32s(a, b), c)
    }
}
