//! Names of members: relative paths that can't lead out of the model's folder.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest name in bytes.
const MAX_BYTES: usize = 128;

/// The name of a member: a relative path of ASCII letters, digits, `.`, `_` and `-`, with `/` between the names of folders and
/// file.
///
/// None of the names in the path is empty or starts with a dot, so there is no `..`, no absolute path and no hidden file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MemberName(String);

/// The text is not a member's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a relative path of at most 128 letters, digits and `._-/`, no name between slashes empty or starting with a \
     dot, found `{}`", found.escape_debug()
)]
pub struct NameError {
    /// The text, cut after 160 characters.
    pub found: String,
}

impl NameError {
    /// The error for `text`, which may be long.
    pub(super) fn of(text: &str) -> Self {
        Self { found: text.chars().take(160).collect() }
    }
}

impl MemberName {
    /// Makes a name from `text`.
    ///
    /// # Errors
    /// [`NameError`] if the text breaks the rules of [`MemberName`].
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        let byte_is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
        let segment_is_allowed = |segment: &str| !segment.is_empty() && !segment.starts_with('.');
        if text.len() <= MAX_BYTES && text.bytes().all(byte_is_allowed) && text.split('/').all(segment_is_allowed) {
            Ok(Self(text))
        } else {
            Err(NameError::of(&text))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MemberName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl From<MemberName> for String {
    fn from(name: MemberName) -> Self {
        name.0
    }
}

/// A map or set of names can be searched with a `&str`.
impl std::borrow::Borrow<str> for MemberName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    #[test]
    fn ordinary_names_are_accepted() {
        for text in ["network.onnx", "golden/part_001-a.tif", "a/b/c", "MODEL_CARD.md", "a..b"] {
            assert_eq!(MemberName::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn paths_outside_the_model_and_hidden_names_are_refused() {
        let long = "a".repeat(129);
        for text in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../a",
            "a/..",
            "a/../b",
            "a//b",
            "a/",
            ".",
            "./a",
            ".hidden",
            "a/.b",
            "a\\b",
            "C:a",
            "a b",
            "a\0",
            "a\n",
            "é",
            &long,
        ] {
            assert!(MemberName::new(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_name_is_a_relative_path_of_ordinary_components(text in "[a./]{0,12}|.{0,12}") {
            if let Ok(name) = MemberName::new(text) {
                let path = Path::new(name.as_str());
                prop_assert!(path.is_relative());
                prop_assert!(path.components().all(|component| matches!(component, Component::Normal(_))));
                prop_assert_eq!(path.components().count(), name.as_str().split('/').count());
            }
        }
    }
}
