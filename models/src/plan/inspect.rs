//! Checks a network's inputs, outputs and precision against the contract of [`engine`](crate::engine).

use super::PlanError;
use super::error::of;
use crate::conversion::Size;
use crate::engine::contract::{are_outputs, outputs_in_words};
use crate::engine::{INPUT_NAME, MAX_PIXELS};
use crate::model::Precision;
use serde::{Deserialize, Serialize};
use std::fmt;
use trtx::{DataType, NetworkDefinition};

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ElementType {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point (IEEE 754 binary16).
    F16,
    /// Any other type: integers, booleans, other floating point.
    Other,
}

impl fmt::Display for ElementType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Other => "another type",
        })
    }
}

impl From<DataType> for ElementType {
    fn from(data_type: DataType) -> Self {
        match data_type {
            DataType::kFLOAT => Self::F32,
            DataType::kHALF => Self::F16,
            _ => Self::Other,
        }
    }
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub element: ElementType,
    /// Its dimensions; -1 is a dimension that is not fixed.
    pub shape: Vec<i64>,
}

impl fmt::Display for TensorInfo {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{}` {} {:?}", self.name.escape_debug(), self.element, self.shape)
    }
}

/// A network as TensorRT has parsed it, before building. All fields are known without a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParsedNetwork {
    /// All inputs.
    pub inputs: Vec<TensorInfo>,
    /// All outputs.
    pub outputs: Vec<TensorInfo>,
    /// The number of all layers.
    pub layers: u32,
    /// How many layers have a first output of f16.
    pub layers_f16: u32,
    /// How many layers have a first output of f32.
    pub layers_f32: u32,
}

impl ParsedNetwork {
    /// Reads inputs, outputs and layers of a parsed network.
    pub(super) fn of(network: &NetworkDefinition<'_>) -> Result<Self, PlanError> {
        let tensor = |tensor: trtx::Result<trtx::Tensor<'_>>| -> trtx::Result<TensorInfo> {
            let tensor = tensor?;
            let element = tensor.data_type(network).into();
            Ok(TensorInfo { name: tensor.name(network)?, element, shape: tensor.dimensions(network)? })
        };
        let inputs = (0..network.nb_inputs()).map(|index| tensor(network.input(index))).collect::<Result<_, _>>();
        let outputs = (0..network.nb_outputs()).map(|index| tensor(network.output(index))).collect::<Result<_, _>>();
        let (mut layers, mut layers_f16, mut layers_f32) = (0, 0, 0);
        for index in 0..network.nb_layers() {
            layers += 1;
            let layer = network.layer(index).map_err(of)?;
            if layer.num_outputs(network) > 0 {
                match layer.output(network, 0).map_err(of)?.data_type(network).into() {
                    ElementType::F16 => layers_f16 += 1,
                    ElementType::F32 => layers_f32 += 1,
                    ElementType::Other => {}
                }
            }
        }
        Ok(Self { inputs: inputs.map_err(of)?, outputs: outputs.map_err(of)?, layers, layers_f16, layers_f32 })
    }

    /// The precision that the network computes in. A network of f16 has some layers of f32: the casts at its input and outputs.
    #[must_use]
    pub fn precision(&self) -> Precision {
        if self.layers_f16 > 0 { Precision::F16 } else { Precision::F32 }
    }

    /// Checks inputs, outputs and precision. Returns height and width of the input.
    ///
    /// # Errors
    /// [`PlanError::Contract`] or [`PlanError::Precision`].
    pub fn check(&self, precision: Precision) -> Result<Size, PlanError> {
        let size = contract(&self.inputs, &self.outputs)?;
        if self.precision() != precision {
            return Err(PlanError::Precision { found: self.precision(), expected: precision });
        }
        Ok(size)
    }
}

/// Height and width of the input, if inputs and outputs meet the contract of [`engine`](crate::engine).
pub(super) fn contract(inputs: &[TensorInfo], outputs: &[TensorInfo]) -> Result<Size, PlanError> {
    let size = match inputs {
        [input] => input_size(input),
        _ => None,
    }
    .ok_or_else(|| PlanError::Contract {
        side: "inputs".into(),
        found: describe(inputs),
        expected: format!("`{INPUT_NAME}` f32 [1, 3, height, width] with at most {MAX_PIXELS} pixels"),
    })?;
    let found: Vec<_> = outputs.iter().map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice())).collect();
    if outputs.iter().all(|tensor| tensor.element == ElementType::F32) && are_outputs(&found, size) {
        return Ok(size);
    }
    Err(PlanError::Contract { side: "outputs".into(), found: describe(outputs), expected: outputs_in_words(size) })
}

fn input_size(input: &TensorInfo) -> Option<Size> {
    let [1, 3, height, width] = *input.shape else { return None };
    let size = Size { height: u32::try_from(height).ok()?, width: u32::try_from(width).ok()? };
    let pixels = u64::from(size.height) * u64::from(size.width);
    let is_input = input.name == INPUT_NAME && input.element == ElementType::F32;
    (is_input && (1..=MAX_PIXELS).contains(&pixels)).then_some(size)
}

/// A description of inputs or outputs.
fn describe(tensors: &[TensorInfo]) -> String {
    let words: Vec<_> = tensors.iter().map(ToString::to_string).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, element: ElementType, shape: &[i64]) -> TensorInfo {
        TensorInfo { name: name.to_owned(), element, shape: shape.to_owned() }
    }

    fn network() -> ParsedNetwork {
        ParsedNetwork {
            inputs: vec![tensor("image", ElementType::F32, &[1, 3, 20, 10])],
            outputs: vec![
                tensor("logit", ElementType::F32, &[1]),
                tensor("map", ElementType::F32, &[1, 2, 1]),
                tensor("features", ElementType::F32, &[1, 64]),
            ],
            layers: 3,
            layers_f16: 0,
            layers_f32: 3,
        }
    }

    #[test]
    fn only_a_network_that_meets_the_contract_passes() {
        assert_eq!(network().check(Precision::F32).unwrap(), Size { height: 20, width: 10 });
        let mut swapped = network();
        swapped.outputs.rotate_left(1);
        assert!(swapped.check(Precision::F32).is_ok());
        let refused = |change: &dyn Fn(&mut ParsedNetwork)| {
            let mut network = network();
            change(&mut network);
            network.check(Precision::F32).unwrap_err()
        };
        let breaks = |expected: &str, change: &dyn Fn(&mut ParsedNetwork)| match refused(change) {
            PlanError::Contract { side, .. } => assert_eq!(side, expected),
            error => panic!("{error}"),
        };
        breaks("inputs", &|network| network.inputs.clear());
        breaks("inputs", &|network| network.inputs.push(tensor("more", ElementType::F32, &[1])));
        breaks("inputs", &|network| network.inputs[0].name = "picture".to_owned());
        breaks("inputs", &|network| network.inputs[0].element = ElementType::F16);
        for shape in [
            &[1, 3, -1, 10][..],
            &[2, 3, 20, 10],
            &[1, 1, 20, 10],
            &[3, 20, 10],
            &[1, 3, 0, 10],
            &[1, 3, 1 << 20, 1 << 20],
        ] {
            breaks("inputs", &|network| network.inputs[0].shape = shape.to_owned());
        }
        breaks("outputs", &|network| network.outputs[0].shape = vec![1, 2]);
        breaks("outputs", &|network| network.outputs[0].element = ElementType::Other);
        for shape in [&[1, 1, 2][..], &[2, 1], &[1, 2, 2], &[1, -1, 1]] {
            breaks("outputs", &|network| network.outputs[1].shape = shape.to_owned());
        }
        for shape in [&[64][..], &[1, 63], &[64, 1], &[1, -1]] {
            breaks("outputs", &|network| network.outputs[2].shape = shape.to_owned());
        }
        for output in 0..3 {
            breaks("outputs", &|network| network.outputs[output].element = ElementType::F16);
            breaks("outputs", &|network| network.outputs[output].name = "score".to_owned());
            breaks("outputs", &|network| drop(network.outputs.remove(output)));
        }
        breaks("outputs", &|network| network.outputs[1] = network.outputs[0].clone());
        breaks("outputs", &|network| network.outputs.push(tensor("score", ElementType::F32, &[1])));
        let error = refused(&|network| network.layers_f16 = 1);
        assert_eq!(error, PlanError::Precision { found: Precision::F16, expected: Precision::F32 });
    }
}
