//! Evidence: which places of an image speak for a REJECT, as numbers, as regions and as a picture.
//!
//! A [`LogitMap`](crate::engine::LogitMap) divides the raw logit among the cells of an image. Spread evenly, a logit at the reject
//! threshold would give each cell the share threshold / number of cells. The *evidence* of a cell, in logits, is by how much its
//! share is above that; it is 0 for a cell with a smaller share. The total evidence is the sum. It is at least logit - threshold,
//! because cells with smaller shares are not subtracted. So a part that passes usually has evidence too.
//!
//! | item | content |
//! |---|---|
//! | [`Evidence`] | the evidence of each cell, one f64 in logits, in the map's rows and columns |
//! | [`Region`] | a place with much of the evidence, in pixels of the radiograph |
//! | [`Overlay`] | the evidence in colours over the radiograph, as 8-bit RGB |
//! | [`MapPicture`] | the shares of a map as an 8-bit picture, to keep |
//! | [`Axis`] | where the cells lie along one side of an image |
//!
//! # Which pixels a cell covers
//!
//! The radiograph was resized to the network's input. Pixel `p` of an image covers `p..p + 1`. Cell `i` has its centre at
//! 16 `i` + 0.5 in pixels of the network's input and covers 16 `i` - 7.5 to 16 `i` + 8.5. The first cell begins at the image's edge,
//! and the last one ends at the image's edge. These places are scaled linearly to pixels of the radiograph.
//!
//! # What a place means
//!
//! A cell names a place. It draws no outline: what the network computes for a cell depends on pixels far around it. The theoretical
//! receptive field of a cell is 547 pixels of the network's input high and wide in stage 3 of the backbone, and 899 in stage 4. Most
//! of the influence comes from the middle of the field. Evidence also does not say that the part would pass without a place.

mod axis;
mod cells;
mod colour;
mod contour;
mod map_picture;
mod overlay;
mod region;

pub use axis::{Axis, Between};
pub use cells::Evidence;
pub use map_picture::MapPicture;
pub use overlay::Overlay;
pub use region::{Pixel, Region};
