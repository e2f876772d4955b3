//! TensorRT's libraries, and plans built by the real TensorRT for RTX, without a GPU.
#![expect(clippy::unwrap_used, reason = "clippy knows the tests themselves, not their helpers")]

#[cfg(not(feature = "enterprise"))]
mod build;
mod library;
#[cfg(feature = "enterprise")]
mod version;
