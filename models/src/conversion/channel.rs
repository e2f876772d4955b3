//! Computes one channel of the converted 8-bit image. A [`Channel`] is a method's mapping from 16-bit to 8-bit levels; the mixed
//! method has three channels, every other method with an 8-bit step has one.

use super::clahe::Clahe;
use super::local_bounds::LocalBounds;
use super::resize::Resizer;
use super::spread::Spread;
use super::table::Table;
use super::{Bounds, ConversionSpec, Distribution, Method, Size, dhe};
use crate::radiograph::RadiographView;

/// A channel's mapping, with the buffers that it reuses for each image.
#[derive(Debug)]
pub(super) enum Channel {
    /// The upper byte (paper, section 2.3.1).
    Naive,
    /// The levels between the bounds of all images, spread over 0..=255.
    Global(Spread),
    /// The levels between each image's own bounds, spread over 0..=255.
    Local(Spread),
    /// The table of the method equalize, the same for all images.
    Fixed(Table),
    /// A table for each image, from the histogram of its levels after the global conversion.
    Dhe { global: Spread, table: Table },
    /// Each image's levels, equalised after the global conversion. `levels` has the equalised levels of the last image. `state` is
    /// kept while images have the same size.
    Clahe { global: Spread, tiles: Size, state: Option<Clahe>, levels: Vec<u8> },
}

impl Channel {
    /// The channels of `spec`, one or three. `None` if a field that the method needs is missing, and for linear16, which has no
    /// 8-bit step.
    pub(super) fn all_of(spec: &ConversionSpec) -> Option<Vec<Self>> {
        let global = || spec.bounds.map(Spread::new);
        Some(match spec.method {
            Method::Naive => vec![Self::Naive],
            Method::Global => vec![Self::Global(global()?)],
            Method::Local => vec![Self::Local(Spread::new(Bounds::ALL))],
            Method::Mixed => vec![Self::Naive, Self::Global(global()?), Self::Local(Spread::new(Bounds::ALL))],
            Method::Equalize => vec![Self::Fixed(equalising(spec.distribution.as_ref()?))],
            Method::Dhe => {
                let global = global()?;
                vec![Self::Dhe { global, table: Table::from_fn(|x| global.level8(x)) }]
            }
            Method::Clahe => {
                vec![Self::Clahe { global: global()?, tiles: spec.clahe?.tiles, state: None, levels: Vec::new() }]
            }
            Method::Linear16 => return None,
        })
    }

    /// Adapts the mapping to `radiograph`. `finder` is the working memory to find local bounds.
    pub(super) fn adapt(&mut self, radiograph: RadiographView<'_>, finder: &mut LocalBounds) {
        let levels = radiograph.levels();
        match self {
            Self::Naive | Self::Global(_) | Self::Fixed(_) => {}
            Self::Local(spread) => {
                if let Some(bounds) = finder.find(levels) {
                    *spread = Spread::new(bounds);
                }
            }
            Self::Dhe { global, table } => {
                let mut counts = [0; 256];
                levels.iter().for_each(|&x| counts[usize::from(global.level8(x))] += 1);
                let equalised = dhe::equalised(&counts);
                table.fill(|x| equalised[usize::from(global.level8(x))]);
            }
            Self::Clahe { global, tiles, state, levels: equalised } => {
                let size = Size { height: radiograph.height(), width: radiograph.width() };
                let state = match state {
                    Some(state) if state.size() == size => state,
                    _ => state.insert(Clahe::new(*tiles, size)),
                };
                equalised.clear();
                equalised.extend(levels.iter().map(|&x| global.level8(x)));
                state.equalise(equalised);
            }
        }
    }

    /// Converts and resizes `radiograph`, to which the mapping must have been adapted. Passes each row of the result, with its
    /// number, to `sink`.
    pub(super) fn rows(
        &self,
        radiograph: RadiographView<'_>,
        resizer: &mut Resizer<u8>,
        sink: impl FnMut(usize, &[u8]),
    ) {
        let pixels = radiograph.levels();
        match *self {
            Self::Naive => resizer.run(pixels, |x| (x >> 8) as u8, sink),
            Self::Global(spread) | Self::Local(spread) => resizer.run(pixels, move |x| spread.level8(x), sink),
            Self::Fixed(ref table) | Self::Dhe { ref table, .. } => resizer.run(pixels, |x| table.level8(x), sink),
            Self::Clahe { ref levels, .. } => resizer.run(levels, |level| level, sink),
        }
    }
}

/// The table that equalises images by the distribution of a training set's levels.
fn equalising(distribution: &Distribution) -> Table {
    Table::from_fn(|x| distribution.level8(x))
}
