//! Builds the flip variants of the input as ONNX nodes.

use super::graph::{Builder, Value, With};
use crate::network::flips::Flips;
use cellgate_models::conversion::Size;

/// Adds the nodes from the image (1 x 3 x height x width) to its variants, N x 3 x height x width.
pub(super) fn variants(builder: &mut Builder, image: &Value, size: Size, flips: Flips) -> Value {
    if flips == Flips::One {
        return image.clone();
    }
    let reverse = |builder: &mut Builder, name: &str, side: u32| {
        builder.integers(name, &(0..i64::from(side)).rev().collect::<Vec<_>>())
    };
    let columns = reverse(builder, "flip.columns", size.width);
    let columns = builder.node("Gather", "flip.left_to_right", &[image, &columns], &[With::Int("axis", 3)]);
    let upright = builder.node("Concat", "flip.upright", &[image, &columns], &[With::Int("axis", 0)]);
    if flips == Flips::Two {
        return upright;
    }
    let rows = reverse(builder, "flip.rows", size.height);
    let turned = builder.node("Gather", "flip.top_to_bottom", &[&upright, &rows], &[With::Int("axis", 2)]);
    builder.node("Concat", "flip.all", &[&upright, &turned], &[With::Int("axis", 0)])
}
