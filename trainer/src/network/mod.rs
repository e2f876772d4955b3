//! Reads the weights of ResNet-34, computes features with libtorch and all outputs with a readout, and writes backbone and readout
//! as an ONNX file.
//!
//! | module | concept |
//! |---|---|
//! | `basis` | computes the directions of stage 3 for the pooling by covariance |
//! | `cuda` | opens libtorch's CUDA library when CUDA is used |
//! | `precision` | sets the precision and the algorithms that libtorch uses on a GPU |
//! | `libtorch` | finds the folder of the running libtorch |
//! | `architecture` | lists the layers of ResNet-34 with torchvision's names, as data |
//! | [`weights`] | finds and reads the file of weights |
//! | [`resnet34`] | computes the maps of ResNet-34's four stages from images, with libtorch |
//! | `stage_4` | weights of stage 4 that a recipe trained |
//! | [`pooling`] | turns maps into features |
//! | [`backbone`] | computes features with `resnet34` and `pooling`, on the CPU or a GPU |
//! | [`device`] | reads the value of `--device`: the CPU or a GPU |
//! | `f16_testing` | emulates engines that compute the backbone in f16, for the tests |
//! | [`flips`] | the flip variants of an image, and how many of them a head judges |
//! | [`head`] | computes the raw logit from a feature vector |
//! | `with_head` | a backbone with a head: what computes the raw logits of images |
//! | `logit_map` | divides the raw logit of an image among its positions, with libtorch |
//! | `placement` | places the positions of other stages on those of stage 3 |
//! | `whitening` | maps features to whitened features, which show how unlike the training an image is |
//! | `readout` | head and whitening: everything that is computed from the features |
//! | `output` | computes all outputs of the network for an image, with libtorch |
//! | [`onnx`] | writes backbone, pooling and readout as one ONNX file |

pub(crate) mod architecture;
pub mod backbone;
mod basis;
mod cuda;
pub mod device;
#[cfg(test)]
pub(crate) mod f16_testing;
pub mod flips;
pub mod head;
mod libtorch;
mod logit_map;
pub mod onnx;
mod output;
pub(crate) mod placement;
pub mod pooling;
mod precision;
mod readout;
pub mod resnet34;
pub(crate) mod stage_4;
pub mod weights;
mod whitening;
mod with_head;

pub use backbone::Backbone;
pub use cuda::CudaError;
pub use flips::Flips;
pub use head::{Head, Layer};
pub use pooling::{Block, Pool};
pub use readout::{Readout, ReadoutError};
pub use stage_4::Stage4;
pub use weights::Weights;
pub use whitening::{Whitening, WhiteningError};
pub use with_head::BackboneWithHead;
