//! Writes backbone, pooling and head as one ONNX file (opset 17).
//!
//! The file follows the contract of [`cellgate_models::engine`]: one f32 input of the fixed shape 1 x 3 x height x width,
//! and two f32 outputs, the raw logit and its map. Batch normalisation is folded into the convolutions, with the same numbers that
//! libtorch uses.
//!
//! If the head judges several flip variants of an image, the network makes them from its input and computes them as a batch of N
//! images. Logit and map are the means over the batch. In the comments of the submodules, N is the number of variants.
//!
//! With the precision f16, the backbone's weights and maps are f16. One cast follows the input, and one follows each
//! stage that the head uses. Pooling, head and map stay in f32. All types are explicit, as TensorRT's strongly typed
//! networks require.

mod backbone;
mod check;
mod error;
mod flips;
mod graph;
mod head;
mod logit_map;
mod proto;

pub use error::OnnxError;

use super::head::Head;
use super::pooling::Block;
use super::resnet34::ResNet34;
use cellgate_models::conversion::Size;
use cellgate_models::engine::{INPUT_NAME, LOGIT_NAME, LogitMap, MAP_NAME};
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
    let variants = flips::variants(&mut builder, &image, size, head.flips);
    let maps = backbone::stages(&mut builder, (network, head.stage_4.as_ref()), &variants, &head.blocks, element)?;
    let mut blocks: Vec<(Block, backbone::Pooled)> = Vec::new();
    for &block in &head.blocks {
        // A block that occurs twice is computed once.
        let pooled = match blocks.iter().find(|(other, _)| *other == block) {
            Some((_, pooled)) => pooled.clone(),
            None => backbone::pooled(&mut builder, network, block, &maps[usize::from(block.stage) - 1], size)?,
        };
        blocks.push((block, pooled));
    }
    let features: Vec<graph::Value> = blocks.iter().map(|(_, pooled)| pooled.features.clone()).collect();
    let form = head::head(&mut builder, head, &features, LOGIT_NAME);
    logit_map::logit_map(&mut builder, &blocks, &form, (size, head.flips), MAP_NAME);
    let cells = LogitMap::size_for(size);
    let outputs: [(&str, &[i64]); 2] = [(LOGIT_NAME, &[1]), (MAP_NAME, &[1, cells.height.into(), cells.width.into()])];
    let graph = builder.finish("cellgate", &outputs);
    check::check(&graph)?;
    let entry =
        |(key, value): &(&str, String)| proto::StringStringEntryProto { key: (*key).into(), value: value.clone() };
    let model = proto::ModelProto {
        ir_version: IR_VERSION,
        producer_name: "cellgate-trainer".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: "ResNet-34, pooling and head: a normalised radiograph in, the logit out; the higher, the more likely the part \
                     is abnormal. The map divides the logit among the positions"
            .into(),
        graph: Some(graph),
        opset_import: vec![proto::OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: metadata.iter().map(entry).collect(),
    };
    Ok(model.encode_to_vec())
}
