//! Builds a head as ONNX nodes, always in f32.

use super::graph::{Builder, Element, Value, With};
use crate::network::head::{Activation, Head, Layer};

/// Adds the nodes from the features of each block (1 x C) to the raw logit, a value called `output` of shape
/// `[1]`.
pub(super) fn head(builder: &mut Builder, head: &Head, features: &[Value], output: &str) {
    let features: Vec<&Value> = features.iter().collect();
    let features = builder.node("Concat", "features", &features, &[With::Int("axis", 1)]);
    let logits: Vec<Value> =
        head.members.iter().enumerate().map(|(index, layers)| member(builder, index, layers, &features)).collect();
    let logits = match logits.as_slice() {
        [only] => only.clone(),
        several => builder.node("Mean", "logits", &several.iter().collect::<Vec<_>>(), &[]),
    };
    let logit = match head.activation {
        Activation::Sigmoid => logits,
        Activation::Softmax => {
            let [normal, abnormal] = [("normal", 0), ("abnormal", 1)].map(|(name, index)| {
                let index = builder.integers(&format!("{name}_index"), &[index]);
                builder.node("Gather", name, &[&logits, &index], &[With::Int("axis", 1)])
            });
            builder.node("Sub", "difference", &[&abnormal, &normal], &[])
        }
    };
    let shape = builder.integers("logit_shape", &[1]);
    builder.node("Reshape", output, &[&logit, &shape], &[]);
}

/// Adds the nodes of the ensemble member with the index `member`. Returns its logits.
fn member(builder: &mut Builder, member: usize, layers: &[Layer], features: &Value) -> Value {
    let mut x = features.clone();
    for (index, layer) in layers.iter().enumerate() {
        let name = |suffix: &str| format!("members.{member}.{index}{suffix}");
        x = match layer {
            Layer::Affine { inputs, outputs, weight, bias } => {
                let dims = [*outputs as i64, *inputs as i64];
                let weight = builder.floats(&name(".weight"), &dims, weight, Element::F32);
                let bias = builder.floats(&name(".bias"), &dims[..1], bias, Element::F32);
                builder.node("Gemm", &name(""), &[&x, &weight, &bias], &[With::Int("transB", 1)])
            }
            Layer::Slice { start, length } => {
                let starts = builder.integers(&name(".start"), &[*start as i64]);
                let ends = builder.integers(&name(".end"), &[(start + length) as i64]);
                let axes = builder.integers(&name(".axis"), &[1]);
                builder.node("Slice", &name(""), &[&x, &starts, &ends, &axes], &[])
            }
            Layer::Relu => builder.node("Relu", &name(""), &[&x], &[]),
            Layer::SignedSqrt => {
                let sign = builder.node("Sign", &name(".sign"), &[&x], &[]);
                let size = builder.node("Abs", &name(".abs"), &[&x], &[]);
                let root = builder.node("Sqrt", &name(".root"), &[&size], &[]);
                builder.node("Mul", &name(""), &[&sign, &root], &[])
            }
        };
    }
    x
}
