//! Memory for weights and activations, aligned to cache lines.
#![allow(unsafe_code)] // Views of aligned lines as bytes and numbers.

use memmap2::MmapMut;

use crate::KernelError;

/// Bytes of a cache line, to which all memory is aligned.
pub(crate) const LINE: usize = 64;

/// From here on memory is mapped, so that the system can back it with large pages: reading
/// gigabytes through pages of 4 KiB costs a tenth of the speed.
const MAPPED: usize = 1 << 20;

#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([u8; LINE]);

enum Memory {
    Lines(Vec<Line>),
    Mapped(MmapMut),
}

/// Zeroed bytes of a fixed number.
pub(crate) struct Bytes {
    memory: Memory,
    length: usize,
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.length)
    }
}

impl Bytes {
    pub(crate) fn zeroed(length: usize) -> Result<Self, KernelError> {
        let memory = if length < MAPPED || cfg!(miri) {
            let mut lines = Vec::new();
            let count = length.div_ceil(LINE);
            lines
                .try_reserve_exact(count)
                .map_err(|_| KernelError::Memory(length))?;
            lines.resize(count, Line([0; LINE]));
            Memory::Lines(lines)
        } else {
            let map = MmapMut::map_anon(length).map_err(|_| KernelError::Memory(length))?;
            // Without large pages it works as well, only slower.
            #[cfg(target_os = "linux")]
            let _ = map.advise(memmap2::Advice::HugePage);
            Memory::Mapped(map)
        };
        Ok(Self { memory, length })
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match &self.memory {
            Memory::Mapped(map) => map,
            // SAFETY: `Line` is 64 bytes without padding, and `length` is within all lines.
            Memory::Lines(lines) => unsafe {
                std::slice::from_raw_parts(lines.as_ptr().cast(), self.length)
            },
        }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Mapped(map) => map,
            // SAFETY: as above, borrowed mutably.
            Memory::Lines(lines) => unsafe {
                std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), self.length)
            },
        }
    }
}

/// A number for which every pattern of bits is valid.
///
/// # Safety
///
/// The type must have no padding, no invalid values, and an alignment of at most 64.
pub(crate) unsafe trait Plain: Copy + Default {}

// SAFETY: floats and integers.
unsafe impl Plain for f32 {}
// SAFETY: as above.
unsafe impl Plain for i8 {}
// SAFETY: 16 bits.
unsafe impl Plain for half::bf16 {}

/// Numbers that keep their memory when they are resized, so that nothing is allocated once the
/// largest size was seen.
#[derive(Clone)]
pub(crate) struct Numbers<T> {
    lines: Vec<Line>,
    length: usize,
    kind: std::marker::PhantomData<T>,
}

impl<T> std::fmt::Debug for Numbers<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} numbers", self.length)
    }
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            length: 0,
            kind: std::marker::PhantomData,
        }
    }
}

impl<T: Plain> Numbers<T> {
    /// Sets the length; what the numbers are afterwards is not said.
    pub(crate) fn resize(&mut self, length: usize) {
        let lines = (length * size_of::<T>()).div_ceil(LINE);
        if lines > self.lines.len() {
            self.lines.resize(lines, Line([0; LINE]));
        }
        self.length = length;
    }
}

impl<T: Plain> std::ops::Deref for Numbers<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `resize` keeps `length` numbers within the lines, which are initialised and
        // aligned; every pattern of bits is a number.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.length) }
    }
}

impl<T: Plain> std::ops::DerefMut for Numbers<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_zeroed_and_kept() {
        for length in [0, 1, 63, 64, 65, 4097, MAPPED + 3] {
            let mut bytes = Bytes::zeroed(length).unwrap();
            assert!(bytes.as_slice().iter().all(|&byte| byte == 0));
            assert_eq!(bytes.as_slice().len(), length);
            assert!(length == 0 || bytes.as_slice().as_ptr().addr().is_multiple_of(LINE));
            bytes.as_mut_slice().fill(7);
            assert!(bytes.as_slice().iter().all(|&byte| byte == 7));
        }
        let mut numbers = Numbers::<f32>::default();
        numbers.resize(100);
        numbers.fill(1.0);
        let place = numbers.as_ptr();
        numbers.resize(3);
        assert_eq!(*numbers, [1.0; 3]);
        numbers.resize(100);
        assert_eq!(numbers.as_ptr(), place);
        assert_eq!(place.addr() % LINE, 0);
    }
}
