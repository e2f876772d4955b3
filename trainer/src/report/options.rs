//! Declares the options of a report.

use crate::results::SuspectMap;
use cellgate_models::radiograph::RadiographLimits;
use std::path::PathBuf;

/// Options of a report.
#[derive(Debug, Clone)]
pub struct ReportOptions {
    /// The heading.
    pub title: String,
    /// The data set's folder. The predictions' image paths are relative to this folder. `None` for a report without
    /// thumbnails.
    pub dataset_root: Option<PathBuf>,
    /// Largest number of images shown as possibly mislabelled.
    pub suspects: usize,
    /// Longer side of a thumbnail in pixels.
    pub thumbnail_px: u32,
    /// The maps of suspects, which their thumbnails show. A suspect without a map has a grey thumbnail.
    pub evidence: Vec<SuspectMap>,
    /// Limits for reading an image.
    pub limits: RadiographLimits,
}

impl Default for ReportOptions {
    /// "Cross-validation report", no data set, 24 suspects, 240 pixels, no maps.
    fn default() -> Self {
        Self {
            title: "Cross-validation report".into(),
            dataset_root: None,
            suspects: 24,
            thumbnail_px: 240,
            evidence: Vec::new(),
            limits: RadiographLimits::default(),
        }
    }
}
