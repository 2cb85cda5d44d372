#![allow(missing_docs)]

mod assumptions;
mod epochs;
mod kept;
mod purposes;
mod secrets;
mod starvation;

use std::sync::atomic::{AtomicI64, AtomicU16, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex as StdMutex;
use secrecy::SecretString;

use super::super::token::tests::key;
use super::*;
use crate::api::v1alpha1::{ClientAuthentication, ClientAuthenticationType};
use crate::aws::stand_in::{Seen, StandIn, step_functions_at};
use crate::aws::{Caller, Credentials, Gate, SessionOrigin, http_client};
use crate::identity::{Cognito, ExternalProvider, IssuerRules, Issuers, Reach, SecretReader, Web};
use crate::reason::Reason;

/// Done once, before an answer.
type Hook = Arc<StdMutex<Option<Box<dyn FnOnce() + Send>>>>;

/// API server and STS in one. Each can be told to fail.
struct World {
    server: StandIn,
    mint_status: Arc<AtomicU16>,
    mint_error: Arc<StdMutex<String>>,
    sts_errors: Arc<StdMutex<Vec<(u16, String)>>>,
    /// Done before STS answers next.
    at_sts: Hook,
    /// By how many seconds the time of STS and of the cache is ahead.
    ahead: Arc<AtomicI64>,
    /// An issuer that takes connections and never answers.
    silent: String,
    _silent: tokio::net::TcpListener,
}

const CANARY: &str = "canarysignature";

fn token(namespace: &str, account: &str) -> String {
    let claims = serde_json::json!({
        "iss": "https://issuer.example",
        "sub": format!("system:serviceaccount:{namespace}:{account}"),
        "aud": ["sts.amazonaws.com"],
        "jti": "token-id",
    });
    format!("eyJhbGciOiJSUzI1NiJ9.{}.{CANARY}", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn form(body: &str) -> std::collections::BTreeMap<String, String> {
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

fn sts_error(code: &str, message: &str) -> (u16, String) {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>x</RequestId></ErrorResponse>"
    );
    (400, body)
}

fn assumed(seen: &Seen, now: Timestamp) -> (u16, String) {
    let form = form(&seen.body);
    let role = form["RoleArn"].rsplit('/').next().unwrap();
    let claims = form["WebIdentityToken"].split('.').nth(1).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let body = format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>\
         <Audience>sts.amazonaws.com</Audience><AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId><Arn>arn:aws:sts::111122223333:assumed-role/{role}/{}</Arn></AssumedRoleUser>\
         <Provider>https://issuer.example</Provider><SubjectFromWebIdentityToken>{}</SubjectFromWebIdentityToken>\
         <Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>canarysecret</SecretAccessKey><SessionToken>canarysession</SessionToken><Expiration>{}</Expiration></Credentials>\
         </AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>x</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>",
        form["RoleSessionName"],
        claims["sub"].as_str().unwrap(),
        now + SignedDuration::from_secs(3600),
    );
    (200, body)
}

async fn world() -> World {
    let mint_status = Arc::new(AtomicU16::new(201));
    let mint_error: Arc<StdMutex<String>> = Arc::default();
    let sts_errors: Arc<StdMutex<Vec<(u16, String)>>> = Arc::default();
    let (status, error, sts) = (mint_status.clone(), mint_error.clone(), sts_errors.clone());
    let ahead: Arc<AtomicI64> = Arc::default();
    let at_sts = Hook::default();
    let before = at_sts.clone();
    let time_of_sts = ahead.clone();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = StandIn::start(move |seen| {
        let parts: Vec<&str> = seen.path.split('/').collect();
        if let [_, _, _, _, namespace, _, account, "token"] = parts[..] {
            if *account == *"refused" || status.load(Ordering::SeqCst) != 201 {
                let code = if account == "refused" { 403 } else { status.load(Ordering::SeqCst) };
                return (code, error.lock().replace("CODE", &code.to_string()));
            }
            return (201, serde_json::json!({"status": {"token": token(namespace, account)}}).to_string());
        }
        if !seen.operation().is_empty() {
            return (400, r#"{"__type":"AccessDeniedException","message":"no"}"#.into());
        }
        let first = before.lock().take();
        if let Some(first) = first {
            first();
        }
        let now = Timestamp::now() + SignedDuration::from_secs(time_of_sts.load(Ordering::SeqCst));
        sts.lock().pop().unwrap_or_else(|| assumed(seen, now))
    })
    .await;
    *mint_error.lock() =
        r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"No","code":CODE}"#.into();
    let address = format!("http://{}", silent.local_addr().unwrap());
    World { server, mint_status, mint_error, sts_errors, at_sts, ahead, silent: address, _silent: silent }
}

impl World {
    fn cache(&self) -> SessionCache {
        let config = kube::Config::new(self.server.url.as_str().parse().unwrap());
        let client = kube::Client::try_from(config).unwrap();
        let reach = Reach { plain_http: true, private_addresses: true };
        let issuers = Arc::new(Issuers::new(Web::new(reach).unwrap()));
        let rules =
            IssuerRules { allowed: vec![self.silent.clone()], forbidden_audiences: vec!["sts.amazonaws.com".into()] };
        let cognito = Cognito::new(http_client(), Some(self.server.url.clone()));
        let minter = Minter::new(client.clone());
        let providers = Providers::new(issuers, minter.clone(), SecretReader::new(client), cognito, rules);
        let exchanger = Exchanger::new(http_client(), Some(self.server.url.clone()));
        SessionCache::new(minter, providers, exchanger, Arc::default())
    }

    fn mints(&self) -> usize {
        self.server.count("/token")
    }
}

/// The key in the binding's current epoch.
fn current_key(cache: &SessionCache) -> SessionKey {
    SessionKey { epoch: cache.epoch("shop", "orders"), ..key() }
}

/// A session that is due for renewal but good for another `seconds`.
/// Whoever calls AWS with a session.
fn caller(session: &Arc<Session>) -> Caller {
    Caller::new(session.clone(), &Arc::default())
}

fn old_session(seconds: i64) -> Arc<Session> {
    old_session_in(Epoch::default(), seconds)
}

fn old_session_in(epoch: Epoch, seconds: i64) -> Arc<Session> {
    let credentials = Credentials {
        access_key_id: "ASIAOLD".into(),
        secret_access_key: SecretString::from("canarysecret"),
        session_token: SecretString::from("canarysession"),
    };
    Arc::new(Session {
        gate: Gate::new(credentials, epoch),
        expires_at: Timestamp::now() + SignedDuration::from_secs(seconds),
        refresh_at: Timestamp::now() - SignedDuration::from_secs(1),
        region: "eu-west-1".into(),
        account_id: "111122223333".into(),
        assumed_role_arn: key().role_arn,
        session_name: "name".into(),
        packed_policy_percent: None,
        origin: SessionOrigin {
            namespace: "shop".into(),
            binding: "orders".into(),
            service_account_uid: "account".into(),
            token_id: "j".into(),
            issuer: "https://issuer.example".into(),
            subject: "system:serviceaccount:shop:orders".into(),
            audience: "sts.amazonaws.com".into(),
            requester: None,
            authorized_party: None,
        },
    })
}

fn external(issuer: &str, name: &str) -> ExternalProvider {
    ExternalProvider {
        name: name.into(),
        uid: format!("{name}-uid"),
        generation: 1,
        issuer: issuer.into(),
        authentication: ClientAuthentication {
            method: ClientAuthenticationType::ServiceAccountAssertion,
            client_id: None,
            secret_key_ref: None,
            identity_pool: None,
            subject_token: None,
        },
        scopes: Vec::new(),
        takes_untied_secret: false,
    }
}

async fn put(cache: &SessionCache, key: &SessionKey, session: Arc<Session>) {
    let entry = cache.entries.get_with_by_ref(key, async { Arc::default() }).await;
    *entry.entry.lock().await = Entry(Some(session));
}

/// The error of a look-up, with the promise that holds for every error: no secret in any text of it.
async fn refusal(cache: &SessionCache, key: &SessionKey) -> IdentityError {
    let error = cache.session(key, &Cause::default()).await.err().expect("an error");
    let texts = format!("{error} {error:?} {}", error.public());
    assert!(!texts.contains("canary"), "{texts}");
    error
}

/// Requirement 5 of docs/security.md: exactly one audience, never the API server's.
/// Requirement 6 of docs/security.md: token of 600 s, used once, never stored.
/// Requirements 5, 6 and 8: one audience, ten minutes, and no credentials but the token itself.
#[tokio::test]
async fn requirement_05_and_06_a_token_is_minted_for_one_audience_and_ten_minutes() {
    let world = world().await;
    let session = world.cache().session(&key(), &Cause::default()).await.ok().unwrap();
    assert_eq!(session.account_id, "111122223333");
    assert_eq!(session.origin.token_id, "token-id");
    let seen = world.server.seen();
    assert_eq!(seen.len(), 2);
    let minted: serde_json::Value = serde_json::from_str(&seen[0].body).unwrap();
    assert_eq!(seen[0].path, "/api/v1/namespaces/shop/serviceaccounts/orders/token");
    assert_eq!(minted["spec"], serde_json::json!({"audiences": ["sts.amazonaws.com"], "expirationSeconds": 600}));
    assert_eq!(seen[1].header("authorization"), "");
    let form = form(&seen[1].body);
    assert_eq!(form["Action"], "AssumeRoleWithWebIdentity");
    assert_eq!(form["DurationSeconds"], "3600");
    assert_eq!(form["RoleArn"], key().role_arn);
}

#[tokio::test]
async fn many_at_once_share_one_flight_and_later_ones_the_session() {
    let world = world().await;
    let cache = world.cache();
    let asked = key();
    let cause = Cause::default();
    let all = futures::future::join_all((0..50).map(|_| cache.session(&asked, &cause))).await;
    assert!(all.iter().all(Result::is_ok));
    assert!(cache.session(&key(), &Cause::default()).await.is_ok());
    assert_eq!(world.mints(), 1);
}

/// Requirement 11 of docs/security.md: a session's key has all that makes it what it is.
/// Requirement 11: change any field and it is another session.
#[tokio::test]
async fn requirement_11_any_field_that_differs_takes_another_session() {
    let world = world().await;
    let lasting = || {
        let mut session = Arc::into_inner(old_session(3600)).unwrap();
        session.refresh_at = session.expires_at;
        Arc::new(session)
    };
    let edits: [fn(&mut SessionKey); 15] = [
        |key| key.namespace.push('x'),
        |key| key.binding.push('x'),
        |key| key.binding_uid.push('x'),
        |key| key.binding_generation += 1,
        |key| key.service_account.push('x'),
        |key| key.service_account_uid.push('x'),
        |key| key.role_arn.push('x'),
        |key| key.audience.push('x'),
        |key| key.region.push('x'),
        |key| key.duration_seconds += 1,
        |key| key.requester = Some("alice".into()),
        |key| key.issuer.push('x'),
        |key| key.session_name.push('x'),
        |key| key.policy = Some("{}".into()),
        |key| key.provider = Some(Arc::new(external("https://x", "x"))),
    ];
    for (number, change) in edits.into_iter().enumerate() {
        // A cache for each, since a failure has the binding pause.
        let cache = world.cache();
        put(&cache, &key(), lasting()).await;
        assert_eq!(cache.session(&key(), &Cause::default()).await.ok().unwrap().gate.access_key_id(), "ASIAOLD");
        let mut changed = key();
        change(&mut changed);
        let before = world.mints();
        match cache.session(&changed, &Cause::default()).await {
            Ok(session) => assert_eq!(session.gate.access_key_id(), "ASIAEXAMPLE", "{number}"),
            // The stand-in's tokens are for one audience only.
            Err(error) => assert!(
                matches!(
                    error,
                    IdentityError::UnexpectedToken { claim: "aud", .. } | IdentityError::ProviderNotAllowed { .. }
                ),
                "{error}"
            ),
        }
        let mints = usize::from(changed.provider.is_none());
        assert_eq!(world.mints(), before + mints, "{number}");
    }
}

#[tokio::test]
async fn an_expired_token_is_minted_again_once() {
    let world = world().await;
    let expired = || sts_error("ExpiredTokenException", "Token expired: current date/time 1690000000");
    world.sts_errors.lock().push(expired());
    assert!(world.cache().session(&key(), &Cause::default()).await.is_ok());
    assert_eq!(world.mints(), 2);
    world.sts_errors.lock().extend([expired(), expired(), expired(), expired()]);
    let error = refusal(&world.cache(), &key()).await;
    assert_eq!(error.reason(), Reason::ExpiredToken);
    assert_eq!(world.mints(), 4);
}

#[tokio::test]
async fn refusals_of_the_api_server_are_told_apart() {
    let world = world().await;
    let because = |reason: &str| {
        format!(
            r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"No","code":CODE,"details":{{"causes":[{{"reason":"{reason}","message":"m"}}]}}}}"#
        )
    };
    let expect = |error: IdentityError, reason: &str, class: Class| {
        assert_eq!((error.reason().as_str(), error.class()), (reason, class), "{error}");
    };
    world.mint_status.store(403, Ordering::SeqCst);
    expect(refusal(&world.cache(), &key()).await, "Forbidden", Class::Denied);
    *world.mint_error.lock() = because("NamespaceTerminating");
    expect(refusal(&world.cache(), &key()).await, "NamespaceTerminating", Class::Waiting);
    world.mint_status.store(404, Ordering::SeqCst);
    expect(refusal(&world.cache(), &key()).await, "ServiceAccountMissing", Class::Waiting);
    world.mint_status.store(500, Ordering::SeqCst);
    expect(refusal(&world.cache(), &key()).await, "MintFailed", Class::Transient);
    world.mint_status.store(422, Ordering::SeqCst);
    expect(refusal(&world.cache(), &key()).await, "MintFailed", Class::Denied);
}

#[tokio::test]
async fn a_name_cannot_lead_to_another_path() {
    let world = world().await;
    for name in ["../../x/serviceaccounts/admin", "a/b", "a?x=y", "a%2fb", "", "a..b", "A"] {
        let asked = SessionKey { service_account: name.into(), ..key() };
        assert_eq!(refusal(&world.cache(), &asked).await.reason(), Reason::ServiceAccountMissing);
    }
    assert!(world.server.seen().is_empty());
}

/// Requirement 13 of docs/security.md: AWS's messages sanitised.
/// Requirements 12 and 13: whatever STS says, no token is repeated and two request ids give the same text.
#[tokio::test]
async fn requirement_13_refusals_of_sts_repeat_neither_tokens_nor_request_ids() {
    let world = world().await;
    for (code, reason) in [
        ("AccessDenied", "AccessDenied"),
        ("InvalidIdentityToken", "InvalidIdentityToken"),
        ("IDPRejectedClaim", "ClaimRejected"),
        ("PackedPolicyTooLarge", "PackedPolicyTooLarge"),
        ("MalformedPolicyDocument", "SessionPolicyInvalid"),
        ("ValidationError", "RequestInvalid"),
    ] {
        let mut texts = Vec::new();
        for id in ["6f6f3b7e-0f7a-4b6e-9d5c-0123456789ab", "11111111-2222-3333-4444-555555555555"] {
            let message = format!("refused {} (Request ID: {id})", token("shop", "orders"));
            world.sts_errors.lock().push(sts_error(code, &message));
            let error = refusal(&world.cache(), &key()).await;
            assert_eq!(error.reason().as_str(), reason);
            texts.push(error.public());
        }
        assert_eq!(texts[0], texts[1]);
    }
}

/// Requirement 18 of docs/security.md: mint and assume rate-limited, single-flight, with backoff.
/// Requirement 18: a thousand bindings, one of which fails, asked again and again.
#[tokio::test]
async fn requirement_18_one_binding_that_fails_neither_hammers_nor_holds_up_a_thousand() {
    let world = world().await;
    let cache = SessionCache { pace: Pace::new(2000, 2000), ..world.cache() };
    let failing = SessionKey { service_account: "refused".into(), ..key() };
    let others: Vec<SessionKey> =
        (0..1000).map(|n| SessionKey { binding: format!("b{n}"), binding_uid: format!("u{n}"), ..key() }).collect();
    let started = std::time::Instant::now();
    let hammer = async {
        for _ in 0..1000 {
            // On a slow machine it may be turned away for a while, as the others below.
            let reason = refusal(&cache, &failing).await.reason();
            assert!([Reason::Forbidden, Reason::RateLimited].contains(&reason), "{reason}");
        }
    };
    let cached = &cache;
    let patient = |key| async move {
        // On a slow machine a thousand may be turned away for a while, which is no refusal.
        loop {
            match cached.session(key, &Cause::default()).await {
                Err(IdentityError::RateLimited) => tokio::task::yield_now().await,
                answer => return answer,
            }
        }
    };
    let work = futures::future::join_all(others.iter().map(patient));
    let (sessions, ()) = futures::join!(work, hammer);
    assert!(sessions.iter().all(Result::is_ok));
    let refused = world.server.count("/serviceaccounts/refused/token");
    // 1 s, 2 s, 4 s, …: the pauses double.
    let most = 1 + usize::try_from(started.elapsed().as_secs() + 1).unwrap().ilog2() as usize + 1;
    assert!(refused <= most, "{refused} mints for the failing binding");
}

#[tokio::test(start_paused = true)]
async fn who_is_turned_away_is_not_made_to_pause() {
    let world = world().await;
    let cache = SessionCache { mints: Slots::new(0), ..world.cache() };
    assert_eq!(refusal(&cache, &key()).await, IdentityError::RateLimited);
    assert_eq!(cache.pauses.check(&key()), None);
    assert!(cache.entries.get(&key()).await.is_none(), "what failed takes no room");
}

#[tokio::test]
async fn exchanges_of_all_bindings_together_have_a_rate() {
    let world = world().await;
    let cache = SessionCache { pace: Pace::new(2, 1), ..world.cache() };
    let asked: Vec<_> = (0..100).map(|n| SessionKey { binding_uid: format!("u{n}"), ..key() }).collect();
    let cause = Cause::default();
    let all = futures::future::join_all(asked.iter().map(|key| cache.session(key, &cause)));
    let _ = tokio::time::timeout(Duration::from_millis(900), all).await;
    assert_eq!(world.mints(), 2);
}

#[tokio::test]
async fn a_session_that_is_still_good_bridges_an_outage_but_not_a_refusal() {
    let world = world().await;
    let cache = world.cache();
    world.mint_status.store(500, Ordering::SeqCst);
    put(&cache, &key(), old_session(600)).await;
    for _ in 0..2 {
        assert_eq!(cache.session(&key(), &Cause::default()).await.ok().unwrap().gate.access_key_id(), "ASIAOLD");
    }
    let nearly_over = world.cache();
    put(&nearly_over, &key(), old_session(30)).await;
    assert_eq!(refusal(&nearly_over, &key()).await.reason(), Reason::MintFailed);
    world.mint_status.store(403, Ordering::SeqCst);
    let refused = world.cache();
    put(&refused, &key(), old_session(600)).await;
    assert_eq!(refusal(&refused, &key()).await.reason(), Reason::Forbidden);
}

/// Requirement 17: what is being deleted may use the session at hand after its account is gone.
#[tokio::test]
async fn a_held_session_outlives_its_account_until_it_expires_or_is_forgotten() {
    let world = world().await;
    let cache = world.cache();
    let now = current_key(&cache);
    let before = SessionKey { binding_generation: 0, ..now.clone() };
    put(&cache, &before, old_session_in(now.epoch.clone(), 300)).await;
    put(&cache, &now, old_session_in(now.epoch.clone(), 600)).await;
    world.mint_status.store(404, Ordering::SeqCst);
    assert_eq!(refusal(&cache, &key()).await.reason(), Reason::ServiceAccountMissing);
    let held = cache.held("uid", None).await.unwrap();
    assert!(held.expires_at > Timestamp::now() + SignedDuration::from_secs(500), "the longest-lived one");
    assert!(cache.held("another", None).await.is_none());
    cache.forget("shop", "orders");
    assert!(cache.held("uid", None).await.is_none());
    put(&cache, &key(), old_session(-1)).await;
    assert!(cache.held("uid", None).await.is_none());
}

#[tokio::test]
async fn a_session_that_aws_calls_expired_is_replaced_at_the_next_use() {
    let world = world().await;
    let cache = world.cache();
    let server = StandIn::start(|_| (400, r#"{"__type":"ExpiredTokenException","message":"expired"}"#.into())).await;
    let states = crate::aws::SdkStepFunctions::new(http_client(), &server.endpoints(), Arc::default(), 1.0);
    let first = cache.session(&key(), &Cause::default()).await.ok().unwrap();
    let error = crate::aws::Tagging::list_tags(&states, &caller(&first), "arn").await.unwrap_err();
    assert_eq!(error.class(), Class::Transient);
    assert!(cache.held("uid", None).await.is_none());
    let second = cache.session(&key(), &Cause::default()).await.ok().unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    assert_eq!(world.mints(), 2);
}

/// Requirement 3: after consent was withdrawn the next use starts from a new token.
#[tokio::test]
async fn a_forgotten_session_is_not_used_again() {
    let world = world().await;
    let cache = world.cache();
    assert!(cache.session(&current_key(&cache), &Cause::default()).await.is_ok());
    cache.forget("shop", "orders");
    assert!(cache.session(&current_key(&cache), &Cause::default()).await.is_ok());
    assert_eq!(world.mints(), 2);
}
