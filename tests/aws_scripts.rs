//! The emulator behind the front answers as AWS in memory does: the same scripts are played to both, here through the SDK and
//! without a cluster.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/aws_scripts.rs"]
mod aws_scripts;
mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use stepbound::aws::{Caller, SdkStepFunctions, http_client};
use stepbound::config::Endpoints;
use stepbound::identity::{Exchanger, SessionKey, WebIdentityToken, session_name};
// As the scripts name them.
use stepbound::{api, aws};
use support::REGION;
use support::control_plane::{binaries, run, write_rsa_key};
use support::front::Front;
use support::ministack::{ACCOUNT, Ministack, python};

const ISSUER: &str = "https://issuer.example";
const SUBJECT: &str = "system:serviceaccount:shop:orders";
const AUDIENCE: &str = "sts.amazonaws.com";
const ROLE: &str = "scripts";
const EXECUTION_ROLE: &str = "scripts-run";

/// The public half of a key, as an issuer publishes it.
fn published(python: &Path, key: &Path) -> Value {
    const PROGRAM: &str = "
import base64, json, sys
from cryptography.hazmat.primitives.serialization import load_pem_private_key
numbers = load_pem_private_key(open(sys.argv[1], 'rb').read(), None).public_key().public_numbers()
text = lambda number: base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, 'big')).rstrip(b'=').decode()
print(json.dumps({'keys': [{'kty': 'RSA', 'use': 'sig', 'kid': 'key', 'n': text(numbers.n), 'e': text(numbers.e)}]}))
";
    serde_json::from_str(&run(Command::new(python).arg("-c").arg(PROGRAM).arg(key), None).unwrap()).unwrap()
}

fn token(key: &Path) -> WebIdentityToken {
    let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600;
    let claims = json!({"iss": ISSUER, "sub": SUBJECT, "aud": [AUDIENCE], "exp": expires, "jti": "token"});
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
    header.kid = Some("key".into());
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(&std::fs::read(key).unwrap()).unwrap();
    WebIdentityToken::given(jsonwebtoken::encode(&header, &claims, &key).unwrap().into()).unwrap()
}

/// A role that the subject may assume and that may do all, and one for executions.
fn prepare(aws: &Ministack) {
    let provider = [("Url", ISSUER), ("ClientIDList.member.1", AUDIENCE)];
    aws.iam("CreateOpenIDConnectProvider", &provider);
    let issuer = ISSUER.trim_start_matches("https://");
    let trust = |principal: Value, action: &str| json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Principal": principal}]});
    let federated = json!({"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}")});
    let everything =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    aws.create_role(ROLE, &trust(federated, "sts:AssumeRoleWithWebIdentity"), Some(&everything));
    let service = json!({"Service": "states.amazonaws.com"});
    aws.create_role(EXECUTION_ROLE, &trust(service, "sts:AssumeRole"), None);
}

fn session_key() -> SessionKey {
    SessionKey {
        namespace: "shop".into(),
        binding: "orders".into(),
        binding_uid: "binding".into(),
        binding_generation: 1,
        service_account: "orders".into(),
        service_account_uid: "account".into(),
        role_arn: format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}"),
        issuer: ISSUER.into(),
        provider: None,
        audience: AUDIENCE.into(),
        region: REGION.into(),
        session_name: session_name("shop", "orders"),
        duration_seconds: 3600,
        requester: None,
        policy: None,
        epoch: aws::Epoch::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_emulator_behind_the_front_answers_as_the_scripts_say() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    let place = folder.path().to_owned();
    let (emulator, front, key) = tokio::task::spawn_blocking(move || {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let python = python(&binaries());
        write_rsa_key(&python, &key);
        let emulator = Ministack::start(&place, &python);
        prepare(&emulator);
        let front = Front::start(&emulator.url, ISSUER, &published(&python, &key));
        (emulator, front, key)
    })
    .await
    .unwrap();
    let url: url::Url = front.url.parse().unwrap();
    let exchanger = Exchanger::new(http_client(), Some(url.clone()));
    let session = exchanger.exchange(&session_key(), &Arc::default(), token(&key), jiff::Timestamp::now()).await;
    let caller = Caller::new(Arc::new(session.unwrap()), &Arc::default());
    let endpoints = Endpoints { step_functions: Some(url), ..Endpoints::default() };
    let sdk = SdkStepFunctions::new(http_client(), &endpoints, Arc::default(), 1.0);
    let execution_role = format!("arn:aws:iam::{ACCOUNT}:role/{EXECUTION_ROLE}");
    let end = |_: &str, _: aws::ExecutionStatus| {};
    let stage = aws_scripts::Stage {
        aws: &sdk,
        caller: &caller,
        prefix: "scripts-",
        execution_role: &execution_role,
        end: &end,
    };
    let mut wrong = Vec::new();
    for (what, script) in aws_scripts::SCRIPTS {
        wrong.extend(aws_scripts::play(&stage, script).await.into_iter().map(|line| format!("{what}: {line}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    tokio::task::spawn_blocking(move || drop((emulator, front))).await.unwrap();
}
