//! Writes backbone, pooling and head as one ONNX file (opset 17).
//!
//! The file follows the contract of [`cellgate_models::engine`]: one f32 input of the fixed shape 1 x 3 x height x width,
//! and one f32 output of shape `[1]`. Batch normalisation is folded into the convolutions, with the same numbers that
//! libtorch uses.
//!
//! With the precision f16, the backbone's weights and maps are f16. One cast follows the input, and one follows each
//! stage that the head uses. Pooling and head stay in f32. All types are explicit, as TensorRT's strongly typed
//! networks require.

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

/// Version of the operator set.
const OPSET: i64 = 17;
/// Version of the file format that belongs to [`OPSET`] (ONNX 1.12).
const IR_VERSION: i64 = 8;

/// The bytes of an ONNX file with the backbone `network` and `head` for an input of `size`. The backbone has the given
/// `precision`. `metadata` holds pairs of a name and a text for people; they are stored in the file.
///
/// # Errors
/// [`OnnxError`]: the head is inconsistent, a weight is not finite or too large for f16, or libtorch fails.
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
        // A block that occurs twice is computed once.
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
        doc_string: "ResNet-34, pooling and head: a normalised radiograph in, one number out; the higher, the more likely the part \
                     is abnormal"
            .into(),
        graph: Some(graph),
        opset_import: vec![proto::OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: metadata.iter().map(entry).collect(),
    };
    Ok(model.encode_to_vec())
}
