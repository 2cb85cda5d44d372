//! The token of `--token-file`: of a job that has no kubeconfig, whose issuer gives it a token for minutes.
//!
//! The file is read before every request, so whoever keeps it fresh is followed at once. It may be seen while it is being
//! written, or be gone already; what was read last serves on as long as it has not expired.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, Response};
use jiff::Timestamp;
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use tower_service::Service;

use super::words::{since, written};

/// Why there is no token to ask with, in words that do not show it.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0}. Have the job write a fresh ID token there, and again before it expires: the file is read before every request"
)]
pub struct TokenError(String);

/// A token, which is never shown: it has no `Debug`.
#[derive(Clone)]
struct Token {
    header: HeaderValue,
    /// None of what is no JWT.
    expires: Option<Timestamp>,
}

impl Token {
    /// Since when it counts for nothing.
    fn expired(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires.filter(|expires| *expires <= now)
    }

    /// Reads what is in a file. A line's end behind it is of the shell that wrote it.
    fn parse(text: &str, path: &Path) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TokenError(format!("the token file {} is empty", path.display())));
        }
        let is_of_tokens = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        let header = Some(text).filter(|text| text.bytes().all(is_of_tokens));
        let header = header.and_then(|text| HeaderValue::try_from(format!("Bearer {text}")).ok());
        let mut header = header.ok_or_else(|| {
            let what = "a token is one word of letters, digits and -._~+/=";
            TokenError(format!("{} holds no token: {what}", path.display()))
        })?;
        header.set_sensitive(true);
        Ok(Self { header, expires: expires(text) })
    }
}

/// The time in a JWT, unverified: to say early what the API server would refuse.
fn expires(token: &str) -> Option<Timestamp> {
    let payload = token.split('.').nth(1)?;
    let claims: serde_json::Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    Timestamp::from_second(claims.get("exp")?.as_i64()?).ok()
}

/// The file, and what was read of it last.
pub(super) struct TokenFile {
    path: PathBuf,
    last: Mutex<Option<Token>>,
}

impl TokenFile {
    /// Reads it, so that what is wrong is told before anything is asked.
    pub fn open(path: &Path) -> Result<Self, TokenError> {
        let file = Self { path: path.to_owned(), last: Mutex::new(None) };
        file.header(Timestamp::now())?;
        Ok(file)
    }

    /// The header of a request that is made now.
    fn header(&self, now: Timestamp) -> Result<HeaderValue, TokenError> {
        let read = self.read(now);
        let mut last = self.last.lock();
        let token = match (read, last.take()) {
            (Ok(token), _) => token,
            (Err(_), Some(token)) if token.expired(now).is_none() => token,
            (Err(error), _) => return Err(error),
        };
        Ok(last.insert(token).header.clone())
    }

    fn read(&self, now: Timestamp) -> Result<Token, TokenError> {
        let path = self.path.display();
        let text = std::fs::read_to_string(&self.path)
            .map_err(|error| TokenError(format!("cannot read the token in {path}: {error}")))?;
        let token = Token::parse(&text, &self.path)?;
        match token.expired(now) {
            Some(at) => {
                let (ago, at) = (since(at, now), written(at));
                Err(TokenError(format!("the token in {path} expired {ago} ago, at {at}")))
            }
            None => Ok(token),
        }
    }
}

/// A client that asks with the token of a file, and with nothing else.
pub(super) fn with_token(client: Client, file: TokenFile) -> Client {
    let namespace = client.default_namespace().to_owned();
    Client::new(WithToken { client, file: Arc::new(file) }, namespace)
}

#[derive(Clone)]
struct WithToken {
    client: Client,
    file: Arc<TokenFile>,
}

impl Service<Request<Body>> for WithToken {
    type Response = Response<Body>;
    type Error = kube::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let Self { client, file } = self.clone();
        Box::pin(async move {
            let header = file.header(Timestamp::now()).map_err(|error| kube::Error::Service(Box::new(error)))?;
            request.headers_mut().insert(AUTHORIZATION, header);
            client.send(request).await
        })
    }
}

/// The reason where it was the token that a request could not be made with.
pub(super) fn token_error(error: &kube::Error) -> Option<&TokenError> {
    match error {
        kube::Error::Service(inner) => inner.downcast_ref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &serde_json::Value) -> String {
        let part = |value: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2lnbmF0dXJl", part(&serde_json::json!({"alg": "RS256"})), part(claims))
    }

    fn of(second: i64) -> String {
        jwt(&serde_json::json!({"exp": second}))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn file(text: &str) -> (tempfile::TempDir, TokenFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, text).unwrap();
        (folder, TokenFile { path, last: Mutex::new(None) })
    }

    fn said(file: &TokenFile, now: i64) -> String {
        match file.header(at(now)) {
            Ok(header) => format!("{header:?} {}", header.to_str().unwrap().len()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_token_that_is_none_is_told_without_being_shown() {
        for (text, words) in [
            ("", "is empty"),
            (" \n\n", "is empty"),
            ("secret one", "holds no token"),
            ("secret\u{e4}", "holds no token"),
            ("secret\nsecret", "holds no token"),
            ("{\"value\":\"secret\"}", "holds no token"),
        ] {
            let (_folder, file) = file(text);
            let told = said(&file, 10);
            assert!(told.contains(words) && told.contains("write a fresh ID token"), "{text:?}: {told}");
            assert!(!told.contains("secret"), "{told}");
        }
        let (_folder, file) = file(&of(100));
        let told = said(&file, 400);
        assert!(told.contains("expired 5m ago, at 1970-01-01T00:01:40Z"), "{told}");
        std::fs::remove_file(&file.path).unwrap();
        assert!(said(&file, 500).contains("cannot read the token in"), "{}", said(&file, 500));
    }

    #[test]
    fn a_token_is_taken_with_the_end_of_its_line_and_shown_nowhere() {
        for token in [of(100), jwt(&serde_json::json!({})), "opaque-token".into(), "a.b.c".into()] {
            let (_folder, file) = file(&format!("{token}\r\n"));
            assert_eq!(file.header(at(10)).unwrap().to_str().unwrap(), format!("Bearer {token}"));
            assert!(said(&file, 10).starts_with("Sensitive"), "{}", said(&file, 10));
        }
    }

    #[test]
    fn a_fresh_token_is_taken_at_once_and_an_older_one_serves_until_it_expires() {
        let (_folder, file) = file(&of(100));
        assert!(file.header(at(10)).is_ok());
        std::fs::write(&file.path, of(200)).unwrap();
        assert_eq!(file.header(at(20)).unwrap().to_str().unwrap(), format!("Bearer {}", of(200)));
        std::fs::write(&file.path, "").unwrap();
        assert_eq!(file.header(at(199)).unwrap().to_str().unwrap(), format!("Bearer {}", of(200)));
        std::fs::remove_file(&file.path).unwrap();
        assert!(file.header(at(199)).is_ok(), "it was read before");
        assert!(said(&file, 200).contains("cannot read the token"), "{}", said(&file, 200));
        std::fs::write(&file.path, of(300)).unwrap();
        assert!(file.header(at(200)).is_ok());
    }
}
