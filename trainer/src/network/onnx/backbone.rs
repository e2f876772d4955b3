//! ResNet-34 and pooling as nodes.

use super::graph::{Builder, Element, Value, With};
use crate::network::pooling::{Block, GEM_FLOOR, Pool};
use crate::network::resnet34::{FoldedConv, ResNet34};
use tch::{Device, TchError};

/// The maps of all stages as far as the last one that `blocks` need; those that they need are f32, whatever the
/// convolutions compute in.
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
    let stages = blocks.iter().map(|block| usize::from(block.stage)).max().unwrap_or(0);
    let mut maps = Vec::new();
    for (index, stage) in network.stages.iter().take(stages).enumerate() {
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

fn conv(builder: &mut Builder, conv: &FoldedConv, x: &Value, element: Element) -> Result<Value, TchError> {
    let spec = &conv.spec;
    let numbers = |tensor: &tch::Tensor| Vec::<f32>::try_from(tensor.f_to_device(Device::Cpu)?.f_view([-1])?);
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

/// One block's features, 1 x C.
pub(super) fn pooled(builder: &mut Builder, block: Block, maps: &Value) -> Value {
    const POSITIONS: With<'_> = With::Ints("axes", &[2, 3]);
    let name = |part: &str| format!("pool.{block}{part}");
    let keep = |keep| [POSITIONS, With::Int("keepdims", keep)];
    match block.pool {
        Pool::Mean => builder.node("ReduceMean", &name(""), &[maps], &keep(0)),
        Pool::Max => builder.node("ReduceMax", &name(""), &[maps], &keep(0)),
        Pool::Std => {
            let mean = builder.node("ReduceMean", &name(".mean"), &[maps], &keep(1));
            let difference = builder.node("Sub", &name(".difference"), &[maps, &mean], &[]);
            let square = builder.node("Mul", &name(".square"), &[&difference, &difference], &[]);
            let variance = builder.node("ReduceMean", &name(".variance"), &[&square], &keep(0));
            builder.node("Sqrt", &name(""), &[&variance], &[])
        }
        Pool::Gem3 => {
            let floor = builder.floats(&name(".floor"), &[], &[GEM_FLOOR as f32], Element::F32);
            let root = builder.floats(&name(".root"), &[], &[1.0 / 3.0], Element::F32);
            let above = builder.node("Max", &name(".above"), &[maps, &floor], &[]);
            let square = builder.node("Mul", &name(".square"), &[&above, &above], &[]);
            let cube = builder.node("Mul", &name(".cube"), &[&square, &above], &[]);
            let mean = builder.node("ReduceMean", &name(".mean"), &[&cube], &keep(0));
            builder.node("Pow", &name(""), &[&mean, &root], &[])
        }
    }
}
