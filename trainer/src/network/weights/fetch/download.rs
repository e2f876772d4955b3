//! Receives a file into a partial file beside its place, and continues a download that broke off.

use super::{FetchError, MAX_BYTES};
use crate::files::FileError;
use crate::progress;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time to connect, and to wait for the head of an answer.
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
        Ok(()) => Ok(PartialFile { path: partial, file }),
        Err(TryLockError::WouldBlock) => Err(FetchError::Busy { path: partial }),
        Err(TryLockError::Error(source)) => Err(FileError::Write { path: partial, source }.into()),
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

    fn clear(&self) -> Result<(), FileError> {
        self.file.set_len(0).map_err(FileError::writing(&self.path))
    }

    /// Appends `from`, of which `place` is the name for errors. Stops after [`MAX_BYTES`].
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

/// Downloads `address` into `part`, and returns the address. Continues after the bytes in `part` if the server can.
pub(super) fn download(address: &str, part: &PartialFile) -> Result<String, FetchError> {
    let server = |message: String| FetchError::Server { address: address.to_owned(), message };
    // The proxy of the environment is used (HTTPS_PROXY, ALL_PROXY, NO_PROXY), and up to ten redirects are followed.
    let config = ureq::Agent::config_builder()
        .timeout_connect(Some(TIMEOUT))
        .timeout_recv_response(Some(TIMEOUT))
        .http_status_as_error(false)
        .user_agent(concat!("cellgate-trainer/", env!("CARGO_PKG_VERSION")));
    let agent: ureq::Agent = config.build().into();
    let mut received = part.length()?;
    let request = |from: u64| {
        let request = agent.get(address);
        let request = if from > 0 { request.header("Range", format!("bytes={from}-")) } else { request };
        request.call().map_err(|error| server(error.to_string()))
    };
    let mut answer = request(received)?;
    if answer.status() == 416 {
        // The partial file is not a beginning of the server's file.
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
        status => return Err(server(format!("found the HTTP status {status}, expected 200 or 206"))),
    }
    let expected = answer.body().content_length().map(|rest| received + rest);
    if let Some(found) = expected.filter(|&expected| expected > MAX_BYTES) {
        return Err(FetchError::TooLarge { place: address.to_owned(), found });
    }
    let bar = progress::resumed_bar(expected.unwrap_or(received), received, "bytes");
    let mut body = answer.into_body().into_reader();
    let read = part.append(&mut body, |length| bar.set_position(length))?;
    bar.finish_and_clear();
    let received = part.length()?;
    if received > MAX_BYTES {
        part.clear()?;
        return Err(FetchError::TooLarge { place: address.to_owned(), found: received });
    }
    let is_short = expected.is_some_and(|expected| received < expected);
    match read {
        Ok(()) if !is_short => Ok(address.to_owned()),
        read => Err(FetchError::BrokenOff {
            address: address.to_owned(),
            received,
            expected: expected.unwrap_or(received),
            message: read.err().map_or_else(|| "the server closed it".to_owned(), |error| error.to_string()),
        }),
    }
}

/// Copies `file` into `part`, and returns the name of `file`.
pub(super) fn copy(file: &Path, part: &PartialFile) -> Result<String, FetchError> {
    let read = |source| FetchError::Read { path: file.to_owned(), source };
    let mut source = File::open(file).map_err(read)?;
    let place = file.display().to_string();
    let found = source.seek(SeekFrom::End(0)).map_err(read)?;
    if found > MAX_BYTES {
        return Err(FetchError::TooLarge { place, found });
    }
    source.rewind().map_err(read)?;
    part.clear()?;
    part.append(&mut source, |_| ())?.map_err(read)?;
    Ok(place)
}
