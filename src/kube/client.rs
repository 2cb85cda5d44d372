//! The client of the API server, whose answers can all be read.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Bytes;
use kube::Client;
use kube::client::Body;
use tower_service::Service;

use crate::managed_times::Times;
use crate::nesting::Cutter;

/// Cuts off and replaces what no answer's reader could read: see [`crate::nesting`] and [`crate::managed_times`].
pub fn readable(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    Client::new(Readable(client), namespace)
}

#[derive(Clone)]
struct Readable(Client);

impl Service<Request<Body>> for Readable {
    type Response = Response<UnsyncBoxBody<Bytes, kube::Error>>;
    type Error = kube::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let client = self.0.clone();
        Box::pin(async move {
            let answer = client.send(request).await?;
            let (mut cutter, mut times) = (Cutter::default(), Times::default());
            let mut cut = move |piece: Bytes| {
                let piece = cutter.cut(&piece).map_or(piece, Bytes::from);
                times.mend(&piece).map_or(piece, Bytes::from)
            };
            Ok(answer.map(|body| body.map_frame(move |frame| frame.map_data(&mut cut)).boxed_unsync()))
        })
    }
}
