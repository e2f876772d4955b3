//! Tests without a GPU how TensorRT's libraries are found. Tests also how the real TensorRT for RTX builds plans, or, with the
//! feature `enterprise`, that the version of TensorRT 11 is read.
#![expect(clippy::unwrap_used, reason = "clippy allows it in tests, but not in their helpers")]

#[cfg(not(feature = "enterprise"))]
mod build;
mod library;
#[cfg(feature = "enterprise")]
mod version;
