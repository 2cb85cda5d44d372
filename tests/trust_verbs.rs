//! `stepbound trust` and `stepbound policy binding-role`, as people call them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

const ISSUER: &str = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE";
const MANIFEST: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: orders, namespace: shop}
---
apiVersion: stepbound.dev/v1alpha1
kind: TrustBinding
metadata: {name: orders, namespace: shop}
spec:
  serviceAccountName: orders
  roleARN: arn:aws:iam::111122223333:role/team/shop-orders
  region: eu-west-1
  allowedExecutionRoleARNs: ['arn:aws:iam::111122223333:role/shop-exec']
---
apiVersion: stepbound.dev/v1alpha1
kind: Workflow
metadata: {name: fulfil, namespace: shop}
spec:
  trustBindingRef: {name: orders}
  stateMachineName: legacy-fulfil
  executionRoleARN: arn:aws:iam::111122223333:role/shop-exec
  definition: {StartAt: A, States: {A: {Type: Pass, End: true}}}
";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("binding.yaml", MANIFEST);
        folder
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Exit code, standard output and standard error.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepbound"));
        let output = command.args(args).current_dir(self.0.path()).env_clear().output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    fn good(&self, args: &[&str]) -> String {
        let (code, out, error) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {error}");
        out
    }
}

#[test]
fn a_trust_policy_is_rendered_from_a_manifest_or_from_flags_alike() {
    let folder = Folder::new();
    let from_manifest = folder.good(&["trust", "render", "binding.yaml", "--issuer", ISSUER]);
    let role = "arn:aws:iam::111122223333:role/team/shop-orders";
    let from_flags = folder.good(&[
        "trust",
        "render",
        "--role-arn",
        role,
        "--issuer",
        ISSUER,
        "-n",
        "shop",
        "--service-account",
        "orders",
    ]);
    assert_eq!(from_manifest, from_flags);
    let policy: Value = serde_json::from_str(&from_manifest).unwrap();
    assert_eq!(
        policy["Statement"][0]["Condition"]["StringEquals"]["oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE:sub"],
        "system:serviceaccount:shop:orders"
    );
    let terraform = folder.good(&["trust", "render", "binding.yaml", "--issuer", ISSUER, "-o", "terraform"]);
    assert!(
        terraform.contains("resource \"aws_iam_openid_connect_provider\"") && terraform.contains(ISSUER),
        "{terraform}"
    );
    let template = folder.good(&["trust", "render", "binding.yaml", "--issuer", ISSUER, "-o", "cloudformation"]);
    let template: Value = serde_json::from_str(&template).unwrap();
    assert_eq!(template["Resources"]["Issuer1"]["Type"], "AWS::IAM::OIDCProvider");
    let (code, _, error) = folder.run(&["trust", "render", "binding.yaml"]);
    assert!(code == 2 && error.contains("--issuer"), "{error}");
}

#[test]
fn a_refusal_is_explained_from_get_role_and_the_exit_code_tells() {
    let folder = Folder::new();
    let policy = folder.good(&["trust", "render", "binding.yaml", "--issuer", ISSUER]);
    folder.write("good.json", &policy);
    let explain = ["trust", "explain", "--manifest", "binding.yaml", "--issuer", ISSUER, "--policy"];
    assert!(folder.good(&[&explain[..], &["good.json"]].concat()).contains("takes the token"));
    let wrong = policy.replace("shop:orders", "shop:order");
    let role = json!({"Role": {"Arn": "arn:aws:iam::111122223333:role/team/shop-orders",
        "AssumeRolePolicyDocument": serde_json::from_str::<Value>(&wrong).unwrap()}});
    folder.write("role.json", &role.to_string());
    let (code, out, error) = folder.run(&[&explain[..], &["role.json"]].concat());
    assert_eq!(code, 1);
    assert!(
        out.contains("sub system:serviceaccount:shop:orders") && out.contains("<- another service account"),
        "{out}"
    );
    assert!(error.contains("does not allow sts:AssumeRoleWithWebIdentity"), "{error}");

    let claims = json!({"iss": ISSUER, "sub": "system:serviceaccount:shop:orders", "aud": ["sts.amazonaws.com"]});
    folder.write("claims.json", &claims.to_string());
    let (code, out, _) =
        folder.run(&["trust", "explain", "--token-claims", "claims.json", "--policy", "role.json", "-o", "json"]);
    let view: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &view["verdict"], &view["decisive"]), (1, &json!("NotAllowed"), &json!(1)));
    folder.write("token", "eyJhbGciOiJSUzI1NiJ9.e30.x");
    let (code, _, error) = folder.run(&["trust", "explain", "--token-claims", "token", "--policy", "role.json"]);
    assert!(code == 2 && error.contains("a token is a credential") && !error.contains("eyJ"), "{error}");
}

#[test]
fn weak_policies_are_linted_offline_and_errors_fail() {
    let folder = Folder::new();
    let policy = folder.good(&["trust", "render", "binding.yaml", "--issuer", ISSUER]);
    folder.write("good.json", &policy);
    assert_eq!(folder.good(&["trust", "lint", "good.json"]), "nothing found\n");
    folder.write("wide.json", &policy.replace("StringEquals", "StringLike").replace("shop:orders", "*"));
    let (code, out, error) = folder.run(&["trust", "lint", "wide.json"]);
    assert!(code == 1 && out.contains("wide.json: statement 1: error[SubjectWildcard]"), "{out}{error}");
    assert!(error.contains("1 error, 1 warning"), "{error}");
    let pass =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}]});
    folder.write("pass.json", &pass.to_string());
    assert!(folder.good(&["trust", "lint", "pass.json"]).contains("warning[PassRoleTooBroad]"));
    assert_eq!(folder.run(&["trust", "lint", "pass.json", "--strict"]).0, 1);
    let found: Value = serde_json::from_str(&folder.good(&["trust", "lint", "pass.json", "-o", "json"])).unwrap();
    assert_eq!(found[0]["code"], "PassRoleTooBroad");
}

#[test]
fn what_a_binding_role_needs_is_printed_with_reasons_and_as_policies() {
    let folder = Folder::new();
    let text = folder.good(&["policy", "binding-role", "binding.yaml"]);
    assert!(
        text.contains("# start runs")
            && text.contains("stateMachine:legacy-fulfil")
            && text.contains("stateMachine:shop_*"),
        "{text}"
    );
    let policy = folder.good(&["policy", "binding-role", "binding.yaml", "-o", "json"]);
    folder.write("role-policy.json", &policy);
    assert_eq!(folder.good(&["trust", "lint", "role-policy.json"]), "nothing found\n");
    assert!(policy.contains("\"aws:ResourceTag/stepbound.dev/namespace\": \"shop\"") && !policy.contains("/cluster"));
    let of_cluster = ["policy", "binding-role", "binding.yaml", "-o", "json", "--cluster-id", "c1"];
    assert!(folder.good(&of_cluster).contains("\"aws:ResourceTag/stepbound.dev/cluster\": \"c1\""));
    let session = folder.good(&["policy", "binding-role", "binding.yaml", "-o", "session"]);
    let session: Value = serde_json::from_str(&session).unwrap();
    assert!(session["observe"].to_string().len() <= 1024, "{session:#}");
    assert!(session["run"]["fulfil"].to_string().contains("stateMachine:legacy-fulfil"), "{session:#}");
    assert!(session["write"]["fulfil"].to_string().contains("role/shop-exec"), "{session:#}");
    folder.write("odd.yaml", &MANIFEST.replace("stateMachineName: legacy-fulfil", "stateMachineName: 'a:*'"));
    assert!(folder.run(&["policy", "binding-role", "odd.yaml"]).2.contains("is no name of a state machine"));
}

/// Requirement 32 of docs/security.md: an end that is read from a log counts for just the execution that it names, and the log is read in a session that can read it alone.
#[test]
fn requirement_32_a_role_may_read_the_logs_of_workflows_that_say_so_and_no_others() {
    let folder = Folder::new();
    let group = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/vendedlogs/states/shop";
    let with = |results: &str, group: &str| {
        let logging = format!(
            "  type: Express\n  expressResults: {results}\n  logging: {{level: All, logGroupARN: '{group}:*'}}\n"
        );
        MANIFEST.replace("  stateMachineName: legacy-fulfil\n", &logging)
    };
    folder.write("logs.yaml", &with("FromLogs", group));
    let policy: Value =
        serde_json::from_str(&folder.good(&["policy", "binding-role", "logs.yaml", "-o", "json"])).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let logs = statements.iter().find(|one| one["Action"] == "logs:FilterLogEvents").unwrap();
    assert_eq!(logs["Resource"], serde_json::json!([group, format!("{group}:*")]));
    let session = folder.good(&["policy", "binding-role", "logs.yaml", "-o", "session"]);
    let session: Value = serde_json::from_str(&session).unwrap();
    assert_eq!(session["readLog"][format!("{group}:*")]["Statement"].as_array().unwrap().len(), 1, "{session:#}");
    assert!(!session["observe"].to_string().contains("logs:"), "{session:#}");
    folder.write("sent.yaml", &with("Dispatched", group));
    for output in ["json", "session", "text"] {
        assert!(!folder.good(&["policy", "binding-role", "sent.yaml", "-o", output]).contains("logs:"), "{output}");
    }
    folder.write("foreign.yaml", &with("FromLogs", &group.replace("111122223333", "444455556666")));
    let refused = folder.run(&["policy", "binding-role", "foreign.yaml"]).2;
    assert!(refused.contains("log group in the account and region of the TrustBinding"), "{refused}");
}

#[test]
fn what_holds_neither_policy_nor_binding_is_told_with_what_it_holds_and_what_is_wanted() {
    let folder = Folder::new();
    let workflow = MANIFEST.split("---").last().unwrap();
    let wanted = "give the manifest of apiVersion stepbound.dev/v1alpha1 and kind TrustBinding";
    for (name, text, held) in [
        ("workflow.yaml", workflow, "holds no TrustBinding, but Workflow fulfil (stepbound.dev/v1alpha1);"),
        ("service.yaml", "kind: Service\napiVersion: v1\n", "holds no TrustBinding, but a Service;"),
        (
            "argo.yaml",
            "kind: Workflow\napiVersion: argoproj.io/v1alpha1\nmetadata: {name: a}\nspec: {}\n",
            "but Workflow a (argoproj.io/v1alpha1);",
        ),
        (
            "list.yaml",
            "kind: TrustBindingList\napiVersion: stepbound.dev/v1alpha1\nitems: []\n",
            "holds no TrustBinding, but nothing at all;",
        ),
        ("definition.yaml", "StartAt: A\nStates: {A: {Type: Succeed}}\n", "holds no TrustBinding, but a definition;"),
        ("empty.yaml", "", "empty.yaml: is empty;"),
        ("plain.txt", "hello world\n", "holds no TrustBinding, but a text;"),
    ] {
        folder.write(name, text);
        for verb in [&["trust", "lint"][..], &["trust", "render"], &["policy", "binding-role"]] {
            let (code, _, error) = folder.run(&[verb, &[name]].concat());
            assert!(code != 0 && error.contains(held) && error.contains(wanted), "{verb:?} {name}: {code} {error}");
        }
    }
    for (name, text, held) in [
        (
            "definition.json",
            r#"{"StartAt": "A", "States": {}}"#,
            "is no policy, but an object with StartAt, States; wanted is a policy document with Statement",
        ),
        ("list.json", "[]", "is no policy, but no object; wanted"),
        ("object.json", "{}", "is no policy, but an empty object; wanted"),
    ] {
        folder.write(name, text);
        let (code, out, error) = folder.run(&["trust", "lint", name]);
        assert!(code == 2 && error.contains(held) && out.is_empty(), "{name}: {code} {error}");
    }
    let both =
        format!("kind: Workflow\napiVersion: argoproj.io/v1alpha1\nmetadata: {{name: a}}\nspec: {{}}\n---{MANIFEST}");
    folder.write("both.yaml", &both);
    assert_eq!(folder.good(&["trust", "lint", "both.yaml"]), "nothing found\n", "the other Workflow is none of ours");
}

#[test]
fn bindings_in_manifests_are_linted_as_the_operator_finds_them() {
    let folder = Folder::new();
    assert_eq!(folder.good(&["trust", "lint", "binding.yaml"]), "nothing found\n");
    let weak = MANIFEST.replace(
        "  allowedExecutionRoleARNs: ['arn:aws:iam::111122223333:role/shop-exec']\n",
        "  sessionDuration: 2h\n  identityProviderRef: {name: okta}\n",
    ) + "---\napiVersion: stepbound.dev/v1alpha1\nkind: IdentityProvider\nmetadata: {name: okta, namespace: shop}\nspec: {issuer: 'https://okta.example', clientAuthentication: {type: ClientSecret, clientID: a, secretKeyRef: {name: s, key: k}}}\n";
    folder.write("weak.yaml", &weak);
    let found = folder.good(&["trust", "lint", "weak.yaml"]);
    for code in ["LongLivedSecret", "PassRoleTooBroad", "SessionLongerThanNeeded"] {
        assert!(found.contains(&format!("weak.yaml: TrustBinding shop/orders: warning[{code}]")), "{code}: {found}");
    }
    assert_eq!(folder.run(&["trust", "lint", "weak.yaml", "--strict"]).0, 1);
    let open = MANIFEST.replace("  region: eu-west-1", "  region: eu-west-1\n  sessionPolicy: {Version: '2012-10-17', Statement: {Effect: Allow, Action: '*', Resource: '*'}}");
    folder.write("open.yaml", &open);
    let (code, out, _) = folder.run(&["trust", "lint", "open.yaml", "-o", "json"]);
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &found[0]["code"], &found[0]["subject"]),
        (1, &json!("ActionWildcard"), &json!("TrustBinding shop/orders"))
    );
    folder.write("chart.yaml", "{{- if .Values.x }}\na: [\n");
    assert!(folder.run(&["trust", "lint", "."]).1.contains("TrustBinding shop/orders"), "a folder");
}

#[test]
fn what_to_put_is_said_by_what_is_at_hand() {
    let folder = Folder::new();
    let role = "arn:aws:iam::111122223333:role/team/shop-orders";
    let statement = json!({"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"},
        "Condition": {"StringEquals": {"token.actions.githubusercontent.com:sub": "other"}}});
    folder.write("policy.json", &json!({"Version": "2012-10-17", "Statement": [statement]}).to_string());
    let claims = json!({"iss": "https://token.actions.githubusercontent.com", "sub": "repo:o/it's:ref:x", "aud": "sts.amazonaws.com"});
    folder.write("claims.json", &claims.to_string());
    let explain = ["trust", "explain", "--policy", "policy.json", "--role-arn", role];
    let (code, out, _) = folder.run(&[&explain[..], &["--token-claims", "claims.json"]].concat());
    let put = r"Fix: put the policy that `stepbound trust render --role-arn arn:aws:iam::111122223333:role/team/shop-orders --issuer 'https://token.actions.githubusercontent.com' --subject 'repo:o/it'\''s:ref:x' --audience 'sts.amazonaws.com'` prints on the role";
    assert!(code == 1 && out.contains(put) && !out.contains(".status"), "{out}");
    let subject = ["--subject", "repo:o/it's:ref:x", "--audience", "sts.amazonaws.com"];
    let issuer = ["--issuer", "https://token.actions.githubusercontent.com"];
    let rendered = folder.good(&[&["trust", "render", "--role-arn", role], &issuer[..], &subject].concat());
    folder.write("policy.json", &rendered);
    folder.good(&[&explain[..], &["--token-claims", "claims.json"]].concat());
    folder.write("policy.json", &json!({"Version": "2012-10-17", "Statement": []}).to_string());
    let (_, out, _) = folder.run(&[&explain[..4], &["--manifest", "binding.yaml", "--issuer", ISSUER]].concat());
    assert!(!out.contains("trust render"), "{out}");
}

/// The trust of a binding does not depend on its Workflows, and what its role needs does.
#[test]
fn a_workflow_that_does_not_fit_is_told_and_keeps_nobody_from_its_binding() {
    let folder = Folder::new();
    let broken = MANIFEST.replace("  definition: {StartAt", "  maxConcurrentRuns: many\n  definition: {StartAt");
    folder.write("broken.yaml", &broken);
    let (code, out, error) = folder.run(&["trust", "lint", "broken.yaml"]);
    assert!(code == 0 && out == "nothing found\n", "{code} {out} {error}");
    assert!(error.contains("not looked at: Workflow \"fulfil\"") && error.contains("`stepbound lint`"), "{error}");
    folder.good(&["trust", "render", "broken.yaml", "--issuer", ISSUER]);
    for output in ["text", "json", "session"] {
        let (code, out, error) = folder.run(&["policy", "binding-role", "broken.yaml", "-o", output]);
        assert!(code == 2 && out.is_empty() && error.contains("Workflow \"fulfil\""), "{code} {out} {error}");
    }
}

#[test]
fn a_binding_that_the_operator_refuses_is_an_error_here_too() {
    let folder = Folder::new();
    let of = |more: &str| MANIFEST.replace("  region: eu-west-1", more);
    let policy = |statement: &str| {
        of(&format!("  region: eu-west-1\n  sessionPolicy: {{Version: '2012-10-17', Statement: {statement}}}"))
    };
    for (manifest, found) in [
        (policy("[]"), "error[SessionPolicyInvalid]: spec.sessionPolicy has no statement"),
        (policy("[{Effect: Perhaps}]"), "error[SessionPolicyInvalid]: spec.sessionPolicy is no policy: Statement 1"),
        (
            of("  region: eu-west-1\n  sessionPolicy: Derive"),
            "error[SessionPolicyInvalid]: spec.sessionPolicy is \"Derive\"",
        ),
        (of("  region: cn-north-1"), "error[RegionOfAnotherPartition]"),
    ] {
        folder.write("refused.yaml", &manifest);
        let (code, out, error) = folder.run(&["trust", "lint", "refused.yaml"]);
        assert!(code == 1 && out.contains(found), "{found}: {code} {out} {error}");
    }
    folder.write("empty.json", r#"{"Version": "2012-10-17", "Statement": []}"#);
    let (code, out, _) = folder.run(&["trust", "lint", "empty.json"]);
    assert!(code == 1 && out.contains("empty.json: policy: error[StatementMissing]"), "{out}");
}

#[test]
fn each_binding_of_a_folder_is_explained_by_the_policy_of_its_role() {
    let folder = Folder::new();
    let more = MANIFEST.split("---").nth(1).unwrap();
    let other = more.replace("name: orders,", "name: stock,").replace("shop-orders", "shop-stock");
    let third = more.replace("name: orders,", "name: third,").replace("shop-orders", "shop-third");
    folder.write("more.yaml", &format!("{other}---{third}"));
    let of_role = |name: &str, policy: &str| {
        let role = json!({"Role": {"Arn": format!("arn:aws:iam::111122223333:role/team/{name}"),
            "AssumeRolePolicyDocument": serde_json::from_str::<Value>(policy).unwrap()}});
        folder.write(&format!("{name}.json"), &role.to_string());
    };
    let policy = folder.good(&["trust", "render", "binding.yaml", "--issuer", ISSUER]);
    of_role("shop-orders", &policy);
    of_role("shop-stock", &policy.replace("shop:orders", "shop:order"));
    let explain = ["trust", "explain", "--manifest", ".", "--issuer", ISSUER, "--policy", "."];
    let (code, out, error) = folder.run(&explain);
    assert_eq!(code, 1, "{error}");
    let (orders, rest) = out.split_once("## TrustBinding shop/stock").unwrap();
    assert!(orders.starts_with("## TrustBinding shop/orders") && orders.contains("takes the token"), "{out}");
    assert!(rest.contains("<- another service account"), "{out}");
    assert!(rest.contains("aws iam get-role --role-name shop-third"), "{out}");
    assert!(error.contains("do not allow TrustBinding shop/stock"), "{error}");
    let (code, out, _) = folder.run(&[&explain[..], &["--binding", "orders"]].concat());
    assert!(code == 0 && out.contains("takes the token"), "{out}");
    of_role("shop-stock", &policy);
    let (code, out, error) = folder.run(&[&explain[..], &["-o", "json"]].concat());
    let view: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(view.as_array().unwrap().len(), 3);
    assert!(code == 2 && error.contains("not explained: TrustBinding shop/third"), "{error}");
    of_role("shop-third", &policy);
    folder.good(&explain);
}

#[test]
fn a_policy_that_is_none_is_told_as_what_it_is() {
    let folder = Folder::new();
    folder.write("empty.json", "");
    let explain = ["trust", "explain", "--manifest", "binding.yaml", "--issuer", ISSUER, "--policy"];
    let (code, _, error) = folder.run(&[&explain[..], &["empty.json"]].concat());
    assert!(code == 2 && error.contains("empty.json: is empty; give the role's trust policy"), "{error}");
    std::fs::create_dir(folder.0.path().join("none")).unwrap();
    for verb in [&["trust", "lint"][..], &["trust", "render"], &["policy", "binding-role"]] {
        let (code, _, error) = folder.run(&[verb, &["none"]].concat());
        assert!(code == 2 && error.contains("none: has no .yaml, .yml or .json file; give the manifest"), "{error}");
    }
}
