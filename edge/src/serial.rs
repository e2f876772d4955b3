//! A serial port, as both ends of the line use it. Never flushed: `tcdrain` can hang for ever.

use crate::config::Parity;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio_serial::{DataBits, FlowControl, SerialPortBuilderExt, SerialStream, StopBits};

/// Opens `port` for this process alone: `baud` bits per second, 8 data bits, 1 stop bit, no flow control. To be called in a
/// tokio runtime.
///
/// # Errors
/// What the system says.
pub fn open(port: &Path, baud: u32, parity: Parity) -> tokio_serial::Result<SerialStream> {
    let parity = match parity {
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
        Parity::None => tokio_serial::Parity::None,
    };
    let mut stream = tokio_serial::new(port.to_string_lossy(), baud)
        .parity(parity)
        .data_bits(DataBits::Eight)
        .stop_bits(StopBits::One)
        .flow_control(FlowControl::None)
        .open_native_async()
        .map_err(|error| if error.description == NO_TERMINAL { no_port() } else { error })?;
    stream.set_exclusive(true)?;
    Ok(stream)
}

/// What the library says of a file that takes no settings of a serial port, such as /dev/null.
const NO_TERMINAL: &str = "Not a typewriter";

fn no_port() -> tokio_serial::Error {
    tokio_serial::Error::new(tokio_serial::ErrorKind::NoDevice, "this is no serial port")
}

/// What moved over the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// So many bytes came in.
    In(usize),
    /// So many bytes went out.
    Out(usize),
}

/// Waits until bytes come in to `buffer` or go out from `out`, for ever while there is no port. Nothing is lost where the
/// future is dropped before.
///
/// The stream's own `readable` with `try_read` would be wrong here: they don't clear the readiness that they found
/// (tokio-serial 5.4), so that the next wait ends at once, for ever, at the price of a processor core.
///
/// # Errors
/// The port is lost; also where the other end hung up.
pub async fn exchange(stream: Option<&mut SerialStream>, buffer: &mut [u8], out: &[u8]) -> io::Result<Moved> {
    let Some(stream) = stream else { return std::future::pending().await };
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
    use std::time::{Duration, Instant};

    #[test]
    fn waiting_for_bytes_takes_no_processor_time() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut here, mut there) = SerialStream::pair().unwrap();
            let mut buffer = [0; 16];
            assert_eq!(exchange(Some(&mut there), &mut [], b"hello").await.unwrap(), Moved::Out(5));
            assert_eq!(exchange(Some(&mut here), &mut buffer, &[]).await.unwrap(), Moved::In(5));
            let (start, used) = (Instant::now(), processor_time());
            let silence = tokio::time::timeout(Duration::from_millis(400), exchange(Some(&mut here), &mut buffer, &[]));
            assert!(silence.await.is_err(), "nothing more was sent");
            let used = processor_time() - used;
            assert!(used * 4 < start.elapsed(), "{used:?} of {:?}", start.elapsed());
        });
    }

    #[test]
    fn what_is_no_serial_port_is_named_so() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let error = open(Path::new("/dev/null"), 115_200, Parity::Even).unwrap_err();
            assert_eq!(error.to_string(), "this is no serial port");
        });
    }

    #[test]
    fn an_end_that_hung_up_is_an_error() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut here, there) = SerialStream::pair().unwrap();
            drop(there);
            assert!(exchange(Some(&mut here), &mut [0; 16], b"x").await.is_err());
        });
    }

    /// Of this thread.
    fn processor_time() -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}
