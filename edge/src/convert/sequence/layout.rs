//! Assigns offsets in a launch sequence's memory.

use std::ops::Range;
use zerocopy::{Immutable, IntoBytes};

/// Alignment of a sequence's memory and of each range in it, in bytes.
pub(super) const ALIGNMENT: usize = 256;

/// A layout under construction. Each range is aligned to [`ALIGNMENT`].
#[derive(Debug, Default)]
pub(super) struct Layout {
    fixed: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Layout {
    /// Adds `values` to the data that is uploaded once, and returns their offset. Must be called before
    /// [`Layout::end_of_fixed`].
    pub(super) fn fix<T: IntoBytes + Immutable>(&mut self, values: &[T]) -> usize {
        let place = self.reserve(size_of_val(values));
        self.fixed.resize(place.start, 0);
        self.fixed.extend_from_slice(values.as_bytes());
        place.start
    }

    /// Returns all data that is uploaded once. [`Layout::fix`] must not be called afterwards.
    pub(super) fn end_of_fixed(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.fixed)
    }

    /// Reserves `bytes` bytes and returns their range.
    pub(super) fn reserve(&mut self, bytes: usize) -> Range<usize> {
        let start = self.bytes().next_multiple_of(ALIGNMENT);
        self.ranges.push(start..start + bytes);
        start..start + bytes
    }

    /// The size so far, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.ranges.last().map_or(0, |range| range.end)
    }

    /// All ranges, in ascending order.
    pub(super) fn into_ranges(self) -> Vec<Range<usize>> {
        self.ranges
    }
}
