//! Leave one bundle out.
