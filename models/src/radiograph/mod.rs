//! A radiograph: one grey channel of 9 to 16 bits, read from a TIFF under limits.

mod image;
mod limits;
mod tiff;

pub use image::{Radiograph, ShapeError};
pub use limits::Limits;
pub use tiff::{ReadError, decode, read, write};
