//! Receives a file into a partial file beside its place, and continues a download that broke off.

use super::error::{FetchError, MAX_BYTES};
use crate::files::FileError;
use crate::progress;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The time of [`Connection::of_environment`].
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// A partial file, locked against other calls of the command.
pub(super) struct PartialFile {
    pub(super) path: PathBuf,
    file: File,
}

/// Opens the partial file for `path`, with what an earlier call has received.
pub(super) fn receive_file(path: &Path) -> Result<PartialFile, FetchError> {
    let partial = path.with_added_extension("part");
    let writing = || FileError::writing(&partial);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(writing())?;
    }
    let file = OpenOptions::new().read(true).append(true).create(true).open(&partial).map_err(writing())?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(FetchError::Busy { path: partial }),
        Err(TryLockError::Error(source)) => return Err(FileError::Write { path: partial, source }.into()),
    }
    // Another call may have renamed the file between opening and locking it. Then this is the finished file.
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let opened = identity(file.metadata().map_err(writing())?);
    match std::fs::metadata(&partial).map(identity) {
        Ok(named) if named == opened => Ok(PartialFile { path: partial, file }),
        _ => Err(FetchError::Busy { path: partial }),
    }
}

impl PartialFile {
    /// Removes the file. An error only leaves it behind.
    pub(super) fn remove(self) {
        let _ = std::fs::remove_file(&self.path);
    }

    /// Flushes the file to disk and gives it its name.
    pub(super) fn rename_to(self, path: &Path) -> Result<(), FileError> {
        let flushed = self.file.sync_all().and_then(|()| std::fs::rename(&self.path, path));
        flushed.map_err(FileError::writing(path))
    }

    fn length(&self) -> Result<u64, FileError> {
        Ok(self.file.metadata().map_err(FileError::writing(&self.path))?.len())
    }

    /// Removes the content.
    pub(super) fn clear(&self) -> Result<(), FileError> {
        self.file.set_len(0).map_err(FileError::writing(&self.path))
    }

    /// Appends the bytes of `from`, and calls `step` with the new length. Stops after [`MAX_BYTES`].
    ///
    /// The outer error is of writing, the inner one of reading.
    fn append(&self, from: &mut impl Read, mut step: impl FnMut(u64)) -> Result<io::Result<()>, FileError> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut length = self.length()?;
        while length <= MAX_BYTES {
            let read = match from.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Err(error)),
            };
            (&self.file).write_all(&chunk[..read]).map_err(FileError::writing(&self.path))?;
            length += read as u64;
            step(length);
        }
        Ok(Ok(()))
    }
}

/// How a download connects.
pub(super) struct Connection {
    /// The proxy. `None` connects directly.
    pub(super) proxy: Option<ureq::Proxy>,
    /// The longest time to connect, to wait for the head of an answer, and to wait for more bytes.
    pub(super) timeout: Duration,
}

impl Connection {
    /// The proxy of the environment (`ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY`, in this order), and 30 s.
    pub(super) fn of_environment() -> Self {
        Self { proxy: ureq::Proxy::try_from_env(), timeout: TIMEOUT }
    }
}

/// Whether a download is complete, and whether it continued the bytes of an earlier call.
pub(super) struct Downloaded {
    pub(super) was_continued: bool,
}

/// Downloads `address` into `part`. Continues after the bytes in `part` if the server can.
pub(super) fn download(address: &str, part: &PartialFile, connection: &Connection) -> Result<Downloaded, FetchError> {
    let server = |message: String| FetchError::Server { address: address.to_owned(), message };
    // Up to ten redirects are followed, but not from https to http.
    let config = ureq::Agent::config_builder()
        .proxy(connection.proxy.clone())
        .https_only(address.starts_with("https://"))
        .timeout_resolve(Some(connection.timeout))
        .timeout_connect(Some(connection.timeout))
        .timeout_recv_response(Some(connection.timeout))
        .timeout_per_read(Some(connection.timeout))
        .http_status_as_error(false)
        .user_agent(concat!("cellgate-trainer/", env!("CARGO_PKG_VERSION")));
    let agent: ureq::Agent = config.build().into();
    let request = |from: u64| {
        let request = agent.get(address);
        let request = if from > 0 { request.header("Range", format!("bytes={from}-")) } else { request };
        request.call().map_err(|error| server(error.to_string()))
    };
    let mut received = part.length()?;
    let mut answer = request(received)?;
    // Another start than asked for, or 416: the partial file is not a beginning of the server's file.
    let is_misplaced = answer.status() == 206 && range_start(&answer) != Some(received);
    if received > 0 && (is_misplaced || answer.status() == 416) {
        part.clear()?;
        received = 0;
        answer = request(0)?;
    }
    match answer.status().as_u16() {
        206 if received > 0 => {}
        200 => {
            part.clear()?;
            received = 0;
        }
        status => return Err(server(format!("found the HTTP status {status}, expected 200"))),
    }
    let was_continued = received > 0;
    let expected = answer.body().content_length().map(|rest| received + rest);
    if let Some(found) = expected.filter(|&expected| expected > MAX_BYTES) {
        part.clear()?;
        return Err(FetchError::TooLarge { place: address.to_owned(), found });
    }
    let bar = progress::resumed_bar(expected.unwrap_or(received), received, "bytes");
    let mut body = answer.into_body().into_reader();
    let read = part.append(&mut body, |length| bar.set_position(length));
    bar.finish_and_clear();
    let (read, received) = (read?, part.length()?);
    if received > MAX_BYTES {
        part.clear()?;
        return Err(FetchError::TooLarge { place: address.to_owned(), found: received });
    }
    let is_short = expected.is_some_and(|expected| received < expected);
    match read {
        Ok(()) if !is_short => Ok(Downloaded { was_continued }),
        read => Err(FetchError::BrokenOff {
            address: address.to_owned(),
            received,
            message: read.err().map_or_else(|| "the server closed it".to_owned(), |error| error.to_string()),
        }),
    }
}

/// The position of the first byte of a partial answer, from its header `Content-Range: bytes FIRST-LAST/LENGTH`.
fn range_start(answer: &ureq::http::Response<ureq::Body>) -> Option<u64> {
    let range = answer.headers().get("content-range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// Copies `file` into `part`.
pub(super) fn copy(file: &Path, part: &PartialFile) -> Result<(), FetchError> {
    let read = |source| FetchError::Read { path: file.to_owned(), source };
    let metadata = std::fs::metadata(file).map_err(read)?;
    if !metadata.is_file() {
        return Err(FetchError::NoFile { path: file.to_owned() });
    }
    if metadata.len() > MAX_BYTES {
        return Err(FetchError::TooLarge { place: file.display().to_string(), found: metadata.len() });
    }
    let mut source = File::open(file).map_err(read)?;
    part.clear()?;
    part.append(&mut source, |_| ())?.map_err(read)
}
