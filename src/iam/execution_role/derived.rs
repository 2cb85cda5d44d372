//! What is derived, from where: needs of the execution role and of other roles, and what a definition leaves open.

use std::collections::BTreeMap;

use crate::asl::model::Arn;
use crate::iam::document::{Conditions, Document, Matcher, Statement};
use crate::iam::partition;

/// Where the state machine lives and what the definition does not say.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Partition, `aws` for example.
    pub partition: String,
    /// Region of the state machine.
    pub region: String,
    /// Account of the state machine.
    pub account: String,
    /// Name of the state machine, where it is known.
    pub name: Option<String>,
    /// ARN of the execution role, where it is known: roles of other accounts must trust it.
    pub execution_role_arn: Option<String>,
    /// True when executions are logged.
    pub logging: bool,
    /// True when executions are traced with X-Ray.
    pub tracing: bool,
    /// Id, ARN or alias of the KMS key, where executions are encrypted with one of the account's own.
    pub kms_key_id: Option<String>,
    /// By state: resources that its payload takes from the input.
    pub resources: BTreeMap<String, Vec<String>>,
}

/// Name under which `resources` gives the ARN of the KMS key.
pub const ENCRYPTION: &str = "encryption";

impl Surroundings {
    /// The ARN of a resource of a service in this account and region.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        let Self { partition, region, account, .. } = self;
        Arn { partition, service, region, account, resource }.to_string()
    }

    /// The state machine's own ARN.
    pub fn state_machine_arn(&self) -> Option<String> {
        self.name.as_ref().map(|name| self.arn("states", &format!("stateMachine:{name}")))
    }
}

/// What CloudFormation would put in, of where the machine lives.
pub fn pseudo_parameters(here: &Surroundings) -> Vec<(&str, &str)> {
    let suffix = partition::by_id(&here.partition).map(|partition| ("AWS::URLSuffix", partition.dns_suffix));
    let known = [
        ("AWS::AccountId", here.account.as_str()),
        ("AWS::Partition", here.partition.as_str()),
        ("AWS::Region", here.region.as_str()),
    ];
    known.into_iter().chain(suffix).collect()
}

/// Actions on resources that one state, or the machine as a whole, needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// `service:Action`.
    pub actions: Vec<String>,
    /// ARNs; a single `*` for actions that IAM knows no resource for.
    pub resources: Vec<String>,
    /// Under which conditions.
    pub conditions: Conditions,
    /// For what.
    pub reason: Reason,
}

impl Need {
    /// As a statement that allows just this.
    pub fn statement(&self) -> Statement {
        let mut statement = Statement::allow(self.actions.clone(), self.resources.clone());
        statement.conditions.clone_from(&self.conditions);
        statement
    }
}

/// Who needs something and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// The state's name; empty for what the machine as a whole needs.
    pub state: String,
    /// JSON pointer to the state in the definition; `/` for the machine.
    pub path: String,
    /// What the state does: `Lambda, request-response`.
    pub why: String,
}

/// Something that the definition leaves open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The state's name; empty for the machine.
    pub state: String,
    /// JSON pointer to the state.
    pub path: String,
    /// What is open and how to close it.
    pub message: String,
    /// True where permissions are missing from the result because of this; false where they are only wider than need be.
    pub missing: bool,
}

/// A role that a state assumes instead of using the execution role (`Credentials.RoleArn`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRole {
    /// The role.
    pub role_arn: String,
    /// The trust policy that it needs, where the execution role is known.
    pub trust: Option<Document>,
    /// What the role needs itself.
    pub needs: Vec<Need>,
}

impl TargetRole {
    /// The policy that the role needs.
    pub fn document(&self) -> Document {
        document(&self.needs)
    }
}

/// What was derived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// What the execution role needs, state by state.
    pub needs: Vec<Need>,
    /// What the definition leaves open.
    pub findings: Vec<Finding>,
    /// Other roles that states assume.
    pub targets: Vec<TargetRole>,
    /// True when a state calls something, which may need no right of IAM: an activity for example.
    pub calls: bool,
}

impl Derived {
    /// The policy: the fewest statements that say the needs.
    pub fn document(&self) -> Document {
        document(&self.needs)
    }

    /// True when nothing is missing from the document.
    pub fn is_complete(&self) -> bool {
        !self.findings.iter().any(|finding| finding.missing)
    }
}

/// The policy that says the needs, as small as it goes, in an order that does not depend on that of the states.
pub fn document(needs: &[Need]) -> Document {
    let mut document = Document::new(needs.iter().map(Need::statement).collect()).minimised();
    document.statements.sort_by(|a, b| order(a).cmp(&order(b)));
    document
}

fn order(statement: &Statement) -> (&[String], Option<&Matcher<Vec<String>>>, &Conditions) {
    (statement.actions.named(), statement.resources.as_ref(), &statement.conditions)
}
