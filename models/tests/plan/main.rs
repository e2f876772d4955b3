//! Tests TensorRT without a GPU. All builds test how TensorRT's libraries are found. Without the feature `enterprise`, the real
//! TensorRT for RTX builds plans. With this feature, the version of TensorRT 11 is read.
#![expect(clippy::unwrap_used, reason = "clippy allows it in tests, but not in their helpers")]

#[cfg(not(feature = "enterprise"))]
mod build;
mod library;
#[cfg(feature = "enterprise")]
mod version;
