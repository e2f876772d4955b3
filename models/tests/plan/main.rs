//! Tests how TensorRT's libraries are found, and how the real TensorRT for RTX builds plans, without a GPU.
#![expect(clippy::unwrap_used, reason = "clippy knows the tests themselves, not their helpers")]

#[cfg(not(feature = "enterprise"))]
mod build;
mod library;
#[cfg(feature = "enterprise")]
mod version;
