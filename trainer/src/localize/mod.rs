//! Measures where the network of a model looks: its [maps](LogitMap) compared with the masks of a data set.
//!
//! # Figures
//!
//! - **Pointing game** (Zhang et al. 2018, Top-down neural attention by excitation backprop, arXiv 1608.00507): the share of the
//!   abnormal images whose cell with the highest share touches a mask. A cell touches a mask if one of the pixels that it covers, also
//!   in part, is in the mask ([`evidence`](cellgate_models::evidence) says which pixels a cell covers). Zhang et al. allow a distance of
//!   15 pixels instead. Of equal shares, the first one counts, row by row.
//! - **AUPRO** (Bergmann et al. 2020, Uninformed students, arXiv 1911.02357): the area under the curve of the mean overlap over the
//!   false positive rate, from 0 to [`FALSE_POSITIVE_LIMIT`], divided by that limit. The overlap of a piece of a mask is the share of
//!   its pixels whose value reaches a threshold. The false positive rate is the share of the pixels outside of all masks whose value
//!   reaches the threshold, over all images. Values are those of the map, interpolated bilinearly between the centres of the cells, at
//!   each pixel of the image. A map that does not depend on the masks has about half of the limit: 0.15.
//!
//! A piece is what the sources call a region: pixels of one mask that are connected through sides or corners. Each piece has the same
//! weight in the mean.
//!
//! # Which masks count
//!
//! All masks of an abnormal image count, also that of an anomaly that would be too weak to make the part abnormal. An abnormal image
//! without a mask, or with empty masks only, is left out. A normal image counts for the false positive rate only, without the pixels
//! in its own masks: there is an anomaly, but one that is allowed.
//!
//! # Files
//!
//! | file | concept |
//! |---|---|
//! | `masks`, `pieces` | reads masks and divides them into pieces |
//! | `image` | an image with its masks; the kinds of anomaly |
//! | `look` | runs the network on the images |
//! | `baseline` | maps that ignore the image, for comparison |
//! | `grid` | where the cells of a map lie on an image |
//! | `overlap` | the curve of AUPRO |
//! | `figures` | the figures of the maps of one source |

mod baseline;
mod error;
mod figures;
mod grid;
mod image;
mod look;
mod masks;
mod overlap;
mod pieces;

pub use error::LocalizeError;
pub use figures::{Figures, KindFigures};
pub use image::Kind;
pub use overlap::FALSE_POSITIVE_LIMIT;

use crate::dataset::{Label, Listing};
use crate::progress;
use cellgate_models::conversion::Size;
use cellgate_models::digest::Digest;
use cellgate_models::engine::LogitMap;
use cellgate_models::model::Model;
use look::Looked;
use serde::Serialize;
use std::num::NonZeroUsize;

/// Where the network of a model looks, beside two maps that ignore the image. This is what `localize --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Localization {
    /// The digest of the model.
    pub model: Digest,
    /// The size of the network's input.
    pub input: Size,
    /// Number of normal images.
    pub normal: usize,
    /// Number of abnormal images whose masks have pixels.
    pub abnormal: usize,
    /// Number of abnormal images that were left out: they have no mask, or their masks have no pixels.
    pub without_mask: usize,
    /// The kinds of anomaly in the masks of the abnormal images, by name.
    pub kinds: Vec<Kind>,
    /// The figures of the network's maps.
    pub network: Figures,
    /// The figures of random maps: each share is drawn evenly from 0 to 1.
    pub random: Figures,
    /// The figures of a map whose share falls with the distance from the centre of the image.
    pub centre: Figures,
}

impl Localization {
    /// Runs the network of `model` in f32 on the images of `listing`, in ONNX Runtime with `threads` threads, and compares its maps with
    /// the masks. Without `threads`, ONNX Runtime uses all cores.
    ///
    /// # Errors
    /// [`LocalizeError`] if the data set has no masks, if an image or a mask can't be read, or if the network can't be run.
    pub fn measure(listing: &Listing, model: &Model, threads: Option<NonZeroUsize>) -> Result<Self, LocalizeError> {
        let Looked { images, maps, input, without_mask } = look::look(listing, model, threads)?;
        let kinds = image::kinds(&images);
        let cells = LogitMap::size_for(input);
        let bar = progress::bar(3 * images.len() as u64, "figures");
        let figures = |maps: &[LogitMap]| figures::figures(&images, maps, input, &kinds, &bar);
        let network = figures(&maps);
        let random = figures(&baseline::random(cells, images.len()));
        let centre = figures(&vec![baseline::centre(cells, input); images.len()]);
        bar.finish_and_clear();
        let count = |label| images.iter().filter(|image| image.label == label).count();
        let (normal, abnormal) = (count(Label::Normal), count(Label::Abnormal));
        Ok(Self { model: model.digest(), input, normal, abnormal, without_mask, kinds, network, random, centre })
    }
}
