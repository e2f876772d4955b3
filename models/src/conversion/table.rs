//! Tables from 16-bit to 8-bit levels.

use super::histogram::LEVELS;

/// The 8-bit level of each of the 65,536 levels.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Table(Box<[u8; LEVELS]>);

impl Table {
    /// A table with the result of `level8` for each level.
    pub(super) fn from_fn(level8: impl Fn(u16) -> u8) -> Self {
        let mut table = Self(Box::new([0; LEVELS]));
        table.fill(level8);
        table
    }

    /// Overwrites the table with the results of `level8`.
    pub(super) fn fill(&mut self, level8: impl Fn(u16) -> u8) {
        self.0.iter_mut().zip(0..=u16::MAX).for_each(|(level, x)| *level = level8(x));
    }

    /// The 8-bit level of `x`.
    pub(super) fn level8(&self, x: u16) -> u8 {
        self.0[usize::from(x)]
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Table")
    }
}
