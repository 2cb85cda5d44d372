//! Against an API server that knows three tokens.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use parking_lot::Mutex;

use serde_json::Value;

use super::super::reviews::{MAX_TOKEN_BYTES, bearer};
use super::*;

/// The reviews that were asked for.
type Asked = Arc<Mutex<Vec<Value>>>;

async fn token_review(State(asked): State<Asked>, Json(review): Json<Value>) -> Response {
    asked.lock().push(review.clone());
    let status = match review["spec"]["token"].as_str().unwrap() {
        token @ ("reader" | "stranger" | "undecided") => json!({"authenticated": true, "user": {
            "username": format!("system:serviceaccount:monitoring:{token}"), "uid": "1",
            "groups": ["system:serviceaccounts"], "extra": {"authentication.kubernetes.io/pod-name": ["p"]}}}),
        "nameless" => json!({"authenticated": true, "user": {}}),
        "garbled" => return "reader".into_response(),
        "broken" => return (StatusCode::INTERNAL_SERVER_ERROR, "{}").into_response(),
        "refused" => {
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 403,
                "reason": "Forbidden", "message": "tokenreviews is forbidden"});
            return (StatusCode::FORBIDDEN, Json(status)).into_response();
        }
        _ => json!({"user": {}, "error": "invalid bearer token"}),
    };
    (StatusCode::CREATED, Json(json!({"spec": review["spec"], "status": status}))).into_response()
}

async fn access_review(State(asked): State<Asked>, Json(review): Json<Value>) -> Response {
    asked.lock().push(review.clone());
    let allowed = review["spec"]["nonResourceAttributes"] == json!({"path": "/metrics", "verb": "get"});
    let status = match review["spec"]["user"].as_str().unwrap() {
        "system:serviceaccount:monitoring:reader" => json!({"allowed": allowed}),
        // Whoever asks several authorisers may hear both.
        "system:serviceaccount:monitoring:undecided" => json!({"allowed": true, "denied": true}),
        _ => json!({"allowed": false, "reason": "no"}),
    };
    (StatusCode::CREATED, Json(json!({"status": status}))).into_response()
}

async fn readers() -> (Readers, Asked) {
    let asked = Asked::default();
    let router = Router::new()
        .route("/apis/authentication.k8s.io/v1/tokenreviews", post(token_review))
        .route("/apis/authorization.k8s.io/v1/subjectaccessreviews", post(access_review))
        .with_state(asked.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let config = kube::Config::new(address.parse().unwrap());
    (Readers::new(Client::try_from(config).unwrap()), asked)
}

#[tokio::test]
async fn only_who_may_get_the_path_reads_metrics_and_every_error_refuses() {
    let (readers, asked) = readers().await;
    assert_eq!(readers.verdict("reader").await.unwrap(), Verdict::MayRead);
    let review = asked.lock()[1]["spec"].clone();
    assert_eq!((&review["uid"], &review["groups"][0]), (&json!("1"), &json!("system:serviceaccounts")));
    assert_eq!(review["extra"]["authentication.kubernetes.io/pod-name"], json!(["p"]), "rights may depend on it");
    let may_not = |name: &str| Verdict::MayNot(format!("system:serviceaccount:monitoring:{name}").into());
    assert_eq!(readers.verdict("stranger").await.unwrap(), may_not("stranger"));
    assert_eq!(readers.verdict("undecided").await.unwrap(), may_not("undecided"), "denied is denied");
    for nobody in ["nobody", "nameless"] {
        assert_eq!(readers.verdict(nobody).await.unwrap(), Verdict::Unknown, "{nobody}");
    }
    for broken in ["garbled", "broken", "refused"] {
        let said = readers.verdict(broken).await.unwrap_err().to_string();
        assert!(said.contains("API server") && !said.contains(broken), "{said}");
    }
}

#[tokio::test]
async fn verdicts_are_remembered_and_errors_are_not() {
    let (readers, asked) = readers().await;
    let count = || asked.lock().len();
    for _ in 0..5 {
        readers.verdict("reader").await.unwrap();
        readers.verdict("nobody").await.unwrap();
    }
    assert_eq!(count(), 3, "two reviews of the reader, one of nobody");
    readers.verdict("broken").await.unwrap_err();
    readers.verdict("broken").await.unwrap_err();
    assert_eq!(count(), 5);
    let both = tokio::join!(readers.verdict("stranger"), readers.verdict("stranger"));
    assert_eq!(both.0.unwrap(), both.1.unwrap());
    assert_eq!(count(), 7, "whoever asks at once shares the reviews");
}

#[test]
fn a_token_comes_in_one_header_of_one_scheme() {
    let with = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        bearer(&headers).map(str::to_owned)
    };
    assert_eq!(with(&["Bearer abc"]).as_deref(), Some("abc"));
    assert_eq!(with(&["bearer  abc "]).as_deref(), Some("abc"));
    for odd in [&[][..], &["abc"], &["Basic abc"], &["Bearer "], &["Bearer a", "Bearer b"]] {
        assert_eq!(with(odd), None, "{odd:?}");
    }
    assert_eq!(with(&[&format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES + 1))]), None);
}

#[test]
fn a_refusal_gives_the_commands_that_give_the_right() {
    let account = refusal("system:serviceaccount:monitoring:prometheus");
    assert!(
        account.contains("--serviceaccount=monitoring:prometheus") && account.contains("--non-resource-url=/metrics")
    );
    assert!(refusal("ada").contains("--user='ada'"));
}
