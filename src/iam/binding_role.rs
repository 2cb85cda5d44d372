//! What Stepbound itself calls as a binding's role: one table from operation to resource, and from it the session policy
//! that limits every session, and the policy that the role needs.
//!
//! Resources are those of the service authorization reference of Step Functions, IAM, SQS, CloudWatch and KMS.

use super::arn::Arn;
use super::document::{Document, Statement};

/// Longest session policy that STS takes, in characters (`AssumeRoleWithWebIdentity`, parameter `Policy`). AWS packs it
/// together with session tags and may find it too large all the same.
pub const MAX_SESSION_POLICY: usize = 2048;

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
    /// What it is for.
    pub why: &'static str,
}

const fn operation(action: &'static str, on: On, why: &'static str) -> Operation {
    Operation { action, on, why }
}

/// Every operation, by what it is for. A test holds that each call of the adapters is here.
pub const OPERATIONS: &[Operation] = &[
    operation("states:CreateStateMachine", On::Machine, "create state machines"),
    operation("states:DescribeStateMachine", On::Machine, "see how state machines are"),
    operation("states:UpdateStateMachine", On::Machine, "bring state machines to their spec"),
    operation("states:DeleteStateMachine", On::Machine, "delete state machines"),
    operation("states:PublishStateMachineVersion", On::Machine, "publish versions"),
    operation("states:DeleteStateMachineVersion", On::Machine, "prune versions"),
    operation("states:CreateStateMachineAlias", On::Machine, "create aliases"),
    operation("states:DescribeStateMachineAlias", On::Machine, "see where aliases route"),
    operation("states:UpdateStateMachineAlias", On::Machine, "roll versions out"),
    operation("states:DeleteStateMachineAlias", On::Machine, "delete aliases"),
    operation("states:ListTagsForResource", On::Machine, "see whose a state machine is"),
    operation("states:TagResource", On::Machine, "mark state machines as owned"),
    operation("states:UntagResource", On::Machine, "take tags away again"),
    operation("states:StartExecution", On::Machine, "start runs"),
    operation("states:StartSyncExecution", On::Machine, "start synchronous runs"),
    operation("states:ListExecutions", On::Machine, "follow runs in batches"),
    operation("states:DescribeExecution", On::Execution, "follow runs"),
    operation("states:GetExecutionHistory", On::Execution, "name the state that failed"),
    operation("states:StopExecution", On::Execution, "cancel runs"),
    operation("states:RedriveExecution", On::Execution, "redrive runs"),
    operation("states:ListMapRuns", On::Execution, "find map runs"),
    operation("states:DescribeMapRun", On::MapRun, "follow distributed maps"),
    operation("states:CreateActivity", On::Activity, "create activities"),
    operation("states:DescribeActivity", On::Activity, "see whether an activity exists"),
    operation("states:DeleteActivity", On::Activity, "delete activities"),
    operation("states:ListTagsForResource", On::Activity, "see whose an activity is"),
    operation("states:TagResource", On::Activity, "mark activities as owned"),
    operation("states:UntagResource", On::Activity, "take tags away again"),
    operation("states:ValidateStateMachineDefinition", On::Anything, "ask AWS what is wrong with a definition"),
    operation("iam:PassRole", On::ExecutionRole, "give state machines their execution role"),
    operation("iam:GetRole", On::Role, "explain trust policies and report weak ones"),
    operation("sqs:ReceiveMessage", On::Queue, "hear of ended executions"),
    operation("sqs:DeleteMessage", On::Queue, "take what was heard off the queue"),
    operation("cloudwatch:DescribeAlarms", On::Alarm, "roll back when an alarm goes off"),
    operation("kms:DescribeKey", On::Key, "encrypt state machines with a key of the account's"),
    operation("kms:GenerateDataKey", On::Key, "encrypt state machines with a key of the account's"),
    operation("kms:Decrypt", On::Key, "read encrypted definitions and executions"),
];

/// What a binding is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindingScope {
    /// The binding's role.
    pub role_arn: String,
    /// Its region.
    pub region: String,
    /// Names, or patterns of names, of its state machines and activities.
    pub names: Vec<String>,
    /// Execution roles that may be passed; empty means any of the account.
    pub execution_roles: Vec<String>,
    /// URL of the queue of execution events.
    pub queue_url: Option<String>,
    /// Whether rollouts look at alarms.
    pub alarms: bool,
    /// ARNs, ids or aliases of keys that encrypt state machines.
    pub keys: Vec<String>,
}

/// A session policy that STS does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session policy derived for this binding has {0} characters, and STS takes at most 2048")]
pub struct TooLarge(pub usize);

impl BindingScope {
    fn location(&self) -> (&str, &str) {
        Arn::parse(&self.role_arn).map_or(("aws", ""), |arn| (arn.partition, arn.account))
    }

    /// ARNs that an operation is on; empty where the binding needs none of them.
    fn resources(&self, on: On) -> Vec<String> {
        let (partition, account) = self.location();
        let states = |kind: &str, rest: &str| -> Vec<String> {
            let arn = |name: &String| format!("arn:{partition}:states:{}:{account}:{kind}:{name}{rest}", self.region);
            self.names.iter().map(arn).collect()
        };
        // A pattern that ends in a star takes in versions and aliases already.
        let machines = |kind: &str| -> Vec<String> {
            let exact = self.names.iter().filter(|name| !name.ends_with('*'));
            let below = exact.map(|name| format!("arn:{partition}:states:{}:{account}:{kind}:{name}:*", self.region));
            states(kind, "").into_iter().chain(below).collect()
        };
        match on {
            On::Machine => machines("stateMachine"),
            On::Execution => states("execution", ":*"),
            On::MapRun => states("mapRun", "/*:*"),
            On::Activity => states("activity", ""),
            On::Anything => vec!["*".into()],
            On::ExecutionRole if self.execution_roles.is_empty() => {
                vec![format!("arn:{partition}:iam::{account}:role/*")]
            }
            On::ExecutionRole => self.execution_roles.clone(),
            On::Role => [self.role_arn.clone()].into_iter().chain(self.execution_roles.iter().cloned()).collect(),
            On::Queue => self.queue_url.iter().filter_map(|url| queue_arn(partition, &self.region, url)).collect(),
            On::Alarm if self.alarms => vec![format!("arn:{partition}:cloudwatch:{}:{account}:alarm:*", self.region)],
            On::Alarm => Vec::new(),
            On::Key => self.keys.iter().map(|key| key_arn(partition, &self.region, account, key)).collect(),
        }
    }

    /// What the binding's role needs, one statement for each kind of resource.
    pub fn policy(&self) -> Document {
        let mut statements: Vec<Statement> = Vec::new();
        for operation in OPERATIONS {
            let resources = self.resources(operation.on);
            if !resources.is_empty() {
                statements.push(limited(operation, Statement::allow([operation.action], resources)));
            }
        }
        Document::new(statements).minimised()
    }

    /// The same for reading: every action with its resources and what it is for.
    pub fn reasons(&self) -> Vec<(Operation, Vec<String>)> {
        let with = |operation: &Operation| (*operation, self.resources(operation.on));
        OPERATIONS.iter().map(with).filter(|(_, resources)| !resources.is_empty()).collect()
    }

    /// The session policy: the same again, in as few characters as it takes. Where naming each action takes too many,
    /// every action of Step Functions on this binding's own resources is allowed instead.
    ///
    /// # Errors
    /// When it is too large even so, which is where very many execution roles or names are listed.
    pub fn session_policy(&self) -> Result<String, TooLarge> {
        let exact = self.policy().compact();
        if exact.chars().count() <= MAX_SESSION_POLICY {
            return Ok(exact);
        }
        let short = self.short_policy().compact();
        match short.chars().count() {
            fits if fits <= MAX_SESSION_POLICY => Ok(short),
            size => Err(TooLarge(size)),
        }
    }

    fn short_policy(&self) -> Document {
        let own: Vec<String> = [On::Machine, On::Execution, On::MapRun, On::Activity]
            .into_iter()
            .flat_map(|on| self.resources(on))
            .collect();
        let mut statements = vec![Statement::allow(["states:*"], own)];
        let others =
            OPERATIONS.iter().filter(|one| !matches!(one.on, On::Machine | On::Execution | On::MapRun | On::Activity));
        for operation in others {
            let resources = self.resources(operation.on);
            if !resources.is_empty() {
                statements.push(limited(operation, Statement::allow([operation.action], resources)));
            }
        }
        Document::new(statements).minimised()
    }
}

/// A role is passed to Step Functions alone.
fn limited(operation: &Operation, statement: Statement) -> Statement {
    match operation.on {
        On::ExecutionRole => statement.when("StringEquals", "iam:PassedToService", ["states.amazonaws.com"]),
        _ => statement,
    }
}

/// `https://sqs.<region>.amazonaws.com/<account>/<name>`.
fn queue_arn(partition: &str, region: &str, url: &str) -> Option<String> {
    let mut parts = url.rsplit('/');
    let (name, account) = (parts.next()?, parts.next()?);
    Some(format!("arn:{partition}:sqs:{region}:{account}:{name}"))
}

/// Keys are named by ARN, id or alias. IAM takes no alias as a resource, so any key of the account stands for one.
fn key_arn(partition: &str, region: &str, account: &str, key: &str) -> String {
    match key {
        arn if arn.contains(":key/") => arn.to_owned(),
        alias if alias.contains("alias/") => format!("arn:{partition}:kms:{region}:{account}:key/*"),
        id => format!("arn:{partition}:kms:{region}:{account}:key/{id}"),
    }
}

#[cfg(test)]
mod tests;
