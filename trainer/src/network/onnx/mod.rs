//! Writes backbone, pooling and readout as one ONNX file (opset 17).
//!
//! The file follows the contract of [`cellgate_models::engine`]: one f32 input of the fixed shape 1 x 3 x height x width,
//! and three f32 outputs, the raw logit, its map and the whitened features. Batch normalisation is folded into the convolutions, with
//! the same numbers that libtorch uses.
//!
//! If the head judges several flip variants of an image, the network makes them from its input and computes them as a batch of N
//! images. All outputs are means over the batch. In the comments of the submodules, N is the number of variants.
//!
//! With the precision f16, the backbone's weights and maps are f16. One cast follows the input, and one follows each
//! stage that the readout uses. Pooling, head, map and whitening stay in f32. All types are explicit, as TensorRT's strongly typed
//! networks require.

mod backbone;
mod check;
mod emulation;
mod error;
mod flips;
mod graph;
mod head;
mod logit_map;
mod proto;
mod whitening;

pub use emulation::emulate_f16;
pub use error::OnnxError;

use super::Readout;
use super::pooling::Block;
use super::resnet34::ResNet34;
use cellgate_models::conversion::Size;
use cellgate_models::engine::{FEATURES_NAME, INPUT_NAME, LOGIT_NAME, LogitMap, MAP_NAME, WhitenedFeatures};
use cellgate_models::model::Precision;
use graph::Element;
use prost::Message;
use std::collections::HashMap;

/// Version of the operator set.
const OPSET: i64 = 17;
/// Version of the file format that belongs to [`OPSET`] (ONNX 1.12).
const IR_VERSION: i64 = 8;

/// The bytes of an ONNX file with the backbone `network` and `readout` for an input of `size`. The backbone has the given
/// `precision`. `metadata` holds pairs of a name and a text for people; they are stored in the file.
///
/// # Errors
/// [`OnnxError`]: the readout is inconsistent, a weight is not finite or too large for f16, or libtorch fails.
pub fn write(
    network: &ResNet34,
    readout: &Readout,
    size: Size,
    precision: Precision,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, OnnxError> {
    let Readout { head, whitening } = readout;
    readout.check()?;
    let element = match precision {
        Precision::F32 => Element::F32,
        Precision::F16 => Element::F16,
    };
    let mut builder = graph::Builder::default();
    let image = builder.input(INPUT_NAME, &[1, 3, size.height.into(), size.width.into()]);
    let variants = flips::variants(&mut builder, &image, size, head.flips);
    let stages = (network, head.stage_4.as_ref());
    let maps = backbone::stages(&mut builder, stages, &variants, &readout.blocks(), element)?;
    let mut pooled = HashMap::new();
    for block in readout.blocks() {
        let maps = &maps[usize::from(block.stage) - 1];
        pooled.insert(block, backbone::pooled(&mut builder, network, block, maps, size)?);
    }
    let features = |blocks: &[Block]| blocks.iter().map(|block| &pooled[block].features).collect::<Vec<_>>();
    let form = head::head(&mut builder, head, &features(&head.blocks), LOGIT_NAME);
    let blocks: Vec<(Block, &backbone::Pooled)> = head.blocks.iter().map(|block| (*block, &pooled[block])).collect();
    logit_map::logit_map(&mut builder, &blocks, &form, (size, head.flips), MAP_NAME);
    whitening::whitening(&mut builder, whitening, &features(&whitening.blocks), FEATURES_NAME);
    let cells = LogitMap::size_for(size);
    let outputs: [(&str, &[i64]); 3] = [
        (LOGIT_NAME, &[1]),
        (MAP_NAME, &[1, cells.height.into(), cells.width.into()]),
        (FEATURES_NAME, &[1, WhitenedFeatures::COUNT as i64]),
    ];
    let graph = builder.finish("cellgate", &outputs);
    check::check(&graph)?;
    let entry =
        |(key, value): &(&str, String)| proto::StringStringEntryProto { key: (*key).into(), value: value.clone() };
    let model = proto::ModelProto {
        ir_version: IR_VERSION,
        producer_name: "cellgate-trainer".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: "ResNet-34, pooling, head and whitening: a normalised radiograph in, the logit out; the higher, the more likely the part \
                     is abnormal. The map divides the logit among the positions. The features show how unlike the training the part is"
            .into(),
        graph: Some(graph),
        opset_import: vec![proto::OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: metadata.iter().map(entry).collect(),
    };
    Ok(model.encode_to_vec())
}
