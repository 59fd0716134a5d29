//! The mesh's UDP socket. It carries sealed datagrams and looks into none.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::engine::Event;
use crate::limits;
use crate::mesh::timing;

/// Larger than any datagram of ours; a longer one is cut off and will not open.
const RECEIVE_LEN: usize = 2_048;
const _: () = assert!(RECEIVE_LEN > limits::MESSAGE && RECEIVE_LEN > timing::LONGEST_DATAGRAM);

/// The socket; cheap to clone.
#[derive(Debug, Clone)]
pub struct MeshSocket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    socket: UdpSocket,
    send_errors: AtomicU64,
}

impl MeshSocket {
    /// Binds to `address`.
    ///
    /// # Errors
    /// The system call's, most likely `EADDRINUSE`: another speaker runs here.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        Ok(Self(Arc::new(Inner { socket, send_errors: AtomicU64::new(0) })))
    }

    /// Sends `datagram`, now or not at all: what is lost, the protocol sends again.
    pub fn send(&self, to: SocketAddr, datagram: &[u8]) {
        // A peer without a route, a firewall, a full queue: silence is how the protocol learns of it.
        if self.0.socket.try_send_to(datagram, to).is_err() {
            self.0.send_errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Datagrams that the kernel did not take.
    pub fn send_errors(&self) -> u64 {
        self.0.send_errors.load(Ordering::Relaxed)
    }

    /// Hands every datagram that arrives to `events`, until nobody takes them any more.
    pub async fn receive(self, events: mpsc::Sender<Event>) {
        let mut buffer = [0; RECEIVE_LEN];
        loop {
            // An error here is another's: Linux reports the ICMP answers to earlier sends this way.
            let Ok((length, _from)) = self.0.socket.recv_from(&mut buffer).await else {
                continue;
            };
            if events.send(Event::Datagram(buffer[..length].to_vec())).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_kernel_does_not_take_is_counted() {
        let socket = MeshSocket::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        socket.0.socket.writable().await.unwrap();
        let own = socket.0.socket.local_addr().unwrap();
        socket.send(own, b"sealed");
        assert_eq!(socket.send_errors(), 0);
        // Nobody can be at port 0.
        socket.send(([127, 0, 0, 1], 0).into(), b"sealed");
        assert_eq!(socket.clone().send_errors(), 1);
    }
}
