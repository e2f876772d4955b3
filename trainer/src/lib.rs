//! The trainer cross-validates recipes on labelled radiographs, trains a head and exports it as a model.
//!
//! | module | concept |
//! |---|---|
//! | [`dataset`] | labelled parts in bundles, read from a manifest or folders; synthetic electrodes |
//! | [`network`] | ResNet-34 in libtorch, its weights, and the same network as ONNX |
//! | [`features`] | the cache of the frozen backbone's pooled features |
//! | [`fit`] | recipes: from features and labels to a head and its operating point |
//! | [`crossval`] | leave-one-bundle-out cross-validation |
//! | [`stats`] | balanced accuracy, intervals, ROC, paired tests |
//! | [`results`] | `results.json` and `predictions.csv` |
//! | [`report`] | the results as one HTML file |
//! | [`export`] | the model, written only if libtorch and ONNX Runtime agree on its golden images |
//! | [`training`] | training on all bundles, with the choice of the thresholds |
//! | [`audit`] | verdicts of an appliance compared with labels |
//! | [`localize`] | where the network of a model looks, compared with the masks of a data set |
//! | [`pretrain`] | a backbone trained from random weights on synthetic radiographs |
//! | [`files`] | atomic file writes |
//! | [`checkpoint`] | the tensors of a file from which a training is continued |
//! | `adamw` | the optimizer of networks |
//! | [`progress`] | progress bars with the time left, on stderr |

mod adamw;
pub mod audit;
pub mod checkpoint;
pub mod crossval;
pub mod dataset;
pub mod export;
pub mod features;
pub mod files;
pub mod fit;
pub mod localize;
pub mod network;
pub mod pretrain;
pub mod progress;
pub mod report;
pub mod results;
pub mod stats;
pub mod training;
