//! The two passes: along the rows, and along the columns.

use super::axis::Axis;
use super::block::{Group, LANES, transposed, weighted_sum};
use super::{Loop, Sample, groups, run_wide};

/// The pass along the rows, 16 of them at a time.
#[derive(Debug)]
pub(super) struct Narrow<S> {
    axis: Axis,
    /// The rows column by column, before and after.
    before: Vec<Group<S>>,
    after: Vec<Group<S>>,
}

impl<S: Sample> Narrow<S> {
    pub(super) fn new(from: u32, to: u32) -> Self {
        let zeros = |width: u32| vec![[S::default(); LANES]; groups(width) * LANES];
        Self { axis: Axis::new(from, to), before: zeros(from), after: zeros(to) }
    }

    /// Makes 16 rows of `output` of 16 rows of `input`.
    pub(super) fn run(&mut self, input: &[Group<S>], output: &mut [Group<S>]) {
        run_wide(NarrowBlock { narrow: self, input, output });
    }
}

struct NarrowBlock<'a, S> {
    narrow: &'a mut Narrow<S>,
    input: &'a [Group<S>],
    output: &'a mut [Group<S>],
}

impl<S: Sample> Loop for NarrowBlock<'_, S> {
    #[inline(always)]
    fn run(self) {
        let Narrow { axis, before, after } = self.narrow;
        let groups = self.input.len() / LANES;
        for (group, columns) in before.as_chunks_mut().0.iter_mut().enumerate() {
            *columns = transposed(std::array::from_fn(|row| self.input[row * groups + group]));
        }
        for (column, window) in after.iter_mut().zip(axis.windows()) {
            *column = weighted_sum(before[window.first..window.end()].iter().zip(window.weights));
        }
        let groups = self.output.len() / LANES;
        for (group, columns) in after.as_chunks().0.iter().enumerate() {
            for (row, levels) in transposed(*columns).into_iter().enumerate() {
                self.output[row * groups + group] = levels;
            }
        }
    }
}

/// The pass along the columns: makes `output`, one row, of `rows` that lie one after the other.
pub(super) fn shorten<S: Sample>(rows: &[Group<S>], weights: &[i32], output: &mut [Group<S>]) {
    run_wide(ShortenRow { rows, weights, output });
}

struct ShortenRow<'a, S> {
    rows: &'a [Group<S>],
    weights: &'a [i32],
    output: &'a mut [Group<S>],
}

impl<S: Sample> Loop for ShortenRow<'_, S> {
    #[inline(always)]
    fn run(self) {
        let groups = self.output.len();
        for (at, group) in self.output.iter_mut().enumerate() {
            *group = weighted_sum(self.rows[at..].iter().step_by(groups).zip(self.weights));
        }
    }
}
