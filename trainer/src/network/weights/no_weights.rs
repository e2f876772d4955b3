//! Names what is found in place of a weights file, and detects web pages, Git LFS pointers and empty files by their first
//! bytes. These files usually come from a failed download or copy.

use std::fmt;

/// What was found instead of a weights file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoWeights {
    /// A folder.
    Folder,
    /// An empty file.
    Empty,
    /// A web page, or a server's response in XML.
    WebPage,
    /// A Git LFS pointer: a small text file that stands for the real file in a repository.
    LfsPointer,
    /// A TorchScript program (`torch.jit.save`).
    TorchScript,
}

impl NoWeights {
    /// The kind of a file with the content `bytes`: [`Self::Empty`], [`Self::LfsPointer`] or [`Self::WebPage`]. `None` if
    /// the file may hold weights.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::Empty);
        }
        if bytes.starts_with(b"version https://git-lfs.github.com/spec/") {
            return Some(Self::LfsPointer);
        }
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
        let begins = |tag: &[u8]| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
        [&b"<!doctype"[..], b"<html", b"<head", b"<?xml", b"<!--"].into_iter().any(begins).then_some(Self::WebPage)
    }
}

impl fmt::Display for NoWeights {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Folder => "a folder, expected a file: name the .safetensors or .pth file in it",
            Self::Empty => "an empty file, expected weights: the download or copy failed, download it again",
            Self::WebPage => {
                "a web page (HTML or XML), expected weights: the server sent a page instead of the file. Open the page in a \
                 browser to read the reason, and download the file by its direct link"
            }
            Self::LfsPointer => {
                "a Git LFS pointer, expected the weights themselves: run `git lfs pull` in the repository, or download the file"
            }
            Self::TorchScript => {
                "a TorchScript program (torch.jit.save), expected tensors: convert it in Python with \
                 torch.save(torch.jit.load(FILE).state_dict(), NEW)"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_weights_are_detected_by_their_first_bytes() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 87276581\n";
        for (bytes, expected) in [
            (&b""[..], Some(NoWeights::Empty)),
            (pointer, Some(NoWeights::LfsPointer)),
            (b"<!DOCTYPE html><title>403</title>", Some(NoWeights::WebPage)),
            (b"\xef\xbb\xbf\r\n <HTML lang=\"en\">", Some(NoWeights::WebPage)),
            (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>", Some(NoWeights::WebPage)),
            // A safetensors file with a header of 60 bytes begins with `<`, which is 60 in ASCII.
            (b"<\0\0\0\0\0\0\0{\"a\":", None),
            (b"PK\x03\x04", None),
            (b" ", None),
        ] {
            assert_eq!(NoWeights::of(bytes), expected, "{bytes:?}");
        }
    }
}
