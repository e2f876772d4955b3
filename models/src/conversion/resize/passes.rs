//! Runs the two passes of a resize: along the rows, and along the columns.

use super::axis::Axis;
use super::block::{Group, LANES, groups, transpose, weighted_sum, weighted_sum_of_many};
use super::{Loop, Sample, run_wide};

/// The pass along the rows, which changes the width, for 16 rows at a time.
#[derive(Debug)]
pub(super) struct Narrow<S> {
    axis: Axis,
    /// The 16 rows column by column, before the pass: a group has 16 levels of one column.
    before: Vec<Group<S>>,
    /// The 16 rows column by column, after the pass.
    after: Vec<Group<S>>,
}

impl<S: Sample> Narrow<S> {
    pub(super) fn new(from: u32, to: u32) -> Self {
        let zeros = |width: u32| vec![[S::default(); LANES]; groups(width) * LANES];
        Self { axis: Axis::new(from, to), before: zeros(from), after: zeros(to) }
    }

    /// Computes 16 rows of `output` from 16 rows of `input`.
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
        for (group, block) in before.as_chunks_mut().0.iter_mut().enumerate() {
            // The block has rows until it is transposed, then columns.
            for (row, levels) in block.iter_mut().enumerate() {
                *levels = self.input[row * groups + group];
            }
            transpose(block);
        }
        match axis.taps() {
            1 => narrow_few::<S, 1>(axis, before, after),
            2 => narrow_few::<S, 2>(axis, before, after),
            3 => narrow_few::<S, 3>(axis, before, after),
            4 => narrow_few::<S, 4>(axis, before, after),
            _ => narrow_many(axis, before, after),
        }
        let groups = self.output.len() / LANES;
        for (group, block) in after.as_chunks_mut().0.iter_mut().enumerate() {
            // The block has columns until it is transposed, then rows.
            transpose(block);
            for (row, levels) in block.iter().enumerate() {
                self.output[row * groups + group] = *levels;
            }
        }
    }
}

/// The pass for a number of taps that is known at compile time, so that the loop over the taps is unrolled.
#[inline(always)]
fn narrow_few<S: Sample, const TAPS: usize>(axis: &Axis, before: &[Group<S>], after: &mut [Group<S>]) {
    for (column, window) in after.iter_mut().zip(axis.windows()) {
        if let (Some(groups), Some(weights)) =
            (before[window.first..].first_chunk::<TAPS>(), window.weights.first_chunk())
        {
            *column = weighted_sum::<S, TAPS>(groups.each_ref(), weights);
        }
    }
}

#[inline(always)]
fn narrow_many<S: Sample>(axis: &Axis, before: &[Group<S>], after: &mut [Group<S>]) {
    for (column, window) in after.iter_mut().zip(axis.windows()) {
        *column = weighted_sum_of_many(before[window.first..window.end()].iter().zip(window.weights));
    }
}

/// The pass along the columns, which changes the height: computes one row, `output`, from the consecutive `rows`.
pub(super) fn shorten<S: Sample>(rows: &[Group<S>], weights: &[u32], output: &mut [Group<S>]) {
    // The weights are padded with zeros to the longest window's length. The trailing zeros are dropped here, because most windows
    // are shorter.
    let taps = weights.iter().rposition(|&weight| weight != 0).map_or(1, |last| last + 1);
    let weights = &weights[..taps];
    run_wide(ShortenRow { rows, weights, output });
}

struct ShortenRow<'a, S> {
    rows: &'a [Group<S>],
    weights: &'a [u32],
    output: &'a mut [Group<S>],
}

impl<S: Sample> Loop for ShortenRow<'_, S> {
    #[inline(always)]
    fn run(self) {
        match *self.weights {
            [a] => self.few([a]),
            [a, b] => self.few([a, b]),
            [a, b, c] => self.few([a, b, c]),
            [a, b, c, d] => self.few([a, b, c, d]),
            _ => self.many(),
        }
    }
}

impl<S: Sample> ShortenRow<'_, S> {
    #[inline(always)]
    fn few<const TAPS: usize>(self, weights: [u32; TAPS]) {
        let groups = self.output.len();
        let rows: [&[Group<S>]; TAPS] = std::array::from_fn(|tap| &self.rows[tap * groups..][..groups]);
        for (at, group) in self.output.iter_mut().enumerate() {
            *group = weighted_sum(rows.map(|row| &row[at]), &weights);
        }
    }

    #[inline(always)]
    fn many(self) {
        let groups = self.output.len();
        for (at, group) in self.output.iter_mut().enumerate() {
            *group = weighted_sum_of_many(self.rows[at..].iter().step_by(groups).zip(self.weights));
        }
    }
}
