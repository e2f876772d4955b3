//! Tests how TensorRT's libraries are found, and how the real TensorRT for RTX builds plans, without a GPU.
#![expect(clippy::unwrap_used, reason = "clippy allows it in tests, but not in their helpers")]

#[cfg(not(feature = "enterprise"))]
mod build;
mod library;
#[cfg(feature = "enterprise")]
mod version;
