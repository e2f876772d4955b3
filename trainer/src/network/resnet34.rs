//! Computes the maps of ResNet-34's four stages from images, with libtorch and frozen weights.

use super::architecture::{self, ConvSpec};
use super::basis;
use super::weights::Weights;
use tch::{Device, Kind, TchError, Tensor, nn};

/// A convolution. The batch normalisation that follows it is folded into its weight and bias. For a frozen network this is
/// exact, because batch normalisation in evaluation mode applies the same affine map to a channel of every image.
#[derive(Debug)]
pub(crate) struct FoldedConv {
    pub(crate) weight: Tensor,
    pub(crate) bias: Tensor,
    pub(crate) spec: ConvSpec,
}

impl FoldedConv {
    /// Folds on the CPU in f64, rounds once to f32, and stores the result in `root` under the convolution's name in
    /// torchvision.
    fn new(weights: &Weights, spec: ConvSpec, root: &nn::Path<'_>) -> Result<Self, TchError> {
        let get = |layer: &str, suffix: &str| weights.tensor(&format!("{layer}.{suffix}")).f_to_kind(Kind::Double);
        let deviation = get(&spec.norm, "running_var")?.f_add_scalar(architecture::NORM_EPSILON)?.f_sqrt()?;
        let scale = get(&spec.norm, "weight")?.f_div(&deviation)?;
        let weight = get(&spec.name, "weight")?.f_mul(&scale.f_view([-1, 1, 1, 1])?)?;
        let bias = get(&spec.norm, "bias")?.f_sub(&get(&spec.norm, "running_mean")?.f_mul(&scale)?)?;
        let path = spec.name.split('.').fold(root.clone(), |path, name| path / name);
        Ok(Self {
            weight: path.var_copy("weight", &weight.f_to_kind(Kind::Float)?),
            bias: path.var_copy("bias", &bias.f_to_kind(Kind::Float)?),
            spec,
        })
    }

    /// The weight and the bias with their names.
    pub(super) fn tensors(&self) -> [(String, &Tensor); 2] {
        [("weight", &self.weight), ("bias", &self.bias)]
            .map(|(suffix, tensor)| (format!("{}.{suffix}", self.spec.name), tensor))
    }

    /// The convolution of `x`. cuDNN must use deterministic algorithms and no TF32, which would lose three decimal
    /// digits.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        const DETERMINISTIC: bool = true;
        const CUDNN: bool = true;
        const TF32: bool = false;
        let (stride, padding) = ([self.spec.stride; 2], [self.spec.padding(); 2]);
        x.f_internal_convolution(
            &self.weight,
            Some(&self.bias),
            stride,
            padding,
            [1, 1], // dilation
            false,  // not transposed
            [0, 0], // output padding, only for transposed convolutions
            1,      // group
            false,  // no search for the fastest algorithm
            DETERMINISTIC,
            CUDNN,
            TF32,
        )
    }
}

/// A residual block: `relu(second(relu(first(x))) + shortcut(x))`.
#[derive(Debug)]
pub(crate) struct Residual {
    pub(crate) first: FoldedConv,
    pub(crate) second: FoldedConv,
    pub(crate) downsample: Option<FoldedConv>,
}

impl Residual {
    /// The convolutions, in the order of the forward pass.
    pub(super) fn convolutions(&self) -> impl Iterator<Item = &FoldedConv> {
        [Some(&self.first), Some(&self.second), self.downsample.as_ref()].into_iter().flatten()
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let mut out = self.second.forward(&self.first.forward(x)?.f_relu_()?)?;
        match &self.downsample {
            Some(downsample) => out.f_add_(&downsample.forward(x)?)?,
            None => out.f_add_(x)?,
        }
        .f_relu_()
    }
}

/// ResNet-34 without its last layer. It is frozen, and its batch normalisations are folded.
#[derive(Debug)]
pub struct ResNet34 {
    store: nn::VarStore,
    pub(crate) stem: FoldedConv,
    pub(crate) stages: [Vec<Residual>; 4],
    /// The directions of stage 3 for [`Pool::Covariance`](super::Pool::Covariance), see [`basis`].
    pub(crate) basis: Tensor,
}

impl ResNet34 {
    /// A ResNet-34 with `weights` on `device`.
    ///
    /// # Errors
    /// libtorch fails, for example because the GPU has too little memory.
    pub fn new(weights: &Weights, device: Device) -> Result<Self, TchError> {
        let _guard = tch::no_grad_guard();
        let mut store = nn::VarStore::new(device);
        let root = store.root();
        let stem = FoldedConv::new(weights, architecture::stem(), &root)?;
        let mut stages = [const { Vec::new() }; 4];
        for (index, stage) in stages.iter_mut().enumerate() {
            for spec in architecture::residuals(index) {
                stage.push(Residual {
                    first: FoldedConv::new(weights, spec.first, &root)?,
                    second: FoldedConv::new(weights, spec.second, &root)?,
                    downsample: spec.downsample.map(|spec| FoldedConv::new(weights, spec, &root)).transpose()?,
                });
            }
        }
        store.freeze();
        let basis = basis::basis(weights)?.f_to_device(device)?;
        Ok(Self { store, stem, stages, basis })
    }

    /// The CPU or the GPU that holds the weights and computes the maps.
    #[must_use]
    pub fn device(&self) -> Device {
        self.store.device()
    }

    /// The residual blocks of the four stages, with those of `stage_4` in place of the network's own if they are given.
    pub(super) fn stages_with<'a>(&'a self, stage_4: Option<&'a [Residual]>) -> [&'a [Residual]; 4] {
        let [first, second, third, fourth] = &self.stages;
        [first, second, third, stage_4.unwrap_or(fourth)]
    }

    /// The maps of the first `stages` stages (1..=4). `images` are N x 3 x H x W normalised images on the CPU or GPU
    /// that holds the weights. The maps are N x C x H/s x W/s, with sizes rounded up, C = 64, 128, 256, 512 and s = 4,
    /// 8, 16, 32.
    ///
    /// # Errors
    /// `images` has another shape, or libtorch fails.
    pub fn forward(&self, images: &Tensor, stages: usize) -> Result<Vec<Tensor>, TchError> {
        self.forward_with(images, stages, None)
    }

    /// As [`Self::forward`], with the blocks of `stage_4` in place of the network's own stage 4 if they are given.
    pub(super) fn forward_with(
        &self,
        images: &Tensor,
        stages: usize,
        stage_4: Option<&[Residual]>,
    ) -> Result<Vec<Tensor>, TchError> {
        tch::no_grad(|| {
            let stem = self.stem.forward(images)?.f_relu_()?;
            let mut x = stem.f_max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false)?;
            let mut maps = Vec::with_capacity(stages);
            for stage in self.stages_with(stage_4).into_iter().take(stages) {
                for residual in stage {
                    x = residual.forward(&x)?;
                }
                maps.push(x.shallow_clone());
            }
            Ok(maps)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_halves_the_size_and_rounds_up() {
        let network = ResNet34::new(&Weights::random(1), Device::Cpu).unwrap();
        let maps = network.forward(&Tensor::zeros([2, 3, 65, 100], (Kind::Float, Device::Cpu)), 4).unwrap();
        let sizes: Vec<Vec<i64>> = maps.iter().map(Tensor::size).collect();
        assert_eq!(sizes, [[2, 64, 17, 25], [2, 128, 9, 13], [2, 256, 5, 7], [2, 512, 3, 4]]);
        assert_eq!(network.forward(&Tensor::zeros([1, 3, 32, 32], (Kind::Float, Device::Cpu)), 2).unwrap().len(), 2);
    }

    #[test]
    fn a_wrong_shape_is_an_error() {
        let network = ResNet34::new(&Weights::random(1), Device::Cpu).unwrap();
        assert!(network.forward(&Tensor::zeros([1, 1, 64, 64], (Kind::Float, Device::Cpu)), 4).is_err());
    }
}
