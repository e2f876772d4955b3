//! What one channel's 8-bit levels come from.

use super::clahe::Clahe;
use super::resize::Resizer;
use super::table::Table;
use super::{Bounds, ClaheSettings, ConversionSpec, DheSettings, Distribution, Histogram, Method, Size, dhe};
use crate::radiograph::Radiograph;

/// A channel's mapping, with what it keeps from image to image.
#[derive(Debug)]
pub(super) enum Channel {
    /// One table for all images.
    Fixed(Table),
    /// A table between each image's own bounds.
    Local(Table),
    /// A table from each image's histogram after the global conversion.
    Dhe { global: Table, table: Table, settings: DheSettings },
    /// Each image's levels, equalised after the global conversion.
    Clahe { global: Table, settings: ClaheSettings, state: Option<Clahe>, levels: Vec<u8> },
}

impl Channel {
    /// The channels of `spec`, one or three; `None` where a member that the method needs is missing, and for the method
    /// without an 8-bit step.
    pub(super) fn all_of(spec: &ConversionSpec) -> Option<Vec<Self>> {
        let global = || spec.bounds.map(Table::between);
        Some(match spec.method {
            Method::Naive => vec![Self::Fixed(Table::naive())],
            Method::Global => vec![Self::Fixed(global()?)],
            Method::Local => vec![Self::Local(Table::naive())],
            Method::Mixed => vec![Self::Fixed(Table::naive()), Self::Fixed(global()?), Self::Local(Table::naive())],
            Method::Equalize => vec![Self::Fixed(equalising(spec.distribution.as_ref()?))],
            Method::Dhe => vec![Self::Dhe { global: global()?, table: global()?, settings: spec.dhe? }],
            Method::Clahe => {
                vec![Self::Clahe { global: global()?, settings: spec.clahe?, state: None, levels: Vec::new() }]
            }
            Method::Linear16 => return None,
        })
    }

    /// Makes it ready for `radiograph`; `histogram` is working memory. Gives the image's own bounds where it uses them.
    pub(super) fn adapt(&mut self, radiograph: &Radiograph, histogram: &mut Histogram) -> Option<Bounds> {
        let levels = radiograph.levels();
        match self {
            Self::Fixed(_) => None,
            Self::Local(table) => {
                histogram.clear();
                histogram.add(levels);
                let bounds = Bounds::local(histogram)?;
                table.spread(bounds);
                Some(bounds)
            }
            Self::Dhe { global, table, settings } => {
                let mut counts = [0; 256];
                levels.iter().for_each(|&x| counts[usize::from(global.level8(x))] += 1);
                table.chain(global, &dhe::equalised(&counts, *settings));
                None
            }
            Self::Clahe { global, settings, state, levels: equalised } => {
                let size = Size { height: radiograph.height(), width: radiograph.width() };
                let state = match state {
                    Some(state) if state.size() == size => state,
                    _ => state.insert(Clahe::new(*settings, size)),
                };
                equalised.clear();
                equalised.extend(levels.iter().map(|&x| global.level8(x)));
                state.equalise(equalised);
                None
            }
        }
    }

    /// Hands the rows of `radiograph`, for which it was made ready, to `sink`, converted and resized.
    pub(super) fn rows(&self, radiograph: &Radiograph, resizer: &mut Resizer<u8>, sink: impl FnMut(usize, &[u8])) {
        match self {
            Self::Fixed(table) | Self::Local(table) | Self::Dhe { table, .. } => {
                resizer.run(radiograph.levels(), |x| table.level8(x), sink);
            }
            Self::Clahe { levels, .. } => resizer.run(levels, |level| level, sink),
        }
    }
}

/// The table of equalisation with a training set's distribution.
fn equalising(distribution: &Distribution) -> Table {
    Table::from_fn(|x| distribution.level8(x))
}
