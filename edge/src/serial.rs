//! Opens a serial port and transfers bytes over it, for both ends of the link: the appliance and the simulated PLC. The port is
//! never flushed, because `tcdrain` can block for ever.

use crate::config::ParityConfig;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::tcgetattr;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Instant;
use tokio_serial::{DataBits, FlowControl, SerialPortBuilderExt, SerialStream, StopBits};

/// The pause between two attempts to open a port.
const OPEN_EVERY: Duration = Duration::from_millis(100);

/// A serial port, addressed by its path and reopened after a loss, with a buffer of bytes to send.
pub struct SerialPort {
    path: PathBuf,
    baud: u32,
    parity: ParityConfig,
    /// `None` while the port is closed.
    stream: Option<SerialStream>,
    /// The time of the next attempt to open the port.
    open_at: Instant,
    /// Bytes to send.
    out: Vec<u8>,
    /// Bytes received last.
    buffer: [u8; 1024],
}

/// What happened at a port.
#[derive(Debug)]
pub enum Happened<'p> {
    /// The port is open now.
    Opened,
    /// The port can't be opened. The next attempt follows after 100 ms.
    Refused(tokio_serial::Error),
    /// These bytes were received.
    Received(&'p [u8]),
    /// Some bytes were sent.
    Sent,
    /// The open port was lost, and with it the bytes that were not sent yet.
    Lost(io::Error),
}

impl SerialPort {
    /// The port at `path` with `baud` bits per second, 8 data bits, 1 stop bit and no flow control. The first [`Self::next`]
    /// opens it.
    #[must_use]
    pub fn new(path: &Path, baud: u32, parity: ParityConfig) -> Self {
        let (stream, open_at) = (None, Instant::now());
        Self { path: path.to_owned(), baud, parity, stream, open_at, out: Vec::new(), buffer: [0; 1024] }
    }

    /// Whether the port is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// The bytes to send. [`Self::next`] discards them while the port is closed, so that no stale bytes go out after the port
    /// is open again.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Closes the port and discards the bytes to send. [`Self::next`] opens it again.
    pub fn close(&mut self) {
        self.stream = None;
        self.out.clear();
    }

    /// Waits until something happens at the port. Dropping the future early loses no bytes. Needs a tokio runtime.
    pub async fn next(&mut self) -> Happened<'_> {
        let Some(stream) = &mut self.stream else {
            self.out.clear();
            tokio::time::sleep_until(self.open_at).await;
            self.open_at = Instant::now() + OPEN_EVERY;
            return match open(&self.path, self.baud, self.parity) {
                Ok(opened) => {
                    self.stream = Some(opened);
                    Happened::Opened
                }
                Err(error) => Happened::Refused(error),
            };
        };
        match exchange(stream, &mut self.buffer, &self.out).await {
            Ok(Moved::In(count)) => Happened::Received(&self.buffer[..count]),
            Ok(Moved::Out(count)) => {
                self.out.drain(..count);
                Happened::Sent
            }
            Err(error) => {
                self.close();
                Happened::Lost(error)
            }
        }
    }
}

impl fmt::Debug for SerialPort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SerialPort")
            .field("path", &self.path)
            .field("is_open", &self.is_open())
            .finish_non_exhaustive()
    }
}

/// Opens `port` exclusively.
fn open(port: &Path, baud: u32, parity: ParityConfig) -> tokio_serial::Result<SerialStream> {
    let parity = match parity {
        ParityConfig::Even => tokio_serial::Parity::Even,
        ParityConfig::Odd => tokio_serial::Parity::Odd,
        ParityConfig::None => tokio_serial::Parity::None,
    };
    let mut stream = tokio_serial::new(port.to_string_lossy(), baud)
        .parity(parity)
        .data_bits(DataBits::Eight)
        .stop_bits(StopBits::One)
        .flow_control(FlowControl::None)
        .open_native_async()
        .map_err(|error| if is_not_a_port(port) { not_a_port() } else { error })?;
    stream.set_exclusive(true)?;
    Ok(stream)
}

/// Whether `path` is a file that has no settings of a serial port, such as /dev/null. tokio-serial's error does not keep the
/// error number (ENOTTY) that would show this.
fn is_not_a_port(path: &Path) -> bool {
    // Without O_NONBLOCK, opening would wait for a modem's carrier. Without O_NOCTTY, the port would become the controlling
    // terminal of this process.
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    rustix::fs::open(path, flags, Mode::empty()).and_then(tcgetattr).err() == Some(Errno::NOTTY)
}

fn not_a_port() -> tokio_serial::Error {
    tokio_serial::Error::new(tokio_serial::ErrorKind::NoDevice, "not a serial port")
}

/// What was transferred over the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    /// The number of bytes received.
    In(usize),
    /// The number of bytes sent.
    Out(usize),
}

/// Waits until bytes are received into `buffer` or sent from `out`. Dropping the future early loses no bytes.
///
/// The stream's own `readable` and `try_read` don't work here: they don't clear the readiness that they found (tokio-serial
/// 5.4). Each later wait would therefore return at once, and the waiting loop would occupy a processor core.
///
/// # Errors
/// The port is lost, or the other end hung up.
async fn exchange(stream: &mut SerialStream, buffer: &mut [u8], out: &[u8]) -> io::Result<Moved> {
    std::future::poll_fn(|context| {
        let mut incoming = ReadBuf::new(buffer);
        if let Poll::Ready(outcome) = Pin::new(&mut *stream).poll_read(context, &mut incoming) {
            let count = incoming.filled().len();
            return Poll::Ready(match outcome {
                Ok(()) if count == 0 => Err(ErrorKind::UnexpectedEof.into()),
                outcome => outcome.map(|()| Moved::In(count)),
            });
        }
        if out.is_empty() {
            return Poll::Pending;
        }
        Pin::new(&mut *stream).poll_write(context, out).map_ok(Moved::Out)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use tokio_serial::SerialPort as _;

    #[test]
    fn waiting_for_bytes_takes_little_processor_time() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut here, mut there) = SerialStream::pair().unwrap();
            let mut buffer = [0; 16];
            assert_eq!(exchange(&mut there, &mut [], b"hello").await.unwrap(), Moved::Out(5));
            assert_eq!(exchange(&mut here, &mut buffer, &[]).await.unwrap(), Moved::In(5));
            let (start, used) = (Instant::now(), processor_time());
            let silence = tokio::time::timeout(Duration::from_millis(400), exchange(&mut here, &mut buffer, &[]));
            assert!(silence.await.is_err(), "nothing more was sent");
            let used = processor_time() - used;
            assert!(used * 4 < start.elapsed(), "{used:?} of {:?}", start.elapsed());
        });
    }

    #[test]
    fn a_file_that_is_not_a_serial_port_has_its_own_error() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let kind = |path: &str| open(Path::new(path), 115_200, ParityConfig::Even).unwrap_err().kind;
            assert_eq!(kind("/dev/null"), tokio_serial::ErrorKind::NoDevice);
            assert_eq!(
                open(Path::new("/dev/zero"), 115_200, ParityConfig::Even).unwrap_err().description,
                not_a_port().description
            );
            assert_ne!(
                open(Path::new("/no/such/port"), 115_200, ParityConfig::Even).unwrap_err().description,
                not_a_port().description
            );
        });
    }

    #[test]
    fn a_lost_port_is_opened_again_and_only_new_bytes_are_sent() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("port");
            let mut port = SerialPort::new(&path, 115_200, ParityConfig::Even);
            port.out().extend(b"discarded");
            assert!(matches!(port.next().await, Happened::Refused(_)));
            for round in 0..2 {
                let (mut there, here) = SerialStream::pair().unwrap();
                let name = here.name().unwrap();
                drop(here);
                let _ = std::fs::remove_file(&path);
                std::os::unix::fs::symlink(name, &path).unwrap();
                let happened = port.next().await;
                assert!(matches!(happened, Happened::Opened), "{round}: {happened:?}");
                assert!(port.is_open() && port.out().is_empty());
                port.out().extend(b"hello");
                assert!(matches!(port.next().await, Happened::Sent));
                // The first reads of `there` still report the hang-up from the time before `port` was opened.
                while !matches!(exchange(&mut there, &mut [0; 16], &[]).await, Ok(Moved::In(5))) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                there.write_all(b"back").unwrap();
                assert!(matches!(port.next().await, Happened::Received(b"back")));
                drop(there);
                assert!(matches!(port.next().await, Happened::Lost(_)), "{round}");
            }
        });
    }

    #[test]
    fn a_hang_up_of_the_other_end_is_an_error() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut here, there) = SerialStream::pair().unwrap();
            drop(there);
            assert!(exchange(&mut here, &mut [0; 16], b"x").await.is_err());
        });
    }

    /// The processor time that this thread has used.
    fn processor_time() -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}
