//! Creates and sets the metrics of the newest image's measures, beside the ranges of the model's envelope. They show a drift of the
//! scanner before it makes parts fail.

use super::make::{Family, gauges};
use cellgate_models::envelope::{Envelope, Measure, Measures};
use prometheus::{IntGauge, Registry, Result};

/// The metrics of the measures of images.
#[derive(Debug)]
pub struct ImageFigures {
    newest: Family<Measure, IntGauge>,
    low: Family<Measure, IntGauge>,
    high: Family<Measure, IntGauge>,
}

impl ImageFigures {
    pub(super) fn new(registry: &Registry) -> Result<Self> {
        let family = |name, help| gauges(registry, name, help, "measure", Measure::ALL.map(|of| (of, [of.name()])));
        Ok(Self {
            newest: family(
                "cellgate_image_measure",
                "Measures of the newest decoded image, also of one that is refused: sizes in pixels, levels, parts per million (ppm); \
                 0: no image yet.",
            )?,
            low: family(
                "cellgate_image_measure_low",
                "The smallest value in the range of the model's envelope. An image outside of the range does not pass.",
            )?,
            high: family("cellgate_image_measure_high", "The largest value in the range of the model's envelope.")?,
        })
    }

    /// Sets the ranges to those of the model's envelope.
    pub fn set_envelope(&self, envelope: &Envelope) {
        for measure in Measure::ALL {
            let range = envelope.range(measure);
            for (family, limit) in [(&self.low, range.low), (&self.high, range.high)] {
                set(family, measure, limit);
            }
        }
    }

    /// Sets the measures of the newest image.
    pub fn measured(&self, measures: &Measures) {
        for measure in Measure::ALL {
            set(&self.newest, measure, measures.get(measure));
        }
    }
}

fn set(family: &Family<Measure, IntGauge>, measure: Measure, value: u32) {
    if let Some(gauge) = family.get(&measure) {
        gauge.set(value.into());
    }
}
