//! Runs in the child process: gives up the child's rights, then decodes one file after another until the parent closes the
//! pipe.

use super::protect;
use super::wire::{self, ANSWER_BYTES, Answer, MAX_TEXT_BYTES, PLACE_BYTES, REQUEST_BYTES, SETTINGS_BYTES, kind};
use cellgate_models::radiograph::{
    BUFFER_START, DecodedLevels, Radiograph, RadiographLimits, RadiographReader, ReadError,
};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use zerocopy::IntoBytes as _;

/// The hidden subcommand that the parent starts the program with.
pub const SUBCOMMAND: &str = "decode-worker";

/// Runs the decode worker on stdin and stdout until stdin ends. Must be called before the process starts a thread or opens a file.
///
/// # Errors
/// A pipe failed, a request is over the limits, or memory for the largest file is missing.
pub fn run() -> io::Result<()> {
    let mut settings = [0; SETTINGS_BYTES];
    if !read_exact(&mut settings)? {
        return Ok(());
    }
    let limits = wire::settings_from_bytes(settings);
    // Allocated before `apply_all`, which limits memory to what is mapped by then and the memory for the levels. Pages that are
    // never used take no memory.
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(
        BUFFER_START.saturating_add(usize::try_from(limits.max_file_bytes).map_err(io::Error::other)?),
    )?;
    let mut reader = RadiographReader::new(limits.clone());
    let protections = protect::apply_all(limits.max_pixels.saturating_mul(2));
    write_all(&Answer { kind: kind::READY, sequence: 0, a: protections.bits(), b: 0 }.to_bytes())?;
    while let Some((sequence, len)) = request(&limits)? {
        bytes.resize(BUFFER_START + len, 0);
        if !read_exact(&mut bytes[BUFFER_START..])? {
            return Ok(());
        }
        match reader.find(&bytes[BUFFER_START..], Path::new("")) {
            Ok(DecodedLevels::Unpacked(image)) => send_image(sequence, image)?,
            Ok(DecodedLevels::InFile { width, height, at }) => send_place(sequence, (width, height), at)?,
            Err(error) => send_refusal(sequence, error)?,
        }
    }
    Ok(())
}

/// Reads the next request's sequence and length. `None` at the end of stdin.
fn request(limits: &RadiographLimits) -> io::Result<Option<(u32, usize)>> {
    let mut request = [0; REQUEST_BYTES];
    if !read_exact(&mut request)? {
        return Ok(None);
    }
    let (sequence, len) = wire::request_from_bytes(request);
    if len > limits.max_file_bytes {
        return Err(io::Error::other(format!(
            "found a file of {len} bytes, expected at most {}",
            limits.max_file_bytes
        )));
    }
    Ok(Some((sequence, usize::try_from(len).map_err(io::Error::other)?)))
}

fn send_image(sequence: u32, image: &Radiograph) -> io::Result<()> {
    let answer = Answer { kind: kind::IMAGE, sequence, a: image.width(), b: image.height() };
    write_all(&answer.to_bytes())?;
    write_all(image.levels().as_bytes())
}

/// Sends where the levels lie in the file, for levels that need no decoding.
fn send_place(sequence: u32, (a, b): (u32, u32), at: usize) -> io::Result<()> {
    let mut message = [0; ANSWER_BYTES + PLACE_BYTES];
    let (answer, place) = message.split_at_mut(ANSWER_BYTES);
    answer.copy_from_slice(&Answer { kind: kind::IN_FILE, sequence, a, b }.to_bytes());
    place.copy_from_slice(&(at as u64).to_le_bytes());
    write_all(&message)
}

fn send_refusal(sequence: u32, error: ReadError) -> io::Result<()> {
    let (kind, found, expected) = match error {
        ReadError::Malformed { found, expected, .. } => (kind::MALFORMED, found, expected),
        ReadError::Unsupported { found, expected, .. } => (kind::UNSUPPORTED, found, expected),
        ReadError::Limit { found, expected, .. } => (kind::OVER_LIMIT, found, expected),
        other => return Err(io::Error::other(other)),
    };
    let (found, expected) = (bounded(&found), bounded(&expected));
    // `bounded` texts have at most `MAX_TEXT_BYTES`, so their lengths fit into u32.
    let answer = Answer { kind, sequence, a: found.len() as u32, b: expected.len() as u32 };
    let mut message = Vec::with_capacity(ANSWER_BYTES + found.len() + expected.len());
    message.extend(answer.to_bytes());
    message.extend(found.bytes().chain(expected.bytes()));
    write_all(&message)
}

/// The start of `text` with at most `MAX_TEXT_BYTES`, cut between two characters.
fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT_BYTES)]
}

/// Fills `bytes` from stdin. Returns false if stdin ends before `bytes` is full.
fn read_exact(bytes: &mut [u8]) -> io::Result<bool> {
    let stdin = io::stdin();
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::io::read(stdin.as_fd(), &mut bytes[filled..]) {
            Ok(0) => return Ok(false),
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Writes `bytes` to stdout directly. The standard library's stdout would hold back the bytes after the last line feed.
fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    let stdout = io::stdout();
    while !bytes.is_empty() {
        match rustix::io::write(stdout.as_fd(), bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
