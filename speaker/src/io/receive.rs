//! The loop that empties a packet socket.

use std::io::{self, ErrorKind, Read as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crds::model::ids::IfIndex;
use socket2::Socket;
use tokio::io::unix::AsyncFd;

use super::packet;

/// Frames handled before other tasks of the runtime get a turn.
const BATCH: usize = 64;
/// Waits after a failed read, doubling from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Why one pass over the receive queue ended.
enum Drained {
    Empty,
    BatchFull,
    Failed(io::Error),
}

/// Whether a socket tells the log that its link went down: of a link's sockets one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Down {
    /// It does.
    Told,
    /// It counts the error, and that is all.
    Counted,
}

/// Reads every frame that comes in on link `index` into `buffer` and has `handle` deal with it,
/// until the task is aborted; returns only if the runtime's I/O driver has gone. `errors` counts
/// failed reads.
pub(super) async fn receive(
    socket: &AsyncFd<Socket>,
    index: IfIndex,
    buffer: &mut [u8],
    errors: &AtomicU64,
    down: Down,
    mut handle: impl FnMut(&[u8]),
) -> io::Error {
    let mut pause = PAUSES.0;
    loop {
        let mut ready = match socket.ready(packet::EVENTS).await {
            Ok(ready) => ready,
            Err(error) => return error,
        };
        match drain(socket.get_ref(), buffer, &mut handle) {
            Drained::Empty => {
                ready.clear_ready();
                pause = PAUSES.0;
            }
            Drained::BatchFull => tokio::task::yield_now().await,
            Drained::Failed(error) => {
                errors.fetch_add(1, Ordering::Relaxed);
                // Reported to each socket once for each time the link goes down. The socket receives
                // again when the link is back, so there is nothing to do.
                if error.kind() == ErrorKind::NetworkDown {
                    if down == Down::Told {
                        tracing::info!(interface = %index, "link is down");
                    }
                    continue;
                }
                tracing::warn!(interface = %index, %error, "receiving failed");
                tokio::time::sleep(pause).await;
                pause = PAUSES.1.min(pause * 2);
            }
        }
    }
}

fn drain(mut socket: &Socket, buffer: &mut [u8], handle: &mut impl FnMut(&[u8])) -> Drained {
    for _ in 0..BATCH {
        match socket.read(buffer) {
            Ok(len) => handle(&buffer[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Drained::Empty,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Drained::Failed(error),
        }
    }
    Drained::BatchFull
}
