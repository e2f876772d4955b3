//! The histogram of a radiograph and its percentiles.

/// How often each of the 65,536 levels occurs.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u64]>,
    total: u64,
}

impl Histogram {
    /// The histogram of `levels`.
    #[must_use]
    pub fn of(levels: &[u16]) -> Self {
        let mut counts = vec![0; 1 << 16].into_boxed_slice();
        levels.iter().for_each(|&level| counts[usize::from(level)] += 1);
        Self { counts, total: levels.len() as u64 }
    }

    /// How often each level occurs.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The number of pixels.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }
}
