//! Writes the raw logit of one feature vector as a linear form in these features.
//!
//! A head is piecewise linear, apart from [`Layer::SignedSqrt`]. So at one feature vector its logit is the sum of each feature times a
//! weight, plus a constant. Affine layers contribute their weights and biases, and [`Layer::Relu`] those of its active units. A
//! signed square root contributes the slope of its secant through 0, 1/sqrt|x|. This slope is limited: see [`ROOT_FLOOR`].

use super::{Activation, Head, Layer};

/// The secant's slope at x is 1/max(sqrt|x|, r), with r = `ROOT_FLOOR` times the root of the mean of |x| over the layer's input.
/// Without this limit, the positions of a covariance near 0 would get huge shares that cancel. The difference to the square root at x
/// is at most r/4. It joins the constant, so that the form still equals the logit.
pub(crate) const ROOT_FLOOR: f64 = 0.1;
/// Smallest r, for an input of zeros.
pub(crate) const SMALLEST_ROOT: f64 = 1e-6;

/// `logit = weights * features + constant`, valid at one feature vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LinearForm {
    /// One number for each feature.
    pub(crate) weights: Vec<f64>,
    /// The part of the logit that depends on no feature: biases, and what the limit of the slopes leaves.
    pub(crate) constant: f64,
}

impl Head {
    /// The raw logit as a linear form at `features`, computed in f64.
    ///
    /// # Panics
    /// If `features` does not hold [`Self::width`] numbers, or the head fails [`Self::check`].
    pub(crate) fn linear_form(&self, features: &[f32]) -> LinearForm {
        assert_eq!(features.len(), self.width(), "number of features");
        let mut form = LinearForm { weights: vec![0.0; features.len()], constant: 0.0 };
        for layers in &self.members {
            let mut values: Vec<f64> = features.iter().copied().map(f64::from).collect();
            let mut inputs = Vec::new();
            for layer in layers {
                let output = layer.forward(values.clone());
                inputs.push(std::mem::replace(&mut values, output));
            }
            let share = 1.0 / self.members.len() as f64;
            let mut weights = match self.activation {
                Activation::Softmax => vec![-share, share],
                Activation::Sigmoid => vec![share],
            };
            for (layer, input) in layers.iter().zip(&inputs).rev() {
                form.constant += layer.pull_back(input, &mut weights);
            }
            form.weights.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
        }
        form
    }
}

impl Layer {
    /// Turns `weights` of the layer's outputs into weights of its inputs, at `input`. Returns the constant that this adds to the form.
    fn pull_back(&self, input: &[f64], weights: &mut Vec<f64>) -> f64 {
        match self {
            Self::Affine { inputs, weight, bias, .. } => {
                let mut pulled = vec![0.0; *inputs];
                for (row, factor) in weight.chunks_exact((*inputs).max(1)).zip(&*weights) {
                    pulled.iter_mut().zip(row).for_each(|(sum, &weight)| *sum += factor * f64::from(weight));
                }
                let constant = weights.iter().zip(bias).map(|(weight, &bias)| weight * f64::from(bias)).sum();
                *weights = pulled;
                constant
            }
            Self::Slice { start, length } => {
                let mut pulled = vec![0.0; input.len()];
                pulled[*start..start + length].copy_from_slice(weights);
                *weights = pulled;
                0.0
            }
            Self::Relu => {
                let inactive = weights.iter_mut().zip(input).filter(|(_, value)| **value < 0.0);
                inactive.for_each(|(weight, _)| *weight = 0.0);
                0.0
            }
            Self::SignedSqrt => {
                let mean = input.iter().map(|value| value.abs()).sum::<f64>() / input.len() as f64;
                let floor = (ROOT_FLOOR * mean.sqrt()).max(SMALLEST_ROOT);
                let mut constant = 0.0;
                for (weight, value) in weights.iter_mut().zip(input) {
                    let root = value.abs().sqrt();
                    let slope = 1.0 / root.max(floor);
                    constant += *weight * value.signum() * (root - value.abs() * slope);
                    *weight *= slope;
                }
                constant
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::head;
    use super::*;
    use crate::network::flips::Flips;
    use crate::network::pooling::{Block, Pool};
    use proptest::prelude::*;

    #[test]
    fn a_small_head_has_the_form_computed_by_hand() {
        let affine = |inputs: usize, weight: &[f32], bias: &[f32]| {
            let mut rows = vec![0.0; inputs * bias.len()];
            for (row, weight) in rows.chunks_exact_mut(inputs).zip(weight.chunks_exact(2)) {
                row[..2].copy_from_slice(weight);
            }
            Layer::Affine { inputs, outputs: bias.len(), weight: rows, bias: bias.to_vec() }
        };
        let head = Head {
            blocks: vec![Block { stage: 1, pool: Pool::Mean }],
            members: vec![vec![
                affine(64, &[1.0, -2.0, -1.0, 1.0], &[0.5, 0.25]),
                Layer::Relu,
                affine(2, &[3.0, 7.0], &[-1.0]),
            ]],
            activation: Activation::Sigmoid,
            flips: Flips::One,
            stage_4: None,
        };
        head.check().unwrap();
        let mut features = vec![0.0; 64];
        // The first unit has 2 - 2 + 0.5 = 0.5. The second has -2 + 1 + 0.25 and is inactive.
        features[..2].copy_from_slice(&[2.0, 1.0]);
        let form = head.linear_form(&features);
        assert_eq!((form.weights[..3].to_vec(), form.constant), (vec![3.0, -6.0, 0.0], 0.5));
    }

    #[test]
    fn the_slope_of_a_root_is_limited_and_the_constant_has_the_rest() {
        let slope = |input: &[f64]| {
            let mut weights = vec![1.0; input.len()];
            (Layer::SignedSqrt.pull_back(input, &mut weights), weights)
        };
        // The mean of |x| is 4, so the slope is limited to 1 / 0.2 = 5.
        let (constant, weights) = slope(&[-7.99, 0.01]);
        assert!(
            (weights[0] - 7.99_f64.sqrt().recip()).abs() < 1e-12 && (weights[1] - 5.0).abs() < 1e-12,
            "{weights:?}"
        );
        assert!((constant - (0.1 - 0.05)).abs() < 1e-12, "{constant}");
        let (constant, weights) = slope(&[0.0, 0.0]);
        assert_eq!((constant, weights), (0.0, vec![1e6, 1e6]));
    }

    proptest! {
        #[test]
        fn the_form_equals_the_logit(
            seed in proptest::collection::vec(-3.0_f32..=3.0, 16),
            scale in prop_oneof![Just(0.0_f32), Just(1e-6), Just(1.0), Just(1e4)],
        ) {
            let features: Vec<f32> = (0..512).map(|at: usize| seed[at % 16] * scale * (at as f32 / 512.0)).collect();
            for activation in [Activation::Softmax, Activation::Sigmoid] {
                let head = head(activation);
                let form = head.linear_form(&features);
                let sum: f64 = form.weights.iter().zip(&features).map(|(weight, &value)| weight * f64::from(value)).sum();
                let logit = f64::from(head.logit(&features));
                prop_assert!((sum + form.constant - logit).abs() <= 1e-6 * logit.abs().max(1.0), "{sum} {logit}");
            }
        }
    }
}
