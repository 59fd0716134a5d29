//! The mesh's UDP socket. It carries sealed datagrams and looks into none.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::engine::Event;

/// Larger than any datagram of ours; a longer one is cut off and will not open.
const RECEIVE_LEN: usize = 2_048;

/// The socket; cheap to clone.
#[derive(Debug, Clone)]
pub struct MeshSocket(Arc<UdpSocket>);

impl MeshSocket {
    /// Binds to `address`.
    ///
    /// # Errors
    /// The system call's, most likely `EADDRINUSE`: another speaker runs here.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        UdpSocket::bind(address).await.map(|socket| Self(Arc::new(socket)))
    }

    /// Sends `datagram`, now or not at all: what is lost, the protocol sends again.
    pub fn send(&self, to: SocketAddr, datagram: &[u8]) {
        // A peer without a speaker, or without a route: silence is how the protocol learns of it.
        let _lost = self.0.try_send_to(datagram, to);
    }

    /// Hands every datagram that arrives to `events`, until nobody takes them any more.
    pub async fn receive(self, events: mpsc::Sender<Event>) {
        let mut buffer = [0; RECEIVE_LEN];
        loop {
            // An error here is another's: Linux reports the ICMP answers to earlier sends this way.
            let Ok((length, _from)) = self.0.recv_from(&mut buffer).await else {
                continue;
            };
            if events.send(Event::Datagram(buffer[..length].to_vec())).await.is_err() {
                return;
            }
        }
    }
}
