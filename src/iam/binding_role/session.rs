//! The policies that limit sessions, each for one purpose. What all objects of a binding share is seen and stopped with one
//! session whose policy follows from the binding alone; what is done for one object follows from the binding and that object.
//! So nothing that an object asks for can keep the session of another from being made.

use super::values::{self, Key, NotAllowed};
use super::{BindingScope, CLUSTER_TAG, Document, KEY_ACTIONS, NAMESPACE_TAG, Statement, key_by_alias};
use crate::iam::pattern;

/// Longest session policy that STS takes, in characters (`AssumeRoleWithWebIdentity`, parameter `Policy`). AWS packs it
/// together with session tags and may find it too large all the same.
pub const MAX_SESSION_POLICY: usize = 2048;
/// Longest policy of the session that a binding's objects share: half of what STS takes, so that no session tag of a token
/// makes it too large.
pub const MAX_SHARED_POLICY: usize = 1024;

/// What a session is asked for. Whoever calls AWS says so, and gets a session that can do this and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// To see the object of this name, its executions and tags, and to stop executions; without a name, any object of the
    /// binding. A name that the binding's patterns do not take in gets a session of its own.
    Observe(Option<&'a str>),
    /// To delete the object of this name or to take its owner tags off.
    Clean(&'a str),
    /// To read the binding's queue of events.
    Listen,
    /// To read the log group of this ARN, and nothing else: the one that a Workflow logs to. It is no part of the session that a
    /// binding's objects share, whose policy would grow with every group.
    ReadLog(&'a str),
    /// To read the trust policy of this role.
    Inspect(&'a str),
    /// To start, repeat or redrive executions of the state machine of this name.
    Run(&'a str),
    /// To bring one object to its spec.
    Write(&'a Writing),
}

/// An object that is brought to its spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writing {
    /// Name in AWS.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Key that encrypts it, as its spec names it.
    pub key: Option<String>,
    /// True where it is being taken over from an owner whose tags it still carries.
    pub from_another_owner: bool,
}

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A state machine.
    Machine {
        /// The one role that is passed.
        execution_role: String,
        /// Whether its rollouts look at alarms. They are read with this session, because only rollouts read them.
        alarms: bool,
    },
    /// An activity.
    Activity,
}

/// Why there is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// STS would not take it.
    #[error("the session policy derived for this has {0} characters, and STS takes at most 2048")]
    TooLarge(usize),
    /// It would hold a value that may not stand in a policy.
    #[error("{0}")]
    Value(#[from] NotAllowed),
}

impl BindingScope {
    /// The policy of a session for the purpose. Equal texts are the same session: what fits into the shared one is in it.
    ///
    /// # Errors
    /// When a value may not stand in a policy, or the policy is too large; both speak of the one object alone.
    pub fn session_policy(&self, purpose: &Purpose<'_>) -> Result<String, PolicyError> {
        values::role(&self.role_arn)?;
        match *purpose {
            Purpose::Observe(name) => self.shared(name).map(|(policy, _)| policy),
            Purpose::Clean(name) => self.shared_with(Some(name), Extra::Clean),
            Purpose::Listen => self.shared_with(None, Extra::Listen),
            Purpose::ReadLog(group) => {
                fitting(vec![Statement::allow(["logs:FilterLogEvents"], self.log_group(group)?)])
            }
            Purpose::Inspect(role) => {
                values::role(role)?;
                let (policy, extras) = self.shared(None)?;
                let all = self.inspected();
                if !all.iter().any(|one| one == role) {
                    return fitting(vec![Statement::allow(["iam:GetRole"], [role])]);
                }
                if extras.contains(&Extra::Inspect) {
                    return Ok(policy);
                }
                let alone = || fitting(vec![Statement::allow(["iam:GetRole"], [role])]);
                fitting(vec![Statement::allow(["iam:GetRole"], all)]).or_else(|_| alone())
            }
            Purpose::Run(name) => fitting(self.running(values::name(name)?)),
            Purpose::Write(writing) => fitting(self.writing(writing)?),
        }
    }

    /// The shared policy where it has the extra, else one of its own for it.
    fn shared_with(&self, name: Option<&str>, extra: Extra) -> Result<String, PolicyError> {
        let (policy, extras) = self.shared(name)?;
        if extras.contains(&extra) {
            return Ok(policy);
        }
        let mut statements = self.extra(extra);
        if extra == Extra::Clean {
            statements.extend(self.seeing(&self.seen_with(name)?));
        }
        fitting(statements)
    }

    /// What every object of the binding shares, and as much of the rest as fits.
    fn shared(&self, name: Option<&str>) -> Result<(String, Vec<Extra>), PolicyError> {
        let mut statements = self.seeing(&self.seen_with(name)?);
        let mut extras = Vec::new();
        for extra in [Extra::Clean, Extra::Listen, Extra::Inspect] {
            let more = self.extra(extra);
            let both: Vec<Statement> = statements.iter().chain(&more).cloned().collect();
            if !more.is_empty() && rendered(both.clone()).chars().count() <= MAX_SHARED_POLICY {
                statements = both;
                extras.push(extra);
            }
        }
        Ok((fitting(statements)?, extras))
    }

    /// Patterns of the names that are seen together with this one: all of the binding where they fit, else the one that takes
    /// it in, else it alone.
    fn seen_with<'a>(&'a self, name: Option<&'a str>) -> Result<Vec<&'a str>, NotAllowed> {
        let patterns: Vec<&str> = self.names.iter().filter_map(|one| values::names(one).ok()).collect();
        let takes_in = |one: &&str| name.is_none_or(|name| pattern::matches(one, name));
        let Some(first) = patterns.iter().copied().find(|one| takes_in(one)) else {
            return Ok(vec![values::name(name.unwrap_or_default())?]);
        };
        let fits = rendered(self.seeing(&patterns)).chars().count() <= MAX_SHARED_POLICY;
        Ok(if fits { patterns } else { vec![first] })
    }

    /// Seeing and stopping. Encrypted definitions are read with whatever key, as long as it is a state machine of these names
    /// that it encrypts (Step Functions developer guide, "Data at rest encryption", encryption context).
    fn seeing(&self, names: &[&str]) -> Vec<Statement> {
        let machines = names.iter().flat_map(|name| self.machines(name));
        let below = names
            .iter()
            .flat_map(|name| [self.executions(name), self.map_runs(name), self.states_arn("activity", name)]);
        let all: Vec<String> = machines.chain(below).collect();
        let actions = ["states:Describe*", "states:GetExecutionHistory", "states:List*", "states:StopExecution"];
        let decrypt = Statement::allow(["kms:Decrypt"], [self.any_key()]);
        // Without what stands before the name, which is in the resources above: room is short here.
        let contexts = names.iter().map(|name| format!("*:stateMachine:{name}"));
        vec![Statement::allow(actions, all), decrypt.when("StringLike", MACHINE_CONTEXT, contexts)]
    }

    fn extra(&self, extra: Extra) -> Vec<Statement> {
        match extra {
            Extra::Clean => self.cleaning().into_iter().collect(),
            Extra::Listen => {
                let actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage"];
                self.queue_arn().map(|queue| Statement::allow(actions, [queue])).into_iter().collect()
            }
            Extra::Inspect => vec![Statement::allow(["iam:GetRole"], self.inspected())],
        }
    }

    /// Deleting what carries our mark, and taking the mark off. This alone is allowed by tag and not by name: it is part of the
    /// session that is always at hand, because an account that is deleted with its objects gets no token for another one. Both
    /// calls are made on machines and activities themselves, whose tags AWS knows.
    fn cleaning(&self) -> Option<Statement> {
        let actions = ["states:DeleteActivity", "states:DeleteStateMachine", "states:UntagResource"];
        self.with_our_tags("aws:ResourceTag", Statement::allow(actions, ["*"]))
    }

    /// The same where the request or the resource carries our mark; `None` where the cluster's id is not known.
    fn with_our_tags(&self, key: &str, statement: Statement) -> Option<Statement> {
        let cluster = self.cluster.as_deref()?;
        let statement = statement.when("StringEquals", &format!("{key}/{CLUSTER_TAG}"), [cluster]);
        Some(statement.when("StringEquals", &format!("{key}/{NAMESPACE_TAG}"), [self.namespace.as_str()]))
    }

    fn inspected(&self) -> Vec<String> {
        self.resources(super::On::Role)
    }

    fn any_key(&self) -> String {
        format!("arn:{}:kms:{}:*:key/*", self.location().0, self.region)
    }

    /// Starting, repeating and redriving executions of one machine that is not another's.
    fn running(&self, name: &str) -> Vec<Statement> {
        let machines = self.machines(name);
        let keys = Statement::allow(["kms:Decrypt", "kms:GenerateDataKey"], [self.any_key()]);
        let mut statements = vec![
            Statement::allow(["states:StartExecution", "states:StartSyncExecution"], machines.clone()),
            Statement::allow(["states:DescribeExecution", "states:RedriveExecution"], [self.executions(name)]),
            keys.when("StringLike", MACHINE_CONTEXT, machines),
        ];
        statements.extend(self.denials("aws:ResourceTag", &["states:Start*"], &["*"]));
        statements
    }

    /// Bringing one machine or activity to its spec. Whatever is created or tagged carries our mark in the same call.
    fn writing(&self, writing: &Writing) -> Result<Vec<Statement>, NotAllowed> {
        let name = values::name(&writing.name)?;
        let mut statements = Vec::new();
        match &writing.kind {
            Kind::Machine { execution_role, alarms } => {
                statements.push(Statement::allow(
                    [
                        "states:CreateStateMachineAlias",
                        "states:DeleteStateMachineAlias",
                        "states:DeleteStateMachineVersion",
                        "states:PublishStateMachineVersion",
                        "states:UntagResource",
                        "states:UpdateStateMachine",
                        "states:UpdateStateMachineAlias",
                    ],
                    self.machines(name),
                ));
                let machine = self.states_arn("stateMachine", name);
                statements.push(self.marking(["states:CreateStateMachine", "states:TagResource"], machine));
                statements.push(Statement::allow(["states:ValidateStateMachineDefinition"], ["*"]));
                let pass = Statement::allow(["iam:PassRole"], [values::role(execution_role)?]);
                statements.push(pass.when("StringEquals", "iam:PassedToService", ["states.amazonaws.com"]));
                let alarm = alarms.then(|| Statement::allow(["cloudwatch:DescribeAlarms"], [self.alarm_arn()]));
                statements.extend(alarm);
            }
            Kind::Activity => {
                let activity = self.states_arn("activity", name);
                statements.push(Statement::allow(["states:UntagResource"], [activity.clone()]));
                statements.push(self.marking(["states:CreateActivity", "states:TagResource"], activity));
            }
        }
        if let Some(key) = &writing.key {
            let (partition, account) = self.location();
            let key = Key::read(key, partition, &self.region, account)?;
            let by_arn = || Statement::allow(KEY_ACTIONS.iter().copied(), [key.resource.as_str()]);
            statements.push(key_by_alias(&key, KEY_ACTIONS).unwrap_or_else(by_arn));
        }
        if !writing.from_another_owner {
            statements.extend(self.denials("aws:ResourceTag", &["states:*"], &["*"]));
        }
        Ok(statements)
    }

    fn marking(&self, actions: [&str; 2], resource: String) -> Statement {
        let plain = Statement::allow(actions, [resource]);
        self.with_our_tags("aws:RequestTag", plain.clone()).unwrap_or(plain)
    }
}

/// The machine whose data a key is used for.
const MACHINE_CONTEXT: &str = "kms:EncryptionContext:aws:states:stateMachineArn";

/// What the shared policy has beside seeing, where it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extra {
    Clean,
    Listen,
    Inspect,
}

fn rendered(statements: Vec<Statement>) -> String {
    Document::new(statements).normalised().compact()
}

fn fitting(statements: Vec<Statement>) -> Result<String, PolicyError> {
    let policy = rendered(statements);
    match policy.chars().count() {
        fits if fits <= MAX_SESSION_POLICY => Ok(policy),
        size => Err(PolicyError::TooLarge(size)),
    }
}
