//! Files that hold no weights, known by their first bytes: what comes of a download or a copy that went wrong.

use std::fmt;

/// What a path leads to instead of a file of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoWeights {
    /// A folder.
    Folder,
    /// A file of no bytes.
    Empty,
    /// A web page, or an answer of a server in XML.
    WebPage,
    /// A pointer of Git LFS, which stands for the file in a repository.
    LfsPointer,
    /// A program of TorchScript (`torch.jit.save`).
    TorchScript,
}

impl NoWeights {
    /// What a file that begins with `bytes` is; none where it may hold weights.
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
            Self::Empty => "an empty file, expected weights: its download or copy failed, fetch it again",
            Self::WebPage => {
                "a web page (HTML or XML), expected weights: the server sent a page instead of the file. Open it in a browser to \
                 read why, and download the file by its direct link"
            }
            Self::LfsPointer => {
                "a pointer of Git LFS, expected the file that it stands for: run `git lfs pull` in its repository, or download \
                 the file itself"
            }
            Self::TorchScript => {
                "a TorchScript program (torch.jit.save), expected tensors: in Python, \
                 torch.save(torch.jit.load(FILE).state_dict(), NEW) writes them"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_pointers_are_known_by_their_first_bytes() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 87276581\n";
        for (bytes, expected) in [
            (&b""[..], Some(NoWeights::Empty)),
            (pointer, Some(NoWeights::LfsPointer)),
            (b"<!DOCTYPE html><title>403</title>", Some(NoWeights::WebPage)),
            (b"\xef\xbb\xbf\r\n <HTML lang=\"en\">", Some(NoWeights::WebPage)),
            (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>", Some(NoWeights::WebPage)),
            // A safetensors header of 60 bytes: its length begins with `<`.
            (b"<\0\0\0\0\0\0\0{\"a\":", None),
            (b"PK\x03\x04", None),
            (b" ", None),
        ] {
            assert_eq!(NoWeights::of(bytes), expected, "{bytes:?}");
        }
    }
}
