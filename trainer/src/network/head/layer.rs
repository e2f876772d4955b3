//! One layer of a head.

/// One layer: a vector in, a vector out.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// `weight * x + bias`.
    Affine {
        /// Length of the input.
        inputs: usize,
        /// Length of the output.
        outputs: usize,
        /// `outputs * inputs` numbers, a row an output.
        weight: Vec<f32>,
        /// `outputs` numbers.
        bias: Vec<f32>,
    },
    /// `length` elements from `start` on: the features that a member of an ensemble looks at.
    Slice {
        /// The first element.
        start: usize,
        /// The number of elements.
        length: usize,
    },
    /// `max(x, 0)`.
    Relu,
    /// `sign(x) * sqrt(|x|)`, which tames the long tails of pooled features.
    SignedSqrt,
}

impl Layer {
    /// The length of the output for an input of `width` numbers, or what was found and what was expected.
    pub(super) fn outputs_for(&self, width: usize) -> Result<usize, (String, String)> {
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        let (outputs, all_finite) = match self {
            Self::Affine { inputs, outputs, weight, bias } => {
                let sound = *inputs == width && Some(weight.len()) == inputs.checked_mul(*outputs);
                if !sound || bias.len() != *outputs {
                    let found = format!("{} weights, {} biases, {inputs} -> {outputs}", weight.len(), bias.len());
                    return Err((found, format!("{width} inputs, as many weights as inputs x outputs")));
                }
                (*outputs, finite(weight) && finite(bias))
            }
            Self::Slice { start, length } => {
                if start.checked_add(*length).is_none_or(|end| end > width) {
                    return Err((format!("{length} elements from {start} on"), format!("no more than {width}")));
                }
                (*length, true)
            }
            Self::Relu | Self::SignedSqrt => (width, true),
        };
        if all_finite { Ok(outputs) } else { Err(("a number that is not finite".into(), "finite numbers".into())) }
    }

    /// The output; the layer fits the input's length.
    pub(super) fn forward(&self, mut values: Vec<f64>) -> Vec<f64> {
        match self {
            Self::Affine { inputs, weight, bias, .. } => {
                let rows = weight.chunks_exact((*inputs).max(1)).zip(bias);
                let dot = |row: &[f32]| row.iter().zip(&values).map(|(&weight, x)| f64::from(weight) * x).sum::<f64>();
                return rows.map(|(row, &bias)| dot(row) + f64::from(bias)).collect();
            }
            Self::Slice { start, length } => return values.drain(*start..start + length).collect(),
            // Not f64::max, which would turn NaN into 0: a part without a score must not pass.
            Self::Relu => values.iter_mut().filter(|value| **value < 0.0).for_each(|value| *value = 0.0),
            Self::SignedSqrt => values.iter_mut().for_each(|value| *value = value.signum() * value.abs().sqrt()),
        }
        values
    }
}
