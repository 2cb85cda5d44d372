//! Reconciles of TrustBindings.

use serde_json::{Value, json};

use super::*;
use crate::aws::{AwsError, AwsErrorKind};
use crate::controllers::stand_in::{Faked, World};
use crate::identity::ExchangeError;

const ROLE: &str = "arn:aws:iam::111122223333:role/shop";

/// A trust policy that lets anybody in.
fn trusting(principal: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal,
        "Action": "sts:AssumeRoleWithWebIdentity"}]})
    .to_string()
}

async fn proven_world() -> World<Faked> {
    let mut world = World::fake().await;
    world.settle::<TrustBinding>("orders").await;
    assert_eq!(world.says::<TrustBinding>("orders", "Ready"), "True/RoleAssumed");
    world
}

fn status(world: &World<Faked>) -> TrustBindingStatus {
    world.get::<TrustBinding>("orders").status.unwrap()
}

/// STS does not trade the token.
fn refused_by_sts() -> IdentityError {
    let cause = AwsError {
        kind: AwsErrorKind::AccessDenied,
        operation: "sts:AssumeRoleWithWebIdentity",
        code: "AccessDenied".into(),
        message: "Not authorized to perform sts:AssumeRoleWithWebIdentity".into(),
    };
    let claims = json!({"iss": "https://issuer.example", "sub": "system:serviceaccount:shop:orders",
        "aud": ["sts.amazonaws.com"], "exp": 4_000_000_000_i64, "jti": "j"});
    let claims = serde_json::from_value(claims).unwrap();
    IdentityError::Exchange(Box::new(ExchangeError { cause, role_arn: ROLE.into(), claims, issuer_problem: None }))
}

fn minted_wrongly() -> IdentityError {
    IdentityError::UnexpectedToken { claim: "aud", expected: "a".into(), actual: "b".into() }
}

fn forbidden() -> IdentityError {
    IdentityError::MintForbidden { namespace: "shop".into(), service_account: "orders".into() }
}

#[tokio::test]
async fn a_binding_is_proven_once_and_says_what_the_role_must_trust() {
    let mut world = proven_world().await;
    let status = status(&world);
    assert_eq!((status.account_id.as_deref(), status.assumed_role_arn.as_deref()), (Some("111122223333"), Some(ROLE)));
    assert_eq!(status.service_account_uid.as_deref(), Some("account"));
    assert!(status.trust_policy.unwrap().contains("system:serviceaccount:shop:orders"));
    for kind in ["Authorized", "TokenMinted", "RoleAssumed"] {
        assert!(world.says::<TrustBinding>("orders", kind).starts_with("True/"), "{kind}");
    }
    let looks = world.aws.calls("GetRole");
    world.settle::<TrustBinding>("orders").await;
    assert_eq!(world.aws.calls("GetRole"), looks, "what is settled costs nothing");
    world.annotate::<TrustBinding>("orders", "stepbound.dev/reconcile-now", "1");
    world.settle::<TrustBinding>("orders").await;
    assert_eq!(world.aws.calls("GetRole"), looks + 1, "unless somebody asks");
    world.aws.sessions.fails_elsewhere(true);
    world.wake_object::<TrustBinding>("orders").await;
    assert_eq!(world.aws.calls("GetRole"), looks + 2, "or a session fails elsewhere");
}

#[tokio::test]
async fn what_is_missing_is_told_by_the_condition_that_it_concerns() {
    type Take = fn(&World<Faked>);
    let refuse: fn(&World<Faked>, IdentityError) = |world, error| world.aws.sessions.refuse(Some(error));
    let spec: fn(&World<Faked>, Value) = |world, spec| world.change_spec::<TrustBinding>("orders", &spec);
    let cases: [(&str, Take, &str, &str); 11] = [
        ("no consent", |world| world.withdraw_consent(), "Authorized", "ConsentMissing"),
        ("no account", |world| world.remove_account(), "Authorized", "ServiceAccountMissing"),
        ("the account may not be read", |world| world.refuse("GET", "/orders", 403, 9), "Ready", "Forbidden"),
        ("an audience of others", |_| {}, "Authorized", "AudienceNotAllowed"),
        ("a region elsewhere", |_| {}, "Authorized", "RegionOfAnotherPartition"),
        ("no provider", |_| {}, "TokenMinted", "IdentityProviderNotFound"),
        ("no right to mint", |_| {}, "TokenMinted", "Forbidden"),
        ("another token", |_| {}, "TokenMinted", "UnexpectedToken"),
        ("another account", |_| {}, "RoleAssumed", "UnexpectedAnswer"),
        ("the role does not trust it", |_| {}, "RoleAssumed", "AccessDenied"),
        ("too many at once", |_| {}, "RoleAssumed", "RateLimited"),
    ];
    for (what, take, kind, reason) in cases {
        let world = proven_world().await;
        match what {
            "an audience of others" => spec(&world, json!({"audience": "other"})),
            "a region elsewhere" => spec(&world, json!({"region": "cn-north-1"})),
            "no provider" => {
                let mut object = serde_json::to_value(world.get::<TrustBinding>("orders")).unwrap();
                object["spec"]["identityProviderRef"] = json!({"name": "none"});
                object["status"] = Value::Null;
                world.add("trustbindings", &object);
            }
            "no right to mint" => refuse(&world, forbidden()),
            "another token" => refuse(&world, minted_wrongly()),
            "another account" => {
                let field = "AssumedRoleUser";
                let error = IdentityError::UnexpectedAnswer { field, expected: "a".into(), actual: "b".into() };
                refuse(&world, error);
            }
            "the role does not trust it" => refuse(&world, refused_by_sts()),
            "too many at once" => refuse(&world, IdentityError::RateLimited),
            _ => take(&world),
        }
        world.annotate::<TrustBinding>("orders", "stepbound.dev/reconcile-now", "1");
        world.wake_object::<TrustBinding>("orders").await;
        let ready = world.says::<TrustBinding>("orders", "Ready");
        if kind == "Ready" {
            // The binding itself is read by the same rule.
            assert!(ready.ends_with(reason) || ready.starts_with("True/"), "{what}: {ready}");
            continue;
        }
        let said = world.says::<TrustBinding>("orders", kind);
        assert_eq!(
            (ready.as_str(), said.as_str()),
            (&*format!("False/{reason}"), &*format!("False/{reason}")),
            "{what}"
        );
        world.aws.sessions.refuse(None);
    }
}

#[tokio::test]
async fn a_refusal_is_read_against_the_role_s_own_policy_where_a_session_is_held() {
    for held in [false, true] {
        let world = proven_world().await;
        world
            .aws
            .set_trust(ROLE, &trusting(&json!({"Federated": "arn:aws:iam::111122223333:oidc-provider/other.example"})));
        if held {
            world.aws.sessions.hold();
        }
        world.aws.sessions.refuse(Some(refused_by_sts()));
        world.annotate::<TrustBinding>("orders", "stepbound.dev/reconcile-now", "1");
        let looks = world.aws.calls("GetRole");
        world.wake_object::<TrustBinding>("orders").await;
        assert_eq!(world.says::<TrustBinding>("orders", "RoleAssumed"), "False/AccessDenied");
        assert_eq!(world.aws.calls("GetRole") - looks, usize::from(held));
        assert_eq!(world.message::<TrustBinding>("orders").contains("other.example"), held);
    }
}

#[tokio::test]
async fn what_is_weak_is_found_as_far_as_the_role_may_be_read() {
    let cases = [
        (None, Some("AccessDeniedException"), "Unknown/NotEvaluated"),
        (None, Some("ServiceUnavailable"), "Unknown/NotEvaluated"),
        (None, None, "Unknown/NotEvaluated"),
        (Some("no JSON".to_owned()), None, "Unknown/NotEvaluated"),
        (Some(trusting(&json!("*"))), None, "False/Findings"),
    ];
    for (policy, refused, expected) in cases {
        let mut world = World::fake().await;
        // A spec without a weak place.
        let spec =
            json!({"sessionPolicy": "Derived", "allowedExecutionRoleARNs": ["arn:aws:iam::111122223333:role/run"]});
        world.change_spec::<TrustBinding>("orders", &spec);
        if let Some(policy) = &policy {
            world.aws.set_trust(ROLE, policy);
        }
        if let Some(code) = refused {
            world.aws.fail("GetRole", code);
        }
        world.settle::<TrustBinding>("orders").await;
        assert_eq!(world.says::<TrustBinding>("orders", "Ready"), "True/RoleAssumed", "{policy:?} {refused:?}");
        let found = status(&world).findings;
        assert_eq!(
            world.says::<TrustBinding>("orders", "LeastPrivilege"),
            expected,
            "{policy:?} {refused:?}: {found:?}"
        );
    }
}

#[tokio::test]
async fn a_look_without_quota_is_made_later() {
    let mut world = World::fake().await;
    let spec = json!({"sessionPolicy": "Derived", "allowedExecutionRoleARNs": ["arn:aws:iam::111122223333:role/run"]});
    world.change_spec::<TrustBinding>("orders", &spec);
    world.aws.use_up("GetRole");
    world.settle::<TrustBinding>("orders").await;
    assert_eq!(world.says::<TrustBinding>("orders", "LeastPrivilege"), "Unknown/WaitingForQuota");
    world.aws.allow("GetRole");
    world.settle::<TrustBinding>("orders").await;
    assert_eq!(world.says::<TrustBinding>("orders", "LeastPrivilege"), "Unknown/NotEvaluated", "there is no such role");
}

#[tokio::test]
async fn a_suspended_binding_gives_its_sessions_up_and_keeps_saying_since_when() {
    let mut world = proven_world().await;
    world.change_spec::<TrustBinding>("orders", &json!({"suspend": true}));
    world.settle::<TrustBinding>("orders").await;
    assert_eq!(world.says::<TrustBinding>("orders", "Ready"), "True/Suspended");
    assert!(world.aws.sessions.forgotten().contains(&"orders".to_owned()));
    let message = world.message::<TrustBinding>("orders");
    assert!(message.contains("aws:TokenIssueTime"), "{message}");
    tokio::time::sleep(Duration::from_millis(5)).await;
    world.restart().await;
    world.wake_object::<TrustBinding>("orders").await;
    assert_eq!(world.message::<TrustBinding>("orders"), message);
    world.change_spec::<TrustBinding>("orders", &json!({"suspend": false}));
    world.settle::<TrustBinding>("orders").await;
    assert_eq!(world.says::<TrustBinding>("orders", "Ready"), "True/RoleAssumed");
    let suspended = with_suspension(&world);
    TrustBinding::seen(&suspended, &world.ctx);
    TrustBinding::gone(&suspended, &world.ctx);
    assert!(world.aws.sessions.forgotten().len() >= 3);
}

fn with_suspension(world: &World<Faked>) -> TrustBinding {
    let mut binding = world.get::<TrustBinding>("orders");
    binding.spec.suspend = true;
    binding
}

#[tokio::test]
async fn a_guardrail_holds_a_binding() {
    let mut world = World::fake_with(|_| {}, Some(&json!({"allowedAccountIDs": ["999999999999"]}))).await;
    world.settle::<TrustBinding>("orders").await;
    assert_eq!(world.says::<TrustBinding>("orders", "Ready"), "False/RefusedByGuardrail");
    assert_eq!(world.says::<TrustBinding>("orders", "Authorized"), "False/RefusedByGuardrail");
}

#[tokio::test]
async fn a_binding_stays_while_something_uses_it() {
    let uses = |world: &World<Faked>, what: &str| match what {
        "Workflow orders" => world.add(
            "workflows",
            &json!({"kind": "Workflow", "metadata": {"name": "orders"},
                "spec": {"trustBindingRef": {"name": "orders"}, "executionRoleARN": "r"}}),
        ),
        "Activity pack" => world.add(
            "activities",
            &json!({"kind": "Activity", "metadata": {"name": "pack"}, "spec": {"trustBindingRef": {"name": "orders"}}}),
        ),
        "WorkflowRun open" => {
            world.add_run("open", &json!({}));
            let attempt = json!({"number": 1, "executionName": "e", "inputDigest": "d", "targetARN": "arn:m",
                "trustBindingName": "orders", "recordedAt": "2026-01-01T00:00:00Z"});
            world.change("workflowruns", "open", &json!({"status": {"phase": "Running", "attempts": [attempt]}}));
        }
        _ => {}
    };
    for what in ["Workflow orders", "Activity pack", "WorkflowRun open", ""] {
        let mut world = proven_world().await;
        uses(&world, what);
        world.delete::<TrustBinding>("orders");
        world.settle::<TrustBinding>("orders").await;
        assert_eq!(world.is_gone::<TrustBinding>("orders"), what.is_empty(), "{what}");
        if !what.is_empty() {
            assert_eq!(world.says::<TrustBinding>("orders", "Ready"), "False/InUse");
            assert!(world.message::<TrustBinding>("orders").contains(what));
        }
    }
}

/// Another provider, which the binding is to use.
fn change_provider(world: &World<Faked>) {
    let client = json!({"type": "ServiceAccountAssertion"});
    let spec = json!({"issuer": "https://new.example", "clientAuthentication": client});
    world.add("identityproviders", &json!({"kind": "IdentityProvider", "metadata": {"name": "new"}, "spec": spec}));
    world.change_spec::<TrustBinding>("orders", &json!({"identityProviderRef": {"name": "new"}}));
}

#[tokio::test]
async fn a_binding_moves_to_another_provider_once_that_works() {
    let phases = |world: &World<Faked>| {
        let identities = status(world).identities;
        identities.iter().map(|one| format!("{:?} {:?}", one.provider.as_deref(), one.phase)).collect::<Vec<_>>()
    };
    let mut world = proven_world().await;
    world.aws.sessions.refuse_provider("new", refused_by_sts());
    change_provider(&world);
    world.settle::<TrustBinding>("orders").await;
    assert_eq!(world.says::<TrustBinding>("orders", "Ready"), "True/RoleAssumed", "the old one is in use");
    assert_eq!(world.says::<TrustBinding>("orders", "Reconciling"), "True/AccessDenied");
    assert!(phases(&world).contains(&"None Active".to_owned()), "{:?}", phases(&world));
    world.aws.sessions.refuse(None);
    world.settle::<TrustBinding>("orders").await;
    assert_eq!(world.says::<TrustBinding>("orders", "Ready"), "True/RoleAssumed");
    assert!(phases(&world).contains(&"Some(\"new\") Active".to_owned()), "{:?}", phases(&world));
    // A provider that is not there is no reason to give up the one in use.
    world.change_spec::<TrustBinding>("orders", &json!({"identityProviderRef": {"name": "none"}}));
    world.settle::<TrustBinding>("orders").await;
    assert_eq!(world.says::<TrustBinding>("orders", "Ready"), "True/RoleAssumed");
    assert_eq!(world.says::<TrustBinding>("orders", "Reconciling"), "True/IdentityProviderNotFound");
}

#[tokio::test]
async fn the_bindings_of_an_account_that_withdraws_its_consent_are_given_up_at_once() {
    let world = proven_world().await;
    let watches = world.ctx.watches.of("shop").unwrap();
    let shown = kube::runtime::watcher::Event::Apply(world.get::<TrustBinding>("orders"));
    for change in watches.bindings.intake().unwrap().take_in(shown) {
        watches.bindings.take_in(&change, &world.ctx);
    }
    let account = |role: &str| BTreeMap::from([("eks.amazonaws.com/role-arn".to_owned(), role.to_owned())]);
    let (same, other) = (account(ROLE), account("arn:aws:iam::111122223333:role/other"));
    // One that has gone leaves the session to clean up by.
    for (annotations, forgotten) in [(Some(&same), 0), (None, 0), (Some(&other), 1)] {
        account_changed(&world.ctx, &watches, ("shop", "orders"), annotations);
        assert_eq!(world.aws.sessions.forgotten().len(), forgotten, "{annotations:?}");
    }
}
