//! The test bed: a real control plane, the emulator behind our front, and the operator under the chart's own account.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, dead_code)]

pub mod browser;
pub mod control_plane;
pub mod front;
pub mod issuers;
pub mod keycloak;
pub mod kubelet;
pub mod ministack;
pub mod nodes;
pub mod page;
pub mod processes;
pub mod schemas;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use control_plane::{ControlPlane, binaries, run};
use front::Front;
use ministack::{ACCOUNT, Ministack};
use processes::{Process, free_port, wait_until};
use serde_json::{Value, json};

pub const REGION: &str = "eu-west-1";
pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/stepbound");
pub const DEFINITIONS_CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/stepbound-crds");

/// Ended in this order.
pub struct TestBed {
    pub front: Front,
    pub control_plane: ControlPlane,
    pub aws: Ministack,
    pub binaries: PathBuf,
    pub folder: PathBuf,
    definitions: OnceLock<()>,
}

/// One test bed for all tests of a binary; each test has a namespace of its own.
pub fn test_bed() -> &'static TestBed {
    static SHARED: OnceLock<TestBed> = OnceLock::new();
    SHARED.get_or_init(TestBed::start)
}

impl TestBed {
    fn start() -> Self {
        remove_left_over();
        Self::start_in(std::env::temp_dir().join(format!("stepbound-{}", std::process::id())), &[])
    }

    /// A test bed of its own, for what concerns a whole cluster. Its processes end with this one.
    pub fn separate(name: &str) -> &'static Self {
        Self::separate_with(name, &[])
    }

    /// The same with more flags of its API server.
    pub fn separate_with(name: &str, api_server: &[String]) -> &'static Self {
        let shared = std::env::temp_dir().join(format!("stepbound-{}", std::process::id()));
        Box::leak(Box::new(Self::start_in(shared.join(name), api_server)))
    }

    fn start_in(folder: PathBuf, api_server: &[String]) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        // Clients of reqwest are built without a provider of their own. Another test bed of this process may have set it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let binaries = binaries();
        let python = ministack::python(&binaries);
        let aws = Ministack::start(&folder, &python);
        let control_plane = ControlPlane::start_with(&folder, &python, api_server);
        let jwks = serde_json::from_str(&control_plane.kubectl(&["get", "--raw", "/openid/v1/jwks"])).unwrap();
        let front = Front::start(&aws.url, &control_plane.issuer, &jwks);
        let provider = [
            ("Url", control_plane.issuer.as_str()),
            ("ClientIDList.member.1", "sts.amazonaws.com"),
            // For tokens that log in to identity pools.
            ("ClientIDList.member.2", "https://cognito-identity.amazonaws.com"),
        ];
        aws.iam("CreateOpenIDConnectProvider", &provider);
        Self { front, control_plane, aws, binaries, folder, definitions: OnceLock::new() }
    }

    /// A namespace with a service account that consents, a role that trusts it, and an execution role.
    pub fn tenant(&'static self, name: &str) -> Tenant {
        let tenant = self.tenant_without_operator(name);
        tenant.install();
        tenant
    }

    /// The same with more settings of the operator in the chart's values.
    pub fn tenant_with(&'static self, name: &str, operator: &Value) -> Tenant {
        let tenant = self.tenant_without_operator(name);
        tenant.install_for(&[name], operator);
        tenant
    }

    /// The same without an installation of the chart.
    pub fn tenant_without_operator(&'static self, name: &str) -> Tenant {
        self.control_plane.kubectl(&["create", "namespace", name]);
        let tenant = self.account_for(name);
        tenant.apply(&json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "orders", "annotations": {"eks.amazonaws.com/role-arn": tenant.role_arn()}},
        }));
        tenant
    }

    /// Runs real Helm as the cluster's administrator.
    pub fn helm(&self, args: &[&str], input: Option<&str>) -> Result<String, String> {
        let mut helm = Command::new(self.binaries.join("helm"));
        helm.env("KUBECONFIG", &self.control_plane.admin).env("HELM_CACHE_HOME", self.folder.join("helm"));
        run(helm.args(args), input)
    }

    /// Installs the chart of the definitions once into this test bed.
    pub fn install_definitions(&self) {
        self.definitions.get_or_init(|| self.install_definitions_of_its_own());
    }

    /// Installs the chart of the definitions.
    pub fn install_definitions_of_its_own(&self) {
        let place = ["-n", "stepbound-crds", "--create-namespace", "--wait"];
        self.helm(&[&["install", "stepbound-crds", DEFINITIONS_CHART], &place[..]].concat(), None).unwrap();
    }

    /// The API server reads the schemas of new definitions every five seconds, and until then refuses an object that a
    /// mutating policy matches (`Resource kind … not found`, 503), whatever the policy's failure policy. It knows each kind
    /// at a time of its own.
    pub fn wait_for_admission(&self, namespace: &str) {
        let run = workflow_run("probe", "probe", &json!({})).to_string();
        let workflow = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "probe"},
            "spec": {"trustBindingRef": {"name": "probe"}, "definition": waiting(0),
                "executionRoleARN": format!("arn:aws:iam::{ACCOUNT}:role/probe")}});
        let command = ["-n", namespace, "create", "--dry-run=server", "-o", "json", "-f", "-"];
        // A policy that was just installed works a moment later; until then an object is admitted without its stamp.
        let stamp = format!("{namespace}-system-stepbound-attribution-stamp");
        let binding = ["get", "mutatingadmissionpolicybinding", &stamp];
        let stamps = self.control_plane.try_kubectl(&binding, None).is_ok();
        let schedule = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowSchedule", "metadata": {"name": "probe"},
            "spec": {"schedule": "@yearly", "runTemplate": {"spec": {"workflowRef": {"name": "probe"}}}}});
        self.wait_for_policies(namespace);
        let history = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "ExecutionHistory", "metadata": {"name": "probe"},
            "spec": {"workflowRunRef": {"name": "probe"}}});
        let objects = [
            (run, stamps),
            (workflow.to_string(), false),
            (schedule.to_string(), stamps),
            (history.to_string(), stamps),
        ];
        for (object, stamped) in objects {
            let admits = || {
                let admitted = self.control_plane.try_kubectl(&command, Some(&object)).ok()?;
                (!stamped || admitted.contains("stepbound.dev/requested-by")).then_some(())
            };
            // It knows the kind of a parameter up to half a minute after the kind came.
            wait_until(Duration::from_secs(120), "the API server admits our kinds", admits);
        }
    }

    /// Waits until the API server holds to the policies that were just installed. It reads them anew once a second, all at a
    /// time and in the order in which they came: once it holds to one that comes last, it holds to those before.
    fn wait_for_policies(&self, namespace: &str) {
        let name = format!("{namespace}-last");
        let (api, here) = ("admissionregistration.k8s.io/v1", json!({"kubernetes.io/metadata.name": namespace}));
        let policy = json!({"apiVersion": api, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": {
            "matchConstraints": {"namespaceSelector": {"matchLabels": here}, "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"], "resourceNames": [name]}]},
            "validations": [{"expression": "false", "message": "policies are held to"}]}});
        let binding = json!({"apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]}});
        self.control_plane.apply(&policy.to_string());
        self.control_plane.apply(&binding.to_string());
        let probe = ["-n", namespace, "create", "configmap", &name, "--dry-run=server"];
        wait_until(Duration::from_secs(60), "the API server holds to its policies", || {
            self.control_plane.try_kubectl(&probe, None).err()?.contains("policies are held to").then_some(())
        });
        let both = [&format!("validatingadmissionpolicybinding/{name}"), &format!("validatingadmissionpolicy/{name}")];
        self.control_plane.kubectl(&["delete", "--wait=false", both[0], both[1]]);
    }

    /// True where the API server has `MutatingAdmissionPolicy` (1.36): it stamps who asked for what.
    pub fn stamps(&self) -> bool {
        let kinds = ["api-resources", "--api-group=admissionregistration.k8s.io", "-o", "name"];
        self.control_plane.kubectl(&kinds).contains("mutatingadmissionpolicies")
    }

    /// Removes the files. The processes end with this one: a static is never dropped.
    pub fn stop(&self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    /// What the tenant needs in the AWS account, and a namespace for the operator.
    pub fn account_for(&'static self, name: &str) -> Tenant {
        let (role, execution_role) = (format!("{name}-binding"), format!("{name}-exec"));
        let issuer = self.control_plane.issuer.trim_start_matches("https://");
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}")},
            "Condition": {"StringEquals": {
                format!("{issuer}:sub"): format!("system:serviceaccount:{name}:orders"),
                format!("{issuer}:aud"): "sts.amazonaws.com",
            }},
        }]});
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "states:*", "Resource": [
                format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}*"),
                format!("arn:aws:states:{REGION}:{ACCOUNT}:execution:{name}*"),
                format!("arn:aws:states:{REGION}:{ACCOUNT}:mapRun:{name}*"),
                format!("arn:aws:states:{REGION}:{ACCOUNT}:activity:{name}*"),
            ]},
            {"Effect": "Allow", "Action": "states:ValidateStateMachineDefinition", "Resource": "*"},
            {"Effect": "Allow", "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage"],
                "Resource": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}-events")},
            {"Effect": "Allow", "Action": ["kms:DescribeKey", "kms:GenerateDataKey", "kms:Decrypt"],
                "Resource": format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/*")},
            {"Effect": "Allow", "Action": "cloudwatch:DescribeAlarms", "Resource": format!("arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}*")},
            {"Effect": "Allow", "Action": "logs:FilterLogEvents", "Resource": format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/vendedlogs/states/{name}*")},
            {"Effect": "Allow", "Action": "iam:PassRole", "Resource": format!("arn:aws:iam::{ACCOUNT}:role/{execution_role}")},
        ]});
        let states = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "states.amazonaws.com"}}]});
        self.aws.create_role(&role, &trust, Some(&policy));
        let invoke = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "lambda:InvokeFunction",
            "Resource": format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:*")}]});
        self.aws.create_role(&execution_role, &states, Some(&invoke));
        let tenant = Tenant { bed: self, name: name.to_owned(), system: format!("{name}-system") };
        self.control_plane.kubectl(&["create", "namespace", &tenant.system]);
        tenant
    }
}

/// Removes the folders of test beds whose process has ended.
fn remove_left_over() {
    for entry in std::fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let process = name.strip_prefix("stepbound-").and_then(|id| id.parse::<u32>().ok());
        if process.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// One namespace and an installation of the chart that watches it alone.
pub struct Tenant {
    pub bed: &'static TestBed,
    pub name: String,
    pub system: String,
}

impl Tenant {
    pub fn role_arn(&self) -> String {
        format!("arn:aws:iam::{ACCOUNT}:role/{}-binding", self.name)
    }

    pub fn execution_role_arn(&self) -> String {
        format!("arn:aws:iam::{ACCOUNT}:role/{}-exec", self.name)
    }

    pub fn machine_arn(&self, workflow: &str) -> String {
        format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{}_{workflow}", self.name)
    }

    /// Installs the chart with real Helm, and before the first one the definitions, which are the cluster's.
    pub fn install(&self) {
        self.install_for(&[self.name.as_str()], &json!({}));
    }

    /// The same for several namespaces, with more settings of the operator.
    pub fn install_for(&self, namespaces: &[&str], operator: &Value) {
        self.bed.install_definitions();
        let mut values = Self::values_for(namespaces);
        values["operator"].as_object_mut().unwrap().extend(operator.as_object().unwrap().clone());
        let values = values.to_string();
        self.bed.helm(&["install", "stepbound", CHART, "-n", &self.system, "-f", "-"], Some(&values)).unwrap();
        self.bed.wait_for_admission(&self.name);
    }

    /// The chart's values with which this tenant's operator is installed.
    pub fn values(&self) -> Value {
        Self::values_for(&[self.name.as_str()])
    }

    fn values_for(namespaces: &[&str]) -> Value {
        let grant = |name: &&str| json!({"namespace": name, "serviceAccounts": ["orders"]});
        let grants: Vec<Value> = namespaces.iter().map(grant).collect();
        json!({"operator": {"watchNamespaces": namespaces, "clusterID": "test"}, "tokens": {"grants": grants}})
    }

    /// Sets the chart's value `outputs.configMaps`.
    pub fn let_outputs_be_stored(&self) {
        let set = ["--reuse-values", "--set", "outputs.configMaps=true"];
        self.bed.helm(&[&["upgrade", "stepbound", CHART, "-n", &self.system], &set[..]].concat(), None).unwrap();
    }

    /// Starts the operator with the token of the chart's own account.
    pub fn operator(&self, binary: &Path, environment: &[(&str, &str)]) -> Process {
        self.operator_on(free_port(), binary, environment)
    }

    /// The same, with health and metrics on a known port.
    pub fn operator_on(&self, port: u16, binary: &Path, environment: &[(&str, &str)]) -> Process {
        self.operator_for(&[self.name.as_str()], port, binary, environment)
    }

    /// The same for several namespaces.
    pub fn operator_for(&self, namespaces: &[&str], port: u16, binary: &Path, environment: &[(&str, &str)]) -> Process {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let kubeconfig = self.bed.control_plane.kubeconfig_of(&self.system, "stepbound");
        let mut command = Command::new(binary);
        // As the chart's Deployment sets it.
        command.env("MALLOC_ARENA_MAX", "1");
        command.arg("operator").env("KUBECONFIG", kubeconfig).envs(environment.iter().copied()).args([
            "--insecure-endpoints",
            "--cluster-id=test",
            &format!("--sts-endpoint-url={}", self.bed.front.url),
            &format!("--sfn-endpoint-url={}", self.bed.front.url),
            &format!("--iam-endpoint-url={}", self.bed.front.url),
            &format!("--cognito-identity-endpoint-url={}", self.bed.front.url),
            &format!("--cloudwatch-endpoint-url={}", self.bed.front.url),
            &format!("--logs-endpoint-url={}", self.bed.front.url),
            &format!("--sqs-endpoint-url={}", self.bed.front.url),
            &format!("--watch-namespace={}", namespaces.join(",")),
            &format!("--admission-policy-prefix={}-stepbound", self.system),
            &format!("--lease-namespace={}", self.system),
            &format!("--http-addr=127.0.0.1:{port}"),
        ]);
        if !environment.iter().any(|(name, _)| *name == "STEPBOUND_METRICS_ADDR") {
            command.arg("--insecure-metrics");
        }
        Process::start(&self.bed.folder, &format!("{}-operator-{count}", self.name), &mut command)
    }

    pub fn kubectl(&self, args: &[&str]) -> String {
        self.bed.control_plane.kubectl(&[&["-n", &self.name], args].concat())
    }

    pub fn apply(&self, object: &Value) {
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(self.name);
        self.bed.control_plane.apply(&object.to_string());
    }

    pub fn try_apply(&self, object: &Value) -> Result<String, String> {
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(self.name);
        self.bed.control_plane.try_kubectl(&["apply", "--server-side", "-f", "-"], Some(&object.to_string()))
    }

    pub fn get(&self, resource: &str) -> Option<Value> {
        let text = self.bed.control_plane.try_kubectl(&["-n", &self.name, "get", resource, "-o", "json"], None).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Waits until a condition has the status and reason; panics with the object and the operator's last words.
    pub fn wait_for(&self, operator: &Process, resource: &str, kind: &str, status: &str, reason: &str) -> Value {
        let what = format!("{kind}={status}/{reason}");
        self.wait_for_object(operator, resource, &what, Duration::from_secs(90), |object| {
            condition(object, kind)
                .is_some_and(|condition| condition["status"] == status && condition["reason"] == reason)
        })
    }

    /// Waits until an object is as it should be; panics with the object and the operator's last words.
    pub fn wait_for_object(
        &self,
        operator: &Process,
        resource: &str,
        what: &str,
        longest: Duration,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until(longest, resource, || {
                last = self.get(resource)?;
                is_so(&last).then(|| last.clone())
            })
        }));
        found.unwrap_or_else(|_| {
            let log = operator.log_text();
            let tail: Vec<&str> = log.lines().rev().take(25).collect();
            panic!("{resource} has no {what}:\n{last:#}\n{}", tail.join("\n"))
        })
    }

    /// Deletes every object of ours; panics with what is left and the operator's last words.
    pub fn delete_all(&self, operator: &Process) {
        let command = ["-n", &self.name, "delete", "tb,sfn,sfnrun", "--all", "--timeout=60s"];
        if let Err(error) = self.bed.control_plane.try_kubectl(&command, None) {
            let left = self.kubectl(&["get", "tb,sfn,sfnrun", "-o", "yaml"]);
            let log = operator.log_text();
            let tail: Vec<&str> = log.lines().rev().take(25).collect();
            panic!("{error}\n{left}\n{}", tail.join("\n"));
        }
    }

    pub fn binding(&self, name: &str) -> Value {
        json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "TrustBinding", "metadata": {"name": name},
            "spec": {"serviceAccountName": "orders", "roleARN": self.role_arn(), "region": REGION}})
    }

    pub fn workflow(&self, name: &str, definition: &Value) -> Value {
        json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": name}, "spec": {
            "trustBindingRef": {"name": "orders"}, "executionRoleARN": self.execution_role_arn(), "definition": definition}})
    }
}

pub fn workflow_run(name: &str, workflow: &str, more: &Value) -> Value {
    let mut spec = json!({"workflowRef": {"name": workflow}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"name": name}, "spec": spec})
}

pub fn condition(object: &Value, kind: &str) -> Option<Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind).cloned()
}

/// A definition that passes its input on after some seconds.
pub fn waiting(seconds: u32) -> Value {
    json!({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": seconds, "Next": "Done"}, "Done": {"Type": "Pass", "End": true}}})
}
