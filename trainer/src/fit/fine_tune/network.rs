//! Stage 4 and the linear layer with the averages of their weights, and one training step.

use super::recipe::FineTuneRecipe;
use super::start::Start;
use crate::adamw::{AdamW, AdamWSettings};
use crate::fit::FitError;
use crate::network::stage_4::{self, Stage4};
use crate::network::{Block, Layer};
use std::collections::BTreeMap;
use tch::{Device, Kind, Reduction, TchError, Tensor};

/// Names of the linear layer's tensors.
const LINEAR: [&str; 2] = ["linear.weight", "linear.bias"];
/// Moments of AdamW.
const BETAS: [f64; 2] = [0.9, 0.999];

/// Names and shapes of all tensors: those of stage 4, and those of the linear layer.
pub(super) fn shapes() -> Vec<(String, Vec<i64>)> {
    let width = Block::MEAN_4.width() as i64;
    let linear = LINEAR.map(str::to_owned).into_iter().zip([vec![1, width], vec![1]]);
    Stage4::shapes().into_iter().chain(linear).collect()
}

/// Stage 4 and the linear layer in training.
#[derive(Debug)]
pub(super) struct Network {
    /// The weights, by name.
    pub(super) tensors: BTreeMap<String, Tensor>,
    /// The running means of the weights, by name.
    pub(super) averages: BTreeMap<String, Tensor>,
    pub(super) optimizer: AdamW,
    /// Mean and divisor of each feature of the linear layer.
    standard: [Tensor; 2],
}

impl Network {
    /// The network at the start: `stage_4`, and the linear layer of `start`.
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn new(
        stage_4: &Stage4,
        start: &Start,
        recipe: &FineTuneRecipe,
        device: Device,
    ) -> Result<Self, TchError> {
        let mut tensors = stage_4.tensors(device)?;
        let of_feature = |feature: usize| f64::from(start.weight[feature]);
        let standard = |feature: usize| (of_feature(feature) * f64::from(start.divisor[feature])) as f32;
        let weight: Vec<f32> = (0..start.weight.len()).map(standard).collect();
        let of_mean: f64 =
            (0..start.weight.len()).map(|feature| of_feature(feature) * f64::from(start.mean[feature])).sum();
        let bias = (f64::from(start.bias) + of_mean) as f32;
        tensors.insert(LINEAR[0].to_owned(), Tensor::f_from_slice(&weight)?.f_view([1_i64, -1])?.f_to_device(device)?);
        tensors.insert(LINEAR[1].to_owned(), Tensor::f_from_slice(&[bias])?.f_to_device(device)?);
        let averages = tensors.iter().map(|(name, tensor)| (name.clone(), tensor.copy())).collect();
        let mut network = Self::with(tensors, averages, recipe)?;
        network.standardise(start, device)?;
        Ok(network)
    }

    /// The network with these weights and averages, with moments of 0, and with features that are not standardised.
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn with(
        tensors: BTreeMap<String, Tensor>,
        averages: BTreeMap<String, Tensor>,
        recipe: &FineTuneRecipe,
    ) -> Result<Self, TchError> {
        let trainable = |(name, tensor): (String, Tensor)| Ok((name, tensor.f_set_requires_grad(true)?));
        let tensors = tensors.into_iter().map(trainable).collect::<Result<BTreeMap<_, _>, TchError>>()?;
        let settings = AdamWSettings { betas: BETAS, weight_decay: recipe.weight_decay };
        let optimizer = AdamW::new(&tensors, settings)?;
        let standard = [tensors[LINEAR[0]].detach().f_zeros_like()?, tensors[LINEAR[0]].detach().f_ones_like()?];
        Ok(Self { tensors, averages, optimizer, standard })
    }

    /// Standardises the features of the linear layer with mean and divisor of `start`.
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn standardise(&mut self, start: &Start, device: Device) -> Result<(), TchError> {
        let row = |values: &[f32]| Tensor::f_from_slice(values)?.f_view([1, -1])?.f_to_device(device);
        self.standard = [row(&start.mean)?, row(&start.divisor)?];
        Ok(())
    }

    /// Does one step on a batch of N images. `maps` are the images' maps of stage 3, `targets` and `weights` have N numbers. Returns the
    /// loss before the step.
    ///
    /// # Errors
    /// [`FitError::Diverged`] if the loss is not finite, or libtorch fails.
    pub(super) fn step(
        &mut self,
        maps: &Tensor,
        targets: &[f64],
        weights: &[f64],
        recipe: &FineTuneRecipe,
    ) -> Result<f64, FitError> {
        let numbers = |values: &[f64]| Tensor::f_from_slice(values)?.f_to_kind(Kind::Float)?.f_to_device(maps.device());
        let (targets, weights) = (numbers(targets)?, numbers(weights)?);
        let logits = self.logits(&self.tensors, maps)?;
        let loss =
            logits.f_binary_cross_entropy_with_logits(&targets, Some(&weights), None::<&Tensor>, Reduction::Mean)?;
        let value = loss.f_double_value(&[])?;
        if !value.is_finite() {
            return Err(FitError::Diverged {
                step: self.optimizer.steps,
                found: format!("a loss of {value}"),
                expected: "a finite number",
            });
        }
        loss.f_backward()?;
        let rates = recipe.rates;
        let rate = |name: &str| if LINEAR.contains(&name) { rates.linear } else { rates.stage_4 };
        self.optimizer.step(&self.tensors, rate)?;
        // The averages begin with weights that are not trained. They forget these weights faster than the recipe says.
        let steps = self.optimizer.steps as f64;
        let kept = recipe.averaging.min((1.0 + steps) / (10.0 + steps));
        tch::no_grad(|| {
            for (name, average) in &mut self.averages {
                let _ = average.f_mul_scalar_(kept)?.f_add_(&self.tensors[name].f_mul_scalar(1.0 - kept)?)?;
            }
            Ok::<_, TchError>(())
        })?;
        Ok(value)
    }

    /// The logits of N images by the averages of the weights.
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn averaged_logits(&self, maps: &Tensor) -> Result<Vec<f64>, TchError> {
        tch::no_grad(|| {
            Vec::try_from(self.logits(&self.averages, maps)?.f_to_kind(Kind::Double)?.f_to_device(Device::Cpu)?)
        })
    }

    /// The logits of N images with the weights `tensors`, from the maps of stage 3.
    fn logits(&self, tensors: &BTreeMap<String, Tensor>, maps: &Tensor) -> Result<Tensor, TchError> {
        let mut x = maps.shallow_clone();
        for residual in stage_4::residuals(tensors) {
            x = residual.forward(&x)?;
        }
        let [mean, divisor] = &self.standard;
        let standard = x.f_mean_dim(&[2_i64, 3][..], false, Kind::Float)?.f_sub(mean)?.f_div(divisor)?;
        standard.f_linear(&tensors[LINEAR[0]], Some(&tensors[LINEAR[1]]))?.f_squeeze_dim(1)
    }

    /// The averages of stage 4.
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn stage_4(&self) -> Result<Stage4, TchError> {
        let values = Stage4::shapes().into_iter().map(|(name, _)| {
            let values = numbers(&self.averages[&name])?;
            Ok((name, values))
        });
        Ok(Stage4::new(values.collect::<Result<_, TchError>>()?))
    }

    /// The averages of the linear layer, as a layer for features that are not standardised. Its logits are divided by `deviation`.
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn linear(&self, deviation: f64) -> Result<Layer, TchError> {
        let f64s = |tensor: &Tensor| -> Result<Vec<f64>, TchError> {
            Ok(numbers(tensor)?.into_iter().map(f64::from).collect())
        };
        let [weight, bias] = [f64s(&self.averages[LINEAR[0]])?, f64s(&self.averages[LINEAR[1]])?];
        let [mean, divisor] = [f64s(&self.standard[0])?, f64s(&self.standard[1])?];
        let weight: Vec<f64> = weight.iter().zip(&divisor).map(|(weight, divisor)| weight / divisor).collect();
        let bias = bias[0] - weight.iter().zip(&mean).map(|(weight, mean)| weight * mean).sum::<f64>();
        let weight: Vec<f32> = weight.into_iter().map(|weight| (weight / deviation) as f32).collect();
        Ok(Layer::Affine { inputs: weight.len(), outputs: 1, weight, bias: vec![(bias / deviation) as f32] })
    }
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    Vec::try_from(tensor.f_to_device(Device::Cpu)?.f_contiguous()?.f_view([-1])?)
}

#[cfg(test)]
mod tests {
    use super::super::recipe::Rates;
    use super::*;
    use crate::network::{Backbone, Weights};

    #[test]
    fn steps_lower_the_loss_and_the_averages_follow() {
        let backbone = Backbone::new(&Weights::random(1), Device::Cpu).unwrap();
        let stage_4 = Stage4::of(backbone.network()).unwrap();
        let rates = Rates { stage_4: 1e-4, linear: 1e-3 };
        let recipe = FineTuneRecipe { averaging: 0.5, rates, ..FineTuneRecipe::default() };
        let mut network = Network::new(&stage_4, &Start::new(vec![0.0; 512], 0.0), &recipe, Device::Cpu).unwrap();
        let maps = Tensor::linspace(-1, 1, 4 * 256 * 3 * 2, (Kind::Float, Device::Cpu)).view([4, 256, 3, 2]);
        let (targets, weights) = ([1.0, 0.0, 0.0, 1.0], [1.5, 0.5, 0.5, 1.5]);
        assert_eq!(network.averaged_logits(&maps).unwrap(), [0.0; 4]);
        let losses: Vec<f64> = (0..8).map(|_| network.step(&maps, &targets, &weights, &recipe).unwrap()).collect();
        assert!((losses[0] - 2.0_f64.ln()).abs() < 1e-6 && losses[7] < 0.9 * losses[0], "{losses:?}");
        let averaged = super::super::loss::loss(&network.averaged_logits(&maps).unwrap(), &targets, &weights);
        assert!(averaged < losses[0], "{averaged} {losses:?}");
        assert!(network.averages[LINEAR[0]] != network.tensors[LINEAR[0]]);
        assert_ne!(network.stage_4().unwrap(), stage_4);
        let layer = |network: &Network| match network.linear(2.0).unwrap() {
            Layer::Affine { weight, bias, .. } => (weight, bias[0]),
            layer => panic!("{layer:?}"),
        };
        assert_eq!(layer(&network).0[3], (network.averages[LINEAR[0]].double_value(&[0, 3]) / 2.0) as f32);

        // The standardisation changes how the layer is trained, not what it computes.
        let (weight, mean, divisor) = (vec![0.25; 512], vec![0.5; 512], vec![4.0; 512]);
        let start = Start { weight, bias: -1.0, mean, divisor };
        let standardised = Network::new(&stage_4, &start, &recipe, Device::Cpu).unwrap();
        assert_eq!(layer(&standardised), (vec![0.125; 512], -0.5));
        let plain = Network::new(&stage_4, &Start::new(vec![0.25; 512], -1.0), &recipe, Device::Cpu).unwrap();
        let logits = [standardised, plain].map(|network| network.averaged_logits(&maps).unwrap());
        for (found, expected) in logits[0].iter().zip(&logits[1]) {
            assert!((found - expected).abs() < 1e-3 * expected.abs().max(1.0), "{logits:?}");
        }
    }
}
