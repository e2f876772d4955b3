//! Emulates f16 arithmetic in ONNX Runtime on a CPU.
//!
//! ONNX Runtime has no f16 convolutions on a CPU: it computes an f16 network in f32 and rounds only its weights. The emulated network
//! also rounds every result to f16: two casts, to f16 and back to f32, follow each node. Weights become f32 numbers with the values of
//! their f16 numbers. So products and sums are those of an ideal f16 engine, which sums in f32.
//!
//! ONNX Runtime removes pairs of casts that it inserted itself. It does not remove these pairs, because they change the values.

use super::OnnxError;
use super::graph::{Element, cast};
use super::proto::{FLOAT, FLOAT16, GraphProto, ModelProto};
use half::f16;
use prost::Message;
use std::collections::HashSet;

/// The f32 network that emulates `network`, the bytes of an ONNX file that [`write`](super::write) wrote in f16. Inputs and outputs
/// are the same.
///
/// # Errors
/// [`OnnxError::Unsound`]: `network` is no such file.
pub fn emulate_f16(network: &[u8]) -> Result<Vec<u8>, OnnxError> {
    let mut model = ModelProto::decode(network).map_err(|error| OnnxError::Unsound(error.to_string()))?;
    let graph = model.graph.take().ok_or_else(|| OnnxError::Unsound("no graph".into()))?;
    let graph = emulated(graph);
    super::check::check(&graph)?;
    model.graph = Some(graph);
    Ok(model.encode_to_vec())
}

/// The graph with weights in f32, and with two casts after each node that computes in f16.
fn emulated(mut graph: GraphProto) -> GraphProto {
    let mut in_f16 = HashSet::new();
    for tensor in graph.initializer.iter_mut().filter(|tensor| tensor.data_type == FLOAT16) {
        let numbers = tensor.raw_data.as_chunks().0.iter().map(|&number| f16::from_le_bytes(number));
        tensor.raw_data = numbers.flat_map(|number| number.to_f32().to_le_bytes()).collect();
        tensor.data_type = FLOAT;
        in_f16.insert(tensor.name.clone());
    }
    for mut node in std::mem::take(&mut graph.node) {
        let casts_to = |element: Element| node.op_type == "Cast" && node.attribute[0].i == Some(element.code());
        let is_f16 = node.input.iter().any(|input| in_f16.contains(input)) && !casts_to(Element::F32);
        if !is_f16 && !casts_to(Element::F16) {
            graph.node.push(node);
            continue;
        }
        // Each node has one output, which is called as the node.
        let output = node.name.clone();
        let [exact, rounded] = ["exact", "rounded"].map(|suffix| format!("{output}.{suffix}"));
        node.output = vec![exact.clone()];
        let round = cast(&rounded, &exact, Element::F16);
        let back = cast(&output, &rounded, Element::F32);
        graph.node.extend([node, round, back]);
        in_f16.insert(output);
    }
    graph
}
