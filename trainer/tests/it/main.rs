//! Tests the trainer through its command line and its public interface. All these tests are in one program, because linking
//! libtorch takes long.
#![expect(clippy::unwrap_used, reason = "a test fails at the first unexpected error")]

mod checkpoints;
mod dataset_commands;
mod device;
mod export;
mod help;
mod localize;
mod onnx;
mod pretended_cuda;
mod refusals;
mod resnet34;
mod unlike_training;
