//! Instruction sets, chosen at run time.

use std::sync::OnceLock;

use crate::KernelError;

/// An instruction set that kernels are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IsaKind {
    /// Plain Rust, for every processor.
    Portable,
    /// 128 bits on ARM.
    Neon,
    /// 256 bits on x86-64, with FMA and F16C.
    Avx2,
    /// 512 bits on x86-64 (F, BW, DQ, VL) with the dot products of 8-bit numbers (VNNI).
    Avx512,
    /// As `Avx512`, with dot products of bf16 numbers.
    Avx512Bf16,
    /// As `Avx512Bf16`, with products of whole tiles of bf16 numbers, on Linux.
    Amx,
}

impl IsaKind {
    /// All of them, the narrowest first.
    pub const ALL: [Self; 6] = [
        Self::Portable,
        Self::Neon,
        Self::Avx2,
        Self::Avx512,
        Self::Avx512Bf16,
        Self::Amx,
    ];

    #[cfg(target_arch = "x86_64")]
    fn is_there(self) -> bool {
        let wide = || {
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni")
        };
        match self {
            Self::Portable => true,
            Self::Neon => false,
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
            }
            Self::Avx512 => wide(),
            Self::Avx512Bf16 => wide() && is_x86_feature_detected!("avx512bf16"),
            Self::Amx => Self::Avx512Bf16.is_there() && crate::multiply::registers::is_there(),
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn is_there(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            _ => false,
        }
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn is_there(self) -> bool {
        self == Self::Portable
    }
}

/// An instruction set that this processor is known to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Isa(IsaKind);

impl Isa {
    /// The widest set of this processor; looked up once.
    #[must_use]
    pub fn detect() -> Self {
        static WIDEST: OnceLock<Isa> = OnceLock::new();
        *WIDEST.get_or_init(|| {
            let widest = IsaKind::ALL.into_iter().rfind(|kind| kind.is_there());
            Self(widest.unwrap_or(IsaKind::Portable))
        })
    }

    /// A set chosen by name, for tests and comparisons.
    ///
    /// # Errors
    ///
    /// [`KernelError::IsaMissing`] when this processor lacks it.
    pub fn new(kind: IsaKind) -> Result<Self, KernelError> {
        match kind.is_there() {
            true => Ok(Self(kind)),
            false => Err(KernelError::IsaMissing(kind)),
        }
    }

    /// Every set that this processor has, the narrowest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let there = IsaKind::ALL.into_iter().filter(|kind| kind.is_there());
        there.map(Self).collect()
    }

    /// Which set it is.
    #[must_use]
    pub fn kind(self) -> IsaKind {
        self.0
    }
}

impl Default for Isa {
    fn default() -> Self {
        Self::detect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_other_processors_are_refused() {
        assert!(Isa::available().contains(&Isa::detect()));
        for kind in IsaKind::ALL {
            assert_eq!(Isa::new(kind).is_ok(), kind.is_there(), "{kind:?}");
        }
        let foreign = match cfg!(target_arch = "aarch64") {
            true => IsaKind::Avx2,
            false => IsaKind::Neon,
        };
        let error = Isa::new(foreign).unwrap_err();
        assert_eq!(error, KernelError::IsaMissing(foreign));
    }
}
