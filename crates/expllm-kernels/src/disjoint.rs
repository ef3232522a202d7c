//! A slice that several threads write, each a part of its own.
#![allow(unsafe_code)] // Threads write disjoint parts of one slice.

use std::marker::PhantomData;

/// A slice whose parts are handed out by place.
pub(crate) struct SharedMut<'a, T> {
    start: *mut T,
    length: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: handing out parts is the business of callers in this crate, who give each thread ranges
// that no other thread asks for.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<'a, T> SharedMut<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            length: slice.len(),
            life: PhantomData,
        }
    }

    /// A part.
    ///
    /// # Safety
    ///
    /// No two parts that are alive at one time may overlap.
    #[allow(clippy::mut_from_ref)] // The parts are disjoint.
    pub(crate) unsafe fn range(&self, start: usize, length: usize) -> &'a mut [T] {
        assert!(
            start
                .checked_add(length)
                .is_some_and(|end| end <= self.length),
            "a part beyond its slice"
        );
        // SAFETY: within the slice by the assertion, which `life` keeps borrowed; callers keep
        // parts apart.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), length) }
    }

    /// The address of a place; reading and writing there is the caller's business.
    pub(crate) fn pointer(&self, place: usize) -> *mut T {
        assert!(place < self.length, "a place beyond its slice");
        self.start.wrapping_add(place)
    }
}
