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
        // Each node has one output, which has the node's name.
        let output = node.name.clone();
        let [exact, rounded] = ["exact", "rounded"].map(|suffix| format!("{output}.{suffix}"));
        (node.name, node.output) = (exact.clone(), vec![exact.clone()]);
        let round = cast(&rounded, &exact, Element::F16);
        let back = cast(&output, &rounded, Element::F32);
        graph.node.extend([node, round, back]);
        in_f16.insert(output);
    }
    graph
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::f16_testing::{Accumulator, output};
    use crate::network::head::{Activation, Layer};
    use crate::network::resnet34::Residual;
    use crate::network::{Backbone, Block, Flips, Head, Readout, Weights, Whitening};
    use cellgate_models::conversion::Size;
    use cellgate_models::engine::{Engine, OnnxRuntime, OnnxRuntimeOptions, WhitenedFeatures};
    use cellgate_models::model::Precision;
    use tch::{Device, Tensor};

    /// A backbone whose convolutions sum two products for each number. Such a sum does not depend on the order, so all engines that round
    /// alike give exactly the same numbers.
    fn sparse_backbone() -> Backbone {
        let backbone = Backbone::new(&Weights::random(1), Device::Cpu).unwrap();
        let network = backbone.network();
        let residuals = network.stages.iter().flatten().flat_map(Residual::convolutions);
        for (number, conv) in [&network.stem].into_iter().chain(residuals).enumerate() {
            let spec = &conv.spec;
            let places = (spec.kernel * spec.kernel) as usize;
            let mut weight = vec![0.0_f32; spec.outputs as usize * spec.inputs as usize * places];
            for (output, weight) in weight.chunks_exact_mut(spec.inputs as usize * places).enumerate() {
                let draw = |salt: usize| (output * 7919 + number * 104_729 + salt * 1_299_709) % 10_007;
                let centre = draw(1) % spec.inputs as usize * places + places / 2;
                weight[centre] = 0.75 + draw(2) as f32 / 20_014.0;
                let other = draw(3) % weight.len();
                weight[other] = draw(4) as f32 / 10_007.0 - 0.75;
            }
            let weight = Tensor::from_slice(&weight).view_as(&conv.weight);
            tch::no_grad(|| {
                conv.weight.shallow_clone().copy_(&weight);
                let _ = conv.bias.shallow_clone().zero_();
            });
        }
        backbone
    }

    /// The whitened features are 64 channels of stage 4, which has one position. ONNX Runtime runs with all graph optimisations, so this
    /// also shows that it does not remove the casts.
    #[test]
    fn every_result_of_the_backbone_is_rounded_once() {
        let size = Size { height: 32, width: 32 };
        let backbone = sparse_backbone();
        let head = Head {
            blocks: vec![Block::MEAN_4],
            members: vec![vec![Layer::Affine { inputs: 512, outputs: 1, weight: vec![1e-3; 512], bias: vec![0.0] }]],
            activation: Activation::Sigmoid,
            flips: Flips::One,
            stage_4: None,
        };
        let mut weight = vec![0.0; WhitenedFeatures::COUNT * 512];
        weight.iter_mut().step_by(512 + 8).for_each(|weight| *weight = 1.0);
        let bias = vec![0.0; WhitenedFeatures::COUNT];
        let readout = Readout { head, whitening: Whitening { blocks: vec![Block::MEAN_4], weight, bias } };
        let network = crate::network::onnx::write(backbone.network(), &readout, size, Precision::F16, &[]).unwrap();
        let image: Vec<f32> =
            (0..3 * size.pixels()).map(|index| ((index * 7919) % 1009) as f32 / 500.0 - 1.0).collect();
        let run = |network: &[u8]| {
            let mut engine = OnnxRuntime::new(network, &OnnxRuntimeOptions::default()).unwrap();
            engine.run(&image).unwrap().features.components().to_vec()
        };
        let with_head = backbone.with_head(&readout.head).unwrap();
        let expected = output(&with_head, &readout.whitening, (&image, size), Accumulator::F32);
        let expected = expected.features.components().to_vec();
        assert!(expected.iter().filter(|&&feature| feature > 0.01).count() > 16, "{expected:?}");
        assert!(expected.iter().all(|&feature| f16::from_f32(feature).to_f32() == feature), "{expected:?}");
        assert_eq!(run(&emulate_f16(&network).unwrap()), expected);
        assert_ne!(run(&network), expected, "ONNX Runtime computes the f16 network in f32");
    }

    #[test]
    fn bytes_that_are_no_network_are_refused() {
        let error = emulate_f16(b"no network").unwrap_err();
        assert!(matches!(error, OnnxError::Unsound(_)), "{error}");
    }
}
