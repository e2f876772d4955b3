//! Encodes and authenticates an entry. It consists of a header, the plan, and an authentication code over header and plan, which
//! only this device can compute.
//!
//! `PLANS.md` has the table of the fields. Those before the GPU's name have fixed offsets. The lengths of name and plan are
//! compared with the entry's real size before name and plan are used.

use super::key::KEY_BYTES;
use super::{DeviceKey, Gpu, MAX_GPU_NAME_BYTES, PlanKey};
use crate::digest::Digest;
use crate::model::Precision;
use crate::plan::{Built, ComputeCapability, Flavour, PlanError, TensorRt, Version};
use std::borrow::Cow;
use std::io::ErrorKind;
use std::ops::Range;

/// The first bytes of an entry. The last two show whether a program has converted the file's line ends as if the file were text.
pub const MAGIC: [u8; 8] = *b"CGPLAN\r\n";
/// The version of the entry's format.
pub const FORMAT: u32 = 1;

/// Bytes of magic, format, id of the device's key, and the plan's length.
const HEAD_BYTES: usize = 8 + 4 + 8 + 8;
const TIME_BYTES: usize = 8;
const CODE_BYTES: usize = 32;
/// Bytes of an entry without the GPU's name and the plan.
const MIN_BYTES: usize = HEAD_BYTES + TIME_BYTES + KEY_BYTES + CODE_BYTES;

/// Why an entry can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The system refuses to read the entry.
    #[error("unreadable: {message}")]
    Unreadable {
        /// The kind of the system's error.
        kind: ErrorKind,
        /// The system's error.
        message: String,
    },
    /// The entry is a link, a pipe or a device file.
    #[error("damaged: it is not a regular file")]
    NoFile,
    /// The entry is a folder, which this program never removes.
    #[error("damaged: it is a folder; remove it by hand")]
    Folder,
    /// The file is larger than any entry.
    #[error("damaged: found {found} bytes, expected at most {expected}")]
    TooLong {
        /// Its size.
        found: u64,
        /// The limit.
        expected: u64,
    },
    /// The file is truncated, or is not an entry.
    #[error("damaged: {what}: found {found}, expected {expected}")]
    Malformed {
        /// The field that is wrong.
        what: &'static str,
        /// Its value.
        found: String,
        /// The expected value.
        expected: String,
    },
    /// The entry has another version of the format.
    #[error("foreign: found format {found}, expected {FORMAT}")]
    Format {
        /// Its format.
        found: u32,
    },
    /// The entry was written with another key: on another device, or before this device's key was replaced.
    #[error("foreign: it was written with another device's key")]
    OtherDevice,
    /// The entry's authentication code is wrong.
    #[error("damaged: its authentication code is wrong; the file was changed after this device wrote it")]
    Altered,
    /// This device wrote the entry, but the file name belongs to another plan.
    #[error("foreign: it is the plan of {found}, expected {expected}")]
    OtherKey {
        /// The plan in the entry.
        found: String,
        /// The requested plan. In a list of all entries, the path that the entry should have.
        expected: String,
    },
}

impl EntryError {
    /// `unreadable`, `damaged` or `foreign`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::NoFile | Self::Folder | Self::TooLong { .. } | Self::Malformed { .. } | Self::Altered => "damaged",
            Self::Format { .. } | Self::OtherDevice | Self::OtherKey { .. } => "foreign",
        }
    }
}

/// The description of a plan in an authentic entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// What identifies the plan.
    pub key: PlanKey,
    /// When it was built, by the device's clock, in seconds since 1970 in UTC.
    pub built_unix_s: u64,
}

/// A plan that this device has built: just now, or earlier, as the authentication code of its entry has shown.
#[derive(Debug, Clone)]
pub struct AuthenticPlan {
    description: Description,
    /// The plan, or the whole entry that contains it.
    bytes: Vec<u8>,
    /// Where the plan lies in `bytes`.
    place: Range<usize>,
}

impl AuthenticPlan {
    /// A plan that was built just now, at `built_unix_s`.
    ///
    /// # Errors
    /// [`PlanError::Changed`]: another TensorRT than that in `key` built it.
    pub fn new(key: PlanKey, built_unix_s: u64, built: Built) -> Result<Self, PlanError> {
        if built.tensorrt != key.tensorrt {
            return Err(PlanError::Changed { found: built.tensorrt, expected: key.tensorrt });
        }
        let place = 0..built.plan.len();
        Ok(Self { description: Description { key, built_unix_s }, bytes: built.plan, place })
    }

    /// Authenticates an entry, then reads it.
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn open(bytes: Vec<u8>, key: &DeviceKey) -> Result<Self, EntryError> {
        let fields = authentic(&bytes, key)?;
        let (description, name_bytes) = description(fields)?;
        let start = HEAD_BYTES + TIME_BYTES + KEY_BYTES + name_bytes;
        let found = bytes.len() - start - CODE_BYTES;
        // The plan's length is the last field of the head.
        let expected = u64_at(&bytes, HEAD_BYTES - 8);
        if found as u64 != expected {
            return Err(malformed("the plan's length", &found, &expected));
        }
        let place = start..start + found;
        Ok(Self { description, bytes, place })
    }

    /// Its description.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The plan's bytes, for TensorRT.
    #[must_use]
    pub fn plan(&self) -> &[u8] {
        &self.bytes[self.place.clone()]
    }
}

/// An entry in three pieces: header, plan, authentication code.
pub(super) fn encode<'p>(description: &Description, plan: &'p [u8], key: &DeviceKey) -> [Cow<'p, [u8]>; 3] {
    let key_bytes = description.key.to_bytes();
    let mut header = Vec::with_capacity(HEAD_BYTES + TIME_BYTES + key_bytes.len());
    header.extend(MAGIC);
    header.extend(FORMAT.to_le_bytes());
    header.extend(key.id());
    header.extend((plan.len() as u64).to_le_bytes());
    header.extend(description.built_unix_s.to_le_bytes());
    header.extend(key_bytes);
    let code = key.code(&[&header, plan]);
    [Cow::Owned(header), Cow::Borrowed(plan), Cow::Owned(code.to_vec())]
}

/// Authenticates an entry. Returns its bytes after the plan's length and before the authentication code. Uses no length field.
fn authentic<'b>(bytes: &'b [u8], key: &DeviceKey) -> Result<&'b [u8], EntryError> {
    if bytes.len() < MIN_BYTES {
        return Err(malformed("its length", &bytes.len(), &format!("at least {MIN_BYTES}")));
    }
    if bytes[..8] != MAGIC {
        return Err(malformed("its first bytes", &bytes[..8].escape_ascii(), &MAGIC.escape_ascii()));
    }
    let (covered, code) = bytes.split_at(bytes.len() - CODE_BYTES);
    let is_right = key.is_code(&[covered], code);
    let format = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    if format != FORMAT {
        return Err(EntryError::Format { found: format });
    }
    if bytes[12..20] != key.id() {
        return Err(EntryError::OtherDevice);
    }
    if !is_right {
        return Err(EntryError::Altered);
    }
    Ok(&covered[HEAD_BYTES..])
}

/// Reads the time of building, what identifies the plan, and the length of the GPU's name. The bytes are authentic, but a later
/// version of this program may have written values that this version doesn't know.
fn description(fields: &[u8]) -> Result<(Description, usize), EntryError> {
    // `fields` begins at byte 28 of the entry, so an offset here is 28 less than in PLANS.md.
    let (fixed, rest) = fields.split_at(TIME_BYTES + KEY_BYTES);
    let built_unix_s = u64_at(fixed, 0);
    let mut model = [0; 32];
    model.copy_from_slice(&fixed[8..40]);
    let precision = match fixed[40] {
        1 => Precision::F32,
        2 => Precision::F16,
        found => return Err(malformed("precision", &found, &"1 or 2")),
    };
    let flavour = match fixed[41] {
        1 => Flavour::Rtx,
        2 => Flavour::Enterprise,
        found => return Err(malformed("TensorRT", &found, &"1 or 2")),
    };
    let number = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
    let version = Version { major: number(42), minor: number(44), patch: number(46), build: number(48) };
    let capability = ComputeCapability::new(fixed[50], fixed[51]);
    let name_bytes = usize::from(fixed[52]);
    const { assert!(MAX_GPU_NAME_BYTES == u8::MAX as usize) };
    let name = rest
        .get(..name_bytes)
        .and_then(|name| std::str::from_utf8(name).ok())
        .ok_or_else(|| malformed("the GPU's name", &format!("{name_bytes} bytes"), &"UTF-8 inside the entry"))?;
    let gpu = Gpu::new(Some(name), capability);
    let key = PlanKey { model: Digest::from(model), precision, gpu, tensorrt: TensorRt { flavour, version } };
    Ok((Description { key, built_unix_s }, name_bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

fn malformed(what: &'static str, found: &dyn ToString, expected: &dyn ToString) -> EntryError {
    EntryError::Malformed { what, found: found.to_string(), expected: expected.to_string() }
}
