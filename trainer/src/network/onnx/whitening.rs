//! Builds the whitening as ONNX nodes, always in f32.

use super::graph::{Builder, Element, Value, With};
use crate::network::Whitening;
use cellgate_models::engine::WhitenedFeatures;

/// Adds the nodes from the features of each of the whitening's blocks (N x C) to the whitened features, a value called `output` of
/// shape 1 x 64.
pub(super) fn whitening(builder: &mut Builder, whitening: &Whitening, features: &[&Value], output: &str) {
    let features = builder.node("Concat", "whitening.features", features, &[With::Int("axis", 1)]);
    let mean = builder.node("ReduceMean", "whitening.mean", &[&features], &[With::Ints("axes", &[0])]);
    let dims = [WhitenedFeatures::COUNT as i64, whitening.width() as i64];
    let weight = builder.floats("whitening.weight", &dims, &whitening.weight, Element::F32);
    let bias = builder.floats("whitening.bias", &dims[..1], &whitening.bias, Element::F32);
    builder.node("Gemm", output, &[&mean, &weight, &bias], &[With::Int("transB", 1)]);
}
