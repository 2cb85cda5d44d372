//! Takes connections, within bounds: how many, of one peer, how long, and how much of a header.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Certificate;

/// Longest wait for the handshake of TLS, and for the whole header after it.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest header, in bytes.
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// Pause after the system refuses a connection, for want of file descriptors for example.
const PAUSE: Duration = Duration::from_millis(100);

/// How many connections there are at once, and how long one lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections at once; one more is closed.
    pub connections: usize,
    /// Of them those of one address, so that nobody takes the slots of the kubelet's probes.
    pub of_one_peer: usize,
    /// Longest life of a connection, the answer to a slow reader included. It carries one request.
    pub life: Duration,
}

impl Bounds {
    /// For probes and scrapers.
    pub const FEW: Self = Self { connections: 64, of_one_peer: 16, life: Duration::from_secs(30) };
}

/// Serves until the task is dropped; open connections end with it.
pub(super) async fn listen(
    listener: TcpListener,
    certificate: Option<Arc<Certificate>>,
    router: Router,
    bounds: Bounds,
) {
    let slots = Slots::of(bounds);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection was not taken");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Dropped, the connection is closed.
        let Some(slot) = slots.take(peer.ip()) else { continue };
        let (certificate, router) = (certificate.clone(), router.clone());
        connections.spawn(async move {
            // A peer that breaks off, is too slow or does not speak TLS is told nothing more.
            let _ = timeout(bounds.life, connection(stream, certificate, router)).await;
            drop(slot);
        });
    }
}

async fn connection(stream: TcpStream, certificate: Option<Arc<Certificate>>, router: Router) {
    let Some(certificate) = certificate else { return answer(stream, router).await };
    let acceptor = certificate.acceptor().await;
    if let Ok(Ok(stream)) = timeout(HEADER_TIMEOUT, acceptor.accept(stream)).await {
        answer(stream, router).await;
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(MAX_HEADER_BYTES).keep_alive(false);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// The connections that are open, by peer.
#[derive(Clone)]
struct Slots {
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    bounds: Bounds,
}

impl Slots {
    fn of(bounds: Bounds) -> Self {
        Self { taken: Arc::default(), bounds }
    }

    /// A slot, given back when it is dropped; none where all are taken, or the peer has its share.
    fn take(&self, peer: IpAddr) -> Option<Slot> {
        let mut taken = self.taken.lock();
        let own = taken.get(&peer).copied().unwrap_or_default();
        if own >= self.bounds.of_one_peer || taken.values().sum::<usize>() >= self.bounds.connections {
            return None;
        }
        taken.insert(peer, own + 1);
        Some(Slot { slots: self.clone(), peer })
    }
}

struct Slot {
    slots: Slots,
    peer: IpAddr,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock();
        if let Some(own) = taken.get_mut(&self.peer) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn no_peer_takes_all_places_and_each_is_given_back() {
        let slots = Slots::of(Bounds::FEW);
        let peer = |last: u8| IpAddr::from([10, 0, 0, last]);
        let mut held: Vec<Slot> = (0..Bounds::FEW.of_one_peer).map(|_| slots.take(peer(1)).unwrap()).collect();
        assert!(slots.take(peer(1)).is_none());
        for other in 2..=4 {
            held.extend((0..Bounds::FEW.of_one_peer).map(|_| slots.take(peer(other)).unwrap()));
        }
        assert!(slots.take(peer(9)).is_none(), "all are taken");
        held.clear();
        assert!(slots.taken.lock().is_empty() && slots.take(peer(9)).is_some());
    }

    async fn served() -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(listen(listener, None, Router::new().route("/", get(|| async { "ok" })), Bounds::FEW));
        address
    }

    async fn said_to(address: std::net::SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn a_connection_answers_one_request_and_a_header_without_end_is_refused() {
        let address = served().await;
        let twice = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let answer = said_to(address, twice).await;
        assert_eq!(answer.matches("200 OK").count(), 1, "{answer}");
        let long = [b"GET / HTTP/1.1\r\nHost: a\r\nX: ".as_slice(), &vec![b'x'; 2 * MAX_HEADER_BYTES]].concat();
        let answer = said_to(address, &long).await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }

    #[tokio::test]
    async fn whoever_says_nothing_is_cut_off_and_holds_up_nobody_else() {
        let address = served().await;
        let mut silent = Vec::new();
        for _ in 0..Bounds::FEW.of_one_peer {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        assert_eq!(said_to(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await, "", "its slots are taken");
        for stream in &mut silent {
            let mut rest = Vec::new();
            let _ = timeout(HEADER_TIMEOUT * 3, stream.read_to_end(&mut rest)).await.expect("it is cut off");
        }
        assert!(said_to(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.contains("200 OK"));
    }
}
