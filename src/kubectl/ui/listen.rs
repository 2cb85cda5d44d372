//! Listens on this machine alone, for both of its addresses: a browser may try `::1` first, and whoever had that port there
//! would be shown the address with its token.

use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, Ipv6Addr};

use axum::Router;
use tokio::net::TcpListener;

/// How often another free port is tried.
const TRIES: usize = 20;

/// Bound and not yet served.
pub(super) struct Listeners {
    pub port: u16,
    v4: TcpListener,
    v6: Option<TcpListener>,
}

/// Binds the port, or one that is free on both addresses where it is 0.
pub(super) async fn bind(port: u16) -> Result<Listeners> {
    for _ in 1..TRIES {
        match bind_both(port).await {
            Err(error) if port == 0 && error.kind() == ErrorKind::AddrInUse => {}
            bound => return bound,
        }
    }
    bind_both(port).await
}

async fn bind_both(port: u16) -> Result<Listeners> {
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let port = v4.local_addr()?.port();
    let v6 = match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Ok(listener) => Some(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            return Err(Error::new(ErrorKind::AddrInUse, format!("another program has [::1]:{port}")));
        }
        // A machine without IPv6.
        Err(_) => None,
    };
    Ok(Listeners { port, v4, v6 })
}

impl Listeners {
    /// Serves until something fails.
    pub async fn serve(self, router: Router) -> Result<()> {
        let Some(v6) = self.v6 else { return axum::serve(self.v4, router).await };
        tokio::try_join!(axum::serve(self.v4, router.clone()).into_future(), axum::serve(v6, router).into_future())?;
        Ok(())
    }
}
