//! Builds the map of the logit as ONNX nodes, always in f32: the share of each position, computed by position.

use super::backbone::{Pooled, number_of_positions};
use super::graph::{Builder, Element, Value, With};
use super::head::LinearForm;
use crate::network::basis::RANK;
use crate::network::placement;
use crate::network::pooling::{Block, Pool, upper_triangle};
use cellgate_models::conversion::Size;
use cellgate_models::engine::LogitMap;

/// Adds the nodes from the maps of the stages and the logit's linear form to the map, a value called `output` of shape 1 x rows x
/// columns. `blocks` are the blocks of features of the head, in order, with their nodes. `size` is the size of the network's input.
pub(super) fn logit_map(builder: &mut Builder, blocks: &[(Block, Pooled)], form: &LinearForm, size: Size, output: &str) {
    let mut parts = Vec::new();
    let mut start = 0;
    for (number, (block, pooled)) in blocks.iter().enumerate() {
        let name = format!("map.{number}");
        let end = start + block.width();
        let starts = builder.integers(&format!("{name}.start"), &[start as i64]);
        let ends = builder.integers(&format!("{name}.end"), &[end as i64]);
        let axes = builder.integers(&format!("{name}.axis"), &[1]);
        let weights =
            builder.node("Slice", &format!("{name}.weights"), &[&form.weights, &starts, &ends, &axes], &[]);
        start = end;
        let shares = match block.pool {
            Pool::Mean => of_mean(builder, &name, *block, pooled, &weights),
            Pool::Covariance => of_covariance(builder, &name, pooled, &weights),
        };
        parts.push(place(builder, &name, &shares, block.stage.into(), size));
    }
    let cells = LogitMap::size_for(size);
    let share = builder.floats("map.share", &[], &[1.0 / cells.pixels() as f32], Element::F32);
    parts.push(builder.node("Mul", "map.constant", &[&form.constant, &share], &[]));
    let sum = builder.node("Sum", "map.sum", &parts.iter().collect::<Vec<_>>(), &[]);
    let shape = builder.integers("map.shape", &[1, cells.height.into(), cells.width.into()]);
    builder.node("Reshape", output, &[&sum, &shape], &[]);
}

/// Adds the shares of the positions in the mean of each channel, 1 x positions, times the number of positions.
fn of_mean(builder: &mut Builder, name: &str, block: Block, pooled: &Pooled, weights: &Value) -> Value {
    let shape = builder.integers(&format!("{name}.flat_shape"), &[block.width() as i64, -1]);
    let flat = builder.node("Reshape", &format!("{name}.flat"), &[&pooled.by_position, &shape], &[]);
    builder.node("MatMul", &format!("{name}.products"), &[weights, &flat], &[])
}

/// Adds the shares of the positions in the covariances, 1 x positions, times the number of positions.
fn of_covariance(builder: &mut Builder, name: &str, pooled: &Pooled, weights: &Value) -> Value {
    // The matrix of weights has the upper triangle of the features and zeros below it. Index 528 is a zero behind the features.
    let triangle = upper_triangle();
    let mut indices = vec![triangle.len() as i64; (RANK * RANK) as usize];
    for (feature, &place) in triangle.iter().enumerate() {
        indices[place as usize] = feature as i64;
    }
    let zero = builder.floats(&format!("{name}.zero"), &[1, 1], &[0.0], Element::F32);
    let padded = builder.node("Concat", &format!("{name}.padded"), &[weights, &zero], &[With::Int("axis", 1)]);
    let indices = builder.integers(&format!("{name}.indices"), &indices);
    let matrix = builder.node("Gather", &format!("{name}.entries"), &[&padded, &indices], &[With::Int("axis", 1)]);
    let shape = builder.integers(&format!("{name}.matrix_shape"), &[RANK, RANK]);
    let matrix = builder.node("Reshape", &format!("{name}.matrix"), &[&matrix, &shape], &[]);
    let rows = &pooled.by_position;
    let product = builder.node("MatMul", &format!("{name}.product"), &[&matrix, rows], &[]);
    let product = builder.node("Mul", &format!("{name}.products"), &[&product, rows], &[]);
    let axes = builder.integers(&format!("{name}.channels"), &[0]);
    builder.node("ReduceSum", &format!("{name}.shares"), &[&product, &axes], &[])
}

/// Adds the placement of shares of a stage, 1 x positions, on the map, rows x columns. Divides by the number of positions.
fn place(builder: &mut Builder, name: &str, shares: &Value, stage: usize, size: Size) -> Value {
    let cells = LogitMap::size_for(size);
    let of_stage = [size.height, size.width].map(|pixels| placement::cells(pixels, stage) as i64);
    let shape = builder.integers(&format!("{name}.grid_shape"), &of_stage);
    let grid = builder.node("Reshape", &format!("{name}.grid"), &[shares, &shape], &[]);
    let [rows, mut columns] = placement::matrices(size, stage);
    let positions = number_of_positions(size, stage) as f32;
    columns.iter_mut().for_each(|share| *share /= positions);
    let dims = [[cells.height.into(), of_stage[0]], [cells.width.into(), of_stage[1]]];
    let rows = builder.floats(&format!("{name}.rows"), &dims[0], &rows, Element::F32);
    let columns = builder.floats(&format!("{name}.columns"), &dims[1], &columns, Element::F32);
    let columns = builder.node("Transpose", &format!("{name}.columns_t"), &[&columns], &[With::Ints("perm", &[1, 0])]);
    let placed = builder.node("MatMul", &format!("{name}.by_row"), &[&rows, &grid], &[]);
    builder.node("MatMul", &format!("{name}.placed"), &[&placed, &columns], &[])
}
