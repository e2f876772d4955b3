//! Reads the numbers in `edge.toml`, and refuses those that a key's type can't hold. `check.rs` checks the ranges. The command
//! line uses [`BAUDS`] and [`most_threads`] too.

use serde::Deserializer;
use serde::de::{Error, Unexpected, Visitor};
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};

/// The speeds of the serial port that can be configured, in bits per second.
pub const BAUDS: [u32; 10] = [9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 500_000, 921_600, 1_000_000];

/// The largest number of threads for ONNX Runtime: the number of cores that this process may use. More threads are not faster, as
/// they spin while they wait for each other. With hundreds of threads, a network takes minutes for an image, or never ends.
#[must_use]
pub fn most_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Defines functions that are named as keys of `edge.toml` and read the values of these keys. Errors name the key's range and
/// unit, not a Rust type.
macro_rules! keys {
    ($($key:ident: $type:ty, $convert:expr, $expected:expr;)*) => {
        $(pub(super) fn $key<'de, D: Deserializer<'de>>(value: D) -> Result<$type, D::Error> {
            value.deserialize_u64(Number { convert: $convert, expected: $expected })
        })*
    };
}

keys! {
    id: u32, |number| number.try_into().ok(), "a number from 0 to 4294967295";
    threads: Option<NonZeroUsize>, |number| NonZeroUsize::try_from(nonzero(number)?).ok().map(Some),
        "a number of threads from 1 to the number of this machine's cores";
    prove_every_minutes: NonZeroU32, nonzero_u32, "1 to 525600 minutes";
    lead_ms: u64, Some, "0 to 86400000 ms";
    largest_pixels: NonZeroU64, nonzero, "1 to 268435456 pixels";
    archive_quota_mib: u64, Some, "1 or more MiB";
    min_free_mib: u64, Some, "0 or more MiB";
    baud: NonZeroU32, nonzero_u32, "a number of bits per second that serial ports support, such as 115200";
    deadline_ms: NonZeroU32, nonzero_u32, "50 to 600000 ms";
    reference_parts: Option<NonZeroU32>, |number| nonzero_u32(number).map(Some), "1 to 1000 parts";
    max_parts: NonZeroU32, nonzero_u32, "1 to 1000000 parts";
    max_hours: NonZeroU32, nonzero_u32, "1 to 168 hours";
    keep_days: NonZeroU32, nonzero_u32, "1 to 4294967295 days";
}

fn nonzero(number: u64) -> Option<NonZeroU64> {
    NonZeroU64::new(number)
}

fn nonzero_u32(number: u64) -> Option<NonZeroU32> {
    NonZeroU32::new(number.try_into().ok()?)
}

/// Accepts the whole numbers that `convert` accepts.
struct Number<T> {
    convert: fn(u64) -> Option<T>,
    /// The range and unit, as a text for people.
    expected: &'static str,
}

impl<T> Visitor<'_> for Number<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.expected)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        (self.convert)(number).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self.expected))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        let invalid = || E::invalid_value(Unexpected::Signed(number), &self.expected);
        u64::try_from(number).ok().and_then(self.convert).ok_or_else(invalid)
    }
}
