//! A radiograph: one grey channel of 9 to 16 bits, read from a TIFF under limits.
//!
//! | read | refused by name |
//! |---|---|
//! | one page of one plane; thumbnails beside it (NewSubfileType 1, fewer pixels) are passed over | several pages or planes, other images in SubIFDs, a page that is a thumbnail or a mask |
//! | one unsigned sample a pixel, 9 to 16 bits; SampleFormat 4 (undefined) is unsigned | RGB and other channels, alpha, signed, float, 8 bits and fewer, 17 and more |
//! | packed samples; 9 to 15 bits stored two bytes each, without compression, where the chunks' lengths and all levels say so | planar samples (they need several) |
//! | classic TIFF and BigTIFF, both byte orders; sizes of signed types | negative sizes |
//! | strips and tiles; without their lengths, or with lengths of 0, at 16 bits without compression | |
//! | no compression, LZW, deflate (both codes), PackBits | JPEG, fax, ZSTD, WebP, LERC, LZMA and unknown ones |
//! | no predictor; the horizontal one at 16 bits | the floating-point predictor; the horizontal one on packed samples |
//! | fill order 1; 2 (each byte's bits reversed) at 16 bits without compression | fill order 2 otherwise |
//! | BlackIsZero; WhiteIsZero, inverted to `2^bits - 1 - level`; neither, as stored | palettes, masks, colour spaces |
//!
//! A plane is an image that need not have a page of its own. These say that there are several, and the file is refused:
//!
//! | said by | how |
//! |---|---|
//! | ImageJ, SCIFIO | ImageDescription with `images`, `slices`, `frames` or `channels` above 1; SCIFIO's `lengths` of further axes; labels or colour tables of several planes in IJMetadata; IJMetadata whose lengths are missing or do not fit |
//! | tifffile, scikit-image | ImageDescription with `"shape"` (or `shape=`) of more than height and width |
//! | OME-XML | more planes than one in this file by SizeC, SizeZ, SizeT and TiffData, and room for them: a page of a series in several files is read |
//! | MetaMorph | several values of UIC2, UIC3, UIC4, or of UIC1 as a fraction; UIC1 alone where the file has room for another plane |
//! | volumes | ImageDepth or TileDepth above 1; a header of FITS as ImageDescription with `NAXIS3` above 1 |
//! | Zeiss LSM, NIH Image, Micro-Manager | the dimensions in CZ_LSMINFO, nSlices, the index map; `Frames`, `Slices` or `Channels` above 1 in Micro-Manager's JSON |
//! | PageNumber | a total of more pages than the file has |
//! | nothing | bytes to which no directory refers, half as many as the image takes in the file: a plane whose directory was never written. Not found: one that is compressed to less than half of the image, or lies within bytes to which a tag refers |
//!
//! The orientation tag is not applied, as Pillow and tifffile do by default.
//!
//! The directory is read and the chunks are unpacked here; the crate `tiff` writes, and is what the tests compare with.
//! Three of its properties ask for this (version 0.11.3): it refuses packed samples of 9 to 15 bits; opening a file
//! reads whole tag arrays before a limit can be set; and a hostile count makes it print to stderr.
//!
//! | file | concept |
//! |---|---|
//! | `directory.rs` | header, directories, entries and their values |
//! | `pages.rs` | which page is the image |
//! | `planes.rs`, `description.rs` | what tags and texts say of further planes |
//! | `ome.rs`, `scifio.rs`, `fits.rs`, `json.rs`, `micro_manager.rs` | the same, by kinds of text |
//! | `room.rs` | bytes to which no directory refers |
//! | `kind.rs` | the kind of samples: what is read, what is refused |
//! | `layout.rs` | where the chunks lie, checked |
//! | `decompress.rs` | the bytes of one chunk, piece by piece |
//! | `samples.rs` | bytes to levels |
//! | `decode.rs` | all chunks into one image |
//! | `file.rs` | a file's bytes, under limits |
//! | `reader.rs` | files, and buffers used again |

mod claim;
mod clock;
mod decode;
mod decompress;
mod description;
mod directory;
mod error;
mod file;
mod fits;
mod image;
mod json;
mod kind;
mod layout;
mod limits;
mod micro_manager;
mod ome;
mod pages;
mod planes;
mod reader;
mod room;
mod samples;
mod scifio;
mod write;

pub use error::ReadError;
pub use file::{BUFFER_START, read_open_file};
pub use image::{Radiograph, RadiographView, ShapeError};
pub use limits::RadiographLimits;
pub use reader::{DecodedLevels, RadiographReader, decode, read};
pub use write::write;
