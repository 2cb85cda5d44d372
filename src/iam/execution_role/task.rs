//! One Task: what all integrations have in common.

use super::derived::{Finding, Need, Reason, Surroundings};
use super::payload::{Field, Payload, is_own_machine, origin};
use super::template;
use super::walk::Found;
use crate::asl::model::{Arn, Pattern};
use crate::iam::document::Conditions;

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
    pub(super) why: String,
    /// True when the state's calls are made with the role of another account.
    elsewhere: bool,
    pub(super) needs: Vec<Need>,
    pub(super) findings: Vec<Finding>,
}

pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A text as one word of a shell: in quotes where it has signs of the shell's own.
fn shell_word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-.,:/=@%+".contains(letter);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
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

    /// The calls are made with a role of another account, which only its ARN says.
    pub(super) fn calls_from(&mut self, role: Option<Arn<'_>>) {
        let account = role.map(|role| role.account).filter(|account| is_account(account));
        account.unwrap_or("*").clone_into(&mut self.here.account);
        self.elsewhere = true;
    }

    /// What the call needs is not for the execution role to have, and whose it is to have is not known.
    pub(super) fn unknown_caller(&mut self, field: &str) {
        let mut actions: Vec<String> = self.needs.drain(..).flat_map(|need| need.actions).collect();
        actions.sort();
        actions.dedup();
        let needs = if actions.is_empty() { String::new() } else { format!(", which needs {}", actions.join(", ")) };
        self.missing(format!(
            "takes the role that it assumes (Credentials.RoleArn) from {}{needs}; the execution role needs sts:AssumeRole on it: give it with {}",
            origin(field),
            self.flag("ARN")
        ));
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
        let flag = self.flag("ARN");
        let of_template = field.text().and_then(|text| template::told(what, &text));
        self.missing(match field {
            _ if of_template.is_some() => of_template.unwrap_or_default(),
            Field::FromInput(expression) if is_own_machine(expression) => {
                let arn = self.here.state_machine_arn();
                let flag = arn.as_ref().map_or(flag, |arn| self.flag(arn));
                format!(
                    "takes {what} from {}, which is the state machine itself; give it with {flag}",
                    origin(expression)
                )
            }
            Field::FromInput(expression) => format!("takes {what} from {}; give it with {flag}", origin(expression)),
            _ => format!("does not say {what} ({name}); give it with {flag}"),
        });
    }

    /// The flag by which a resource is given from outside for this state, as a shell takes it.
    pub(super) fn flag(&self, resource: &str) -> String {
        format!("--resource {}", shell_word(&format!("{}={resource}", self.name)))
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
            Some(text) if !self.could_be(&text, name, service, kind, what) => Vec::new(),
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

    /// False, and told, of the ARN of something else, and of what is no ARN in a field that takes an ARN alone. The Data APIs take
    /// the name of a secret too (RDS Data API reference, `secretArn`), some services that of a role, and EMR an instance profile.
    fn could_be(&mut self, text: &str, name: &str, service: &str, kind: &str, what: &str) -> bool {
        let must_be_arn = name.ends_with("Arn") && !matches!(service, "iam" | "secretsmanager");
        if text.contains("${") || !(must_be_arn || text.starts_with("arn:")) {
            return true;
        }
        let fits = Arn::parse(text).is_some_and(|arn| {
            let is_profile = service == "iam" && arn.resource.starts_with("instance-profile/");
            arn.service == service && (arn.resource.starts_with(kind) || is_profile)
        });
        if !fits {
            let kind = kind.trim_end_matches([':', '/']);
            let of = if kind.is_empty() { service.to_owned() } else { format!("{service}, {kind}") };
            self.missing(format!("names {what} as \"{text}\" ({name}), which is no such ARN ({of}); correct it"));
        }
        fits
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
            Some(text) if !self.could_be(&text, name, "iam", "role/", what) => return,
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

    /// IAM allows the use of a key by the key's own ARN alone (KMS developer guide, "Controlling access to aliases").
    pub(super) fn names_by_alias(&mut self, alias: &str) {
        self.missing(format!(
            "names a key by its alias ({alias}), and IAM allows keys by their own ARN; give it with {}",
            self.flag("ARN")
        ));
    }
}
