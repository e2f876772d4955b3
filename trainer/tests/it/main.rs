//! The trainer from outside, in one program: linking libtorch takes as long as many of the tests.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod checkpoints;
mod dataset_commands;
mod device;
mod export;
mod help;
mod onnx;
mod refusals;
mod resnet34;
