//! The trainable ResNet-34 of the pre-training. Its batch normalisations are not folded into the convolutions, and it
//! has heads for the pre-training's task. These heads are dropped afterwards.

use super::crop::STYLES;
use crate::dataset::synth::sampler::{COATINGS, KINDS};
use crate::network::Weights;
use crate::network::architecture::{self, CHANNELS, ConvSpec, FC, NORM_EPSILON};
use std::collections::BTreeMap;
use tch::{Device, Kind, TchError, Tensor};

/// Weight of a new batch in the running means and variances of batch normalisation. It is less than torchvision's 0.1,
/// because a batch here is small and mixes many zooms and conversions: its own means and variances are far from the
/// averages that the finished network needs.
const NORM_MOMENTUM: f64 = 0.03;
/// Initial bias of the heads of the maps. It is negative, because most cells of the maps show no anomaly.
const MAP_BIAS: f64 = -3.0;

/// ResNet-34 with its last layer and the heads of the pre-training.
pub(super) struct TrainableNetwork {
    /// The tensors by torchvision's names. Names of the heads begin with `head.`.
    pub(super) tensors: BTreeMap<String, Tensor>,
    device: Device,
    /// The type of the numbers between the layers in training: bf16 on a GPU, whose tensor cores then compute the convolutions;
    /// f32 on the CPU. The weights, their gradients, the statistics of batch normalisation and the heads are f32 in any case.
    training_kind: Kind,
}

/// The outputs of the heads for N crops, before sigmoid and softmax.
pub(super) struct Outputs {
    /// One map per kind of anomaly, N x kinds x rows x columns: from stage 3, then from stage 4.
    pub(super) maps: [Tensor; 2],
    /// The severity of each kind, N x kinds: a linear layer on the means of stages 3 and 4. The recipe `recommended`
    /// uses these means too.
    pub(super) severities: Tensor,
    /// The severity of each kind again, N x kinds: ResNet-34's last layer of 1000 outputs, ReLU, and a linear layer.
    /// The paper's recipe starts from this last layer.
    pub(super) last_severities: Tensor,
    /// Coating process and direction, N x coatings, from the last layer too.
    pub(super) coatings: Tensor,
    /// Thickness, mottle and grain, N x styles, from the last layer too.
    pub(super) styles: Tensor,
}

/// Names and shapes of the heads' tensors.
fn heads() -> [(&'static str, Vec<i64>); 8] {
    let [kinds, styles, coatings] = [KINDS, STYLES, COATINGS].map(|count| count as i64);
    let last = kinds + coatings + styles;
    [
        ("head.map3.weight", vec![kinds, CHANNELS[2], 1, 1]),
        ("head.map3.bias", vec![kinds]),
        ("head.map4.weight", vec![kinds, CHANNELS[3], 1, 1]),
        ("head.map4.bias", vec![kinds]),
        ("head.means.weight", vec![kinds, CHANNELS[2] + CHANNELS[3]]),
        ("head.means.bias", vec![kinds]),
        ("head.last.weight", vec![last, FC[1]]),
        ("head.last.bias", vec![last]),
    ]
}

/// Names and shapes of the tensors in the weights file: ResNet-34 with its last layer, without the heads.
pub(super) fn exported() -> Vec<(String, Vec<i64>)> {
    let [inputs, outputs] = FC;
    let mut tensors = architecture::tensors();
    tensors.push(("fc.weight".to_owned(), vec![outputs, inputs]));
    tensors.push(("fc.bias".to_owned(), vec![outputs]));
    tensors
}

/// Names and shapes of all tensors, with those of the heads.
pub(super) fn all() -> Vec<(String, Vec<i64>)> {
    exported().into_iter().chain(heads().map(|(name, shape)| (name.to_owned(), shape))).collect()
}

/// Whether the optimizer changes this tensor. It changes all tensors but the running means and variances, which batch
/// normalisation itself updates.
pub(super) fn is_trained(name: &str) -> bool {
    !name.contains("running_")
}

impl TrainableNetwork {
    /// The network at the start: convolutions and last layer are random numbers from `seed`, batch normalisations have scale
    /// 1 and shift 0, and the weights of the heads are 0, so that the heads' outputs do not depend on the crop.
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn random(seed: u64, device: Device) -> Result<Self, TchError> {
        let random = Weights::random(seed);
        let mut tensors = BTreeMap::new();
        for (name, shape) in all() {
            let constant = |value: f64| Tensor::f_full(&shape[..], value, (Kind::Float, Device::Cpu));
            let is_norm = shape.len() == 1 && !name.starts_with("head") && !name.starts_with("fc");
            let tensor = match name.as_str() {
                _ if is_norm => constant(if name.ends_with("weight") || name.ends_with("var") { 1.0 } else { 0.0 })?,
                "head.map3.bias" | "head.map4.bias" => constant(MAP_BIAS)?,
                name if name.starts_with("head") => constant(0.0)?,
                name => random.tensor(name).copy(),
            };
            tensors.insert(name, tensor);
        }
        Self::new(tensors, device)
    }

    /// The network with `tensors`, which must be those of [`all`].
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn new(tensors: BTreeMap<String, Tensor>, device: Device) -> Result<Self, TchError> {
        let place = |(name, tensor): (String, Tensor)| {
            let tensor = tensor.f_to_device(device)?.f_set_requires_grad(is_trained(&name))?;
            Ok((name, tensor))
        };
        let tensors = tensors.into_iter().map(place).collect::<Result<_, TchError>>()?;
        let training_kind = if device.is_cuda() { Kind::BFloat16 } else { Kind::Float };
        Ok(Self { tensors, device, training_kind })
    }

    /// Where the network runs: the CPU or a GPU.
    pub(super) fn device(&self) -> Device {
        self.device
    }

    /// The outputs for N x 3 x height x width normalised images. With `training`, batch normalisation uses the statistics
    /// of the batch and updates the running statistics.
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn forward(&self, images: &Tensor, training: bool) -> Result<Outputs, TchError> {
        let images = if training { prepared(images, self.training_kind)? } else { images.shallow_clone() };
        let stem = self.convolve(&images, &architecture::stem(), training)?.f_relu_()?;
        let mut x = stem.f_max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false)?;
        let mut stage3 = x.shallow_clone();
        for stage in 0..CHANNELS.len() {
            for block in architecture::residuals(stage) {
                let inner = self.convolve(&x, &block.first, training)?.f_relu_()?;
                let mut out = self.convolve(&inner, &block.second, training)?;
                x = match &block.downsample {
                    Some(downsample) => out.f_add_(&self.convolve(&x, downsample, training)?)?,
                    None => out.f_add_(&x)?,
                }
                .f_relu_()?;
            }
            if stage == 2 {
                stage3 = x.shallow_clone();
            }
        }
        let (stage3, x) = (stage3.f_to_kind(Kind::Float)?, x.f_to_kind(Kind::Float)?);
        let mean = |maps: &Tensor| maps.f_mean_dim(&[2_i64, 3][..], false, Kind::Float);
        let (mean3, mean4) = (mean(&stage3)?, mean(&x)?);
        let map = |maps: &Tensor, head: &str| {
            let [weight, bias] = self.layer(head);
            maps.f_conv2d(weight, Some(bias), [1, 1], [0, 0], [1, 1], 1)
        };
        let linear = |input: &Tensor, head: &str| {
            let [weight, bias] = self.layer(head);
            input.f_linear(weight, Some(bias))
        };
        let severities = linear(&Tensor::f_cat(&[&mean3, &mean4], 1)?, "head.means")?;
        let last = linear(&linear(&mean4, "fc")?.f_relu()?, "head.last")?;
        let [kinds, coatings, styles] = [KINDS, COATINGS, STYLES].map(|count| count as i64);
        Ok(Outputs {
            maps: [map(&stage3, "head.map3")?, map(&x, "head.map4")?],
            severities,
            last_severities: last.f_narrow(1, 0, kinds)?,
            coatings: last.f_narrow(1, kinds, coatings)?,
            styles: last.f_narrow(1, kinds + coatings, styles)?,
        })
    }

    /// Weight and bias of the layer called `name`.
    fn layer(&self, name: &str) -> [&Tensor; 2] {
        ["weight", "bias"].map(|suffix| &self.tensors[&format!("{name}.{suffix}")])
    }

    /// The convolution of `x` by `spec`, and the batch normalisation that follows it.
    fn convolve(&self, x: &Tensor, spec: &ConvSpec, training: bool) -> Result<Tensor, TchError> {
        let weight = self.tensors[&format!("{}.weight", spec.name)].f_to_kind(x.kind())?;
        let x = x.f_conv2d(&weight, None::<&Tensor>, [spec.stride; 2], [spec.padding(); 2], [1, 1], 1)?;
        let [scale, shift] = self.layer(&spec.norm);
        let [mean, variance] =
            ["running_mean", "running_var"].map(|kind| &self.tensors[&format!("{}.{kind}", spec.norm)]);
        x.f_batch_norm(
            Some(scale),
            Some(shift),
            Some(mean),
            Some(variance),
            training,
            NORM_MOMENTUM,
            NORM_EPSILON,
            true, // cuDNN may be used
        )
    }
}

/// `images` as numbers of `kind`. In bf16, the channels of a pixel lie next to each other in memory, and so do those of all maps
/// that follow: that is the layout of tensor cores.
fn prepared(images: &Tensor, kind: Kind) -> Result<Tensor, TchError> {
    let images = images.f_to_kind(kind)?;
    if kind == Kind::Float {
        return Ok(images);
    }
    images.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::resnet34::ResNet34;

    /// The way of a GPU, on the CPU.
    #[test]
    fn training_in_bf16_has_the_outputs_and_gradients_of_f32_up_to_rounding() {
        let images =
            (Tensor::linspace(0, 100_000, 2 * 3 * 64 * 64, (Kind::Float, Device::Cpu)).sin() * 2).view([2, 3, 64, 64]);
        let of_kind = |kind| {
            let mut network = TrainableNetwork::random(1, Device::Cpu).unwrap();
            // With weights of 0, the head would have neither outputs nor gradients.
            let ones = network.tensors["head.map3.weight"].detach().ones_like() / 256.0;
            network.tensors.insert("head.map3.weight".into(), ones.set_requires_grad(true));
            network.training_kind = kind;
            let maps = network.forward(&images, true).unwrap().maps;
            // A gradient that is the same at all positions would vanish in batch normalisation.
            let wave = Tensor::arange(maps[0].numel() as i64, (Kind::Float, Device::Cpu)).sin().view_as(&maps[0]);
            (&maps[0] * wave).sum(Kind::Float).backward();
            let [first, last] =
                ["conv1", "layer3.5.conv2"].map(|conv| network.tensors[&format!("{conv}.weight")].grad());
            assert!(first.kind() == Kind::Float && first.norm().double_value(&[]).is_normal());
            [maps[0].detach(), last, network.tensors["layer3.5.bn2.running_var"].detach()]
        };
        let (half, whole) = (of_kind(Kind::BFloat16), of_kind(Kind::Float));
        // Thirty layers of bf16 lie between the images and the maps, and most of a gradient cancels in batch normalisation.
        for ((half, whole), largest) in half.iter().zip(&whole).zip([0.05, 0.5, 0.05]) {
            let error = ((half - whole).norm() / whole.norm()).double_value(&[]);
            assert!(half.kind() == Kind::Float && error < largest, "{error}");
        }
        assert!(half[0] != whole[0], "the layers must compute in bf16");
        let strides = prepared(&images, Kind::BFloat16).unwrap().stride();
        assert_eq!(strides, [3 * 64 * 64, 1, 3 * 64, 3]);
    }

    #[test]
    fn all_heads_have_outputs_for_each_crop_and_cell() {
        let network = TrainableNetwork::random(1, Device::Cpu).unwrap();
        let outputs = network.forward(&Tensor::randn([2, 3, 96, 64], (Kind::Float, Device::Cpu)), true).unwrap();
        assert_eq!(outputs.maps.each_ref().map(Tensor::size), [[2, 11, 6, 4], [2, 11, 3, 2]]);
        let rows = [outputs.severities, outputs.last_severities, outputs.coatings, outputs.styles];
        assert_eq!(rows.map(|rows| rows.size()), [[2, 11], [2, 11], [2, 8], [2, 3]]);
    }

    #[test]
    fn in_evaluation_mode_the_trainable_network_equals_the_frozen_one() {
        let _guard = tch::no_grad_guard();
        let mut network = TrainableNetwork::random(1, Device::Cpu).unwrap();
        // With this weight instead of 0, the head's outputs are 11 of the 768 means of stages 3 and 4: the means 250 to 255
        // are of stage 3, the means 256 to 260 of stage 4.
        let eye = Tensor::eye(768, (Kind::Float, Device::Cpu)).narrow(0, 250, 11);
        network.tensors.insert("head.means.weight".into(), eye);
        let images = Tensor::randn([2, 3, 96, 64], (Kind::Float, Device::Cpu));
        network.forward(&images, true).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let to_bytes =
            |tensor: &Tensor| Vec::<u8>::try_from(tensor.contiguous().view_dtype(Kind::Uint8).view([-1])).unwrap();
        let bytes: Vec<_> =
            exported().into_iter().map(|(name, shape)| (to_bytes(&network.tensors[&name]), name, shape)).collect();
        let views = bytes.iter().map(|(bytes, name, shape)| {
            let shape = shape.iter().map(|side| *side as usize).collect();
            (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, bytes).unwrap())
        });
        std::fs::write(file.path(), safetensors::serialize(views, None).unwrap()).unwrap();
        let weights = Weights::read(file.path()).unwrap();
        let maps = ResNet34::new(&weights, Device::Cpu).unwrap().forward(&images, 4).unwrap();
        let means: Vec<_> = maps[2..].iter().map(|maps| maps.mean_dim(&[2_i64, 3][..], false, Kind::Float)).collect();
        let expected = Tensor::cat(&means, 1).narrow(1, 250, 11);
        let found = network.forward(&images, false).unwrap().severities;
        let error = (found - &expected).abs().max() / expected.abs().max();
        assert!(error.double_value(&[]) < 1e-5, "{error:?}");
    }
}
