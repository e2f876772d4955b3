//! Builds an ONNX graph from nodes and initialisers.

use super::proto::{
    ATTRIBUTE_INT, ATTRIBUTE_INTS, AttributeProto, Dimension, FLOAT, FLOAT16, GraphProto, INT64, NodeProto,
    TensorProto, TensorShapeProto, TensorType, TypeProto, ValueInfoProto,
};

/// The name of a value: the graph's input, a node's output, or an initialiser.
pub(super) type Value = String;

/// Number format of the floating-point numbers in an initialiser or after a cast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F32,
    F16,
}

impl Element {
    /// ONNX's number for the format.
    pub(super) fn code(self) -> i64 {
        match self {
            Self::F32 => FLOAT.into(),
            Self::F16 => FLOAT16.into(),
        }
    }
}

/// An attribute of a node: name and value.
pub(super) enum With<'a> {
    Int(&'static str, i64),
    Ints(&'static str, &'a [i64]),
}

/// A node called `name` that casts the value `input` to `element`.
pub(super) fn cast(name: &str, input: &Value, element: Element) -> NodeProto {
    node("Cast", name, &[input], &[With::Int("to", element.code())])
}

/// A node with one output. Node and output are both called `name`.
fn node(op_type: &str, name: &str, inputs: &[&Value], with: &[With<'_>]) -> NodeProto {
    let attribute = with.iter().map(|with| match with {
        With::Int(name, value) => {
            AttributeProto { name: (*name).into(), i: Some(*value), r#type: ATTRIBUTE_INT, ..AttributeProto::default() }
        }
        With::Ints(name, values) => {
            let ints = values.to_vec();
            AttributeProto { name: (*name).into(), ints, r#type: ATTRIBUTE_INTS, ..AttributeProto::default() }
        }
    });
    NodeProto {
        input: inputs.iter().map(|&input| input.clone()).collect(),
        output: vec![name.into()],
        name: name.into(),
        op_type: op_type.into(),
        attribute: attribute.collect(),
    }
}

#[derive(Default)]
pub(super) struct Builder {
    graph: GraphProto,
}

impl Builder {
    /// An f32 input or output of a fixed shape.
    fn float_value(name: &str, shape: &[i64]) -> ValueInfoProto {
        let dim = shape.iter().map(|&size| Dimension { dim_value: Some(size) }).collect();
        let tensor_type = TensorType { elem_type: FLOAT, shape: Some(TensorShapeProto { dim }) };
        ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
    }

    /// Adds an f32 input to the graph.
    pub(super) fn input(&mut self, name: &str, shape: &[i64]) -> Value {
        self.graph.input.push(Self::float_value(name, shape));
        name.into()
    }

    /// Adds a node with one output. Node and output are both called `name`, which must be unique.
    pub(super) fn node(&mut self, op_type: &str, name: &str, inputs: &[&Value], with: &[With<'_>]) -> Value {
        self.graph.node.push(node(op_type, name, inputs, with));
        name.into()
    }

    /// Adds `values` as an initialiser in the format `element`.
    pub(super) fn floats(&mut self, name: &str, dims: &[i64], values: &[f32], element: Element) -> Value {
        let raw_data = match element {
            Element::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Element::F16 => values.iter().flat_map(|&value| half::f16::from_f32(value).to_le_bytes()).collect(),
        };
        self.tensor(name, dims, element.code() as i32, raw_data)
    }

    /// Adds `values` as an initialiser with one dimension.
    pub(super) fn integers(&mut self, name: &str, values: &[i64]) -> Value {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, &[values.len() as i64], INT64, raw_data)
    }

    fn tensor(&mut self, name: &str, dims: &[i64], data_type: i32, raw_data: Vec<u8>) -> Value {
        self.graph.initializer.push(TensorProto { dims: dims.to_vec(), data_type, name: name.into(), raw_data });
        name.into()
    }

    /// Returns the graph, called `name`. `outputs` are the names and shapes of its f32 outputs.
    pub(super) fn finish(mut self, name: &str, outputs: &[(&str, &[i64])]) -> GraphProto {
        self.graph.name = name.into();
        self.graph.output = outputs.iter().map(|(output, shape)| Self::float_value(output, shape)).collect();
        self.graph
    }
}
