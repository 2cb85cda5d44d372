//! A tenant who wants more than theirs. Each attempt is made by a real user under RBAC on the real API server, is refused,
//! and the table that is printed says by which layer.

mod admission;
mod agreement;
mod aliases;
mod doors;
mod executions;
mod guardrails;
mod identity;
mod metrics;
mod policies;
mod spoofing;

use crate::admission::{may_edit, minting, using};
use crate::attempts::{Layer, Suite};
use crate::attribution::create_as;
use crate::guardrails::{guardrail, until_admission_says};
use crate::*;

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[field] = value;
    object
}

#[test]
fn a_hostile_tenant_gets_nowhere() {
    let victim = test_bed().tenant("victim");
    let victims_operator = start(&victim);
    victim.apply(&victim.binding("orders"));
    victim.apply(&victim.workflow("fulfil", &waiting(0)));
    victim.wait_for(&victims_operator, "sfn/fulfil", "Ready", "True", "Synced");
    let tenant = test_bed().tenant("hostile");
    let operator = start(&tenant);
    let maps = json!({"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["own"], "verbs": ["get"]});
    // Mallory delivers for this namespace and may bind its account `orders`, and may annotate accounts.
    let accounts = json!({"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get", "create", "patch"]});
    may_edit(&tenant, "mallory", &[minting("orders"), minting("greedy"), using("orders"), maps, accounts]);
    tenant.kubectl(&["create", "serviceaccount", "admin"]);
    tenant.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "greedy",
        "annotations": {"eks.amazonaws.com/role-arn": victim.role_arn()}}}));
    create_as(&tenant, "mallory", &tenant.binding("orders")).unwrap();
    // The run has to last as long as the attempts do.
    create_as(&tenant, "mallory", &tenant.workflow("fulfil", &waiting(3600))).unwrap();
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    create_as(&tenant, "mallory", &workflow_run("running", "fulfil", &json!({"input": {"a": 1}}))).unwrap();
    tenant.wait_for(&operator, "sfnrun/running", "Started", "True", "ExecutionStarted");
    let before = victim.bed.front.calls_about("victim_").len();

    let mut suite = Suite::new(&tenant, &operator);
    identity::attempts(&mut suite);
    other_namespaces(&mut suite);
    schemas(&mut suite, &victim);
    rules(&mut suite);
    admissions(&mut suite);
    admission::attempts(&mut suite);
    operators(&mut suite, &victim);
    guardrails::attempts(&mut suite);
    aliases::attempts(&mut suite);
    aws(&mut suite, &victim);
    metrics::metrics(&mut suite);
    executions::attempts(&mut suite);
    policies::attempts(&mut suite);
    spoofing::attempts(&mut suite);
    suite.print();
    assert!(suite.rows.len() >= 50);

    let touched: Vec<String> = victim
        .bed
        .front
        .calls_about("victim_")
        .into_iter()
        .skip(before)
        .filter(|call| call.status == 200 && call.session_name.starts_with("hostile"))
        .map(|call| call.operation)
        .collect();
    assert_eq!(touched, Vec::<String>::new(), "nothing of the victim's was reached");
    victim.wait_for(&victims_operator, "sfn/fulfil", "Ready", "True", "Synced");
}

fn other_namespaces(suite: &mut Suite<'_>) {
    use Layer::Rbac;
    let binding = suite.tenant.binding("theirs");
    let run = workflow_run("theirs", "fulfil", &json!({}));
    let create = ["-n", "victim", "create", "-f", "-"];
    suite.command(
        "a binding in the victim's namespace",
        &create,
        Some(&binding),
        Rbac,
        "cannot create resource \"trustbindings\"",
    );
    suite.command(
        "a run of the victim's Workflow",
        &create,
        Some(&run),
        Rbac,
        "cannot create resource \"workflowruns\"",
    );
    suite.command("reading the victim's runs", &["-n", "victim", "get", "sfnrun"], None, Rbac, "cannot list resource");
    suite.command(
        "a token of the victim's account",
        &["-n", "victim", "create", "token", "orders"],
        None,
        Rbac,
        "serviceaccounts/token",
    );
    suite.command(
        "consent for the victim's account",
        &["-n", "victim", "annotate", "sa", "orders", "a=b"],
        None,
        Rbac,
        "cannot get resource \"serviceaccounts\"",
    );
    let status = json!({"status": {"phase": "Succeeded", "executionARN": "arn:aws:states:eu-west-1:000000000000:execution:victim_fulfil:x"}}).to_string();
    let patch = ["-n", "hostile", "patch", "sfnrun/running", "--subresource=status", "--type=merge", "-p", &status];
    suite.command("a status that points to the victim's execution", &patch, None, Rbac, "workflowruns/status");
    let owned = ["-n", "hostile", "get", "secrets"];
    suite.command("reading Secrets", &owned, None, Rbac, "cannot list resource \"secrets\"");
    suite.command(
        "acting as the operator",
        &["get", "sfnrun", "-n", "victim", "--as=system:serviceaccount:victim-system:stepbound"],
        None,
        Rbac,
        "cannot impersonate",
    );
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "more"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory"}]});
    suite.object("granting oneself a role", &role, Rbac, "cannot create resource \"rolebindings\"");
    let policy = ["delete", "validatingadmissionpolicybinding", "hostile-system-stepbound-bindings"];
    suite.command("deleting an admission policy's binding", &policy, None, Rbac, "cannot delete resource");
    suite.command("deleting every Guardrail", &["delete", "guardrail", "--all"], None, Rbac, "resource \"guardrails\"");
}

fn schemas(suite: &mut Suite<'_>, victim: &Tenant) {
    use Layer::Schema;
    let binding = || suite_binding(suite.tenant);
    let long = "a".repeat(254);
    let cases = [
        (
            "an account of another namespace by a field",
            with(binding(), "/spec/serviceAccountNamespace", json!("victim")),
            "unknown field",
        ),
        (
            "an account of another namespace by its name",
            with(binding(), "/spec/serviceAccountName", json!("victim/orders")),
            "should match",
        ),
        (
            "an account by its user name",
            with(binding(), "/spec/serviceAccountName", json!("system:serviceaccount:victim:orders")),
            "should match",
        ),
        (
            "an account whose name looks alike (Cyrillic о)",
            with(binding(), "/spec/serviceAccountName", json!("оrders")),
            "should match",
        ),
        (
            "an account's name with a line break",
            with(binding(), "/spec/serviceAccountName", json!("orders\nadmin")),
            "should match",
        ),
        (
            "a wildcard role",
            with(binding(), "/spec/roleARN", json!("arn:aws:iam::000000000000:role/*")),
            "should match",
        ),
        ("a role of any account", with(binding(), "/spec/roleARN", json!("arn:aws:iam::*:role/admin")), "should match"),
        (
            "a user instead of a role",
            with(binding(), "/spec/roleARN", json!("arn:aws:iam::000000000000:user/root")),
            "should match",
        ),
        (
            "an assumed role's session",
            with(binding(), "/spec/roleARN", json!("arn:aws:sts::000000000000:assumed-role/a/b")),
            "should match",
        ),
        (
            "two roles in one ARN",
            with(binding(), "/spec/roleARN", json!(format!("{}\n{}", suite.tenant.role_arn(), victim.role_arn()))),
            "should match",
        ),
        ("a region that is a host", with(binding(), "/spec/region", json!("eu-west-1.evil.example")), "should match"),
        ("a region that is a path", with(binding(), "/spec/region", json!("eu-west-1/@evil.example#")), "should match"),
        (
            "an STS endpoint of one's own",
            with(binding(), "/spec/endpointURL", json!("https://evil.example")),
            "unknown field",
        ),
        ("an audience longer than any", with(binding(), "/spec/audience", json!(long.repeat(2))), "Too long"),
    ];
    for (what, object, words) in cases {
        suite.object(what, &object, Schema, words);
    }
    let workflow = suite.tenant.workflow("evil", &waiting(0));
    let name = with(workflow.clone(), "/spec/stateMachineName", json!("victim_fulfil:live"));
    suite.object("a state machine's name with a qualifier", &name, Schema, "should match");
    let role = with(workflow, "/spec/executionRoleARN", json!("arn:aws:iam::000000000000:role/victim-*"));
    suite.object("a wildcard execution role", &role, Schema, "should match");
    let run = |more: Value| workflow_run("evil", "fulfil", &more);
    let named = run(json!({"executionName": "../../victim_fulfil", "startDeadline": "2099-01-01T00:00:00Z"}));
    suite.object("an execution's name that is a path", &named, Schema, "should match");
    suite.object("a Workflow's name longer than any", &run(json!({"workflowRef": {"name": long}})), Schema, "Too long");
    suite.object(
        "a Workflow of another namespace",
        &run(json!({"workflowRef": {"name": "fulfil", "namespace": "victim"}})),
        Schema,
        "unknown field",
    );
}

fn suite_binding(tenant: &Tenant) -> Value {
    tenant.binding("evil")
}

fn rules(suite: &mut Suite<'_>) {
    use Layer::Cel;
    let binding = suite.tenant.binding("evil");
    let workflow = suite.tenant.workflow("evil", &waiting(0));
    suite.object(
        "the account that all pods share",
        &with(binding.clone(), "/spec/serviceAccountName", json!("default")),
        Cel,
        "'default' is shared",
    );
    suite.object(
        "a session of a day",
        &with(binding, "/spec/sessionDuration", json!("24h")),
        Cel,
        "between 15m and 12h",
    );
    let owner = json!({"stepbound.dev/owner": "test/victim/fulfil"});
    suite.object("a forged owner's mark", &with(workflow.clone(), "/spec/tags", owner), Cel, "tag keys must not start");
    suite.object(
        "a tag reserved for AWS, in capitals",
        &with(workflow, "/spec/tags", json!({"AWS:x": "y"})),
        Cel,
        "tag keys must not start",
    );
    let patch =
        |resource: &'static str, patch: &'static str| ["-n", "hostile", "patch", resource, "--type=merge", "-p", patch];
    let role = patch("tb/orders", r#"{"spec": {"roleARN": "arn:aws:iam::000000000000:role/victim-binding"}}"#);
    suite.command("another role for a binding that is proven", &role, None, Cel, "roleARN cannot be changed");
    let target = patch("sfnrun/running", r#"{"spec": {"workflowRef": {"name": "other"}}}"#);
    suite.command("another Workflow for a run", &target, None, Cel, "workflowRef cannot be changed");
}

fn admissions(suite: &mut Suite<'_>) {
    use Layer::Admission;
    let stronger = with(suite.tenant.binding("evil"), "/spec/serviceAccountName", json!("admin"));
    suite.object(
        "a stronger account of the namespace",
        &stronger,
        Admission,
        "may not create tokens of service account hostile/admin",
    );
    let input = json!({"inputFrom": {"configMapKeyRef": {"name": "others", "key": "k"}}});
    suite.object(
        "reading a ConfigMap through a run",
        &workflow_run("evil", "fulfil", &input),
        Admission,
        "may not read ConfigMap others",
    );
    let mut mapped = suite.tenant.workflow("evil", &waiting(0));
    mapped["spec"].as_object_mut().unwrap().remove("definition");
    let mapped =
        with(mapped, "/spec/definitionFrom", json!({"configMapKeyRef": {"name": "kube-root-ca.crt", "key": "ca.crt"}}));
    suite.object(
        "reading a ConfigMap through a definition",
        &mapped,
        Admission,
        "may not read ConfigMap kube-root-ca.crt",
    );
    let values = with(
        suite.tenant.workflow("evil", &waiting(0)),
        "/spec/substitutionsFrom",
        json!([{"configMapRef": {"name": "others"}}]),
    );
    suite.object("reading a ConfigMap through substitutions", &values, Admission, "may not read ConfigMap others");

    let forged = |key: &str| format!("stepbound.dev/{key}=admin");
    let annotate = |pair: &str| -> [String; 7] {
        ["-n", "hostile", "annotate", "--overwrite", "sfnrun", "running", pair].map(str::to_owned)
    };
    for key in ["requested-by", "cancel-requested-by", "redrive-requested-by"] {
        let command = annotate(&forged(key));
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        suite.command(
            &format!("a forged {key}"),
            &command,
            None,
            Admission,
            &format!("stepbound.dev/{key} is written by the API server"),
        );
    }
    let mut born = workflow_run("born-forged", "fulfil", &json!({}));
    born["metadata"]["annotations"] = json!({"stepbound.dev/requested-by": "admin"});
    if suite.tenant.bed.stamps() {
        let removed = annotate("stepbound.dev/requested-by-");
        let removed: Vec<&str> = removed.iter().map(String::as_str).collect();
        suite.command("taking one's own name away", &removed, None, Admission, "is written by the API server");
        create_as(suite.tenant, "mallory", &born).unwrap();
        let stamped = suite.tenant.get("sfnrun/born-forged").unwrap();
        assert_eq!(stamped["metadata"]["annotations"]["stepbound.dev/requested-by"], "mallory");
        suite.harmless("a run created in another's name", Admission, "overwritten with the name of who created it");
    } else {
        suite.object("a run created in another's name", &born, Admission, "is written by the API server");
    }
    let patch = |patch: &'static str| ["-n", "hostile", "patch", "sfnrun/running", "--type=merge", "-p", patch];
    suite.command(
        "taking the finalizer away, to orphan an execution",
        &patch(r#"{"metadata": {"finalizers": null}}"#),
        None,
        Admission,
        "is taken away by the operator",
    );
    suite.command(
        "another input for a run that has started",
        &patch(r#"{"spec": {"input": {"a": 2}}}"#),
        None,
        Admission,
        "spec.input cannot be changed",
    );

    guardrail(
        suite.tenant,
        "hostile",
        &json!({"allowedAccountIDs": ["000000000000"], "forbiddenIntegrations": ["lambda:*"]}),
    );
    let foreign =
        with(suite.tenant.binding("evil"), "/spec/roleARN", json!("arn:aws:iam::999999999999:role/hostile-binding"));
    until_admission_says(suite.tenant, &foreign, "Guardrail hostile");
    suite.object(
        "a role of an account that the platform does not allow",
        &foreign,
        Admission,
        "AWS account 999999999999 is not among",
    );
}

fn operators(suite: &mut Suite<'_>, victim: &Tenant) {
    use Layer::Operator;
    let tenant = suite.tenant;
    let binding = |name: &str| tenant.binding(name);
    let unasked = with(binding("unasked"), "/spec/roleARN", json!(tenant.execution_role_arn()));
    suite.condition(
        "a role to which the account does not consent",
        &unasked,
        (Operator, "Authorized", "ConsentMissing"),
        "does not say that it acts as",
    );
    let replay = with(binding("replay"), "/spec/audience", json!("https://kubernetes.default.svc.cluster.local"));
    suite.condition(
        "a token for the API server",
        &replay,
        (Operator, "Stalled", "AudienceNotAllowed"),
        "is not among those that the operator allows",
    );
    let far = json!({"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches": [{"StartAt": "T", "States": {"T": {
        "Type": "Task", "End": true, "Resource": "arn:aws:states:::aws-sdk:lambda:invoke", "Parameters": {"FunctionName": "f"}}}}]}}});
    suite.condition(
        "a forbidden integration deep in a definition",
        &tenant.workflow("deep", &far),
        (Operator, "Stalled", "RefusedByGuardrail"),
        "integration aws-sdk:lambda:invoke at /States/P/Branches/0/States/T",
    );
    let text = workflow_run("large", "fulfil", &json!({"input": "x".repeat(300_000)}));
    suite.object("a text as input, larger than AWS takes", &text, Layer::Admission, "longer than the 262,144 bytes");
    let large = json!({"input": ["x".repeat(300_000)]});
    suite.condition(
        "an input larger than AWS takes",
        &workflow_run("large", "fulfil", &large),
        (Operator, "Stalled", "InputTooLarge"),
        "AWS takes at most 262144",
    );

    let text = r#""}},"StartAt":"Evil","Evil":{"Type":"Task","Resource":"arn:aws:lambda:eu-west-1:000000000000:function:evil"}"#;
    let definition = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Comment": "${Text}", "End": true}}});
    let injected = with(tenant.workflow("injected", &definition), "/spec/substitutions", json!({"Text": text}));
    create_as(tenant, "mallory", &injected).unwrap();
    tenant.wait_for(suite.operator, "sfn/injected", "Ready", "True", "Synced");
    let machine = json!({"stateMachineArn": tenant.machine_arn("injected")});
    let described = tenant.bed.aws.states("DescribeStateMachine", &machine).unwrap();
    let submitted: Value = serde_json::from_str(described["definition"].as_str().unwrap()).unwrap();
    assert_eq!(submitted["States"].as_object().unwrap().len(), 1);
    assert_eq!(submitted["States"]["A"]["Comment"], text);
    suite.harmless(
        "states smuggled in through a substitution",
        Operator,
        "stands as text in the one string it was put into",
    );

    tenant.apply(
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "grab-output"}, "data": {"kept": "yes"}}),
    );
    create_as(tenant, "mallory", &tenant.workflow("quick", &waiting(0))).unwrap();
    tenant.wait_for(suite.operator, "sfn/quick", "Ready", "True", "Synced");
    tenant.let_outputs_be_stored();
    create_as(tenant, "mallory", &workflow_run("grab", "quick", &json!({"output": {"store": "ConfigMap"}}))).unwrap();
    tenant.wait_for(suite.operator, "sfnrun/grab", "OutputStored", "False", "ConfigMapExists");
    assert_eq!(tenant.get("configmap/grab-output").unwrap()["data"], json!({"kept": "yes"}));
    suite.harmless("overwriting a ConfigMap through an output", Operator, "ConfigMapExists: it was left alone");
    let foreign_role = with(
        tenant.workflow("foreign-role", &waiting(0)),
        "/spec/executionRoleARN",
        json!(victim.execution_role_arn().replace("000000000000", "999999999999")),
    );
    tenant.bed.control_plane.kubectl(&["delete", "guardrail", "hostile"]);
    std::thread::sleep(Duration::from_secs(2));
    suite.condition(
        "an execution role of another account",
        &foreign_role,
        (Operator, "Stalled", "ExecutionRoleForeign"),
        "is of account 999999999999",
    );
}

fn aws(suite: &mut Suite<'_>, victim: &Tenant) {
    use Layer::Aws;
    let tenant = suite.tenant;
    let mut greedy = tenant.binding("greedy");
    greedy["spec"]["serviceAccountName"] = json!("greedy");
    greedy["spec"]["roleARN"] = json!(victim.role_arn());
    let grant = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "greedy"}, "rules": [minting("greedy")]});
    tenant.apply(&grant);
    tenant.kubectl(&["create", "rolebinding", "greedy", "--role=greedy", "--serviceaccount=hostile-system:stepbound"]);
    suite.condition(
        "the victim's role, with an account that consents to it",
        &greedy,
        (Aws, "RoleAssumed", "AccessDenied"),
        "sts:AssumeRoleWithWebIdentity",
    );
    let passed =
        with(tenant.workflow("passed", &waiting(0)), "/spec/executionRoleARN", json!(victim.execution_role_arn()));
    suite.condition("the victim's execution role", &passed, (Aws, "Ready", "AccessDenied"), "");
    let taken = with(tenant.workflow("taken", &waiting(0)), "/spec/stateMachineName", json!("victim_fulfil"));
    let refused = (Layer::Operator, "Stalled", "NameNotAllowed");
    suite.condition("the victim's state machine, by its name", &taken, refused, "matches none of the names");
}
