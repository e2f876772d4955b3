//! Builds the map of the logit as ONNX nodes, always in f32: the share of each position, computed by position.

use super::backbone::Pooled;
use super::graph::{Builder, Element, Value, With};
use super::head::LinearForm;
use crate::network::basis::RANK;
use crate::network::flips::Flips;
use crate::network::placement;
use crate::network::pooling::{Block, Pool, upper_triangle};
use cellgate_models::conversion::Size;
use cellgate_models::engine::LogitMap;

/// Adds the nodes from the maps of the stages and the logit's linear form to the map, a value called `output` of shape 1 x rows x
/// columns. `blocks` are the blocks of features of the head, in order, with their nodes. `size` is the size of the network's input.
pub(super) fn logit_map(
    builder: &mut Builder,
    blocks: &[(Block, &Pooled)],
    form: &LinearForm,
    (size, flips): (Size, Flips),
    output: &str,
) {
    let cells = LogitMap::size_for(size);
    let mut parts = Vec::new();
    let mut start = 0;
    for (number, (block, pooled)) in blocks.iter().enumerate() {
        let name = format!("map.{number}");
        let end = start + block.width();
        let starts = builder.integers(&format!("{name}.start"), &[start as i64]);
        let ends = builder.integers(&format!("{name}.end"), &[end as i64]);
        let axes = builder.integers(&format!("{name}.axis"), &[1]);
        let weights = builder.node("Slice", &format!("{name}.weights"), &[&form.weights, &starts, &ends, &axes], &[]);
        start = end;
        let shares = match block.pool {
            Pool::Mean => of_mean(builder, &name, *block, pooled, &weights),
            Pool::Covariance => of_covariance(builder, &name, pooled, &weights),
        };
        parts.push(place(builder, &name, &shares, block.stage.into(), (size, flips)));
    }
    let shape = builder.integers("map.constants_shape", &[-1, 1, 1]);
    let constants = builder.node("Reshape", "map.constants", &[&form.constants, &shape], &[]);
    let share = builder.floats("map.share", &[], &[1.0 / cells.pixels() as f32], Element::F32);
    parts.push(builder.node("Mul", "map.constant_shares", &[&constants, &share], &[]));
    let sum = builder.node("Sum", "map.of_variants", &parts.iter().collect::<Vec<_>>(), &[]);
    builder.node("ReduceMean", output, &[&sum], &[With::Ints("axes", &[0])]);
}

/// Adds the shares of the positions in the mean of each channel, N x 1 x positions, times the number of positions.
fn of_mean(builder: &mut Builder, name: &str, block: Block, pooled: &Pooled, weights: &Value) -> Value {
    let channels = block.width() as i64;
    let shape = builder.integers(&format!("{name}.flat_shape"), &[0, channels, -1]);
    let flat = builder.node("Reshape", &format!("{name}.flat"), &[&pooled.by_position, &shape], &[]);
    let shape = builder.integers(&format!("{name}.row_shape"), &[-1, 1, channels]);
    let row = builder.node("Reshape", &format!("{name}.row"), &[weights, &shape], &[]);
    builder.node("MatMul", &format!("{name}.products"), &[&row, &flat], &[])
}

/// Adds the shares of the positions in the covariances, N x 1 x positions, times the number of positions.
fn of_covariance(builder: &mut Builder, name: &str, pooled: &Pooled, weights: &Value) -> Value {
    // The matrix of weights has the upper triangle of the features and zeros below it. The padding adds the zero.
    let triangle = upper_triangle();
    let mut indices = vec![triangle.len() as i64; (RANK * RANK) as usize];
    for (feature, &place) in triangle.iter().enumerate() {
        indices[place as usize] = feature as i64;
    }
    let pads = builder.integers(&format!("{name}.pads"), &[0, 0, 0, 1]);
    let padded = builder.node("Pad", &format!("{name}.padded"), &[weights, &pads], &[]);
    let indices = builder.integers(&format!("{name}.indices"), &indices);
    let matrix = builder.node("Gather", &format!("{name}.entries"), &[&padded, &indices], &[With::Int("axis", 1)]);
    let shape = builder.integers(&format!("{name}.matrix_shape"), &[-1, RANK, RANK]);
    let matrix = builder.node("Reshape", &format!("{name}.matrix"), &[&matrix, &shape], &[]);
    let rows = &pooled.by_position;
    let product = builder.node("MatMul", &format!("{name}.product"), &[&matrix, rows], &[]);
    let product = builder.node("Mul", &format!("{name}.products"), &[&product, rows], &[]);
    let axes = builder.integers(&format!("{name}.directions"), &[1]);
    builder.node("ReduceSum", &format!("{name}.shares"), &[&product, &axes], &[])
}

/// Adds the placement of shares of a stage, N x 1 x positions, on the map of each variant, N x rows x columns, turned back. Divides by
/// the number of positions.
fn place(builder: &mut Builder, name: &str, shares: &Value, stage: usize, (size, flips): (Size, Flips)) -> Value {
    let cells = LogitMap::size_for(size);
    let [height, width] = [size.height, size.width].map(|pixels| placement::cells(pixels, stage) as i64);
    let shape = builder.integers(&format!("{name}.grid_shape"), &[-1, height, width]);
    let grid = builder.node("Reshape", &format!("{name}.grid"), &[shares, &shape], &[]);
    let matrices = flips.variants().iter().map(|&variant| placement::matrices(size, stage, variant));
    let [rows, mut columns] = matrices.fold([vec![], vec![]], |[mut rows, mut columns], [row, column]| {
        rows.extend(row);
        columns.extend(column);
        [rows, columns]
    });
    let positions = placement::positions(size, stage) as f32;
    columns.iter_mut().for_each(|share| *share /= positions);
    let variants = flips.count() as i64;
    let (row_dims, column_dims) = ([variants, cells.height.into(), height], [variants, cells.width.into(), width]);
    let rows = builder.floats(&format!("{name}.rows"), &row_dims, &rows, Element::F32);
    let columns = builder.floats(&format!("{name}.columns"), &column_dims, &columns, Element::F32);
    let perm = [With::Ints("perm", &[0, 2, 1])];
    let columns = builder.node("Transpose", &format!("{name}.columns_t"), &[&columns], &perm);
    let placed = builder.node("MatMul", &format!("{name}.by_row"), &[&rows, &grid], &[]);
    builder.node("MatMul", &format!("{name}.placed"), &[&placed, &columns], &[])
}
