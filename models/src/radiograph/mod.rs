//! Reads a radiograph, one grey channel of 9 to 16 bits, from a TIFF under limits.
//!
//! | read | refused by name |
//! |---|---|
//! | one page of one plane; thumbnails beside it (NewSubfileType 1 or SubfileType 2, at most half as wide and high) are skipped | several pages or planes, other images in SubIFDs, a page that is a thumbnail or a mask |
//! | one unsigned sample a pixel, 9 to 16 bits; SampleFormat 4 (undefined) is unsigned | RGB and other channels, alpha, signed, float, 8 bits and fewer, 17 and more |
//! | packed samples; 9 to 15 bits in two bytes each, without compression, if the lengths of the chunks and all levels agree with that | planar samples (which need several channels) |
//! | classic TIFF and BigTIFF, both byte orders; sizes of signed types | negative sizes |
//! | strips and tiles; at 16 bits without compression also without their lengths, or with lengths of 0 | |
//! | no compression, LZW, deflate (both codes), PackBits | JPEG, fax, ZSTD, WebP, LERC, LZMA and unknown compressions |
//! | no predictor; the horizontal one at 16 bits | the floating-point predictor; the horizontal one on packed samples |
//! | fill order 1; 2 (each byte's bits reversed) at 16 bits without compression | fill order 2 otherwise; other fill orders |
//! | BlackIsZero; WhiteIsZero, inverted to `2^bits - 1 - level`; without the tag, levels as stored | palettes, masks, colour spaces |
//!
//! Some programs store several images under one page. Each of these images is called a plane. The file is refused if one of these
//! shows several planes:
//!
//! | writer or tag | what shows several planes |
//! |---|---|
//! | ImageJ, SCIFIO | ImageDescription with `images`, `slices`, `frames` or `channels` above 1; SCIFIO's `lengths` of further axes; labels or colour tables of several planes in IJMetadata; IJMetadata whose lengths are missing or do not fit |
//! | tifffile, scikit-image | ImageDescription with `"shape"` (or `shape=`) of more than height and width |
//! | OME-XML | more than one plane in this file by SizeC, SizeZ, SizeT and TiffData, and enough bytes for them. A page of a series in several files is read |
//! | MetaMorph | several values of UIC2, UIC3 or UIC4, or of a UIC1 whose type is a fraction; UIC1 alone if the file has enough bytes for another plane |
//! | volumes | ImageDepth or TileDepth above 1; a FITS header as ImageDescription with `NAXIS3` above 1 |
//! | Zeiss LSM, NIH Image, Micro-Manager | the dimensions in CZ_LSMINFO, nSlices, the index map; `Frames`, `Slices` or `Channels` above 1 in Micro-Manager's JSON |
//! | PageNumber | a total of more pages than the file has |
//! | no tag | unreferenced bytes, at least half as many as the image takes in the file: perhaps a plane whose directory was never written. Not found: a plane that is compressed to less than half of the image, or that lies within bytes that a tag refers to |
//!
//! The orientation tag is ignored, as Pillow and tifffile do by default.
//!
//! This module reads TIFF directories and unpacks chunks (strips or tiles) itself. The crate `tiff` is used only to write files,
//! and in tests to compare with.
//! Version 0.11.3 can't be used for reading: it refuses packed samples of 9 to 15 bits, it reads whole tag arrays before a
//! limit can be set, and it prints to stderr on a hostile count.
//!
//! | file | concept |
//! |---|---|
//! | `directory.rs` | header, directories, entries and their values |
//! | `pages.rs` | which page is the image |
//! | `claim.rs` | a claim that the file holds several planes |
//! | `planes.rs`, `description.rs` | claims by tags and by texts |
//! | `ome.rs`, `scifio.rs`, `fits.rs`, `json.rs`, `micro_manager.rs` | claims by each kind of text |
//! | `room.rs` | unreferenced bytes |
//! | `kind.rs` | the kind of samples: which are read, which are refused |
//! | `layout.rs` | positions of the chunks, checked |
//! | `decompress.rs` | the bytes of one chunk, piece by piece |
//! | `samples.rs` | bytes to levels |
//! | `decode.rs` | all chunks into one image |
//! | `file.rs` | a file's bytes, under limits |
//! | `file_name.rs` | the file names of radiographs |
//! | `reader.rs` | the public reader, which reuses its buffers |
//! | `limits.rs`, `clock.rs` | the limits on size and time |
//! | `image.rs`, `error.rs` | the decoded image, and the errors |
//! | `write.rs` | writes radiographs |

mod claim;
mod clock;
mod decode;
mod decompress;
mod description;
mod directory;
mod error;
mod file;
mod file_name;
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
pub use file_name::has_tiff_name;
pub use image::{Radiograph, RadiographView, ShapeError};
pub use limits::RadiographLimits;
pub use reader::{DecodedLevels, RadiographReader, decode, read};
pub use write::write;
