//! Checks an ONNX file before TensorRT's parser reads it: it must be complete and contain all its weights.
//!
//! TensorRT's parser opens any file that a tensor names, relative to the current folder. Nothing authenticates that file. The
//! check descends only into the messages of onnx.proto3 that can contain a tensor.

use super::PlanError;

/// Limit of the depth of nested messages; the exporter's networks have 5.
const MAX_DEPTH: u32 = 32;

/// The messages of onnx.proto3 on the way to a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Training,
    Graph,
    Function,
    Node,
    Attribute,
    SparseTensor,
    Tensor,
}

impl Message {
    /// The message in field `number`, if it can contain tensors.
    fn field(self, number: u64) -> Option<Self> {
        match (self, number) {
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Some(Self::Graph),
            (Self::Model, 20) => Some(Self::Training),
            (Self::Model, 25) => Some(Self::Function),
            (Self::Graph, 1) | (Self::Function, 7) => Some(Self::Node),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => Some(Self::Tensor),
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Some(Self::SparseTensor),
            (Self::Node, 5) | (Self::Function, 11) => Some(Self::Attribute),
            _ => None,
        }
    }
}

/// The numbers of the fields `TensorProto.external_data` and `TensorProto.data_location`.
const EXTERNAL: [u64; 2] = [13, 14];

/// Checks an ONNX file.
///
/// # Errors
/// [`PlanError::Network`]: it is empty, truncated, not a protobuf message, nested too deep, or keeps weights in another file.
pub(super) fn check(bytes: &[u8]) -> Result<(), PlanError> {
    let network = |message: String| PlanError::Network { message };
    if bytes.is_empty() {
        return Err(network("the ONNX file is empty".to_owned()));
    }
    walk(bytes, Message::Model, 0).map_err(|fault| {
        network(match fault {
            Fault::Cut => "the ONNX file is cut off or damaged".to_owned(),
            Fault::Deep => format!("the ONNX file is nested deeper than {MAX_DEPTH}"),
            Fault::External => {
                "the ONNX file keeps weights in another file, expected all weights in the ONNX file".to_owned()
            }
        })
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// The file is cut off, or is not a protobuf message.
    Cut,
    /// Messages are nested deeper than [`MAX_DEPTH`].
    Deep,
    /// A tensor is in another file.
    External,
}

/// Checks a message and the messages inside it that can contain a tensor.
fn walk(mut bytes: &[u8], message: Message, depth: u32) -> Result<(), Fault> {
    if depth > MAX_DEPTH {
        return Err(Fault::Deep);
    }
    while !bytes.is_empty() {
        // A protobuf field begins with its number and its wire type in one varint.
        let tag = varint(&mut bytes)?;
        let number = tag >> 3;
        if message == Message::Tensor && EXTERNAL.contains(&number) {
            // A `data_location` (14) of 0 means that the weights are in this file. Writers may omit the field.
            let is_inside = number == 14 && tag & 7 == 0 && varint(&mut bytes)? == 0;
            if is_inside {
                continue;
            }
            return Err(Fault::External);
        }
        match tag & 7 {
            0 => drop(varint(&mut bytes)?),
            1 => drop(take(&mut bytes, 8)?),
            2 => {
                let length = varint(&mut bytes)?;
                let content = take(&mut bytes, length)?;
                if let Some(inner) = message.field(number) {
                    walk(content, inner, depth + 1)?;
                }
            }
            5 => drop(take(&mut bytes, 4)?),
            // onnx.proto3 has no groups (3 and 4), and protobuf does not define 6 and 7.
            _ => return Err(Fault::Cut),
        }
    }
    Ok(())
}

/// Removes the first `length` bytes from `bytes` and returns them.
fn take<'b>(bytes: &mut &'b [u8], length: u64) -> Result<&'b [u8], Fault> {
    let length = usize::try_from(length).map_err(|_| Fault::Cut)?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Fault::Cut)?;
    *bytes = rest;
    Ok(taken)
}

/// Removes a varint from `bytes` and returns its value. A varint has at most ten bytes with seven bits of the value each, the
/// lowest bits first.
fn varint(bytes: &mut &[u8]) -> Result<u64, Fault> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f).wrapping_shl(shift);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Fault::Cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The field `number` with `content` as its value.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        // A field number below 16 takes one byte, a higher one two bytes. The length is always written with two bytes, which
        // varints permit.
        let mut bytes = match number {
            0..16 => vec![number << 3 | 2],
            _ => vec![number << 3 | 2 | 0x80, number >> 4],
        };
        let length = u16::try_from(content.len()).unwrap();
        bytes.extend([(length & 0x7f) as u8 | 0x80, (length >> 7) as u8]);
        bytes.extend(content);
        bytes
    }

    fn fault(bytes: &[u8]) -> Option<Fault> {
        walk(bytes, Message::Model, 0).err()
    }

    #[test]
    fn error_texts() {
        // A graph's node (1) has an attribute (5), which has a graph (6): three levels in each of 14 rounds.
        let deep = field(7, &(0..14).fold(Vec::new(), |inner, _| field(1, &field(5, &field(6, &inner)))));
        let external = include_bytes!("../../tests/fixtures/external_weights.onnx");
        let texts = [&[][..], &[7 << 3 | 2, 9], &deep, external].map(|bytes| check(bytes).unwrap_err().to_string());
        insta::assert_snapshot!("errors", texts.join("\n"));
    }

    #[test]
    fn weights_in_another_file_are_found_at_every_place() {
        let external = [14 << 3, 1];
        let named = field(13, b"location");
        for tensor in [&external[..], &named] {
            // The numbers of the fields from the model to the tensor.
            for way in [
                &[7, 5][..],
                &[7, 15, 1],
                &[7, 15, 2],
                &[7, 1, 5, 5],
                &[7, 1, 5, 10],
                &[7, 1, 5, 22, 1],
                &[7, 1, 5, 23, 2],
                &[7, 1, 5, 6, 5],
                &[7, 1, 5, 11, 1, 5, 5],
                &[25, 7, 5, 5],
                &[25, 11, 5],
                &[20, 1, 5],
                &[20, 2, 5],
            ] {
                let bytes = way.iter().rev().fold(tensor.to_vec(), |inner, &number| field(number, &inner));
                assert_eq!(fault(&bytes), Some(Fault::External), "{way:?}");
            }
        }
        let inside = [14 << 3, 0];
        check(&field(7, &field(5, &inside))).unwrap();
        // The same bytes in a name, which is not a tensor.
        check(&field(7, &field(2, &external))).unwrap();
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = (0..14).fold(Vec::new(), |inner, _| field(1, &field(5, &field(6, &inner))));
        assert_eq!(fault(&field(7, &deep)), Some(Fault::Deep));
    }

    #[test]
    fn a_fixture_passes_and_a_truncated_one_and_one_with_external_weights_are_refused() {
        let bytes = include_bytes!("../../tests/fixtures/mean.onnx");
        check(bytes).unwrap();
        assert_eq!(fault(&bytes[..bytes.len() - 1]), Some(Fault::Cut));
        let external = include_bytes!("../../tests/fixtures/external_weights.onnx");
        assert_eq!(fault(external), Some(Fault::External));
        assert!(matches!(check(&[]), Err(PlanError::Network { .. })));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes);
        }
    }
}
