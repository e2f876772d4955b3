//! Emulates engines that compute the backbone in f16, with libtorch, for the tests.

use super::backbone::flipped;
use super::pooling::last_stage;
use super::resnet34::{FoldedConv, Residual};
use super::{BackboneWithHead, Whitening};
use cellgate_models::conversion::Size;
use cellgate_models::engine::{LogitMap, Output};
use tch::{Device, Kind, Tensor};

/// What a convolution sums its products in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Accumulator {
    F32,
    /// f16. This many products are summed before the sum is rounded.
    F16 {
        products: i64,
    },
}

/// The outputs of the network whose backbone computes in f16. The other parts compute in f32.
pub(crate) fn output(
    network: &BackboneWithHead<'_>,
    whitening: &Whitening,
    (tensor, size): (&[f32], Size),
    accumulator: Accumulator,
) -> Output {
    let BackboneWithHead { backbone, head, stage_4 } = network;
    let image = backbone.image(tensor, size.height, size.width).unwrap();
    let cells = LogitMap::size_for(size);
    let mut sum = Tensor::zeros([cells.height.into(), cells.width.into()], (Kind::Double, Device::Cpu));
    let (mut features, mut of_whitening) = (Vec::new(), Vec::new());
    let stages = backbone.network().stages_with(stage_4.as_deref());
    let last = last_stage(&[&head.blocks[..], &whitening.blocks].concat());
    for &variant in head.flips.variants() {
        let image = rounded(&flipped(&image, variant).unwrap());
        let stem = convolution(&backbone.network().stem, &image, accumulator).relu();
        let mut x = stem.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false);
        let mut maps = Vec::new();
        for stage in &stages[..last] {
            for residual in *stage {
                x = of_residual(residual, &x, accumulator);
            }
            maps.push(x.shallow_clone());
        }
        let (of_variant, shares) = backbone.shares_of_variant(&maps, size, variant, head).unwrap();
        features.extend(of_variant);
        sum += shares;
        of_whitening.extend(backbone.pooled(&maps, &whitening.blocks).unwrap());
    }
    let shares = (sum / head.flips.count() as i64).to_kind(Kind::Float).view([-1]);
    let map = LogitMap::new(cells, Vec::try_from(shares).unwrap()).unwrap();
    Output { logit: head.logit(&features), map, features: whitening.apply(&of_whitening) }
}

fn of_residual(residual: &Residual, x: &Tensor, accumulator: Accumulator) -> Tensor {
    let first = convolution(&residual.first, x, accumulator).relu();
    let second = convolution(&residual.second, &first, accumulator);
    let shortcut = match &residual.downsample {
        Some(downsample) => convolution(downsample, x, accumulator),
        None => x.shallow_clone(),
    };
    rounded(&(second + shortcut)).relu()
}

fn convolution(conv: &FoldedConv, x: &Tensor, accumulator: Accumulator) -> Tensor {
    let spec = &conv.spec;
    let (weight, bias) = (rounded(&conv.weight), rounded(&conv.bias));
    let (kernel, stride, padding) = ([spec.kernel; 2], [spec.stride; 2], [spec.padding(); 2]);
    let Accumulator::F16 { products } = accumulator else {
        return rounded(&x.conv2d(&weight, Some(&bias), stride, padding, [1, 1], 1));
    };
    let (_, _, height, width) = x.size4().unwrap();
    let weight = weight.view([spec.outputs, -1]);
    let columns = x.im2col(kernel, [1, 1], padding, stride).squeeze_dim(0);
    let count = columns.size()[0];
    let mut sum = Tensor::zeros([spec.outputs, columns.size()[1]], (Kind::Float, Device::Cpu));
    for start in (0..count).step_by(products as usize) {
        let length = products.min(count - start);
        // A product of two f16 numbers is exact in f32.
        sum += weight.narrow(1, start, length).matmul(&columns.narrow(0, start, length));
        sum = rounded(&sum);
    }
    let side = |pixels: i64| (pixels - 1) / spec.stride + 1;
    rounded(&(sum + bias.view([-1, 1]))).view([1, spec.outputs, side(height), side(width)])
}

/// `x`, rounded to f16.
fn rounded(x: &Tensor) -> Tensor {
    x.to_kind(Kind::Half).to_kind(Kind::Float)
}
