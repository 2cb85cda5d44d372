//! Who comes in. The page has the rights of whoever started it, and every program and every web page on this machine can try
//! to reach it.

use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

/// Name of the cookie. The host has a random name, so no other page of this machine has the same jar.
const COOKIE: &str = "kubectl-sfn";
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What opens the page, once; what keeps it open; and what a form must bring along.
pub(super) struct Door {
    host: String,
    origin: String,
    entry: Mutex<Option<String>>,
    session: String,
    form: String,
    actions: bool,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It opened the page: it is given the cookie.
    Enters,
    /// It opened the page before, and came by the first address again.
    Again,
    /// It is served.
    Served,
    /// It is not.
    Refused(StatusCode, &'static str),
}

const ELSEWHERE: &str = "This page answers only under the address that kubectl sfn ui printed.";
const FOREIGN: &str = "Another page asked for this. It is not answered.";
const CLOSED: &str =
    "Open the address that kubectl sfn ui printed. It works once: where it was used already, run kubectl sfn ui again.";
const READ_ONLY: &str = "This page only shows. To act from it, end it and run kubectl sfn ui --allow-actions.";
const METHOD: &str = "This page knows GET, HEAD and POST.";

impl Door {
    /// A door for one server, and the address that opens it.
    pub fn new(port: u16, actions: bool) -> (Self, String) {
        let host = format!("sfn-{}.localhost:{port}", random(8).to_lowercase().replace('_', "-").trim_end_matches('-'));
        let (entry, origin) = (random(32), format!("http://{host}"));
        let url = format!("{origin}/?token={entry}");
        let door =
            Self { host, origin, entry: Mutex::new(Some(entry)), session: random(32), form: random(32), actions };
        (door, url)
    }

    /// What becomes of a request, by all but its body. `token` is that of its address.
    pub fn judge(&self, method: &Method, path: &str, token: Option<&str>, headers: &HeaderMap) -> Verdict {
        let refused = Verdict::Refused;
        if only(headers, &header::HOST) != Header::Is(&self.host) {
            return refused(StatusCode::MISDIRECTED_REQUEST, ELSEWHERE);
        }
        let origin = only(headers, &header::ORIGIN);
        if ![Header::Missing, Header::Is(&self.origin)].contains(&origin) {
            return refused(StatusCode::FORBIDDEN, FOREIGN);
        }
        if ![Method::GET, Method::HEAD, Method::POST].contains(method) {
            return refused(StatusCode::METHOD_NOT_ALLOWED, METHOD);
        }
        let is_in = self.has_cookie(headers);
        if let Some(token) = token.filter(|_| method == Method::GET && path == "/") {
            return match () {
                () if self.enters(token) => Verdict::Enters,
                () if is_in => Verdict::Again,
                () => refused(StatusCode::UNAUTHORIZED, CLOSED),
            };
        }
        let site = only(headers, &FETCH_SITE);
        if ![Header::Missing, Header::Is("same-origin"), Header::Is("none")].contains(&site) {
            return refused(StatusCode::FORBIDDEN, FOREIGN);
        }
        if !is_in {
            return refused(StatusCode::UNAUTHORIZED, CLOSED);
        }
        match () {
            () if method != Method::POST => Verdict::Served,
            () if !self.actions => refused(StatusCode::FORBIDDEN, READ_ONLY),
            () if origin == Header::Missing => refused(StatusCode::FORBIDDEN, FOREIGN),
            () => Verdict::Served,
        }
    }

    /// The first who shows the token has it, and nobody after.
    fn enters(&self, token: &str) -> bool {
        let mut entry = self.entry.lock();
        let is_it = entry.as_deref().is_some_and(|entry| same(entry, token));
        if is_it {
            *entry = None;
        }
        is_it
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == COOKIE && same(&self.session, value))
    }

    /// The header that keeps the page open for the browser that opened it.
    pub fn cookie(&self) -> String {
        format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict", self.session)
    }

    /// What forms carry along; `None` where nothing can be done.
    pub fn form_token(&self) -> Option<&str> {
        self.actions.then_some(self.form.as_str())
    }

    /// True of what [`Door::form_token`] gave to a form.
    pub fn is_own_form(&self, token: &str) -> bool {
        self.actions && same(&self.form, token)
    }
}

/// A header that may stand once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Header<'a> {
    Missing,
    Is(&'a str),
    /// It stands twice, or is no text.
    Unclear,
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Header<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Header::Missing,
        (Some(value), None) => value.to_str().map_or(Header::Unclear, Header::Is),
        _ => Header::Unclear,
    }
}

/// Compares in a time that says nothing of where they differ.
fn same(a: &str, b: &str) -> bool {
    Sha256::digest(a) == Sha256::digest(b)
}

/// Random bytes of the system, as text for addresses. Where the system has none there is no page.
pub(super) fn random(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    if OsRng.try_fill_bytes(&mut random).is_err() {
        std::process::abort();
    }
    URL_SAFE_NO_PAD.encode(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 4711;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn opened(actions: bool) -> (Door, String, String) {
        let (door, url) = Door::new(PORT, actions);
        let token = url.split_once("token=").unwrap().1.to_owned();
        let host = door.host.clone();
        assert_eq!(door.judge(&Method::GET, "/", Some(&token), &headers(&[("host", &host)])), Verdict::Enters);
        let cookie = door.cookie().split(';').next().unwrap().to_owned();
        (door, host, cookie)
    }

    fn status(verdict: &Verdict) -> u16 {
        match verdict {
            Verdict::Refused(status, _) => status.as_u16(),
            _ => 200,
        }
    }

    #[test]
    fn the_first_address_opens_the_page_once() {
        let (door, url) = Door::new(PORT, false);
        let token = url.split_once("token=").unwrap().1;
        let host = headers(&[("host", &door.host)]);
        assert_eq!(status(&door.judge(&Method::GET, "/", None, &host)), 401, "nothing is shown without it");
        assert_eq!(status(&door.judge(&Method::GET, "/", Some("x"), &host)), 401);
        assert_eq!(status(&door.judge(&Method::GET, "/runs", Some(token), &host)), 401, "it opens one address");
        assert_eq!(door.judge(&Method::GET, "/", Some(token), &host), Verdict::Enters);
        assert_eq!(status(&door.judge(&Method::GET, "/", Some(token), &host)), 401, "nobody comes in by it again");
        let cookie = door.cookie();
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap();
        let back = headers(&[("host", &door.host), ("cookie", cookie)]);
        assert_eq!(door.judge(&Method::GET, "/", Some(token), &back), Verdict::Again);
        assert_eq!(door.judge(&Method::GET, "/", None, &back), Verdict::Served);
        assert!(!url.contains(&door.session) && !url.contains(&door.form), "the address says no other secret");
    }

    #[test]
    fn nobody_is_served_under_another_name_or_for_another_page() {
        let (door, host, cookie) = opened(true);
        let origin = format!("http://{host}");
        let own = |more: &[(&'static str, &str)]| {
            headers(&[&[("host", host.as_str()), ("cookie", cookie.as_str())], more].concat())
        };
        let get = |headers: &HeaderMap| status(&door.judge(&Method::GET, "/runs", None, headers));
        assert_eq!(get(&own(&[])), 200);
        assert_eq!(get(&own(&[("origin", &origin), ("sec-fetch-site", "same-origin")])), 200);
        for rebound in ["evil.example:4711", "127.0.0.1:4711", "localhost:4711", "", &host.replace("4711", "80")] {
            assert_eq!(get(&headers(&[("host", rebound), ("cookie", &cookie)])), 421, "{rebound}");
        }
        assert_eq!(get(&headers(&[("cookie", &cookie)])), 421, "no host");
        assert_eq!(get(&own(&[("host", &host)])), 421, "two hosts");
        for foreign in ["http://evil.example", "null", "http://localhost:4711", &origin.replace("http:", "https:")] {
            assert_eq!(get(&own(&[("origin", foreign)])), 403, "{foreign}");
        }
        for site in ["cross-site", "same-site", "x"] {
            assert_eq!(get(&own(&[("sec-fetch-site", site)])), 403, "{site}");
        }
        for wrong in ["kubectl-sfn=", "kubectl-sfn=x", "other=1", &cookie.replace("kubectl-sfn", "x")] {
            assert_eq!(get(&headers(&[("host", &host), ("cookie", wrong)])), 401, "{wrong}");
        }
        let beside = format!("kubectl-sfn=planted; {cookie}");
        assert_eq!(get(&headers(&[("host", &host), ("cookie", &beside)])), 200, "a planted cookie locks nobody out");
    }

    #[test]
    fn a_post_needs_the_flag_the_origin_and_the_token_of_a_form() {
        for (allowed, with_origin, expected) in [(true, true, 200), (true, false, 403), (false, true, 403)] {
            let (door, host, cookie) = opened(allowed);
            let origin = format!("http://{host}");
            let mut pairs = vec![("host", host.as_str()), ("cookie", cookie.as_str())];
            if with_origin {
                pairs.push(("origin", &origin));
            }
            let verdict = door.judge(&Method::POST, "/runs/shop/a/cancel", None, &headers(&pairs));
            assert_eq!(status(&verdict), expected, "{allowed} {with_origin}");
            assert_eq!(door.form_token().is_some(), allowed);
            assert!(!door.is_own_form("") && !door.is_own_form("x"));
            assert_eq!(door.is_own_form(&door.form.clone()), allowed);
        }
        let (door, host, cookie) = opened(true);
        let own = headers(&[("host", &host), ("cookie", &cookie)]);
        for method in [Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
            assert_eq!(status(&door.judge(&method, "/runs", None, &own)), 405, "{method}");
        }
    }
}
