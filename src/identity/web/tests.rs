#![allow(missing_docs)]

use super::*;
use crate::aws::stand_in::StandIn;

fn strict() -> Web {
    Web::new(Reach::default()).unwrap()
}

fn open() -> Web {
    Web::new(Reach { plain_http: true, private_addresses: true }).unwrap()
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

/// Requirement 20 of docs/security.md: issuers allow-listed, fetches bounded.
/// Requirement 20: only https, and only public addresses.
#[tokio::test]
async fn requirement_20_nothing_private_is_reached() {
    for (address, why) in [
        ("http://issuer.example/", "not https"),
        ("https://127.0.0.1/", "not public"),
        ("https://169.254.169.254/latest/meta-data", "not public"),
        ("https://10.0.0.1/", "not public"),
        ("https://100.64.0.1/", "not public"),
        ("https://[::1]/", "not public"),
        ("https://[::ffff:10.0.0.1]/", "not public"),
        ("https://[fd00::1]/", "not public"),
        ("https://[64:ff9b::a00:1]/", "not public"),
        ("https://2130706433/", "not public"),
        ("https://0x7f.1/", "not public"),
        ("https://localhost:1/", "not public"),
        ("https://user@issuer.example/", "user or password"),
        ("ftp://issuer.example/", "not https"),
    ] {
        let Err(WebError::NotAllowed(message)) = strict().get(&url(address)).await else { panic!("{address}") };
        assert!(message.contains(why), "{address}: {message}");
    }
}

#[test]
fn public_addresses_are_told_from_special_ones() {
    for public in ["1.1.1.1", "52.94.0.1", "100.63.255.255", "100.128.0.0", "2600:1f00::1"] {
        assert!(is_public(public.parse().unwrap()), "{public}");
    }
    for special in
        ["0.0.0.0", "192.0.2.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::", "fe80::1", "2002:a00:1::"]
    {
        assert!(!is_public(special.parse().unwrap()), "{special}");
    }
}

/// Requirement 20 of docs/security.md: issuers allow-listed, fetches bounded.
/// Requirement 20: no redirect is followed, neither for documents nor for posts.
#[tokio::test]
async fn requirement_20_redirects_are_not_followed() {
    let trap = StandIn::start(|_| (200, "{}".into())).await;
    let target = trap.url.clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(move || {
        let target = target.to_string();
        async move { (axum::http::StatusCode::TEMPORARY_REDIRECT, [("location", target)]) }
    });
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let url = url(&format!("http://{address}/"));
    let refused = |error: WebError| assert!(error.to_string().contains("redirects"), "{error}");
    refused(open().get(&url).await.err().unwrap());
    refused(open().post(&url, &Form::of(&[("client_assertion", "canary")])).await.err().unwrap());
    assert!(trap.seen().is_empty());
}

/// Requirement 20 of docs/security.md: issuers allow-listed, fetches bounded.
/// Requirement 20: an answer that does not end is not read to its end.
#[tokio::test]
async fn requirement_20_a_huge_body_is_dropped() {
    let huge = StandIn::start(|_| (200, format!("\"{}\"", "x".repeat(MAX_BODY)))).await;
    let error = open().get(&huge.url).await.err().unwrap();
    assert!(error.to_string().contains("more than 256 KiB"), "{error}");
}

/// Requirement 20 of docs/security.md: issuers allow-listed, fetches bounded.
/// Requirement 20: who does not answer is not waited for.
#[tokio::test(start_paused = true)]
async fn requirement_20_silence_ends_the_wait() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = url(&format!("http://{}/", listener.local_addr().unwrap()));
    let error = open().get(&silent).await.err().unwrap();
    assert!(matches!(&error, WebError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn what_is_not_json_or_not_there_is_said() {
    let server =
        StandIn::start(|seen| if seen.path == "/html" { (200, "<html>".into()) } else { (404, "{}".into()) }).await;
    let at = |path: &str| server.url.join(path).unwrap();
    assert!(open().get(&at("/html")).await.err().unwrap().to_string().contains("not answer with JSON"));
    assert!(open().get(&at("/none")).await.err().unwrap().to_string().contains("status 404"));
}
