//! ResNet-34 in libtorch, its weights, and the same network as ONNX.
//!
//! | module | concept |
//! |---|---|
//! | `basis` | the directions of stage 3 that its covariance is taken in |
//! | `cuda` | libtorch's CUDA library, opened where CUDA is asked for |
//! | `libtorch` | the folder of the libtorch that runs |
//! | `architecture` | the layers of ResNet-34 and torchvision's names for them, as data |
//! | [`weights`] | reading them from a file, and finding that file |
//! | [`resnet34`] | the frozen network in libtorch: an image in, the maps of four stages out |
//! | [`pooling`] | from maps to a feature vector |
//! | [`backbone`] | network, digest and device in one: what computes features |
//! | [`device`] | the name of a device on the command line |
//! | [`head`] | from a feature vector to the score |
//! | [`onnx`] | backbone, pooling and head as one ONNX file |

pub(crate) mod architecture;
pub mod backbone;
mod basis;
mod cuda;
pub mod device;
pub mod head;
mod libtorch;
pub mod onnx;
pub mod pooling;
pub mod resnet34;
pub mod weights;

pub use backbone::Backbone;
pub use cuda::CudaError;
pub use head::{Head, Layer};
pub use pooling::{Block, Pool};
pub use weights::Weights;
