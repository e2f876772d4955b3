//! The tables of [`Converter`](super::Converter), for code that runs a conversion on the GPU: the same tables give the
//! same bytes.

pub use super::resize::{Axis, Window, columns_first};
pub use super::spread::Spread;
pub use super::tensor::values_of_levels8;
