//! One Task: which integration it is, and what all of them have in common.

use super::payload::{Field, Payload};
use super::walk::Found;
use super::{Derived, Finding, Need, Reason, Surroundings, TargetRole};
use super::{analytics, bedrock, compute, data, elastic_map_reduce, http, machine_learning, messaging, sdk, template};
use crate::asl::model::{Arn, Pattern, Resource, Target};
use crate::iam::document::{Conditions, Document, Matcher, Principals, Statement};
use crate::integrations::{self, Call, NotFound, Way};

/// What is being derived for one state.
pub(super) struct Task<'a> {
    pub(super) name: &'a str,
    pub(super) path: String,
    pub(super) payload: Payload<'a>,
    pub(super) pattern: Pattern,
    /// True for an integration made for Step Functions, false for a call of the SDK that does the same.
    pub(super) is_optimised: bool,
    /// Where the state's calls go: the account is that of the role whose name they are made in.
    pub(super) here: Surroundings,
    why: String,
    /// True when the state's calls are made with the role of another account.
    elsewhere: bool,
    pub(super) needs: Vec<Need>,
    pub(super) findings: Vec<Finding>,
}

pub(super) fn derive(found: &Found<'_>, resource: Resource<'_>, here: &Surroundings, derived: &mut Derived) {
    let payload = Payload::of(found.state, found.jsonata);
    let mut task = Task::new(found, payload, here.clone());
    task.pattern = resource.pattern;
    let role = target_role(found, &mut task);
    if let Some(role) = &role {
        if let Some(arn) = Arn::parse(role) {
            arn.account.clone_into(&mut task.here.account);
        }
        task.elsewhere = true;
    }
    target(&mut task, resource);
    derived.findings.append(&mut task.findings);
    match role {
        None => derived.needs.append(&mut task.needs),
        Some(role) => assume(&task, role, here, derived),
    }
}

fn target(task: &mut Task<'_>, resource: Resource<'_>) {
    if let Some(message) = template::told("its Resource", resource.text) {
        return task.missing(message);
    }
    let pattern = match resource.pattern {
        Pattern::RequestResponse => "request-response",
        waiting => waiting.suffix(),
    };
    match resource.target {
        Target::Activity(_) => {}
        Target::Lambda(arn) => {
            task.why = format!("Lambda, {pattern}");
            compute::function(task, &arn.to_string());
        }
        Target::Sdk { service, action } => {
            task.why = format!("AWS SDK {service}:{action}, {pattern}");
            integration(task, integrations::find(Way::Sdk, service, action));
        }
        Target::Optimised { service, action } => {
            // A function is the one thing that a Lambda or HTTP integration can call.
            let what =
                if action == "invoke" { title(service).to_owned() } else { format!("{} {action}", title(service)) };
            task.why = format!("{what}, {pattern}");
            task.is_optimised = true;
            integration(task, integrations::find(Way::Optimised, service, action));
        }
        Target::OtherArn(_) | Target::Unknown => task.missing(format!(
            "has the Resource \"{}\", which is nothing that Step Functions can call; correct it",
            resource.text
        )),
    }
}

/// What the table of integrations knows.
fn integration(task: &mut Task<'_>, found: Result<Call, NotFound>) {
    match found {
        Ok(Call::Sdk(operation)) => sdk::derive(task, &operation),
        Ok(Call::Optimised(integration)) => {
            let known = optimised(task, integration.service, integration.action);
            let twin = integration.twin.filter(|_| !known);
            if let Some(operation) = twin.and_then(|(service, name)| integrations::sdk::operation(service, name).ok()) {
                sdk::derive(task, &operation);
            }
        }
        Err(error) => {
            let other = "for other operations write arn:aws:states:::aws-sdk:<service>:<operation>";
            let day = integrations::date();
            task.missing(format!("calls what is no integration known on {day}: {error}; correct it, or add what it needs by hand; {other}"));
        }
    }
}

/// False where nothing is known beside the table.
pub(super) fn optimised(task: &mut Task<'_>, service: &str, action: &str) -> bool {
    match service {
        "lambda" => compute::lambda(task, action),
        "states" => compute::nested(task, action),
        "ecs" => compute::ecs(task, action),
        "batch" => compute::batch(task, action),
        "codebuild" => compute::codebuild(task, action),
        "eks" => compute::eks(task, action),
        "dynamodb" => data::dynamodb(task, action),
        "glue" => data::glue(task, action),
        "databrew" => data::databrew(task, action),
        "mediaconvert" => data::mediaconvert(task, action),
        "athena" => analytics::athena(task, action),
        "elasticmapreduce" => elastic_map_reduce::clusters(task, action),
        "emr-containers" => elastic_map_reduce::containers(task, action),
        "emr-serverless" => elastic_map_reduce::serverless(task, action),
        "sagemaker" => machine_learning::sagemaker(task, action),
        "bedrock" => bedrock::derive(task, action),
        "sns" => messaging::sns(task, action),
        "sqs" => messaging::sqs(task, action),
        "events" => messaging::events(task, action),
        "apigateway" => http::api_gateway(task, action),
        "http" => http::endpoint(task, action),
        _ => false,
    }
}

/// The service's name as its documentation has it.
fn title(service: &str) -> &str {
    match service {
        "lambda" => "Lambda",
        "states" => "Step Functions",
        "ecs" => "ECS",
        "batch" => "Batch",
        "codebuild" => "CodeBuild",
        "eks" => "EKS",
        "dynamodb" => "DynamoDB",
        "glue" => "Glue",
        "databrew" => "Glue DataBrew",
        "mediaconvert" => "MediaConvert",
        "athena" => "Athena",
        "elasticmapreduce" => "EMR",
        "emr-containers" => "EMR on EKS",
        "emr-serverless" => "EMR Serverless",
        "sagemaker" => "SageMaker",
        "bedrock" => "Bedrock",
        "sns" => "SNS",
        "sqs" => "SQS",
        "events" => "EventBridge",
        "apigateway" => "API Gateway",
        "http" => "HTTP",
        other => other,
    }
}

/// The role of `Credentials`, in whose name the state calls.
fn target_role(found: &Found<'_>, task: &mut Task<'_>) -> Option<String> {
    let field = Payload::in_field(found.state, "Credentials", found.jsonata).get("RoleArn");
    match &field {
        Field::Absent => None,
        _ if field.text().is_some() => field.text(),
        _ => {
            let given = task.given("iam", "role/").first().cloned();
            if given.is_none() {
                task.open(&field, "the role that it assumes (Credentials.RoleArn)", "Credentials.RoleArn");
            }
            given
        }
    }
}

/// The execution role may assume the other role, which needs the permissions and must trust it (developer guide,
/// "Accessing resources in other AWS accounts").
fn assume(task: &Task<'_>, role: String, here: &Surroundings, derived: &mut Derived) {
    let why = format!("calls as {role}");
    let reason = Reason { state: task.name.to_owned(), path: task.path.clone(), why };
    derived.needs.push(Need {
        actions: vec!["sts:AssumeRole".into()],
        resources: vec![role.clone()],
        conditions: Conditions::new(),
        reason,
    });
    if let Some(known) = derived.targets.iter_mut().find(|target| target.role_arn == role) {
        known.needs.extend(task.needs.iter().cloned());
        return;
    }
    let trust = here.execution_role_arn.as_ref().map(|principal| trust(principal, here.state_machine_arn()));
    if trust.is_none() {
        derived.findings.push(Finding {
            state: task.name.to_owned(),
            path: task.path.clone(),
            message: format!(
                "role {role} must trust the execution role, which is not known here; give it with --execution-role ARN to see the trust policy"
            ),
            missing: false,
        });
    }
    derived.targets.push(TargetRole { role_arn: role, trust, needs: task.needs.clone() });
}

/// The other role trusts the execution role; the external id pins the machine.
fn trust(principal: &str, machine: Option<String>) -> Document {
    let mut statement = Statement::allow(["sts:AssumeRole"], Vec::<String>::new());
    statement.resources = None;
    let kinds = [("AWS".to_owned(), vec![principal.to_owned()])];
    statement.principal = Some(Matcher::Is(Principals::Of(kinds.into())));
    let pinned = machine.map(|arn| statement.clone().when("StringEquals", "sts:ExternalId", [arn]));
    Document::new(vec![pinned.unwrap_or(statement)])
}

impl<'a> Task<'a> {
    pub(super) fn new(found: &Found<'a>, payload: Payload<'a>, here: Surroundings) -> Self {
        Self {
            name: found.name,
            path: found.path.clone(),
            payload,
            pattern: Pattern::RequestResponse,
            is_optimised: false,
            here,
            why: String::new(),
            elsewhere: false,
            needs: Vec::new(),
            findings: Vec::new(),
        }
    }

    pub(super) fn because(&mut self, why: &str) {
        why.clone_into(&mut self.why);
    }

    pub(super) fn is_sync(&self) -> bool {
        self.pattern.is_sync()
    }

    /// Nothing is needed where no resource is known; that has been told as a finding.
    pub(super) fn need<R: Into<String>>(&mut self, actions: &[&str], resources: impl IntoIterator<Item = R>) {
        self.need_when(actions, resources, Conditions::new());
    }

    pub(super) fn need_when<R: Into<String>>(
        &mut self,
        actions: &[&str],
        resources: impl IntoIterator<Item = R>,
        conditions: Conditions,
    ) {
        let resources: Vec<String> = resources.into_iter().map(Into::into).collect();
        if resources.is_empty() {
            return;
        }
        let reason = Reason { state: self.name.to_owned(), path: self.path.clone(), why: self.why.clone() };
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        self.needs.push(Need { actions, resources, conditions, reason });
    }

    /// Permissions are missing because of this.
    pub(super) fn missing(&mut self, message: impl Into<String>) {
        self.find(&message.into(), true);
    }

    /// Permissions are wider than need be because of this, or something else is to be known.
    pub(super) fn note(&mut self, message: impl Into<String>) {
        self.find(&message.into(), false);
    }

    fn find(&mut self, message: &str, missing: bool) {
        let message = format!("state \"{}\" {message}", self.name);
        let finding = Finding { state: self.name.to_owned(), path: self.path.clone(), message, missing };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// A resource is not written out.
    pub(super) fn open(&mut self, field: &Field<'_>, what: &str, name: &str) {
        let flag = if self.name.contains(' ') { format!("'{}=ARN'", self.name) } else { format!("{}=ARN", self.name) };
        let of_template = field.text().and_then(|text| template::told(what, &text));
        self.missing(match field {
            _ if of_template.is_some() => of_template.unwrap_or_default(),
            Field::FromInput(expression) => {
                format!("takes {what} from the input ({expression}); give it with --resource {flag}")
            }
            _ => format!("does not say {what} ({name}); give it with --resource {flag}"),
        });
    }

    /// Resources given from outside for this state, of a service and kind.
    pub(super) fn given(&self, service: &str, kind: &str) -> Vec<String> {
        let given = self.here.resources.get(self.name).into_iter().flatten();
        let fits = |arn: &Arn<'_>| arn.service == service && arn.resource.starts_with(kind);
        given.filter(|arn| Arn::parse(arn).as_ref().is_some_and(fits)).cloned().collect()
    }

    /// The resource that a field names, by its ARN or by its name after `kind`. Where the field does not say it, what was
    /// given from outside; where nothing was given, a finding.
    pub(super) fn resource(&mut self, name: &str, service: &str, kind: &str, what: &str) -> Vec<String> {
        let field = self.payload.get(name);
        match field.text() {
            Some(arn) if arn.starts_with("arn:") => vec![arn],
            Some(text) => vec![self.here.arn(service, &format!("{kind}{text}"))],
            None => {
                let given = self.given(service, kind);
                if given.is_empty() {
                    self.open(&field, what, name);
                }
                given
            }
        }
    }

    /// The rule by which Step Functions learns that a job has ended. There is none where it polls in another account.
    pub(super) fn managed_rule(&mut self, rule: &str) {
        if self.is_sync() && !self.elsewhere {
            let arn = self.here.arn("events", &format!("rule/{rule}"));
            self.need(&["events:PutTargets", "events:PutRule", "events:DescribeRule"], [arn]);
        }
    }

    /// The role in a field is handed to a service.
    pub(super) fn pass_role(&mut self, name: &str, to: &str, what: &str) {
        let field = self.payload.get(name);
        let arn = match field.text() {
            Some(arn) if arn.starts_with("arn:") => vec![arn],
            Some(role) => {
                let Surroundings { partition, account, .. } = &self.here;
                vec![format!("arn:{partition}:iam::{account}:role/{role}")]
            }
            None => self.given("iam", "role/"),
        };
        if arn.is_empty() {
            return self.open(&field, what, name);
        }
        let conditions = Conditions::from([(
            "StringEquals".into(),
            [("iam:PassedToService".to_owned(), vec![to.to_owned()])].into(),
        )]);
        self.need_when(&["iam:PassRole"], arn, conditions);
    }

    /// The same where the field may be left out.
    pub(super) fn pass_role_if_named(&mut self, name: &str, to: &str, what: &str) {
        if !self.payload.get(name).is_absent() {
            self.pass_role(name, to, what);
        }
    }
}
