//! Makes a data set of synthetic electrodes for trials, with the paper's image sizes, levels, share of abnormal parts and
//! anomalies.
//!
//! | file | concept |
//! |---|---|
//! | `design`, `apportion` | the set design: labels, anomalies and annotators of all parts, from the seed |
//! | `style` | coating method and ink mixture of a bundle |
//! | `tray`, `electrode` | a flawless electrode in its tray as three layers: tray, substrate and coating |
//! | `kind`, `anomaly` | the paper's eleven kinds of anomaly, drawn into the layers |
//! | `render` | levels from layers by the Beer-Lambert law, and the anomalies' masks |
//! | `detector` | scatter, blur, noise, fixed pattern, bad pixels |
//! | `write`, `png` | writes the folder with images, masks and manifest; continues after a kill |
//! | `preview` | the contact sheet |
//! | `sampler` | single electrodes without a data set, for `pretrain` |
//! | `area`, `mask`, `texture`, `random` | rectangles, shapes, smooth random fields, random numbers |
//!
//! The same configuration gives the same bytes on every machine and with any number of threads. Each part has its own
//! ChaCha stream, and levels are computed with exactly rounded operations only.

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

/// The size and the seed of a synthetic data set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SynthConfig {
    /// Number of parts, 1 to 100,000 and at least one for each bundle.
    pub parts: usize,
    /// Number of bundles, 1 to the number of parts.
    pub bundles: usize,
    /// Size of the images relative to the paper's, 0.05..=2. A scale of 0.1 gives images about 207 pixels high and
    /// 114 wide.
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
                format!("1 to the number of parts, {}: give --bundles", self.parts),
            );
        }
        if !(0.05..=2.0).contains(&self.scale) {
            return error("scale", self.scale.to_string(), "0.05 to 2".into());
        }
        Ok(())
    }
}

/// Why no synthetic data set was made.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// A value of the configuration is out of its range.
    #[error("{what}: found {found}, expected {expected}")]
    Config {
        /// The name of the field.
        what: &'static str,
        /// The field's value.
        found: String,
        /// The field's range.
        expected: String,
    },
    /// The folder holds something other than a data set of this configuration.
    #[error("{}: found {found}, expected {expected}", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// What the folder holds.
        found: String,
        /// What the folder may hold.
        expected: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
}
