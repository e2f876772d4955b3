//! The two formats of Python's `torch.save`: a zip archive (since PyTorch 1.6) and a chain of pickles before.
//!
//! Source: PyTorch's `torch/serialization.py`, `_save` and `_legacy_save`.

use super::pickle::{self, PickleError, Storage, TensorRef, Value};
use super::{WeightsError, tensor_from_bytes};
use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::path::Path;
use tch::{Kind, Tensor};
use zip::ZipArchive;

const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
/// The pickle of 0x1950a86a20f9469cfc6c.
const LEGACY_MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// Largest pickle inside the archive: ResNet-34's has 50 KB.
const MAX_PICKLE_BYTES: u64 = 16 << 20;

/// Whether `bytes` begin like a file of `torch.save`.
pub(super) fn is_pth(bytes: &[u8]) -> bool {
    bytes.starts_with(ZIP_MAGIC) || bytes.starts_with(LEGACY_MAGIC)
}

/// All tensors of floating-point numbers of the state dict in `bytes`.
pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<HashMap<String, Tensor>, WeightsError> {
    let file = File { path };
    if bytes.starts_with(ZIP_MAGIC) { file.parse_zip(bytes) } else { file.parse_legacy(bytes) }
}

/// Names the file in errors.
#[derive(Clone, Copy)]
struct File<'a> {
    path: &'a Path,
}

impl File<'_> {
    fn malformed(self, found: impl Into<String>, expected: impl Into<String>) -> WeightsError {
        WeightsError::Malformed { path: self.path.to_owned(), found: found.into(), expected: expected.into() }
    }

    fn unsupported(self, found: impl Into<String>, expected: impl Into<String>) -> WeightsError {
        WeightsError::Unsupported { path: self.path.to_owned(), found: found.into(), expected: expected.into() }
    }

    fn pickle(self, bytes: &[u8]) -> Result<(Value, &[u8]), WeightsError> {
        pickle::parse(bytes).map_err(|error| match error {
            PickleError::Malformed(found) => self.malformed(format!("{found} in its pickle"), "a state dict"),
            PickleError::Unsupported(found) => self.unsupported(found, "a state dict: a dictionary of tensors"),
        })
    }

    fn parse_zip(self, bytes: &[u8]) -> Result<HashMap<String, Tensor>, WeightsError> {
        let broken = |error: zip::result::ZipError| self.malformed(error.to_string(), "a zip archive of torch.save");
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
        let name = archive.file_names().find(|name| name.ends_with("/data.pkl")).map(str::to_owned);
        let name = name.ok_or_else(|| self.malformed("no member */data.pkl", "an archive of torch.save"))?;
        let prefix = name.trim_end_matches("data.pkl");
        let member = |archive: &mut ZipArchive<_>, name: &str, limit: u64| {
            let mut content = Vec::new();
            let member =
                archive.by_name(name).map_err(|error| self.malformed(format!("{name}: {error}"), "a member"))?;
            let read = member.take(limit + 1).read_to_end(&mut content);
            read.map_err(|error| self.malformed(format!("{name}: {error}"), "a sound member"))?;
            Ok(content)
        };
        if archive.file_names().any(|member| member == format!("{prefix}byteorder")) {
            let order = member(&mut archive, &format!("{prefix}byteorder"), 16)?;
            if order != b"little" {
                return Err(self.unsupported(String::from_utf8_lossy(&order), "byte order little"));
            }
        }
        let content = member(&mut archive, &name, MAX_PICKLE_BYTES)?;
        let (state, _) = self.pickle(&content)?;
        self.tensors(&state, |storage| {
            let limit = storage.count.unsigned_abs().saturating_mul(storage.kind.elt_size_in_bytes() as u64);
            member(&mut archive, &format!("{prefix}data/{}", storage.key), limit)
        })
    }

    /// Magic number, protocol version, system information, the state dict, the storages' keys; then each storage as the
    /// count of its numbers (i64) and the numbers.
    fn parse_legacy(self, bytes: &[u8]) -> Result<HashMap<String, Tensor>, WeightsError> {
        let (_protocol, rest) = self.pickle(&bytes[LEGACY_MAGIC.len()..])?;
        let (_system, rest) = self.pickle(rest)?;
        let (state, rest) = self.pickle(rest)?;
        let (keys, mut rest) = self.pickle(rest)?;
        let Value::List(keys) = keys else { return Err(self.malformed("no list of storages", "a list of keys")) };
        let mut kinds = HashMap::new();
        for (_, tensor) in self.entries(&state)? {
            kinds.insert(tensor.storage.key.clone(), tensor.storage.kind);
        }
        let mut storages = HashMap::new();
        for key in keys.values {
            let end = || self.malformed("an early end", "all storages");
            let Value::Text(key) = key else { return Err(self.malformed("a key that is no text", "a storage's key")) };
            let (count, after) = rest.split_first_chunk().ok_or_else(end)?;
            let kind =
                kinds.get(&key).ok_or_else(|| self.malformed("a storage of no tensor", "storages of tensors"))?;
            let length = usize::try_from(i64::from_le_bytes(*count)).ok();
            let length = length.and_then(|count| count.checked_mul(kind.elt_size_in_bytes())).ok_or_else(end)?;
            let (content, after) = after.split_at_checked(length).ok_or_else(end)?;
            storages.insert(key, content);
            rest = after;
        }
        self.tensors(&state, |storage| {
            let content = storages.get(&storage.key).map(|content| content.to_vec());
            content.ok_or_else(|| self.malformed(format!("no storage {}", storage.key), "all storages"))
        })
    }

    /// Names and tensors of a state dict; entries that are no tensors are left out.
    fn entries(self, state: &Value) -> Result<Vec<(String, &TensorRef)>, WeightsError> {
        let Value::Dict(items) = state else {
            return Err(self.unsupported("another object", "a state dict: a dictionary of tensors"));
        };
        let mut entries = Vec::new();
        for pair in items.values.chunks_exact(2) {
            if let [Value::Text(name), Value::Tensor(tensor)] = pair {
                entries.push((name.to_string(), tensor));
            }
        }
        Ok(entries)
    }

    fn tensors(
        self,
        state: &Value,
        mut load: impl FnMut(&Storage) -> Result<Vec<u8>, WeightsError>,
    ) -> Result<HashMap<String, Tensor>, WeightsError> {
        let mut tensors = HashMap::new();
        for (name, tensor) in self.entries(state)? {
            if tensor.storage.kind == Kind::Int64 {
                continue;
            }
            let size = tensor.storage.kind.elt_size_in_bytes();
            let count = contiguous_count(tensor)
                .ok_or_else(|| self.unsupported(format!("tensor {name} in another memory order"), "row by row"))?;
            let content = load(&tensor.storage)?;
            let start = usize::try_from(tensor.offset).ok().and_then(|offset| offset.checked_mul(size));
            let end = count.checked_mul(size).and_then(|length| start?.checked_add(length));
            let window = start.zip(end).and_then(|(start, end)| content.get(start..end));
            let found = format!("tensor {name} beyond its storage of {} bytes", content.len());
            let window = window.ok_or_else(|| self.malformed(found, "a storage that holds the tensor"))?;
            tensors.insert(name, tensor_from_bytes(window, &tensor.shape, tensor.storage.kind, self.path)?);
        }
        Ok(tensors)
    }
}

/// The number of elements if they lie row by row without gaps.
fn contiguous_count(tensor: &TensorRef) -> Option<usize> {
    if tensor.shape.len() != tensor.strides.len() {
        return None;
    }
    let mut count = 1_i64;
    for (&size, &stride) in tensor.shape.iter().zip(&tensor.strides).rev() {
        if size < 0 || (size > 1 && stride != count) {
            return None;
        }
        count = count.checked_mul(size)?;
    }
    usize::try_from(count).ok()
}
