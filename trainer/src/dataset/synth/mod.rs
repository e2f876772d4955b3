//! Synthetic electrodes: a data set for trials, with the paper's sizes, levels, class balance and anomalies.
//!
//! | file | concept |
//! |---|---|
//! | `design`, `apportion` | the set design: labels, anomalies and annotators of all parts, from the seed |
//! | `style` | coating method and mixture of a bundle |
//! | `tray`, `electrode` | a flawless electrode in its tray as three layers: tray, substrate and coating |
//! | `kind`, `anomaly` | the paper's eleven kinds of anomaly, drawn into the layers |
//! | `render` | from layers to levels by the Beer-Lambert law, and the anomalies' masks |
//! | `detector` | scatter, blur, noise, fixed pattern, bad pixels |
//! | `write`, `png` | the folder: images, masks, manifest; continues after a kill |
//! | `preview` | the contact sheet |
//! | `sampler` | single electrodes without a data set, for `pretrain` |
//! | `area`, `mask`, `texture`, `random` | rectangles, shapes, smooth random fields, random numbers |
//!
//! The same configuration makes the same bytes on every machine, with any number of threads: each part has its own ChaCha stream,
//! and levels are computed with exactly rounded operations only.

mod anomaly;
mod apportion;
mod area;
mod design;
mod detector;
mod electrode;
mod kind;
mod mask;
mod png;
mod preview;
mod random;
mod render;
pub(crate) mod sampler;
mod style;
mod texture;
mod tray;
mod write;

pub use preview::{Shown, preview};
pub use write::{Written, write};

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The configuration of a synthetic data set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SynthConfig {
    /// Number of parts, at least one per bundle, at most 100,000.
    pub parts: usize,
    /// Number of bundles, at least 1.
    pub bundles: usize,
    /// Width and height of the images relative to the paper's, 0.05..=2. At 0.1, images have about 207 x 114 pixels.
    pub scale: f64,
    /// Seed of the random numbers.
    pub seed: u64,
}

impl Default for SynthConfig {
    /// The paper's 714 parts in 12 bundles at full size.
    fn default() -> Self {
        Self { parts: 714, bundles: 12, scale: 1.0, seed: 1 }
    }
}

impl SynthConfig {
    fn check(&self) -> Result<(), SynthError> {
        let error = |what, found: String, expected: String| Err(SynthError::Config { what, found, expected });
        if !(1..=100_000).contains(&self.parts) {
            return error("parts", self.parts.to_string(), "1 to 100000".into());
        }
        if !(1..=self.parts).contains(&self.bundles) {
            return error(
                "bundles",
                self.bundles.to_string(),
                format!("1 to {}, the number of parts; give --bundles", self.parts),
            );
        }
        if !(0.05..=2.0).contains(&self.scale) {
            return error("scale", self.scale.to_string(), "0.05 to 2".into());
        }
        Ok(())
    }
}

/// Why the synthetic data set could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// A value of the configuration is out of range.
    #[error("{what}: found {found}, expected {expected}")]
    Config {
        /// The value's name.
        what: &'static str,
        /// The value.
        found: String,
        /// Its range.
        expected: String,
    },
    /// The folder contains something else.
    #[error("{}: found {found}, expected {expected}", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// What it contains.
        found: String,
        /// What it may contain.
        expected: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}
