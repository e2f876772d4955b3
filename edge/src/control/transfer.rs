//! Reads and writes one line of limited length. Time limits are the caller's.

use std::io;
use tokio::net::UnixStream;

/// The bytes that are read at once.
const CHUNK: usize = 4 << 10;

/// A line of limited length.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The line, without the line feed.
    Read(Vec<u8>),
    /// More bytes came than are allowed, without a line feed among the allowed ones. The rest was not read.
    TooLong,
}

/// Reads until the first line feed or the end of the stream. What follows the line feed is not part of the line. `most` is the
/// largest number of bytes of the line, without the line feed.
pub(super) async fn read_line(stream: &UnixStream, most: usize) -> io::Result<Line> {
    let mut line = Vec::new();
    let mut chunk = [0; CHUNK];
    loop {
        stream.readable().await?;
        let count = match stream.try_read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            count => count?,
        };
        let end = chunk[..count].iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(&chunk[..end.unwrap_or(count)]);
        if line.len() > most {
            return Ok(Line::TooLong);
        }
        if end.is_some() || count == 0 {
            return Ok(Line::Read(line));
        }
    }
}

/// Writes `bytes` completely.
pub(super) async fn write_all(stream: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            count => bytes = &bytes[count?..],
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line that is read from these writes, with a limit of 10,000 bytes.
    fn read(writes: &[&[u8]]) -> Line {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (from, to) = UnixStream::pair().unwrap();
            let (line, ()) = tokio::join!(read_line(&from, 10_000), async {
                for bytes in writes {
                    write_all(&to, bytes).await.unwrap();
                    tokio::task::yield_now().await;
                }
                drop(to);
            });
            line.unwrap()
        })
    }

    #[test]
    fn a_line_ends_at_the_line_feed_or_with_the_stream() {
        for writes in [&[b"ab\ncd".as_slice()][..], &[b"ab"], &[b"a", b"b"], &[b"a", b"b\n", b"c"], &[b"ab\n"]] {
            assert_eq!(read(writes), Line::Read(b"ab".to_vec()), "{writes:?}");
        }
        assert_eq!(read(&[]), Line::Read(Vec::new()));
        assert_eq!(read(&[b"\nab"]), Line::Read(Vec::new()));
    }

    #[test]
    fn the_length_is_limited_without_the_line_feed() {
        let line = [vec![b'a'; 10_000], vec![b'\n']].concat();
        assert_eq!(read(&[&line]), Line::Read(vec![b'a'; 10_000]));
        assert_eq!(read(&[&[b'a'; 10_000]]), Line::Read(vec![b'a'; 10_000]));
        assert_eq!(read(&[b"a", &line]), Line::TooLong);
        assert_eq!(read(&[&[b'a'; 10_001]]), Line::TooLong);
    }
}
