//! A serial port, as both ends of the line use it. Never flushed: `tcdrain` can hang for ever.

use crate::config::Parity;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
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
        .open_native_async()?;
    stream.set_exclusive(true)?;
    Ok(stream)
}

/// Waits until the port can be read, or is lost; for ever while there is none. An error shows when it is read.
pub async fn readable(stream: Option<&SerialStream>) {
    match stream {
        Some(stream) => drop(stream.readable().await),
        None => std::future::pending().await,
    }
}

/// Waits until the port can be written, or is lost; for ever while there is none. An error shows when it is written.
pub async fn writable(stream: Option<&SerialStream>) {
    match stream {
        Some(stream) => drop(stream.writable().await),
        None => std::future::pending().await,
    }
}

/// Reads what there is.
///
/// By `poll_read`, not `try_read`: that one of tokio-serial never notes that there is nothing left, so that [`readable`] would
/// not wait any more.
///
/// # Errors
/// The port is lost; also where the other end hung up.
pub fn read(stream: &mut SerialStream, buffer: &mut [u8], mut feed: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = ReadBuf::new(buffer);
    match Pin::new(stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer) {
        Poll::Ready(Ok(())) if buffer.filled().is_empty() => Err(ErrorKind::UnexpectedEof.into()),
        Poll::Ready(Ok(())) => {
            feed(buffer.filled());
            Ok(())
        }
        Poll::Ready(Err(error)) => Err(error),
        Poll::Pending => Ok(()),
    }
}

/// Writes what the port takes now, and removes it from `out`.
///
/// # Errors
/// The port is lost.
pub fn write(stream: &mut SerialStream, out: &mut Vec<u8>) -> io::Result<()> {
    match Pin::new(stream).poll_write(&mut Context::from_waker(Waker::noop()), out) {
        Poll::Ready(Ok(count)) => {
            out.drain(..count);
            Ok(())
        }
        Poll::Ready(Err(error)) => Err(error),
        Poll::Pending => Ok(()),
    }
}
