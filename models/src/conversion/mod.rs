//! From a radiograph to the network's input: 16 to 8 bits, resize, normalise; from a specification as data.

mod bounds;
mod convert;
mod histogram;
mod spec;

pub use bounds::{Bounds, BoundsError};
pub use convert::{ConversionError, Converter, Image8};
pub use histogram::Histogram;
pub use spec::{ConversionSpec, Method, Size};
