//! Builds ResNet-34 and pooling as ONNX nodes.

use super::graph::{Builder, Element, Value, With};
use crate::network::basis;
use crate::network::placement;
use crate::network::pooling::{Block, Pool, last_stage, upper_triangle};
use crate::network::resnet34::{FoldedConv, ResNet34};
use cellgate_models::conversion::Size;
use tch::{Device, TchError};

/// Adds the nodes from the image to the maps of the stages. `blocks` are the blocks of features in use: no stage after the
/// last of their stages is added. Returns the maps. If the convolutions compute in f16, the maps of these stages are cast to f32.
pub(super) fn stages(
    builder: &mut Builder,
    network: &ResNet34,
    image: &Value,
    blocks: &[Block],
    element: Element,
) -> Result<Vec<Value>, TchError> {
    let image = match element {
        Element::F32 => image.clone(),
        Element::F16 => builder.node("Cast", "image_f16", &[image], &[With::Int("to", element.code())]),
    };
    let stem = conv(builder, &network.stem, &image, element)?;
    let stem = builder.node("Relu", "relu", &[&stem], &[]);
    let pool = [With::Ints("kernel_shape", &[3, 3]), With::Ints("strides", &[2, 2]), With::Ints("pads", &[1, 1, 1, 1])];
    let mut x = builder.node("MaxPool", "maxpool", &[&stem], &pool);
    let mut maps = Vec::new();
    for (index, stage) in network.stages.iter().take(last_stage(blocks)).enumerate() {
        for (number, residual) in stage.iter().enumerate() {
            let prefix = format!("layer{}.{number}", index + 1);
            let first = conv(builder, &residual.first, &x, element)?;
            let first = builder.node("Relu", &format!("{prefix}.relu1"), &[&first], &[]);
            let second = conv(builder, &residual.second, &first, element)?;
            let shortcut = match &residual.downsample {
                Some(downsample) => conv(builder, downsample, &x, element)?,
                None => x,
            };
            let sum = builder.node("Add", &format!("{prefix}.add"), &[&second, &shortcut], &[]);
            x = builder.node("Relu", &format!("{prefix}.relu2"), &[&sum], &[]);
        }
        let in_use = blocks.iter().any(|block| usize::from(block.stage) == index + 1);
        maps.push(if element == Element::F16 && in_use {
            let name = format!("layer{}_f32", index + 1);
            builder.node("Cast", &name, &[&x], &[With::Int("to", Element::F32.code())])
        } else {
            x.clone()
        });
    }
    Ok(maps)
}

/// Adds the convolution `conv` of the value `x`. Its weights have the format `element`.
fn conv(builder: &mut Builder, conv: &FoldedConv, x: &Value, element: Element) -> Result<Value, TchError> {
    let spec = &conv.spec;
    let dims = [spec.outputs, spec.inputs, spec.kernel, spec.kernel];
    let weight = builder.floats(&format!("{}.weight", spec.name), &dims, &numbers(&conv.weight)?, element);
    let bias = builder.floats(&format!("{}.bias", spec.name), &[spec.outputs], &numbers(&conv.bias)?, element);
    let with = [
        With::Ints("kernel_shape", &[spec.kernel; 2]),
        With::Ints("strides", &[spec.stride; 2]),
        With::Ints("pads", &[spec.padding(); 4]),
    ];
    Ok(builder.node("Conv", &spec.name, &[x, &weight, &bias], &with))
}

/// A block of features as nodes.
pub(super) struct Pooled {
    /// The features, N x their number.
    pub(super) features: Value,
    /// What the features are pooled from: the maps of the stage, N x C x h x w. For a covariance, the centred directions,
    /// N x 32 x positions.
    pub(super) by_position: Value,
}

/// Adds the nodes from the maps of a block's stage to the features of the block. `size` is the size of the network's input.
pub(super) fn pooled(
    builder: &mut Builder,
    network: &ResNet34,
    block: Block,
    maps: &Value,
    size: Size,
) -> Result<Pooled, TchError> {
    const POSITION_AXES: With<'_> = With::Ints("axes", &[2, 3]);
    let name = |suffix: &str| format!("pool.{block}{suffix}");
    if block.pool == Pool::Mean {
        let features = builder.node("ReduceMean", &name(""), &[maps], &[POSITION_AXES, With::Int("keepdims", 0)]);
        return Ok(Pooled { features, by_position: maps.clone() });
    }
    let [rank, channels] = [basis::RANK, basis::CHANNELS];
    let directions = numbers(&network.basis)?;
    let directions = builder.floats(&name(".basis"), &[rank, channels, 1, 1], &directions, Element::F32);
    let kernel = [With::Ints("kernel_shape", &[1, 1])];
    let projected = builder.node("Conv", &name(".projected"), &[maps, &directions], &kernel);
    let mean = builder.node("ReduceMean", &name(".mean"), &[&projected], &[POSITION_AXES, With::Int("keepdims", 1)]);
    let centred = builder.node("Sub", &name(".centred"), &[&projected, &mean], &[]);
    let shape = builder.integers(&name(".shape"), &[0, rank, -1]);
    let rows = builder.node("Reshape", &name(".rows"), &[&centred, &shape], &[]);
    let columns = builder.node("Transpose", &name(".columns"), &[&rows], &[With::Ints("perm", &[0, 2, 1])]);
    let sum = builder.node("MatMul", &name(".sum"), &[&rows, &columns], &[]);
    let share = 1.0 / placement::positions(size, block.stage.into()) as f32;
    let share = builder.floats(&name(".share"), &[], &[share], Element::F32);
    let matrix = builder.node("Mul", &name(".matrix"), &[&sum, &share], &[]);
    let flat = builder.integers(&name(".flat_shape"), &[0, rank * rank]);
    let flat = builder.node("Reshape", &name(".flat"), &[&matrix, &flat], &[]);
    let triangle = builder.integers(&name(".triangle"), &upper_triangle());
    let features = builder.node("Gather", &name(""), &[&flat, &triangle], &[With::Int("axis", 1)]);
    Ok(Pooled { features, by_position: rows })
}

/// The elements of a tensor.
fn numbers(tensor: &tch::Tensor) -> Result<Vec<f32>, TchError> {
    Vec::<f32>::try_from(tensor.f_to_device(Device::Cpu)?.f_contiguous()?.f_view([-1])?)
}
