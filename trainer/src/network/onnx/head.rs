//! Builds a head as ONNX nodes, always in f32: first its logit, then the linear form of this logit, as
//! [`Head::linear_form`](crate::network::Head) computes it.

use super::graph::{Builder, Element, Value, With};
use crate::network::head::{Activation, Head, Layer, ROOT_FLOOR, SMALLEST_ROOT};

/// The linear form of each flip variant's raw logit as nodes: logit = weights * features + constant.
pub(super) struct LinearForm {
    /// One number for each feature: N x width.
    pub(super) weights: Value,
    /// The part of the logit that depends on no feature: N numbers.
    pub(super) constants: Value,
}

/// An ensemble member as nodes: its logits, and the input of each of its layers.
struct Member<'h> {
    layers: &'h [Layer],
    inputs: Vec<Value>,
    logits: Value,
}

/// Adds the nodes from the features of each block (N x C) to the raw logit, a value called `output` of shape
/// `[1]`, and to the linear form of each variant's logit.
pub(super) fn head(builder: &mut Builder, head: &Head, features: &[&Value], output: &str) -> LinearForm {
    let features = builder.node("Concat", "head.features", features, &[With::Int("axis", 1)]);
    let members: Vec<Member<'_>> =
        head.members.iter().enumerate().map(|(index, layers)| member(builder, index, layers, &features)).collect();
    let logits: Vec<&Value> = members.iter().map(|member| &member.logits).collect();
    let logits = match logits.as_slice() {
        [only] => (*only).clone(),
        several => builder.node("Mean", "logits", several, &[]),
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
    let logit = builder.node("ReduceMean", "mean_logit", &[&logit], &[With::Ints("axes", &[0])]);
    let shape = builder.integers("logit_shape", &[1]);
    builder.node("Reshape", output, &[&logit, &shape], &[]);
    linear_form(builder, head, &members)
}

/// Adds the nodes of the ensemble member with the index `member`.
fn member<'h>(builder: &mut Builder, member: usize, layers: &'h [Layer], features: &Value) -> Member<'h> {
    let mut x = features.clone();
    let mut inputs = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let name = |suffix: &str| format!("members.{member}.{index}{suffix}");
        let y = match layer {
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
        inputs.push(std::mem::replace(&mut x, y));
    }
    Member { layers, inputs, logits: x }
}

/// Adds the nodes of the linear form: the layers of each ensemble member in reverse.
fn linear_form(builder: &mut Builder, head: &Head, members: &[Member<'_>]) -> LinearForm {
    let share = 1.0 / members.len() as f32;
    let (mut weights, mut constants) = (Vec::new(), Vec::new());
    for (number, member) in members.iter().enumerate() {
        let start = match head.activation {
            Activation::Softmax => vec![-share, share],
            Activation::Sigmoid => vec![share],
        };
        let variants = head.flips.count();
        let dims = [variants as i64, start.len() as i64];
        let mut pulled = builder.floats(&format!("form.{number}.start"), &dims, &start.repeat(variants), Element::F32);
        let mut widths = vec![head.width()];
        for layer in member.layers {
            widths.push(layer.outputs(widths[widths.len() - 1]));
        }
        for (index, layer) in member.layers.iter().enumerate().rev() {
            let (forward, name) = (format!("members.{number}.{index}"), format!("form.{number}.{index}"));
            let input = Input { value: &member.inputs[index], width: widths[index], variants };
            let (next, constant) = pull_back(builder, layer, (&forward, &name), &input, &pulled);
            pulled = next;
            constants.extend(constant);
        }
        weights.push(pulled);
    }
    let sum = |builder: &mut Builder, name: &str, values: &[Value]| {
        builder.node("Sum", name, &values.iter().collect::<Vec<_>>(), &[])
    };
    LinearForm {
        weights: sum(builder, "form.weights", &weights),
        constants: sum(builder, "form.constants", &constants),
    }
}

/// The input of a layer: N x width.
struct Input<'v> {
    value: &'v Value,
    width: usize,
    variants: usize,
}

/// Adds the nodes from `weights` of the outputs of `layer` to weights of its inputs. Returns these weights, and the N constants that
/// the layer adds. `forward` is the name of the layer's own nodes and `name` that of the new ones.
fn pull_back(
    builder: &mut Builder,
    layer: &Layer,
    (forward, name): (&str, &str),
    input: &Input<'_>,
    weights: &Value,
) -> (Value, Option<Value>) {
    let own = |suffix: &str| format!("{forward}{suffix}");
    let new = |suffix: &str| format!("{name}{suffix}");
    match layer {
        Layer::Affine { .. } => {
            let constants = builder.node("MatMul", &new(".constants"), &[weights, &own(".bias")], &[]);
            (builder.node("MatMul", name, &[weights, &own(".weight")], &[]), Some(constants))
        }
        Layer::Slice { start, length } => {
            let zeros = |builder: &mut Builder, side: &str, count: usize| {
                let dims = [input.variants as i64, count as i64];
                (count > 0).then(|| builder.floats(&new(side), &dims, &vec![0.0; input.variants * count], Element::F32))
            };
            let before = zeros(builder, ".before", *start);
            let after = zeros(builder, ".after", input.width - start - length);
            let parts: Vec<&Value> = [before.as_ref(), Some(weights), after.as_ref()].into_iter().flatten().collect();
            (builder.node("Concat", name, &parts, &[With::Int("axis", 1)]), None)
        }
        Layer::Relu => {
            let zero = builder.floats(&new(".zero"), &[], &[0.0], Element::F32);
            // A unit that is NaN stays active, as in `Layer::pull_back`.
            let inactive = builder.node("Less", &new(".inactive"), &[input.value, &zero], &[]);
            let active = builder.node("Not", &new(".active"), &[&inactive], &[]);
            let active = builder.node("Cast", &new(".mask"), &[&active], &[With::Int("to", Element::F32.code())]);
            (builder.node("Mul", name, &[weights, &active], &[]), None)
        }
        Layer::SignedSqrt => {
            let axis = [With::Ints("axes", &[1])];
            let mean = builder.node("ReduceMean", &new(".mean"), &[&own(".abs")], &axis);
            let mean = builder.node("Sqrt", &new(".mean_root"), &[&mean], &[]);
            let factor = builder.floats(&new(".factor"), &[], &[ROOT_FLOOR as f32], Element::F32);
            let floor = builder.node("Mul", &new(".floor"), &[&mean, &factor], &[]);
            let smallest = builder.floats(&new(".smallest"), &[], &[SMALLEST_ROOT as f32], Element::F32);
            let divisor = builder.node("Max", &new(".divisor"), &[&own(".root"), &floor, &smallest], &[]);
            // The layer's output less the secant at the same input.
            let secant = builder.node("Div", &new(".secant"), &[input.value, &divisor], &[]);
            let rest = builder.node("Sub", &new(".rest"), &[&own(""), &secant], &[]);
            let rest = builder.node("Mul", &new(".rests"), &[weights, &rest], &[]);
            let axes = builder.integers(&new(".axes"), &[1]);
            let constants = builder.node("ReduceSum", &new(".constants"), &[&rest, &axes], &[With::Int("keepdims", 0)]);
            (builder.node("Div", name, &[weights, &divisor], &[]), Some(constants))
        }
    }
}
