//! Checks the finished graph, independently of the code that built it. ONNX's own checker is in Python and therefore
//! runs only in the tests.

use super::OnnxError;
use super::proto::{FLOAT, FLOAT16, GraphProto, INT64, TensorProto};
use std::collections::HashSet;

/// Checks that each value is defined once and before its use, that each value is used, that each tensor has as many bytes
/// as its shape requires, and that all numbers are finite.
pub(super) fn check(graph: &GraphProto) -> Result<(), OnnxError> {
    let unsound = |message: String| Err(OnnxError::Unsound(message));
    let mut defined = HashSet::new();
    let mut used = HashSet::new();
    let given = graph.input.iter().map(|input| &input.name).chain(graph.initializer.iter().map(|tensor| &tensor.name));
    for name in given {
        if !defined.insert(name) {
            return unsound(format!("two values called {name}"));
        }
    }
    for node in &graph.node {
        if let Some(missing) = node.input.iter().find(|input| !defined.contains(input)) {
            return unsound(format!("node {} uses {missing} before it is defined", node.name));
        }
        used.extend(&node.input);
        if let Some(twice) = node.output.iter().find(|output| !defined.insert(output)) {
            return unsound(format!("two values called {twice}"));
        }
    }
    used.extend(graph.output.iter().map(|output| &output.name));
    if let Some(name) = defined.symmetric_difference(&used).next() {
        return unsound(format!("{name} is defined but not used, or used but not defined"));
    }
    graph.initializer.iter().try_for_each(check_tensor)
}

fn check_tensor(tensor: &TensorProto) -> Result<(), OnnxError> {
    let count: i64 = tensor.dims.iter().product();
    let (size, finite) = match tensor.data_type {
        FLOAT => (4, tensor.raw_data.as_chunks().0.iter().all(|&number| f32::from_le_bytes(number).is_finite())),
        FLOAT16 => {
            (2, tensor.raw_data.as_chunks().0.iter().all(|&number| half::f16::from_le_bytes(number).is_finite()))
        }
        INT64 => (8, true),
        other => return Err(OnnxError::Unsound(format!("{}: element type {other}", tensor.name))),
    };
    if tensor.raw_data.len() as i64 != count * size {
        let found = tensor.raw_data.len();
        return Err(OnnxError::Unsound(format!("{}: {found} bytes for the shape {:?}", tensor.name, tensor.dims)));
    }
    match tensor.data_type {
        _ if finite => Ok(()),
        FLOAT16 => Err(OnnxError::OutOfRange { tensor: tensor.name.clone() }),
        _ => Err(OnnxError::NotFinite { tensor: tensor.name.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_infinity_in_f32_is_not_reported_as_beyond_f16() {
        let tensor = |data_type, raw_data: &[u8]| TensorProto {
            dims: vec![1],
            data_type,
            name: "weight".into(),
            raw_data: raw_data.into(),
        };
        for number in [f32::INFINITY, f32::NAN] {
            let error = check_tensor(&tensor(FLOAT, &number.to_le_bytes())).unwrap_err();
            assert!(matches!(error, OnnxError::NotFinite { .. }), "{error}");
        }
        let error = check_tensor(&tensor(FLOAT16, &half::f16::INFINITY.to_le_bytes())).unwrap_err();
        assert!(matches!(error, OnnxError::OutOfRange { .. }), "{error}");
        assert!(check_tensor(&tensor(FLOAT, &1.0_f32.to_le_bytes())).is_ok());
    }
}
