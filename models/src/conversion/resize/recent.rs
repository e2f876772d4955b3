//! Keeps the latest rows of the input of the pass along the columns.

use super::Sample;
use super::block::{Group, LANES, groups};

/// Blocks of rows for which there is room besides the needed rows, so that rows are rarely moved.
const SPARE_BLOCKS: usize = 4;

/// Consecutive rows of an image. New rows replace the oldest ones.
#[derive(Debug)]
pub(super) struct RecentRows<S> {
    rows: Vec<Group<S>>,
    /// Groups per row.
    groups: usize,
    /// The rows `first..end` of the image are stored.
    first: usize,
    end: usize,
}

impl<S: Sample> RecentRows<S> {
    /// Room for rows of `width` levels. `needed` is the number of rows that are read together.
    pub(super) fn new(width: u32, needed: usize) -> Self {
        let groups = groups(width);
        let rows = vec![[S::default(); LANES]; (needed + SPARE_BLOCKS * LANES) * groups];
        Self { rows, groups, first: 0, end: 0 }
    }

    /// Removes all rows.
    pub(super) fn clear(&mut self) {
        (self.first, self.end) = (0, 0);
    }

    /// The number of the next row.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Memory for the next `count` rows, at most 16. Rows before `needed` may be overwritten.
    pub(super) fn room_for(&mut self, count: usize, needed: usize) -> &mut [Group<S>] {
        if (self.end + count - self.first) * self.groups > self.rows.len() {
            let kept = (needed - self.first) * self.groups..(self.end - self.first) * self.groups;
            self.rows.copy_within(kept, 0);
            self.first = needed;
        }
        let start = (self.end - self.first) * self.groups;
        self.end += count;
        &mut self.rows[start..][..count * self.groups]
    }

    /// The memory from row `y` on. The memory after the last row does not belong to the image.
    pub(super) fn from(&self, y: usize) -> &[Group<S>] {
        &self.rows[(y - self.first) * self.groups..]
    }
}
