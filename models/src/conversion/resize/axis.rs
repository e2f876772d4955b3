//! Computes for each output pixel along one axis the input pixels that it is computed from, and their weights.

/// Fractional bits of a weight, as in Pillow: of 32 bits, 8 are for the level, 2 are a reserve, and 22 are left.
pub(super) const WEIGHT_BITS: u32 = 22;

/// The weights along one axis: each output pixel is the weighted sum of [`Axis::taps`] neighbouring input pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    taps: usize,
    /// The first input pixel of each window.
    firsts: Vec<usize>,
    /// The weights of all windows, one window after the other.
    weights: Vec<u32>,
}

/// What one output pixel is computed from: its first input pixel, and the weights of that pixel and the following ones.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// The first input pixel.
    pub first: usize,
    /// The weights, with 22 fractional bits, of the first input pixel and those that follow it.
    pub weights: &'a [u32],
}

impl Window<'_> {
    /// The input pixel after the last one of this window.
    #[must_use]
    pub fn end(&self) -> usize {
        self.first + self.weights.len()
    }
}

impl Axis {
    /// Weights of the triangle filter from `input` to `output` pixels, both at least 1.
    ///
    /// When shrinking, the triangle is widened by the scale (antialiasing). The definition is Pillow's (`src/libImaging/Resample.c`):
    /// the same steps in double precision in the same order, then the weights are normalised and rounded to 22 fractional bits.
    /// Weights of zero pad all windows to the same length.
    #[must_use]
    pub fn new(input: u32, output: u32) -> Self {
        let exact: Vec<(usize, Vec<u32>)> = (0..output).map(|at| window(input, output, at)).collect();
        let taps = exact.iter().map(|(_, weights)| weights.len()).max().unwrap_or(1);
        let mut axis = Self { taps, firsts: Vec::new(), weights: Vec::new() };
        for (first, weights) in exact {
            // A window near the end starts earlier, so that all its pixels lie inside.
            let shifted = first.min(input as usize - taps);
            let start = axis.weights.len() + first - shifted;
            axis.weights.resize(start, 0);
            axis.weights.extend(weights);
            axis.firsts.push(shifted);
            axis.weights.resize(axis.firsts.len() * taps, 0);
        }
        axis
    }

    /// Number of weights in each window.
    #[must_use]
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// The windows of all output pixels in order. Their first input pixels never decrease.
    pub fn windows(&self) -> impl ExactSizeIterator<Item = Window<'_>> {
        let weights = self.weights.chunks_exact(self.taps);
        self.firsts.iter().zip(weights).map(|(&first, weights)| Window { first, weights })
    }
}

/// The first input pixel and the weights of output pixel `at`, without zeros at the ends.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "round towards zero and saturate at zero, as the definition asks for"
)]
fn window(input: u32, output: u32, at: u32) -> (usize, Vec<u32>) {
    let scale = f64::from(input) / f64::from(output);
    let support = scale.max(1.0);
    let sharpness = 1.0 / support;
    let centre = (f64::from(at) + 0.5) * scale;
    let first = (centre - support + 0.5) as u32;
    let end = ((centre + support + 0.5) as u32).min(input);
    let triangle = |pixel: u32| (1.0 - ((f64::from(pixel) - centre + 0.5) * sharpness).abs()).max(0.0);
    let sum = (first..end).fold(0.0, |sum, pixel| sum + triangle(pixel));
    let fixed = |pixel| (0.5 + triangle(pixel) / sum * f64::from(1 << WEIGHT_BITS)) as u32;
    let weights: Vec<u32> = (first..end).map(fixed).collect();
    let leading = weights.iter().take_while(|&&weight| weight == 0).count().min(weights.len() - 1);
    let trailing = weights[leading + 1..].iter().rev().take_while(|&&weight| weight == 0).count();
    (first as usize + leading, weights[leading..weights.len() - trailing].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn windows_lie_inside_and_their_weights_sum_to_one(input in 1..3000_u32, output in 1..3000_u32) {
            let axis = Axis::new(input, output);
            prop_assert_eq!(axis.windows().len(), output as usize);
            for window in axis.windows() {
                prop_assert!(window.end() <= input as usize);
                // Each weight is rounded by at most one half.
                let sum: i64 = window.weights.iter().map(|&weight| i64::from(weight)).sum();
                prop_assert!((sum - (1 << WEIGHT_BITS)).abs() <= window.weights.len() as i64 / 2 + 1);
            }
            prop_assert!(axis.firsts.is_sorted());
        }
    }

    #[test]
    fn the_same_size_keeps_each_pixel() {
        let axis = Axis::new(5, 5);
        assert_eq!((axis.taps, axis.firsts, axis.weights), (1, vec![0, 1, 2, 3, 4], vec![1 << WEIGHT_BITS; 5]));
    }

    #[test]
    fn weights_are_the_values_of_the_triangle_divided_by_their_sum() {
        let one = f64::from(1 << WEIGHT_BITS);
        let rounded = |weights: &[f64]| weights.iter().map(|weight| (weight * one).round() as u32).collect::<Vec<_>>();
        assert_eq!(window(4, 2, 0), (0, rounded(&[3.0 / 7.0, 3.0 / 7.0, 1.0 / 7.0])));
        assert_eq!(window(4, 2, 1), (1, rounded(&[1.0 / 7.0, 3.0 / 7.0, 3.0 / 7.0])));
        assert_eq!(window(2, 4, 1), (0, rounded(&[0.75, 0.25])));
        assert_eq!(window(1, 7, 3), (0, rounded(&[1.0])));
    }
}
