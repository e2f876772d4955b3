//! A look at an ONNX file before TensorRT's parser gets it: that it is complete, and keeps all weights inside.
//!
//! TensorRT's parser opens whatever file a tensor names, relative to the current folder; nothing vouches for such a file. The
//! walk follows onnx.proto3 to every tensor and no further.

use super::PlanError;

/// Deepest nesting of graphs, attributes and functions; the exporter's networks have 5.
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
    /// What field `number` holds, where that leads to tensors.
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

/// `TensorProto.external_data` and `TensorProto.data_location`.
const EXTERNAL: [u64; 2] = [13, 14];

/// Walks through an ONNX file.
///
/// # Errors
/// [`PlanError::Network`]: it is empty, cut, no protobuf, nested too deep, or keeps weights elsewhere.
pub(super) fn check(bytes: &[u8]) -> Result<(), PlanError> {
    let network = |message: String| PlanError::Network { message };
    if bytes.is_empty() {
        return Err(network("the ONNX file is empty".to_owned()));
    }
    walk(bytes, Message::Model, 0).map_err(|fault| {
        network(match fault {
            Fault::Cut => "the ONNX file is cut off or damaged".to_owned(),
            Fault::Deep => format!("the ONNX file is nested deeper than {MAX_DEPTH}"),
            Fault::External => "the ONNX file keeps weights in another file; expected all inside".to_owned(),
        })
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Cut,
    Deep,
    External,
}

fn walk(mut bytes: &[u8], message: Message, depth: u32) -> Result<(), Fault> {
    if depth > MAX_DEPTH {
        return Err(Fault::Deep);
    }
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let number = key >> 3;
        if message == Message::Tensor && EXTERNAL.contains(&number) {
            // Location 0 is "inside", which writers leave out, or not.
            let is_inside = number == 14 && key & 7 == 0 && varint(&mut bytes)? == 0;
            if is_inside {
                continue;
            }
            return Err(Fault::External);
        }
        match key & 7 {
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
            // Groups are not part of onnx.proto3; 6 and 7 of nothing.
            _ => return Err(Fault::Cut),
        }
    }
    Ok(())
}

fn take<'b>(bytes: &mut &'b [u8], length: u64) -> Result<&'b [u8], Fault> {
    let length = usize::try_from(length).map_err(|_| Fault::Cut)?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Fault::Cut)?;
    *bytes = rest;
    Ok(taken)
}

/// An integer of at most ten bytes, seven bits each, the lowest first.
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

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        // Numbers below 16 and lengths below 128 take one byte each, others two.
        let mut bytes = match number {
            0..16 => vec![number << 3 | 2],
            _ => vec![number << 3 | 2 | 0x80, number >> 4],
        };
        let length = u16::try_from(content.len()).unwrap();
        bytes.extend([(length & 0x7f) as u8 | 0x80, (length >> 7) as u8]);
        bytes.extend(content);
        bytes
    }

    fn message(bytes: &[u8]) -> String {
        check(bytes).unwrap_err().to_string()
    }

    #[test]
    fn weights_elsewhere_are_found_on_every_way() {
        let external = [14 << 3, 1];
        let named = field(13, b"location");
        for tensor in [&external[..], &named] {
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
                assert!(message(&bytes).contains("weights in another file"), "{way:?}");
            }
        }
        let inside = [14 << 3, 0];
        check(&field(7, &field(5, &inside))).unwrap();
        // The same bytes where no tensor is: in a name.
        check(&field(7, &field(2, &external))).unwrap();
    }

    #[test]
    fn deep_nesting_ends() {
        let deep = (0..14).fold(Vec::new(), |inner, _| field(1, &field(5, &field(6, &inner))));
        assert!(message(&field(7, &deep)).contains("nested deeper than 32"));
    }

    #[test]
    fn the_fixtures_are_whole_and_each_cut_is_seen_or_ends_between_fields() {
        let bytes = include_bytes!("../../tests/fixtures/mean_sigmoid.onnx");
        check(bytes).unwrap();
        assert!(message(&bytes[..bytes.len() - 1]).contains("cut off"));
        let external = include_bytes!("../../tests/fixtures/external_weights.onnx");
        assert!(message(external).contains("weights in another file"));
        assert!(message(&[]).contains("empty"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes);
        }
    }
}
