//! What Stepbound itself calls as a binding's role: one table from operation to resource and to the sessions that may call
//! it. From it come the policy that the role needs, here, and the policies that limit sessions, in [`session`].
//!
//! Resources are those of the service authorization reference of Step Functions, IAM, SQS, CloudWatch, CloudWatch Logs and KMS.

pub mod session;
pub mod values;

use super::arn::Arn;
use super::document::{Document, Statement};
use crate::plan::workflow::{CLUSTER_TAG, NAMESPACE_TAG};
use values::{Key, NotAllowed};

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Seeing what there is, and stopping it.
    Observe,
    /// Deleting or letting go of what carries our mark.
    Clean,
    /// Reading the queue of execution events.
    Listen,
    /// Reading one log group.
    ReadLog,
    /// Reading trust policies.
    Inspect,
    /// Starting executions of one state machine.
    Run,
    /// Bringing one state machine or activity to its spec.
    Write,
}

/// What an operation is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// State machines, their versions and aliases.
    Machine,
    /// Executions.
    Execution,
    /// Map runs of distributed maps.
    MapRun,
    /// Activities.
    Activity,
    /// Everything: the operation knows no resource.
    Anything,
    /// Execution roles that are handed to Step Functions.
    ExecutionRole,
    /// The binding's own role and the execution roles.
    Role,
    /// The queue of execution events.
    Queue,
    /// CloudWatch alarms.
    Alarm,
    /// Log groups from which results are read.
    LogGroup,
    /// Keys that encrypt state machines.
    Key,
}

/// An operation that Stepbound calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The IAM action.
    pub action: &'static str,
    /// What it is on.
    pub on: On,
    /// Which sessions may call it.
    pub uses: &'static [Use],
    /// What it is for.
    pub why: &'static str,
}

const fn operation(action: &'static str, on: On, uses: &'static [Use], why: &'static str) -> Operation {
    Operation { action, on, uses, why }
}

const OBSERVE: &[Use] = &[Use::Observe];
const CLEAN: &[Use] = &[Use::Clean];
const CLEAN_AND_WRITE: &[Use] = &[Use::Clean, Use::Write];
const LISTEN: &[Use] = &[Use::Listen];
const READ_LOG: &[Use] = &[Use::ReadLog];
const INSPECT: &[Use] = &[Use::Inspect];
const RUN: &[Use] = &[Use::Run];
const OBSERVE_AND_RUN: &[Use] = &[Use::Observe, Use::Run];
const WRITE: &[Use] = &[Use::Write];
const RUN_AND_WRITE: &[Use] = &[Use::Run, Use::Write];
const ALL_OF_KEYS: &[Use] = &[Use::Observe, Use::Run, Use::Write];

/// Every operation, by what it is for. A test holds that each call of the adapters is here.
pub const OPERATIONS: &[Operation] = &[
    operation("states:CreateStateMachine", On::Machine, WRITE, "create state machines"),
    operation("states:DescribeStateMachine", On::Machine, OBSERVE, "see how state machines are"),
    operation("states:UpdateStateMachine", On::Machine, WRITE, "bring state machines to their spec"),
    operation("states:DeleteStateMachine", On::Machine, CLEAN, "delete state machines"),
    operation("states:PublishStateMachineVersion", On::Machine, WRITE, "publish versions"),
    operation("states:DeleteStateMachineVersion", On::Machine, WRITE, "prune versions"),
    operation("states:CreateStateMachineAlias", On::Machine, WRITE, "create aliases"),
    operation("states:DescribeStateMachineAlias", On::Machine, OBSERVE, "see where aliases route"),
    operation("states:UpdateStateMachineAlias", On::Machine, WRITE, "roll versions out"),
    operation("states:DeleteStateMachineAlias", On::Machine, WRITE, "delete aliases"),
    operation("states:ListTagsForResource", On::Machine, OBSERVE, "see whose a state machine is"),
    operation("states:TagResource", On::Machine, WRITE, "mark state machines as owned"),
    operation("states:UntagResource", On::Machine, CLEAN_AND_WRITE, "take tags away again"),
    operation("states:StartExecution", On::Machine, RUN, "start runs"),
    operation("states:StartSyncExecution", On::Machine, RUN, "start synchronous runs"),
    operation("states:ListExecutions", On::Machine, OBSERVE, "follow runs in batches"),
    operation("states:DescribeExecution", On::Execution, OBSERVE_AND_RUN, "follow runs"),
    operation("states:GetExecutionHistory", On::Execution, OBSERVE, "name the state that failed"),
    operation("states:StopExecution", On::Execution, OBSERVE, "cancel runs"),
    operation("states:RedriveExecution", On::Execution, RUN, "redrive runs"),
    operation("states:ListMapRuns", On::Execution, OBSERVE, "find map runs"),
    operation("states:DescribeMapRun", On::MapRun, OBSERVE, "follow distributed maps"),
    operation("states:CreateActivity", On::Activity, WRITE, "create activities"),
    operation("states:DescribeActivity", On::Activity, OBSERVE, "see whether an activity exists"),
    operation("states:DeleteActivity", On::Activity, CLEAN, "delete activities"),
    operation("states:ListTagsForResource", On::Activity, OBSERVE, "see whose an activity is"),
    operation("states:TagResource", On::Activity, WRITE, "mark activities as owned"),
    operation("states:UntagResource", On::Activity, CLEAN_AND_WRITE, "take tags away again"),
    operation("states:ValidateStateMachineDefinition", On::Anything, WRITE, "ask AWS what is wrong with a definition"),
    operation("iam:PassRole", On::ExecutionRole, WRITE, "give state machines their execution role"),
    operation("iam:GetRole", On::Role, INSPECT, "explain trust policies and report weak ones"),
    operation("sqs:ReceiveMessage", On::Queue, LISTEN, "hear of ended executions"),
    operation("sqs:DeleteMessage", On::Queue, LISTEN, "take what was heard off the queue"),
    operation("cloudwatch:DescribeAlarms", On::Alarm, WRITE, "roll back when an alarm goes off"),
    operation("logs:FilterLogEvents", On::LogGroup, READ_LOG, "read what became of Express runs"),
    operation("kms:DescribeKey", On::Key, WRITE, "encrypt state machines with a key of the account's"),
    operation("kms:GenerateDataKey", On::Key, RUN_AND_WRITE, "encrypt state machines with a key of the account's"),
    operation("kms:Decrypt", On::Key, ALL_OF_KEYS, "read encrypted definitions and executions"),
];

/// What a binding is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindingScope {
    /// The binding's role.
    pub role_arn: String,
    /// Its region.
    pub region: String,
    /// Its namespace, as owner tags name it.
    pub namespace: String,
    /// Id of the cluster, as owner tags name it; `None` where nobody knows it.
    pub cluster: Option<String>,
    /// Patterns of names of its state machines and activities, the default names first.
    pub names: Vec<String>,
    /// Execution roles that may be passed; empty means any of the account.
    pub execution_roles: Vec<String>,
    /// URL of the queue of execution events.
    pub queue_url: Option<String>,
    /// Whether rollouts look at alarms.
    pub alarms: bool,
    /// Log groups, by ARN, from which results are read.
    pub log_groups: Vec<String>,
    /// Keys that encrypt state machines.
    pub keys: Vec<Key>,
}

impl BindingScope {
    /// Partition and account of the role.
    pub fn location(&self) -> (&str, &str) {
        Arn::parse(&self.role_arn).map_or(("aws", ""), |arn| (arn.partition, arn.account))
    }

    fn states_arn(&self, kind: &str, rest: &str) -> String {
        let (partition, account) = self.location();
        format!("arn:{partition}:states:{}:{account}:{kind}:{rest}", self.region)
    }

    /// ARNs that an operation is on; empty where the binding needs none of them. A name that is none asks for nothing.
    fn resources(&self, on: On) -> Vec<String> {
        let (partition, account) = self.location();
        let names = || self.names.iter().filter_map(|name| values::names(name).ok());
        match on {
            On::Machine => names().flat_map(|name| self.machines(name)).collect(),
            On::Execution => names().map(|name| self.executions(name)).collect(),
            On::MapRun => names().map(|name| self.map_runs(name)).collect(),
            On::Activity => names().map(|name| self.states_arn("activity", name)).collect(),
            On::Anything => vec!["*".into()],
            On::ExecutionRole if self.execution_roles.is_empty() => {
                vec![format!("arn:{partition}:iam::{account}:role/*")]
            }
            On::ExecutionRole => self.exact_roles().collect(),
            On::Role => [self.role_arn.clone()].into_iter().chain(self.exact_roles()).collect(),
            On::Queue => self.queue_arn().into_iter().collect(),
            On::Alarm if self.alarms => vec![self.alarm_arn()],
            On::Alarm => Vec::new(),
            On::LogGroup => self.log_groups.iter().filter_map(|group| self.log_group(group).ok()).flatten().collect(),
            // By alias each key has a condition of its own, see `key_statements`.
            On::Key => self.keys.iter().filter(|key| key.alias.is_none()).map(|key| key.resource.clone()).collect(),
        }
    }

    /// A machine with its versions and aliases. A pattern that ends in a star takes those in already.
    fn machines(&self, name: &str) -> Vec<String> {
        let below = (!name.ends_with('*')).then(|| self.states_arn("stateMachine", &format!("{name}:*")));
        [self.states_arn("stateMachine", name)].into_iter().chain(below).collect()
    }

    fn executions(&self, name: &str) -> String {
        let rest = if name.ends_with('*') { name.to_owned() } else { format!("{name}:*") };
        self.states_arn("execution", &rest)
    }

    fn map_runs(&self, name: &str) -> String {
        let rest = if name.ends_with('*') { name.to_owned() } else { format!("{name}/*") };
        self.states_arn("mapRun", &rest)
    }

    fn exact_roles(&self) -> impl Iterator<Item = String> {
        self.execution_roles.iter().filter_map(|arn| values::role(arn).ok().map(str::to_owned))
    }

    fn queue_arn(&self) -> Option<String> {
        values::queue(self.location().0, &self.region, self.queue_url.as_deref()?).ok()
    }

    /// A log group of the binding's own account and region, and what is below it.
    fn log_group(&self, arn: &str) -> Result<[String; 2], NotAllowed> {
        let (partition, account) = self.location();
        let name = values::log_group(partition, &self.region, account, arn)?;
        let group = format!("arn:{partition}:logs:{}:{account}:log-group:{name}", self.region);
        Ok([group.clone(), format!("{group}:*")])
    }

    fn alarm_arn(&self) -> String {
        let (partition, account) = self.location();
        format!("arn:{partition}:cloudwatch:{}:{account}:alarm:*", self.region)
    }

    /// What the binding's role needs, one statement for each kind of resource, and what it must not do to the machines of
    /// others.
    pub fn policy(&self) -> Document {
        let mut statements: Vec<Statement> = Vec::new();
        for operation in OPERATIONS {
            let resources = self.resources(operation.on);
            if !resources.is_empty() {
                statements.push(limited(operation, Statement::allow([operation.action], resources)));
            }
        }
        statements.extend(self.keys.iter().filter_map(|key| key_by_alias(key, KEY_ACTIONS)));
        let (machines, activities) = (self.states_arn("stateMachine", "*"), self.states_arn("activity", "*"));
        let everything = [machines.as_str(), activities.as_str()];
        statements.extend(self.denials("aws:ResourceTag", CHANGES, &everything));
        statements.extend(self.denials("aws:RequestTag", TAGGING, &everything));
        Document::new(statements).minimised()
    }

    /// The same for reading: every action with its resources and what it is for.
    pub fn reasons(&self) -> Vec<(Operation, Vec<String>)> {
        let with = |operation: &Operation| (*operation, self.resources(operation.on));
        OPERATIONS.iter().map(with).filter(|(_, resources)| !resources.is_empty()).collect()
    }

    /// Denies the actions where an owner tag is there and is another's: one statement for the namespace and one for the
    /// cluster. Where a tag is absent nothing is denied, and nothing either where AWS does not tell the machine's tags, as
    /// with versions and aliases.
    fn denials(&self, key: &str, actions: &[&str], resources: &[&str]) -> Vec<Statement> {
        let ours = [(NAMESPACE_TAG, Some(&self.namespace)), (CLUSTER_TAG, self.cluster.as_ref())];
        let denial = |(tag, value): (&str, Option<&String>)| {
            let key = format!("{key}/{tag}");
            let statement = Statement::deny(actions.iter().copied(), resources.iter().copied());
            Some(statement.when("Null", &key, ["false"]).when("StringNotEquals", &key, [value?.as_str()]))
        };
        ours.into_iter().filter_map(denial).collect()
    }
}

/// What changes or starts a state machine or an activity.
const CHANGES: &[&str] = &[
    "states:CreateActivity",
    "states:CreateStateMachine",
    "states:CreateStateMachineAlias",
    "states:DeleteActivity",
    "states:DeleteStateMachine",
    "states:DeleteStateMachineAlias",
    "states:DeleteStateMachineVersion",
    "states:PublishStateMachineVersion",
    "states:StartExecution",
    "states:StartSyncExecution",
    "states:TagResource",
    "states:UntagResource",
    "states:UpdateStateMachine",
    "states:UpdateStateMachineAlias",
];

/// The calls that carry tags: IAM knows `aws:RequestTag` for these alone.
const TAGGING: &[&str] = &["states:CreateActivity", "states:CreateStateMachine", "states:TagResource"];

/// What is done with keys.
const KEY_ACTIONS: &[&str] = &["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"];

/// A role is passed to Step Functions alone.
fn limited(operation: &Operation, statement: Statement) -> Statement {
    match operation.on {
        On::ExecutionRole => statement.when("StringEquals", "iam:PassedToService", ["states.amazonaws.com"]),
        _ => statement,
    }
}

/// The keys of this alias, where a key is known by one.
fn key_by_alias(key: &Key, actions: &[&str]) -> Option<Statement> {
    let alias = key.alias.as_deref()?;
    let statement = Statement::allow(actions.iter().copied(), [key.resource.as_str()]);
    Some(statement.when("ForAnyValue:StringEquals", "kms:ResourceAliases", [alias]))
}

#[cfg(test)]
mod tests;
