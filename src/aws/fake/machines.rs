//! State machines, their versions and aliases.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::super::{
    Aliases, AwsError, Caller, CreateStateMachine, CreatedStateMachine, DefinitionDiagnostic, Routes, StateMachine,
    StateMachines, UpdateStateMachine, UpdatedStateMachine,
};
use super::state::{Ended, Machine, Refused, State, Version, machine_of, no_machine, no_resource, number_of};
use super::{Does, FakeAws, or_none};
use crate::api::v1alpha1::StateMachineType;

/// AWS refuses a definition that has it.
pub(crate) const UNKNOWN_RESOURCE: &str = "arn:aws:states:::nonsense:run";
/// AWS cannot assume a role whose ARN ends so.
pub(crate) const UNASSUMABLE: &str = "/untrusting";

impl FakeAws {
    /// The machine as it is, whatever looks show.
    pub(crate) fn machine(&self, arn: &str) -> Option<StateMachine> {
        self.state().machines.get(arn).map(|machine| machine.now.clone())
    }

    /// Numbers of its versions.
    pub(crate) fn versions(&self, arn: &str) -> Vec<i64> {
        let state = self.state();
        state.machines.get(arn).map(|machine| machine.versions.keys().copied().collect()).unwrap_or_default()
    }

    /// Where an alias routes, by the numbers of versions.
    pub(crate) fn routes(&self, arn: &str) -> Option<Vec<(i64, i64)>> {
        let routes = self.state().aliases.get(arn).cloned()?;
        Some(routes.iter().filter_map(|(version, weight)| Some((number_of(version)?, *weight))).collect())
    }

    /// Changes a machine as somebody else would.
    pub(crate) fn change_machine(&self, arn: &str, change: impl FnOnce(&mut StateMachine)) {
        let mut state = self.state();
        let machine = state.machines.get_mut(arn).unwrap();
        change(&mut machine.now);
        machine.revise();
    }

    /// Moves, makes or removes an alias as somebody else would.
    pub(crate) fn change_alias(&self, arn: &str, routes: Option<&[(i64, i64)]>) {
        let mut state = self.state();
        let machine = machine_of(arn);
        let of = |routes: &[(i64, i64)]| routes.iter().map(|(v, weight)| (format!("{machine}:{v}"), *weight)).collect();
        match routes {
            Some(routes) => state.aliases.insert(arn.to_owned(), of(routes)),
            None => state.aliases.remove(arn),
        };
    }

    /// Puts a machine there as somebody else would, tagged, and with a first version where it is described.
    pub(crate) fn add_machine(&self, arn: &str, created: &CreateStateMachine) {
        self.state().create(arn, created);
    }

    /// The machine is gone, and with it all that is of it, as after the end of its deletion.
    pub(crate) fn remove_machine(&self, arn: &str) {
        self.state().remove(arn);
    }
}

impl Machine {
    fn revise(&mut self) {
        self.revisions += 1;
        self.now.revision_id = Some(format!("revision-{}", self.revisions));
    }

    /// The same revision gives the same version again (`PublishStateMachineVersion`: "idempotent").
    fn publish(&mut self, description: Option<&str>) -> String {
        let same = self.versions.iter().find(|(_, version)| version.machine.revision_id == self.now.revision_id);
        let number = same.map(|(number, _)| *number);
        let number = number.unwrap_or_else(|| {
            self.last_version += 1;
            let machine = StateMachine { description: description.map(str::to_owned), ..self.now.clone() };
            self.versions.insert(self.last_version, Version { machine });
            self.last_version
        });
        format!("{}:{number}", self.now.arn)
    }

    /// Name, definition, type, settings and the first version's description are compared, role and tags are not
    /// (`CreateStateMachine`: "idempotency check").
    fn was_created_by(&self, request: &CreateStateMachine) -> bool {
        self.now.definition == request.definition
            && self.now.machine_type == request.machine_type
            && self.now.settings == request.settings
            && self.created.version_description == request.version_description
    }
}

impl State {
    fn create(&mut self, arn: &str, request: &CreateStateMachine) -> CreatedStateMachine {
        let now = StateMachine {
            arn: arn.to_owned(),
            definition: request.definition.clone(),
            role_arn: request.role_arn.clone(),
            machine_type: request.machine_type,
            settings: request.settings.clone(),
            revision_id: None,
            deleting: false,
            description: None,
        };
        let (created, versions) = (request.clone(), BTreeMap::new());
        let mut machine = Machine { now, created, versions, last_version: 0, revisions: 0, shown_deleting: 1 };
        let description = request.version_description.as_deref();
        let version_arn = description.is_some().then(|| machine.publish(description));
        self.machines.insert(arn.to_owned(), machine);
        self.tags.insert(arn.to_owned(), request.tags.clone());
        CreatedStateMachine { arn: arn.to_owned(), version_arn }
    }

    fn remove(&mut self, arn: &str) {
        self.machines.remove(arn);
        self.tags.remove(arn);
        self.aliases.retain(|alias, _| machine_of(alias) != arn);
    }

    /// Running executions end with their machine.
    fn delete(&mut self, arn: &str) {
        let Some(machine) = self.machines.get_mut(arn) else { return };
        machine.now.deleting = true;
        let of_machine = |ran: &&mut super::state::Ran| ran.execution.state_machine_arn == arn;
        for ran in self.executions.values_mut().filter(of_machine) {
            if ran.execution.stopped_at.is_none() {
                ran.end(Ended::Aborted);
            }
        }
    }

    /// Versions that routes name exist, or there is nothing to route to.
    fn check_routes(&mut self, routes: &Routes) -> Result<String, Refused> {
        let first = routes.first().map(|(version, _)| machine_of(version)).unwrap_or_default();
        let machine = self.machine(&first).map_err(|refused| match refused.0 {
            "StateMachineDoesNotExist" => no_resource(&first),
            _ => refused,
        })?;
        let known = |arn: &str| number_of(arn).is_some_and(|number| machine.versions.contains_key(&number));
        match routes.iter().find(|(version, _)| !known(version)) {
            Some((version, _)) => Err(no_resource(version)),
            None => Ok(first),
        }
    }
}

/// What AWS looks at before it takes a definition and a role.
fn check(definition: &str, role_arn: &str) -> Result<(), Refused> {
    if role_arn.ends_with(UNASSUMABLE) {
        let message = "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume the provided role.";
        return Err(("AccessDeniedException", message.to_owned()));
    }
    if definition.contains(UNKNOWN_RESOURCE) {
        let message = format!("Invalid State Machine Definition: 'The resource {UNKNOWN_RESOURCE} is not recognized.'");
        return Err(("InvalidDefinition", message));
    }
    Ok(())
}

#[async_trait]
impl StateMachines for FakeAws {
    async fn describe_state_machine(&self, caller: &Caller, arn: &str) -> Result<Option<StateMachine>, AwsError> {
        let look = |state: &mut State| {
            if let Some(number) = number_of(arn) {
                let version = state.machine(&machine_of(arn))?.versions.get(&number).ok_or_else(|| no_machine(arn))?;
                return Ok(StateMachine { arn: arn.to_owned(), ..version.machine.clone() });
            }
            let Some(machine) = state.machines.get_mut(arn) else { return Err(no_machine(arn)) };
            let shown = machine.now.clone();
            if shown.deleting {
                if machine.shown_deleting == 0 {
                    state.remove(arn);
                    return Err(no_machine(arn));
                }
                machine.shown_deleting -= 1;
            }
            Ok(shown)
        };
        or_none(self.call(caller, "states:DescribeStateMachine", arn, Does::Look, look).await)
    }

    async fn create_state_machine(
        &self,
        caller: &Caller,
        request: &CreateStateMachine,
    ) -> Result<CreatedStateMachine, AwsError> {
        let arn = format!("arn:aws:states:{}:{}:stateMachine:{}", caller.region, caller.account_id, request.name);
        let create = |state: &mut State| {
            check(&request.definition, &request.role_arn)?;
            match state.machine(&arn) {
                Ok(known) if known.was_created_by(request) => {
                    let first = known.versions.keys().next().map(|number| format!("{arn}:{number}"));
                    Ok(CreatedStateMachine { arn: arn.clone(), version_arn: first })
                }
                Ok(_) => Err(("StateMachineAlreadyExists", format!("State Machine Already Exists: '{arn}'"))),
                Err(refused) if refused.0 == "StateMachineDoesNotExist" => Ok(state.create(&arn, request)),
                Err(refused) => Err(refused),
            }
        };
        self.call(caller, "states:CreateStateMachine", &request.name, Does::Change, create).await
    }

    async fn update_state_machine(
        &self,
        caller: &Caller,
        request: &UpdateStateMachine,
    ) -> Result<UpdatedStateMachine, AwsError> {
        let update = |state: &mut State| {
            check(&request.definition, &request.role_arn)?;
            let machine = state.machine(&request.arn)?;
            machine.now.definition.clone_from(&request.definition);
            machine.now.role_arn.clone_from(&request.role_arn);
            machine.now.settings.clone_from(&request.settings);
            machine.revise();
            let description = request.version_description.as_deref();
            let version_arn = description.is_some().then(|| machine.publish(description));
            Ok(UpdatedStateMachine { revision_id: machine.now.revision_id.clone(), version_arn })
        };
        self.call(caller, "states:UpdateStateMachine", &request.arn, Does::Change, update).await
    }

    async fn delete_state_machine(&self, caller: &Caller, arn: &str) -> Result<(), AwsError> {
        let delete = |state: &mut State| {
            state.delete(arn);
            Ok(())
        };
        self.call(caller, "states:DeleteStateMachine", arn, Does::Change, delete).await
    }

    async fn publish_version(
        &self,
        caller: &Caller,
        arn: &str,
        revision_id: Option<&str>,
        description: &str,
    ) -> Result<String, AwsError> {
        let publish = |state: &mut State| {
            let machine = state.machine(arn)?;
            if revision_id.is_some_and(|wanted| machine.now.revision_id.as_deref() != Some(wanted)) {
                return Err(("ConflictException", "the revision is not the current one".to_owned()));
            }
            Ok(machine.publish(Some(description)))
        };
        self.call(caller, "states:PublishStateMachineVersion", arn, Does::Change, publish).await
    }

    async fn delete_version(&self, caller: &Caller, version_arn: &str) -> Result<(), AwsError> {
        let delete = |state: &mut State| {
            if state.aliases.values().flatten().any(|(version, _)| version == version_arn) {
                return Err(("ConflictException", "an alias routes to the version".to_owned()));
            }
            let machine = state.machines.get_mut(&machine_of(version_arn));
            if let (Some(machine), Some(number)) = (machine, number_of(version_arn)) {
                machine.versions.remove(&number);
            }
            Ok(())
        };
        self.call(caller, "states:DeleteStateMachineVersion", version_arn, Does::Change, delete).await
    }

    async fn validate_definition(
        &self,
        caller: &Caller,
        definition: &str,
        _: StateMachineType,
    ) -> Result<Vec<DefinitionDiagnostic>, AwsError> {
        let validate = |_: &mut State| {
            let wrong = definition.contains(UNKNOWN_RESOURCE).then(|| DefinitionDiagnostic {
                error: true,
                code: "SCHEMA_VALIDATION_FAILED".into(),
                message: format!("The resource {UNKNOWN_RESOURCE} is not recognized."),
                location: "/States/A/Resource".into(),
            });
            Ok(wrong.into_iter().collect())
        };
        self.call(caller, "states:ValidateStateMachineDefinition", "*", Does::Look, validate).await
    }
}

#[async_trait]
impl Aliases for FakeAws {
    async fn create_alias(&self, caller: &Caller, name: &str, routes: &Routes) -> Result<(), AwsError> {
        let create = |state: &mut State| {
            let arn = format!("{}:{name}", state.check_routes(routes)?);
            match state.aliases.get(&arn) {
                Some(known) if known == routes => Ok(()),
                Some(_) => Err(("ConflictException", "an alias of the name has other routes".to_owned())),
                None => {
                    state.aliases.insert(arn, routes.clone());
                    Ok(())
                }
            }
        };
        self.call(caller, "states:CreateStateMachineAlias", name, Does::Change, create).await
    }

    async fn alias_routes(&self, caller: &Caller, alias_arn: &str) -> Result<Option<Routes>, AwsError> {
        let look = |state: &mut State| state.aliases.get(alias_arn).cloned().ok_or_else(|| no_resource(alias_arn));
        or_none(self.call(caller, "states:DescribeStateMachineAlias", alias_arn, Does::Look, look).await)
    }

    async fn update_alias(&self, caller: &Caller, alias_arn: &str, routes: &Routes) -> Result<(), AwsError> {
        let update = |state: &mut State| {
            state.check_routes(routes)?;
            let known = state.aliases.get_mut(alias_arn).ok_or_else(|| no_resource(alias_arn))?;
            known.clone_from(routes);
            Ok(())
        };
        self.call(caller, "states:UpdateStateMachineAlias", alias_arn, Does::Change, update).await
    }

    async fn delete_alias(&self, caller: &Caller, alias_arn: &str) -> Result<(), AwsError> {
        let delete =
            |state: &mut State| state.aliases.remove(alias_arn).map(drop).ok_or_else(|| no_resource(alias_arn));
        or_none(self.call(caller, "states:DeleteStateMachineAlias", alias_arn, Does::Change, delete).await).map(drop)
    }
}
