//! Weights of stage 4 that a recipe trained. A network whose head has them computes stage 4 with them, not with the backbone's own.

use super::architecture::{self, ConvSpec};
use super::resnet34::{FoldedConv, ResNet34, Residual};
use std::collections::BTreeMap;
use std::fmt;
use tch::{Device, TchError, Tensor};

/// Index of stage 4 among the stages of ResNet-34.
const STAGE: usize = 3;

/// The weights of stage 4. The batch normalisations are folded into the convolutions.
#[derive(Clone, PartialEq)]
pub struct Stage4 {
    /// The numbers of each tensor, by its name, such as `layer4.0.conv1.weight` and `layer4.0.conv1.bias`.
    values: BTreeMap<String, Vec<f32>>,
}

impl fmt::Debug for Stage4 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Stage4({} tensors)", self.values.len())
    }
}

impl Stage4 {
    /// The weights with these numbers. `check` says whether they are complete.
    #[must_use]
    pub fn new(values: BTreeMap<String, Vec<f32>>) -> Self {
        Self { values }
    }

    /// The stage 4 of `network`.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn of(network: &ResNet34) -> Result<Self, TchError> {
        let tensors = network.stages[STAGE].iter().flat_map(Residual::convolutions).flat_map(FoldedConv::tensors);
        let numbers = |tensor: &Tensor| Vec::try_from(tensor.f_to_device(Device::Cpu)?.f_contiguous()?.f_view([-1])?);
        Ok(Self {
            values: tensors.map(|(name, tensor)| Ok((name, numbers(tensor)?))).collect::<Result<_, TchError>>()?,
        })
    }

    /// Names and shapes of all tensors, in the order of the forward pass.
    #[must_use]
    pub fn shapes() -> Vec<(String, Vec<i64>)> {
        let shapes = |conv: ConvSpec| {
            let weight = vec![conv.outputs, conv.inputs, conv.kernel, conv.kernel];
            [(format!("{}.weight", conv.name), weight), (format!("{}.bias", conv.name), vec![conv.outputs])]
        };
        let residuals = architecture::residuals(STAGE).into_iter();
        residuals
            .flat_map(|spec| [Some(spec.first), Some(spec.second), spec.downsample])
            .flatten()
            .flat_map(shapes)
            .collect()
    }

    /// The numbers of each tensor, by its name.
    #[must_use]
    pub fn values(&self) -> &BTreeMap<String, Vec<f32>> {
        &self.values
    }

    /// Checks that all tensors are there with the right number of finite numbers. The error is what was found and what was expected.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let shapes = Self::shapes();
        if self.values.len() != shapes.len() {
            return Err((format!("{} tensors", self.values.len()), format!("{} tensors", shapes.len())));
        }
        for (name, shape) in shapes {
            let count = shape.iter().product::<i64>() as usize;
            let Some(values) = self.values.get(&name) else { return Err((format!("no {name}"), "all tensors".into())) };
            if values.len() != count {
                return Err((format!("{} numbers in {name}", values.len()), format!("{count} numbers")));
            }
            if !values.iter().all(|value| value.is_finite()) {
                return Err((format!("a number in {name} that is not finite"), "finite numbers".into()));
            }
        }
        Ok(())
    }

    /// The tensors on `device`, by name. The weights must pass [`Self::check`].
    pub(crate) fn tensors(&self, device: Device) -> Result<BTreeMap<String, Tensor>, TchError> {
        let tensor = |(name, shape): (String, Vec<i64>)| {
            let tensor = Tensor::f_from_slice(&self.values[&name])?.f_view(&shape[..])?.f_to_device(device)?;
            Ok((name, tensor))
        };
        Self::shapes().into_iter().map(tensor).collect()
    }

    /// The residual blocks on `device`. The weights must pass [`Self::check`].
    pub(super) fn residuals(&self, device: Device) -> Result<Vec<Residual>, TchError> {
        Ok(residuals(&self.tensors(device)?))
    }
}

/// The residual blocks of stage 4 with `tensors` of the names and shapes of [`Stage4::shapes`]. The blocks share the tensors, so they
/// follow each change of them.
pub(crate) fn residuals(tensors: &BTreeMap<String, Tensor>) -> Vec<Residual> {
    let tensor = |spec: &ConvSpec, suffix: &str| tensors[&format!("{}.{suffix}", spec.name)].shallow_clone();
    let conv = |spec: ConvSpec| FoldedConv { weight: tensor(&spec, "weight"), bias: tensor(&spec, "bias"), spec };
    let residual = |spec: architecture::ResidualSpec| Residual {
        first: conv(spec.first),
        second: conv(spec.second),
        downsample: spec.downsample.map(conv),
    };
    architecture::residuals(STAGE).into_iter().map(residual).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::network::{Backbone, Weights};

    /// `stage_4` with all weights scaled by `factor`.
    pub(crate) fn scaled(stage_4: &Stage4, factor: f32) -> Stage4 {
        let scale = |(name, values): (&String, &Vec<f32>)| {
            (name.clone(), values.iter().map(|value| value * factor).collect::<Vec<f32>>())
        };
        Stage4::new(stage_4.values.iter().map(scale).collect())
    }

    #[test]
    fn the_backbones_own_weights_give_its_maps_exactly() {
        let backbone = Backbone::new(&Weights::random(1), Device::Cpu).unwrap();
        let network = backbone.network();
        let own = Stage4::of(network).unwrap();
        own.check().unwrap();
        let image = Tensor::linspace(-1, 1, 3 * 64 * 96, (tch::Kind::Float, Device::Cpu)).view([1, 3, 64, 96]);
        let forward = |stage_4: &Stage4| {
            let residuals = stage_4.residuals(Device::Cpu).unwrap();
            network.forward_with(&image, 4, Some(&residuals)).unwrap()
        };
        let expected = network.forward(&image, 4).unwrap();
        let found = forward(&own);
        assert!(found.iter().zip(&expected).all(|(found, expected)| found == expected));
        let other = forward(&scaled(&own, 1.1));
        assert!(other[2] == expected[2] && other[3] != expected[3]);
    }

    #[test]
    fn incomplete_weights_are_refused() {
        let own = Stage4::of(Backbone::new(&Weights::random(1), Device::Cpu).unwrap().network()).unwrap();
        let change = |change: fn(&mut BTreeMap<String, Vec<f32>>)| {
            let mut values = own.values.clone();
            change(&mut values);
            Stage4::new(values).check().unwrap_err().0
        };
        const NAME: &str = "layer4.1.conv2.bias";
        let found = [
            change(|values| drop(values.remove(NAME))),
            change(|values| drop(values.insert(NAME.into(), vec![0.0; 511]))),
            change(|values| drop(values.insert(NAME.into(), vec![f32::NAN; 512]))),
            change(|values| {
                let bias = values.remove(NAME).unwrap();
                values.insert("other".into(), bias);
            }),
        ];
        assert_eq!(
            found,
            [
                "13 tensors".to_owned(),
                format!("511 numbers in {NAME}"),
                format!("a number in {NAME} that is not finite"),
                format!("no {NAME}")
            ]
        );
    }
}
