//! Where what lies in a sequence's memory.

use std::ops::Range;
use zerocopy::{Immutable, IntoBytes};

/// What a sequence's memory, and each part in it, is aligned to, in bytes.
pub(super) const ALIGNMENT: usize = 256;

/// The memory as it is laid out, each part aligned to [`ALIGNMENT`].
#[derive(Debug, Default)]
pub(super) struct Layout {
    fixed: Vec<u8>,
    bytes: usize,
}

impl Layout {
    /// Lays `values` down among what is uploaded once; gives where. Only before [`Layout::end_of_fixed`].
    pub(super) fn fix<T: IntoBytes + Immutable>(&mut self, values: &[T]) -> usize {
        let place = self.reserve(size_of_val(values));
        self.fixed.resize(place.start, 0);
        self.fixed.extend_from_slice(values.as_bytes());
        place.start
    }

    /// Gives what was laid down.
    pub(super) fn end_of_fixed(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.fixed)
    }

    /// Keeps `bytes` free; gives where.
    pub(super) fn reserve(&mut self, bytes: usize) -> Range<usize> {
        let start = self.bytes.next_multiple_of(ALIGNMENT);
        self.bytes = start + bytes;
        start..self.bytes
    }

    /// All bytes so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
