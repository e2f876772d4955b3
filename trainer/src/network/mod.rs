//! ResNet-34 in libtorch, its weights, and the same network as ONNX.
//!
//! | module | concept |
//! |---|---|
//! | `basis` | the directions of stage 3 whose covariance is computed |
//! | `cuda` | opens libtorch's CUDA library when CUDA is used |
//! | `libtorch` | the folder of the running libtorch |
//! | `architecture` | the layers of ResNet-34 with torchvision's names, as data |
//! | [`weights`] | finds and reads the file of weights |
//! | [`resnet34`] | the frozen network in libtorch: computes the maps of four stages from images |
//! | [`pooling`] | turns maps into features |
//! | [`backbone`] | computes features: network and pooling, on the CPU or a GPU |
//! | [`device`] | reads the value of `--device`: the CPU or a GPU |
//! | [`head`] | computes the score from a feature vector |
//! | [`onnx`] | writes backbone, pooling and head as one ONNX file |

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
