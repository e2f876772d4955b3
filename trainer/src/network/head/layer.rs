//! Checks and computes one layer of a head.

/// One layer of a head. It maps a vector to a vector.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// `weight * x + bias`.
    Affine {
        /// Length of the input.
        inputs: usize,
        /// Length of the output.
        outputs: usize,
        /// `outputs * inputs` numbers, one row per output.
        weight: Vec<f32>,
        /// `outputs` numbers.
        bias: Vec<f32>,
    },
    /// `length` elements from `start` on: the features that an ensemble member uses.
    Slice {
        /// The first element.
        start: usize,
        /// The number of elements.
        length: usize,
    },
    /// `max(x, 0)`.
    Relu,
    /// `sign(x) * sqrt(|x|)`, which shortens the long tails of pooled features.
    SignedSqrt,
}

impl Layer {
    /// Checks the layer. Returns the length of its output for an input of `width` numbers, or a pair of what was found and
    /// what was expected.
    pub(super) fn outputs_for(&self, width: usize) -> Result<usize, (String, String)> {
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        let (outputs, all_finite) = match self {
            Self::Affine { inputs, outputs, weight, bias } => {
                let sound = *inputs == width && Some(weight.len()) == inputs.checked_mul(*outputs);
                if !sound || bias.len() != *outputs {
                    let (weights, biases) = (weight.len(), bias.len());
                    let found = format!("{inputs} inputs, {outputs} outputs, {weights} weights and {biases} biases");
                    let expected = format!("{width} inputs, inputs x outputs weights, and one bias for each output");
                    return Err((found, expected));
                }
                (*outputs, finite(weight) && finite(bias))
            }
            Self::Slice { start, length } => {
                if start.checked_add(*length).is_none_or(|end| end > width) {
                    return Err((
                        format!("a slice of {length} elements from {start} on"),
                        format!("a slice within {width} elements"),
                    ));
                }
                (*length, true)
            }
            Self::Relu | Self::SignedSqrt => (width, true),
        };
        if all_finite { Ok(outputs) } else { Err(("a number that is not finite".into(), "finite numbers".into())) }
    }

    /// The length of the layer's output for an input of `width` numbers. The layer must fit the input.
    pub(crate) fn outputs(&self, width: usize) -> usize {
        match self {
            Self::Affine { outputs, .. } => *outputs,
            Self::Slice { length, .. } => *length,
            Self::Relu | Self::SignedSqrt => width,
        }
    }

    /// The layer's output. The length of `values` must fit the layer.
    pub(super) fn forward(&self, mut values: Vec<f64>) -> Vec<f64> {
        match self {
            Self::Affine { inputs, weight, bias, .. } => {
                let rows = weight.chunks_exact((*inputs).max(1)).zip(bias);
                let dot = |row: &[f32]| row.iter().zip(&values).map(|(&weight, x)| f64::from(weight) * x).sum::<f64>();
                return rows.map(|(row, &bias)| dot(row) + f64::from(bias)).collect();
            }
            Self::Slice { start, length } => return values.drain(*start..start + length).collect(),
            // f64::max would turn NaN into 0, and a part without a score could pass.
            Self::Relu => values.iter_mut().filter(|value| **value < 0.0).for_each(|value| *value = 0.0),
            Self::SignedSqrt => values.iter_mut().for_each(|value| *value = value.signum() * value.abs().sqrt()),
        }
        values
    }
}
