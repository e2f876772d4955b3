//! The specification as data, `conversion.json`: from it alone trainer and edge do the same.

use super::Bounds;
use serde::{Deserialize, Serialize};

/// Height and width in pixels; as text `HEIGHTxWIDTH`, the paper's 2000x1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Rows.
    pub height: u32,
    /// Pixels a row.
    pub width: u32,
}

/// A conversion from 16 to 8 bits (paper, section 2.3; the last four are ours).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Level / 256.
    Naive,
    /// Between bounds that hold for all images.
    Global,
    /// Between the image's own bounds.
    Local,
    /// Channel 1 naive, channel 2 global, channel 3 local.
    Mixed,
    /// Histogram equalisation with the training set's distribution.
    Equalize,
    /// Contrast-limited adaptive histogram equalisation.
    Clahe,
    /// Dynamic histogram equalisation.
    Dhe,
    /// Between global bounds, without the 8-bit step.
    Linear16,
}

/// Everything that decides how a radiograph becomes an input tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversionSpec {
    /// Version of this specification, 1.
    pub version: u32,
    /// The conversion.
    pub method: Method,
    /// The bounds that hold for all images, where the method needs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    /// The size of the network's input; none keeps the image's own.
    pub size: Option<Size>,
    /// Mean of each channel, of levels / 255.
    pub mean: [f32; 3],
    /// Standard deviation of each channel, of levels / 255.
    pub std: [f32; 3],
}
