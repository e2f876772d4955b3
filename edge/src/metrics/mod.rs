//! Counts and measures what the appliance does, and serves the metrics to Prometheus.
//!
//! | file | concept |
//! |---|---|
//! | `make` | counters, gauges and histograms with fixed labels, all created at the start |
//! | `parts` | verdicts, and how long parts and their stages take |
//! | `link` | the serial link and the PLC |
//! | `bundle` | the running bundle |
//! | `device` | the appliance's identity, state, workers and engine |
//! | `image` | the measures of the newest image, and the ranges of the model's envelope |
//! | `store` | journal, archive, disk |
//! | `serve` | HTTP on loopback |
//!
//! Counting is a few atomic additions. It never waits, never allocates and does not depend on the server. The server has its
//! own thread of the lowest priority. No PASS depends on the server, and its end affects no other service.

mod bundle;
mod device;
mod image;
mod link;
mod make;
mod parts;
mod serve;
mod store;

pub use bundle::BundleFigures;
pub use device::{About, DeviceFigures};
pub use image::ImageFigures;
pub use link::{LinkCounts, LinkFigures};
pub use parts::PartFigures;
pub use serve::{ListenError, Server, listen};
pub use store::StoreFigures;

use prometheus::{Registry, TextEncoder};
use std::time::Duration;

/// The content type of [`Metrics::page`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The metrics can't be created or written.
#[derive(Debug, thiserror::Error)]
#[error("the metrics for Prometheus: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// All metrics of one appliance.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Verdicts, and how long parts take.
    pub parts: PartFigures,
    /// The serial link and the PLC.
    pub link: LinkFigures,
    /// The appliance's state, workers and engine.
    pub device: DeviceFigures,
    /// The running bundle.
    pub bundle: BundleFigures,
    /// The measures of the newest image.
    pub image: ImageFigures,
    /// Journal, archive, disk.
    pub store: StoreFigures,
}

impl Metrics {
    /// Creates all metrics with the value zero. `deadline` is the longest time from a part's trigger to its verdict. `workers`
    /// are the names of the workers whose liveness is shown.
    ///
    /// # Errors
    /// [`MetricsError`]: a metric name is duplicated or invalid.
    pub fn new(about: &About, deadline: Duration, workers: &[&'static str]) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let parts = PartFigures::new(&registry, deadline)?;
        let link = LinkFigures::new(&registry)?;
        let device = DeviceFigures::new(&registry, about, workers)?;
        let bundle = BundleFigures::new(&registry)?;
        let image = ImageFigures::new(&registry)?;
        let store = StoreFigures::new(&registry)?;
        Ok(Self { registry, parts, link, device, bundle, image, store })
    }

    /// The current values in Prometheus' text format 0.0.4.
    ///
    /// # Errors
    /// [`MetricsError`]: the values can't be written as text.
    pub fn page(&self) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}
