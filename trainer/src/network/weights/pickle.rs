//! The part of Python's pickle that a saved state dict is made of. Nothing is ever run: the only names that are known
//! are those of a dictionary, of two ways to describe a tensor and of the kinds of storage; any other is refused.
//!
//! Source: CPython's `pickletools.py` (opcodes), PyTorch's `torch/_utils.py` (`_rebuild_tensor_v2`).

use std::collections::HashMap;
use std::rc::Rc;
use tch::Kind;

/// How deep values may lie in each other: a state dict needs four levels, and dropping a value recurses.
const MAX_DEPTH: u8 = 16;

/// Why a pickle was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PickleError {
    /// It breaks the rules of pickle.
    Malformed(&'static str),
    /// It holds what no state dict needs.
    Unsupported(String),
}

/// A value of the known kinds.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// None, a truth value, or a number too large for [`Value::Int`]: never of interest.
    Other,
    Int(i64),
    Text(Rc<str>),
    /// Keys and values by turns.
    Dict(Items),
    List(Items),
    Tuple(Rc<Items>),
    Known(Known),
    Storage(Storage),
    Tensor(TensorRef),
}

/// A callable or a type, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Kind),
}

/// Numbers that lie outside the pickle, under `key`.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    pub(super) key: Rc<str>,
    pub(super) kind: Kind,
    /// How many numbers.
    pub(super) count: i64,
}

/// A tensor as a window on a storage.
#[derive(Debug, Clone)]
pub(super) struct TensorRef {
    pub(super) storage: Storage,
    /// First number.
    pub(super) offset: i64,
    pub(super) shape: Vec<i64>,
    pub(super) strides: Vec<i64>,
}

/// The content of a container.
#[derive(Debug, Clone, Default)]
pub(super) struct Items {
    pub(super) values: Vec<Value>,
    depth: u8,
}

impl Items {
    fn push(&mut self, value: Value) -> Result<(), PickleError> {
        let inner = match &value {
            Value::Dict(items) | Value::List(items) => items.depth + 1,
            Value::Tuple(items) => items.depth + 1,
            _ => 0,
        };
        self.depth = self.depth.max(inner);
        self.values.push(value);
        if self.depth > MAX_DEPTH { Err(PickleError::Unsupported("values nested too deep".into())) } else { Ok(()) }
    }

    fn of(values: impl IntoIterator<Item = Value>) -> Result<Self, PickleError> {
        let mut items = Self::default();
        values.into_iter().try_for_each(|value| items.push(value))?;
        Ok(items)
    }
}

/// Reads one pickle from the start of `bytes`; gives the bytes behind it as well.
pub(super) fn parse(bytes: &[u8]) -> Result<(Value, &[u8]), PickleError> {
    let mut machine = Machine { rest: bytes, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    while machine.step()? {}
    Ok((machine.pop()?, machine.rest))
}

struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
}

impl<'a> Machine<'a> {
    /// Carries out one opcode; false after STOP.
    fn step(&mut self) -> Result<bool, PickleError> {
        let opcode = self.take(1)?[0];
        match opcode {
            0x80 => drop(self.take(1)?), // PROTO
            b'.' => return Ok(false),
            b'}' => self.stack.push(Value::Dict(Items::default())),
            b']' => self.stack.push(Value::List(Items::default())),
            b')' => self.stack.push(Value::Tuple(Rc::default())),
            b'(' => self.marks.push(self.stack.len()),
            b'N' | 0x88 | 0x89 => self.stack.push(Value::Other), // NONE, NEWTRUE, NEWFALSE
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(value.into()));
            }
            b'K' => {
                let value = self.take(1)?[0];
                self.stack.push(Value::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(value.into()));
            }
            0x8a => self.long()?,
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length as usize)?;
            }
            b'c' => self.global()?,
            b'q' => {
                let key = self.take(1)?[0];
                self.remember(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.remember(key)?;
            }
            b'h' => {
                let key = self.take(1)?[0];
                self.recall(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(key)?;
            }
            b't' => {
                let values = self.pop_to_mark()?;
                self.push_tuple(values)?;
            }
            0x85..=0x87 => {
                let values = self.pop_many(usize::from(opcode - 0x84))?; // TUPLE1 to TUPLE3
                self.push_tuple(values)?;
            }
            b's' => {
                let values = self.pop_many(2)?;
                self.extend(values)?;
            }
            b'a' => {
                let values = self.pop_many(1)?;
                self.extend(values)?;
            }
            b'u' | b'e' => {
                let values = self.pop_to_mark()?;
                self.extend(values)?;
            }
            b'Q' => self.persistent()?,
            b'R' => self.reduce()?,
            b'b' => drop(self.pop()?), // BUILD: the attributes of a dictionary (`_metadata`) are of no interest
            other => return Err(PickleError::Unsupported(format!("pickle opcode 0x{other:02x}"))),
        }
        Ok(true)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], PickleError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(PickleError::Malformed("an early end"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        self.take(N)?.try_into().map_err(|_| PickleError::Malformed("an early end"))
    }

    fn pop(&mut self) -> Result<Value, PickleError> {
        self.pop_many(1)?.pop().ok_or(PickleError::Malformed("an empty stack"))
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value>, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(height) if height >= floor => Ok(self.stack.split_off(height)),
            _ => Err(PickleError::Malformed("an empty stack")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, PickleError> {
        let height = self.marks.pop().ok_or(PickleError::Malformed("a missing mark"))?;
        Ok(self.stack.split_off(height))
    }

    fn push_tuple(&mut self, values: Vec<Value>) -> Result<(), PickleError> {
        self.stack.push(Value::Tuple(Rc::new(Items::of(values)?)));
        Ok(())
    }

    fn extend(&mut self, values: Vec<Value>) -> Result<(), PickleError> {
        match self.stack.last_mut() {
            Some(Value::Dict(items)) if values.len().is_multiple_of(2) => {
                values.into_iter().try_for_each(|value| items.push(value))
            }
            Some(Value::List(items)) => values.into_iter().try_for_each(|value| items.push(value)),
            _ => Err(PickleError::Malformed("items without a container")),
        }
    }

    /// Containers are remembered as they are now, empty; recalling one would need shared, changing values.
    fn remember(&mut self, key: u32) -> Result<(), PickleError> {
        let value = self.stack.last().ok_or(PickleError::Malformed("an empty stack"))?;
        if !matches!(value, Value::Dict(_) | Value::List(_)) {
            self.memo.insert(key, value.clone());
        }
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), PickleError> {
        let value = self.memo.get(&key).ok_or_else(|| PickleError::Unsupported("a shared container".into()))?;
        self.stack.push(value.clone());
        Ok(())
    }

    fn long(&mut self) -> Result<(), PickleError> {
        let length = usize::from(self.take(1)?[0]);
        let digits = self.take(length)?;
        if length > 8 {
            self.stack.push(Value::Other);
            return Ok(());
        }
        let sign = if digits.last().is_some_and(|&last| last >= 0x80) { 0xff } else { 0 };
        let mut bytes = [sign; 8];
        bytes[..length].copy_from_slice(digits);
        self.stack.push(Value::Int(i64::from_le_bytes(bytes)));
        Ok(())
    }

    fn text(&mut self, length: usize) -> Result<(), PickleError> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| PickleError::Malformed("text not in UTF-8"))?;
        self.stack.push(Value::Text(text.into()));
        Ok(())
    }

    fn line(&mut self) -> Result<String, PickleError> {
        let end = self.rest.iter().take(256).position(|&byte| byte == b'\n');
        let line = self.take(end.ok_or(PickleError::Malformed("a name without an end"))?)?;
        self.take(1)?;
        Ok(String::from_utf8_lossy(line).into_owned())
    }

    fn global(&mut self) -> Result<(), PickleError> {
        let name = format!("{}.{}", self.line()?, self.line()?);
        self.stack.push(Value::Known(match name.as_str() {
            "collections.OrderedDict" => Known::OrderedDict,
            "torch._utils._rebuild_tensor_v2" => Known::RebuildTensor,
            "torch._utils._rebuild_parameter" => Known::RebuildParameter,
            "torch.FloatStorage" => Known::Storage(Kind::Float),
            "torch.DoubleStorage" => Known::Storage(Kind::Double),
            "torch.HalfStorage" => Known::Storage(Kind::Half),
            "torch.BFloat16Storage" => Known::Storage(Kind::BFloat16),
            "torch.LongStorage" => Known::Storage(Kind::Int64),
            _ => return Err(PickleError::Unsupported(format!("the Python object {name:?}"))),
        }));
        Ok(())
    }

    /// `("storage", type, key, location, count)`; older files have a sixth member.
    fn persistent(&mut self) -> Result<(), PickleError> {
        let id = self.pop()?;
        let Value::Tuple(id) = &id else { return Err(PickleError::Malformed("a storage without a description")) };
        match id.values.as_slice() {
            [Value::Text(tag), Value::Known(Known::Storage(kind)), Value::Text(key), _, Value::Int(count), ..]
                if &**tag == "storage" =>
            {
                self.stack.push(Value::Storage(Storage { key: Rc::clone(key), kind: *kind, count: *count }));
                Ok(())
            }
            _ => Err(PickleError::Malformed("a storage with an unknown description")),
        }
    }

    fn reduce(&mut self) -> Result<(), PickleError> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments), Value::Known(callable)) = (&arguments, callable) else {
            return Err(PickleError::Malformed("a call without arguments"));
        };
        self.stack.push(match (callable, arguments.values.as_slice()) {
            (Known::OrderedDict, []) => Value::Dict(Items::default()),
            (Known::RebuildTensor, [Value::Storage(storage), Value::Int(offset), shape, strides, ..]) => {
                Value::Tensor(TensorRef {
                    storage: storage.clone(),
                    offset: *offset,
                    shape: integers(shape)?,
                    strides: integers(strides)?,
                })
            }
            (Known::RebuildParameter, [tensor @ Value::Tensor(_), ..]) => tensor.clone(),
            _ => return Err(PickleError::Unsupported(format!("a call of {callable:?} with other arguments"))),
        });
        Ok(())
    }
}

fn integers(value: &Value) -> Result<Vec<i64>, PickleError> {
    let not_integers = PickleError::Malformed("a shape that is no tuple of integers");
    let Value::Tuple(items) = value else { return Err(not_integers) };
    let integer = |value: &Value| if let Value::Int(integer) = value { Some(*integer) } else { None };
    items.values.iter().map(integer).collect::<Option<_>>().ok_or(not_integers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_dictionary_and_what_follows_it() {
        // Python: pickle.dumps({"a": 1, "b": (2, -3)}, 2) + b"xy"
        let bytes =
            b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01K\x01X\x01\x00\x00\x00bq\x02K\x02J\xfd\xff\xff\xff\x86q\x03u.xy";
        let (value, rest) = parse(bytes).unwrap();
        assert_eq!(rest, b"xy");
        let Value::Dict(items) = value else { panic!("{value:?}") };
        assert!(matches!(&items.values[..2], [Value::Text(key), Value::Int(1)] if &**key == "a"));
        assert_eq!(integers(&items.values[3]).unwrap(), [2, -3]);
    }

    #[test]
    fn code_is_refused_by_name() {
        // Python: a class whose __reduce__ is (os.system, ("true",))
        let error = parse(b"\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00true\x85R.").unwrap_err();
        assert_eq!(error, PickleError::Unsupported("the Python object \"posix.system\"".into()));
    }

    #[test]
    fn a_million_nested_tuples_are_refused() {
        let bytes: Vec<u8> = std::iter::once(b')').chain(std::iter::repeat_n(0x85, 1_000_000)).collect();
        assert_eq!(parse(&bytes).unwrap_err(), PickleError::Unsupported("values nested too deep".into()));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(
            prop_oneof![any::<u8>(), proptest::sample::select(b"\x80}])(NJKM\x8aXcqrhjt\x85\x86\x87saueQRb.".to_vec())],
            0..200,
        )) {
            let _ = parse(&bytes);
        }
    }
}
