//! Figures for Prometheus: what the appliance counts, and how it is served.
//!
//! | file | concept |
//! |---|---|
//! | `make` | counters, gauges and histograms with fixed labels, all made at the start |
//! | `parts` | verdicts, and how long parts and their stages take |
//! | `link` | the serial link and the PLC |
//! | `device` | who the appliance is, its state, workers and engine |
//! | `store` | journal, archive, disk |
//! | `serve` | HTTP on loopback |
//!
//! Counting is a few atomic additions: it never waits, allocates nothing, and goes on whether somebody asks or not. Serving
//! is no worker that a PASS depends on: it has a thread of its own, which gives way to all others, and where it ends,
//! nothing else does.

mod device;
mod link;
mod make;
mod parts;
mod serve;
mod store;

pub use device::{About, DeviceFigures};
pub use link::{LinkCounts, LinkFigures};
pub use parts::PartFigures;
pub use serve::{ListenError, Server, listen};
pub use store::StoreFigures;

use prometheus::{Registry, TextEncoder};
use std::time::Duration;

/// The type of what [`Metrics::page`] gives.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Why the figures can't be kept.
#[derive(Debug, thiserror::Error)]
#[error("the figures for Prometheus can't be kept: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// All figures of one appliance.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Verdicts, and how long parts take.
    pub parts: PartFigures,
    /// The serial link and the PLC.
    pub link: LinkFigures,
    /// State, workers and engine.
    pub device: DeviceFigures,
    /// Journal, archive, disk.
    pub store: StoreFigures,
}

impl Metrics {
    /// All figures at zero. `deadline` is the longest time of a part, `workers` are those whose life is shown.
    ///
    /// # Errors
    /// [`MetricsError`]: two of them have one name, or one has a name that is none.
    pub fn new(about: &About, deadline: Duration, workers: &[&'static str]) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let parts = PartFigures::new(&registry, deadline)?;
        let link = LinkFigures::new(&registry)?;
        let device = DeviceFigures::new(&registry, about, workers)?;
        let store = StoreFigures::new(&registry)?;
        Ok(Self { registry, parts, link, device, store })
    }

    /// All figures as they are now, in Prometheus' text format 0.0.4.
    ///
    /// # Errors
    /// [`MetricsError`].
    pub fn page(&self) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}
