//! Backbone, pooling and head as one ONNX file (opset 17), written directly.
//!
//! The file's contract is [`cellgate_models::engine`]'s: one f32 input of the fixed shape 1 x 3 x height x width, one f32
//! output of shape `[1]`. Batch normalisation is folded into the convolutions, with the very numbers that libtorch uses.
//! In f16 the backbone's numbers and maps are f16, with a cast behind the input and one behind each stage in use; pooling
//! and head stay in f32. Types are explicit throughout, as TensorRT's strongly typed networks want them.

mod backbone;
mod check;
mod error;
mod graph;
mod head;
mod proto;

pub use error::OnnxError;

use super::head::Head;
use super::resnet34::ResNet34;
use cellgate_models::conversion::Size;
use cellgate_models::engine::{INPUT_NAME, OUTPUT_NAME};
use cellgate_models::model::Precision;
use graph::Element;
use prost::Message;

/// The version of ONNX's operators.
const OPSET: i64 = 17;
/// The version of the file format that goes with it (ONNX 1.12).
const IR_VERSION: i64 = 8;

/// The bytes of an ONNX file: `network` and `head` for an input of `size`, the backbone in `precision`. `metadata` is
/// kept in the file for people: pairs of key and value.
///
/// # Errors
/// [`OnnxError`]: the head does not fit together, or a weight is too large for f16.
pub fn write(
    network: &ResNet34,
    head: &Head,
    size: Size,
    precision: Precision,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, OnnxError> {
    head.check()?;
    let element = match precision {
        Precision::F32 => Element::F32,
        Precision::F16 => Element::F16,
    };
    let mut builder = graph::Builder::default();
    let image = builder.input(INPUT_NAME, &[1, 3, size.height.into(), size.width.into()]);
    let maps = backbone::stages(&mut builder, network, &image, &head.blocks, element)?;
    let mut seen = Vec::new();
    let mut features = Vec::new();
    for &block in &head.blocks {
        // A block that is named twice is computed once.
        let pooled = match seen.iter().position(|&other| other == block) {
            Some(index) => String::clone(&features[index]),
            None => backbone::pooled(&mut builder, network, block, &maps[usize::from(block.stage) - 1], size)?,
        };
        seen.push(block);
        features.push(pooled);
    }
    head::head(&mut builder, head, &features, OUTPUT_NAME);
    let graph = builder.finish("cellgate", OUTPUT_NAME, &[1]);
    check::check(&graph)?;
    let entry =
        |(key, value): &(&str, String)| proto::StringStringEntryProto { key: (*key).into(), value: value.clone() };
    let model = proto::ModelProto {
        ir_version: IR_VERSION,
        producer_name: "cellgate-trainer".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: "ResNet-34, pooling and head: a normalised radiograph in, the probability of `abnormal` out".into(),
        graph: Some(graph),
        opset_import: vec![proto::OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: metadata.iter().map(entry).collect(),
    };
    Ok(model.encode_to_vec())
}
