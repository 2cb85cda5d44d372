//! Wrong tokens of CI jobs: each is refused, by the layer that the table names, and starts nothing.

use std::fmt;

use jsonwebtoken::{Algorithm, EncodingKey, Header};

use crate::ci_jobs::{AUDIENCE, Ci, Job, ci, github, gitlab};
use crate::*;

/// Who refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    /// The plugin, before anything is asked.
    Plugin,
    /// The API server's JWT authenticator: 401, it is nobody.
    Authenticator,
    /// RBAC: 403, it is somebody without the right.
    Rbac,
    /// An admission policy of validation: 403, it is somebody with the right, and not for this Workflow.
    Admission,
}

impl Layer {
    /// What is told of its refusal.
    fn says(self) -> &'static [&'static str] {
        match self {
            Self::Plugin => &["expired ", "Have the job write a fresh ID token there"],
            Self::Authenticator => &["Unauthorized", "issuer, audience, times and claims"],
            Self::Rbac => &["cannot create resource \"workflowruns\"", "kubectl auth can-i create workflowruns"],
            Self::Admission => &["ValidatingAdmissionPolicy 'ci-jobs'", "may not run Workflow shop/payments"],
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}"))
    }
}

fn soon(seconds: i64) -> i64 {
    jiff::Timestamp::now().as_second() + seconds
}

/// A part of a token.
pub(crate) fn part(value: &Value) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Tokens whose claims are not those of the job that may.
fn wrong_claims(ci: &Ci) -> Vec<(&'static str, Layer, String)> {
    use Layer::{Authenticator, Plugin, Rbac};
    let sub = |rest: &str| format!("repo:acme@123456/{rest}");
    let of_github = [
        (
            "another repository of the same owner",
            Rbac,
            json!({"sub": sub("web@789013:ref:refs/heads/main"), "repository": "acme/web", "repository_id": "789013"}),
        ),
        ("another branch", Rbac, json!({"sub": sub("shop@789012:ref:refs/heads/topic"), "ref": "refs/heads/topic"})),
        ("a tag that is called main", Rbac, json!({"sub": sub("shop@789012:ref:refs/tags/main"), "ref_type": "tag"})),
        ("another environment", Rbac, json!({"sub": sub("shop@789012:environment:staging"), "environment": "staging"})),
        (
            "the name of a repository that was deleted, taken by a colleague",
            Rbac,
            json!({"sub": sub("shop@789999:ref:refs/heads/main"), "repository_id": "789999"}),
        ),
        (
            "a fork",
            Authenticator,
            json!({"sub": "repo:mallory@666/shop@790000:ref:refs/heads/main", "repository": "mallory/shop",
                "repository_owner": "mallory", "repository_owner_id": "666", "repository_id": "790000"}),
        ),
        (
            "the owner's name, taken by somebody else",
            Authenticator,
            json!({"sub": "repo:acme@666/shop@790000:ref:refs/heads/main", "repository_owner_id": "666", "repository_id": "790000"}),
        ),
        (
            "a pull request",
            Authenticator,
            json!({"sub": sub("shop@789012:pull_request"), "event_name": "pull_request", "ref": "refs/pull/7/merge"}),
        ),
        (
            "a pull request in the environment that may",
            Authenticator,
            json!({"sub": sub("shop@789012:environment:production"), "event_name": "pull_request_target"}),
        ),
        ("an older subject, without ids", Authenticator, json!({"sub": "repo:acme/shop:ref:refs/heads/main"})),
        (
            "a subject that the repository has customised",
            Authenticator,
            json!({"sub": sub("shop@789012:ref:refs/heads/main"), "repository": "acme/web", "repository_id": "789013"}),
        ),
        ("another cluster's audience", Authenticator, json!({"aud": "https://staging.clusters.acme.example"})),
        ("AWS's audience", Authenticator, json!({"aud": "sts.amazonaws.com"})),
        (
            "the audience that GitHub puts where none is asked for",
            Authenticator,
            json!({"aud": "https://github.com/acme"}),
        ),
        ("no audience", Authenticator, json!({"aud": null})),
        ("expired", Plugin, json!({"iat": soon(-900), "nbf": soon(-900), "exp": soon(-300)})),
        ("not yet valid", Authenticator, json!({"nbf": soon(3600), "exp": soon(7200)})),
        ("another issuer", Authenticator, json!({"iss": "https://token.actions.githubusercontent.com/mallory"})),
        ("a claim is missing", Authenticator, json!({"repository_owner_id": null})),
        ("no expiry", Authenticator, json!({"exp": null})),
    ];
    let of_gitlab = [
        (
            "GitLab: another project of the group",
            Rbac,
            json!({"project_id": "4712", "project_path": "acme/web", "sub": "project_path:acme/web:ref_type:branch:ref:main"}),
        ),
        ("GitLab: the project's path, taken by another project", Rbac, json!({"project_id": "4799"})),
        ("GitLab: another protected branch", Rbac, json!({"ref": "release", "ref_path": "refs/heads/release"})),
        (
            "GitLab: another group's project",
            Authenticator,
            json!({"namespace_id": "666", "namespace_path": "mallory", "project_id": "4800", "project_path": "mallory/shop"}),
        ),
        ("GitLab: a branch that is not protected", Authenticator, json!({"ref_protected": "false"})),
        ("GitLab: a merge request", Authenticator, json!({"pipeline_source": "merge_request_event"})),
        ("GitLab: AWS's audience", Authenticator, json!({"aud": "sts.amazonaws.com"})),
    ];
    let github = of_github.into_iter().map(|(name, layer, change)| (name, layer, ci.github(&change)));
    github.chain(of_gitlab.into_iter().map(|(name, layer, change)| (name, layer, ci.gitlab(&change)))).collect()
}

/// Tokens whose claims are right and that the issuer did not sign.
fn wrong_signatures(ci: &Ci) -> Vec<(&'static str, Layer, String)> {
    let claims = github(&json!({}));
    let right = ci.github(&json!({}));
    let symmetric = Header { kid: Some("github".into()), ..Header::new(Algorithm::HS256) };
    let public = std::fs::read(ci.issuers.certificate()).unwrap();
    let symmetric = jsonwebtoken::encode(&symmetric, &claims, &EncodingKey::from_secret(&public)).unwrap();
    let (signed, signature) = right.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let other = github(&json!({"sub": "repo:acme@123456/web@789013:ref:refs/heads/main"}));
    [
        ("another's key under the issuer's key id", ci.issuers.sign("stranger", "github", &claims)),
        ("an unknown key id", ci.issuers.sign("stranger", "stranger", &claims)),
        ("GitLab's key for GitHub's claims", ci.issuers.sign("gitlab", "gitlab", &claims)),
        ("GitHub's key for GitLab's claims", ci.issuers.sign("github", "github", &gitlab(&json!({})))),
        ("no signature, alg none", format!("{}.{}.", part(&json!({"alg": "none", "typ": "JWT"})), part(&claims))),
        ("a signature by what everybody knows", symmetric),
        ("the signature of other claims", format!("{header}.{}.{signature}", part(&other))),
        ("no signature", format!("{signed}.")),
        ("no token of an issuer", "of-this-job".to_owned()),
    ]
    .map(|(name, token)| (name, Layer::Authenticator, token))
    .into()
}

#[test]
fn wrong_tokens_of_ci_jobs_are_refused_each_by_its_layer_and_start_nothing() {
    let Some(ci) = ci() else { return };
    let job = Job::new(ci, &[]);
    let mut cases = wrong_claims(ci);
    cases.extend(wrong_signatures(ci));
    assert!(cases.len() >= 12, "{}", cases.len());
    println!("{:<13} | {:<5} | token", "layer", "code");
    for (number, (name, layer, token)) in cases.iter().enumerate() {
        let run = format!("wrong-{number}");
        let ended =
            job.sfn(token, &["run", "nightly", "--wait", "--wait-timeout", "20s", "-n", "shop", "--name", &run]);
        let told = format!("{}{}", ended.out, ended.said);
        assert_eq!(ended.code, 3, "{name}: {told}");
        for words in layer.says() {
            assert!(ended.said.contains(words), "{name}: {told}");
        }
        assert!(!told.contains(token.as_str()), "{name}: the token is shown");
        // The plugin refuses early and is not relied on.
        let known = ci.who_is(token);
        assert_eq!(known.is_ok(), *layer == Layer::Rbac, "{name}: {known:?}");
        println!("{layer:<13} | {:<5} | {name}", if *layer == Layer::Rbac { 403 } else { 401 });
    }
    let names = ci.tenant.kubectl(&["get", "sfnrun", "-o", "name"]);
    assert!(!names.contains("wrong-"), "{names}");
}

#[test]
fn the_right_token_starts_what_the_job_is_for_and_nothing_else() {
    let Some(ci) = ci() else { return };
    let (job, token) = (Job::new(ci, &[]), ci.github(&json!({"aud": [AUDIENCE]})));
    let refused = job.sfn(&token, &["run", "payments", "-n", "shop", "--name", "wrong-workflow"]);
    for words in Layer::Admission.says() {
        assert!(refused.code == 3 && refused.said.contains(words), "{}", refused.said);
    }
    let refused = job.sfn(&token, &["run", "nightly", "-n", "default", "--name", "wrong-namespace"]);
    for words in Layer::Rbac.says() {
        assert!(refused.code == 3 && refused.said.contains(words), "{}", refused.said);
    }
    for verb in [&["get", "secrets"][..], &["create", "serviceaccounts/token"], &["update", "workflows.stepbound.dev"]]
    {
        let question = [&["auth", "can-i", "-n", "shop", "--token", &token], verb].concat();
        assert!(ci.tenant.bed.control_plane.try_kubectl(&question, None).is_err(), "{verb:?}");
    }
    // What the file holds is read with the end of its line, as `echo` writes it.
    let listed = job.sfn(&format!("{token}\n"), &["list", "-n", "shop", "-o", "name"]);
    assert_eq!(listed.code, 0, "{}", listed.said);
    assert!(!listed.out.contains("wrong-"), "{}", listed.out);
}
