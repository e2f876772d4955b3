//! The tables in whole numbers that [`Converter`](super::Converter) works with, for code that carries a conversion out on
//! another device: the same tables give the same bytes.

pub use super::resize::{Axis, Window, columns_first};
pub use super::spread::Spread;
