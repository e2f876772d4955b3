//! A radiograph: one grey channel of 9 to 16 bits, read from a TIFF under limits.
//!
//! | read | refused by name |
//! |---|---|
//! | one page, one unsigned sample a pixel, 9 to 16 bits | several pages, RGB and other channels, alpha, signed, float, 8 bits and fewer, 17 and more |
//! | classic TIFF and BigTIFF, both byte orders | planar samples (they need several), fill order 2 |
//! | strips and tiles | |
//! | no compression, LZW, deflate (both codes), PackBits | JPEG, fax, ZSTD, WebP, LERC, LZMA and unknown ones |
//! | no predictor; the horizontal one at 16 bits | the floating-point predictor; the horizontal one on packed samples |
//! | BlackIsZero; WhiteIsZero, inverted to `2^bits - 1 - level` | palettes, masks, colour spaces |
//!
//! The orientation tag is not applied, as Pillow and tifffile do by default.
//!
//! The directory is read and the chunks are unpacked here; the crate `tiff` writes, and is what the tests compare with.
//! Three of its properties ask for this (version 0.11.3): it refuses packed samples of 9 to 15 bits; opening a file
//! reads whole tag arrays before a limit can be set; and a hostile count makes it print to stderr.
//!
//! | file | concept |
//! |---|---|
//! | `directory.rs` | header, page chain, entries and their values |
//! | `layout.rs` | the tags' meaning, checked: what is read, what is refused |
//! | `decompress.rs` | the bytes of one chunk, piece by piece |
//! | `samples.rs` | bytes to levels |
//! | `decode.rs` | all chunks into one image |
//! | `file.rs` | a file's bytes, under limits |
//! | `reader.rs` | files, and buffers used again |

mod clock;
mod decode;
mod decompress;
mod directory;
mod error;
mod file;
mod image;
mod layout;
mod limits;
mod reader;
mod samples;
mod write;

pub use error::ReadError;
pub use file::{BUFFER_START, read_open_file};
pub use image::{Radiograph, RadiographView, ShapeError};
pub use limits::Limits;
pub use reader::{Found, Reader, decode, read};
pub use write::write;
