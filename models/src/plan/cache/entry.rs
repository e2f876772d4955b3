//! An entry as bytes: header, plan, and a code over both that only this device can make.
//!
//! `PLANS.md` has the table. The header's parts stand at fixed places before the GPU's name, so that lengths are known, and
//! compared with the real size, before anything else is looked at.

use super::key::KEY_BYTES;
use super::{DeviceKey, Gpu, MAX_GPU_NAME_BYTES, PlanKey};
use crate::model::Precision;
use crate::digest::Digest;
use crate::plan::{Built, ComputeCapability, Flavour, PlanError, TensorRt, Version};
use std::borrow::Cow;
use std::io::ErrorKind;
use std::ops::Range;

/// The first bytes of an entry; the third line end shows a file that went through a text conversion.
pub const MAGIC: [u8; 8] = *b"CGPLAN\r\n";
/// The version of the entry's format.
pub const FORMAT: u32 = 1;

/// Magic, format, key id, plan's length.
const HEAD_BYTES: usize = 8 + 4 + 8 + 8;
const TIME_BYTES: usize = 8;
const CODE_BYTES: usize = 32;
/// An entry without name and plan.
const LEAST_BYTES: usize = HEAD_BYTES + TIME_BYTES + KEY_BYTES + CODE_BYTES;

/// Why an entry is not to be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The system doesn't let it be read.
    #[error("unreadable: {message}")]
    Unreadable {
        /// What kind of error that is.
        kind: ErrorKind,
        /// What the system said.
        message: String,
    },
    /// A link, pipe or device.
    #[error("damaged: it is no plain file")]
    NoFile,
    /// A folder, which is never removed.
    #[error("damaged: it is a folder; remove it by hand")]
    Folder,
    /// Larger than any entry.
    #[error("damaged: found {found} bytes, expected at most {expected}")]
    TooLong {
        /// Its size.
        found: u64,
        /// The limit.
        expected: u64,
    },
    /// No entry of this format: cut, or something else.
    #[error("damaged: {what}: found {found}, expected {expected}")]
    Malformed {
        /// Which part.
        what: &'static str,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
    /// An entry of another version of the format.
    #[error("foreign: found format {found}, expected {FORMAT}")]
    Format {
        /// Its format.
        found: u32,
    },
    /// Another device's, or this one's before it got another key.
    #[error("foreign: it was written with another device's key")]
    OtherDevice,
    /// Its bytes are not those that this device wrote.
    #[error("damaged: its authentication code is wrong, its bytes are not those that this device wrote")]
    Altered,
    /// This device's, but at another's place.
    #[error("foreign: it is the plan of {found}, expected {expected}")]
    OtherKey {
        /// What it was built for.
        found: String,
        /// What its place is for.
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

/// What an authentic entry says of its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// What it was built for.
    pub key: PlanKey,
    /// When, in seconds since 1970 in UTC, as the device's clock said.
    pub built_unix_s: u64,
}

/// A plan that this device has built: as its key proves, or just now.
#[derive(Debug, Clone)]
pub struct AuthenticPlan {
    description: Description,
    /// The plan, and what stands before and after it in an entry.
    bytes: Vec<u8>,
    place: Range<usize>,
}

impl AuthenticPlan {
    /// One that was built just now, at `built_unix_s`, to be used or [stored](super::Cache::store).
    ///
    /// # Errors
    /// [`PlanError::Changed`]: another TensorRT than the key's has built it.
    pub fn new(key: PlanKey, built_unix_s: u64, built: Built) -> Result<Self, PlanError> {
        if built.tensorrt != key.tensorrt {
            return Err(PlanError::Changed { found: built.tensorrt, expected: key.tensorrt });
        }
        let place = 0..built.plan.len();
        Ok(Self { description: Description { key, built_unix_s }, bytes: built.plan, place })
    }

    /// Checks an entry, then reads it.
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn open(bytes: Vec<u8>, key: &DeviceKey) -> Result<Self, EntryError> {
        let fields = authentic(&bytes, key)?;
        let (description, name_bytes) = description(fields)?;
        let start = HEAD_BYTES + TIME_BYTES + KEY_BYTES + name_bytes;
        let found = bytes.len() - start - CODE_BYTES;
        let expected = u64_at(&bytes, HEAD_BYTES - 8);
        if found as u64 != expected {
            return Err(malformed("the plan's length", &found, &expected));
        }
        let place = start..start + found;
        Ok(Self { description, bytes, place })
    }

    /// What it is.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The plan, for TensorRT.
    #[must_use]
    pub fn plan(&self) -> &[u8] {
        &self.bytes[self.place.clone()]
    }
}

/// The parts of an entry, one after the other. The plan must be shorter than 2^64 bytes, as everything in memory is.
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

/// The fields after the head, once the code over all bytes is right. Looks at no length field before that.
fn authentic<'b>(bytes: &'b [u8], key: &DeviceKey) -> Result<&'b [u8], EntryError> {
    if bytes.len() < LEAST_BYTES {
        return Err(malformed("its length", &bytes.len(), &format!("at least {LEAST_BYTES}")));
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

/// Time and key, and the length of the name. What this device wrote is sound; a later version of it may have known more.
fn description(fields: &[u8]) -> Result<(Description, usize), EntryError> {
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
