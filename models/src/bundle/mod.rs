//! The model bundle.
