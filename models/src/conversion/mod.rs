//! Converts a radiograph to the network's input: 16 to 8 bits, resize, normalise. The specification is data.
//!
//! ```
//! use cellgate_models::conversion::{Bounds, ConversionSpec, Converter, Method, Size};
//! use cellgate_models::radiograph::Radiograph;
//!
//! let spec = ConversionSpec::new(Method::Global)
//!     .with_bounds(Bounds::new(1700, 2800)?)
//!     .with_size(Size { height: 4, width: 2 });
//! let mut converter = Converter::new(&spec)?;
//! let radiograph = Radiograph::new(3, 8, vec![2250; 24])?;
//! assert_eq!(converter.to_levels8(&radiograph)?.levels, [128; 8]);
//! let mut tensor = [0.0; 3 * 4 * 2];
//! converter.to_tensor(&radiograph, &mut tensor)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bounds;
mod channel;
mod clahe;
mod convert;
mod dhe;
mod equalize;
mod error;
mod histogram;
mod local_bounds;
mod method;
pub mod pieces;
mod resize;
mod size;
mod spec;
mod spread;
mod table;
mod tensor;

pub use bounds::{BOUND_PERCENTILES, Bounds, BoundsError, ParseBoundsError, image_percentiles};
pub use clahe::ClaheSettings;
pub use convert::{Converter, Image8};
pub use dhe::DheSettings;
pub use equalize::{Distribution, DistributionError};
pub use error::ConversionError;
pub use histogram::Histogram;
pub use method::{Method, ParseMethodError};
pub use size::{ParseSizeError, Size};
pub use spec::{ConversionSpec, IMAGENET_MEAN, IMAGENET_STD, Interpolation};
