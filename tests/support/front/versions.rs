//! Versions and aliases as AWS routes them: an execution started by a version runs that version's definition, one started
//! by an alias that of the version which the weights choose (`StartExecution`, `RoutingConfiguration`). The emulator runs
//! the newest definition whatever was named. Here an older version runs as a machine of its own behind the scenes.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::states::{Answer, machine_of};
use super::{Shared, error_json};

/// What an execution was started by, and where it runs.
#[derive(Clone)]
pub(super) struct Origin {
    version: String,
    alias: Option<String>,
    /// ARN in the emulator, where it differs.
    runs_as: Option<String>,
}

impl super::Front {
    /// How many executions of a machine were started by version or alias so far, by the version that each was routed to.
    pub fn routed(&self, machine: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for origin in self.shared.origins.lock().unwrap().values() {
            if let Some(number) = origin.version.strip_prefix(machine).and_then(|rest| rest.strip_prefix(':')) {
                *counts.entry(number.to_owned()).or_default() += 1;
            }
        }
        counts
    }
}

impl Shared {
    /// Remembers the definition of a version that was just published.
    pub(super) async fn remember_version(&self, answer: &str) {
        let answer: Value = serde_json::from_str(answer).unwrap_or_default();
        let Some(version) = answer["stateMachineVersionArn"].as_str() else { return };
        let (_, machine) = self.as_root("DescribeStateMachine", &json!({"stateMachineArn": version})).await;
        self.versions.lock().unwrap().insert(version.to_owned(), machine);
    }

    /// Publishing the same revision again gives the same version (`PublishStateMachineVersion`).
    pub(super) async fn publish(&self, headers: &HeaderMap, body: String, request: &Value) -> Answer {
        let machine = request["stateMachineArn"].as_str().unwrap_or_default();
        let (_, described) = self.as_root("DescribeStateMachine", &json!({"stateMachineArn": machine})).await;
        let published = self.versions.lock().unwrap().iter().find_map(|(arn, version)| {
            let same = machine_of(arn) == machine && version["revisionId"] == described["revisionId"];
            same.then(|| arn.clone())
        });
        if let Some(arn) = published.filter(|_| !described["revisionId"].is_null()) {
            let answer = json!({"stateMachineVersionArn": arn, "creationDate": described["creationDate"]});
            return (200, answer.to_string());
        }
        let (status, answer) = self.forward(headers, body).await;
        self.remember_version(&answer).await;
        (status, answer)
    }

    /// The same name and routes give the first answer, other routes are a conflict (`CreateStateMachineAlias`).
    pub(super) async fn create_alias(&self, request: &Value) -> Answer {
        let machine = machine_of(request["routingConfiguration"][0]["stateMachineVersionArn"].as_str().unwrap());
        let arn = format!("{machine}:{}", request["name"].as_str().unwrap());
        let (status, found) = self.as_root("DescribeStateMachineAlias", &json!({"stateMachineAliasArn": arn})).await;
        if status == 200 {
            return if found["routingConfiguration"] == request["routingConfiguration"] {
                (200, json!({"stateMachineAliasArn": arn, "creationDate": found["creationDate"]}).to_string())
            } else {
                (400, error_json("ConflictException", "An alias of this name exists with other routes"))
            };
        }
        let (status, answer) = self.as_root("CreateStateMachineAlias", request).await;
        (status, answer.to_string())
    }

    /// Starts by version or alias; `None` where the machine itself was named.
    pub(super) async fn start_by_version(&self, request: &Value) -> Option<Answer> {
        let target = request["stateMachineArn"].as_str().unwrap();
        let machine = machine_of(target);
        if machine == target {
            return None;
        }
        let (version, alias) = match self.route(target).await {
            Ok(routed) => routed,
            Err(refused) => return Some(refused),
        };
        let public =
            format!("{}:{}", machine.replace(":stateMachine:", ":execution:"), request["name"].as_str().unwrap());
        let earlier = self.origins.lock().unwrap().get(&public).cloned();
        let runs_on = match earlier.as_ref().and_then(|origin| origin.runs_as.clone()) {
            Some(arn) => machine_of(&arn).replace(":execution:", ":stateMachine:"),
            None => self.machine_for(&machine, &version).await,
        };
        let mut changed = request.clone();
        changed["stateMachineArn"] = json!(runs_on);
        let (status, mut answer) = self.as_root("StartExecution", &changed).await;
        if status == 200 {
            let actual = answer["executionArn"].as_str().unwrap().to_owned();
            let runs_as = (actual != public).then_some(actual);
            let origin = Origin { version, alias, runs_as };
            self.origins.lock().unwrap().insert(public.clone(), origin);
            answer["executionArn"] = json!(public);
        }
        Some((status, answer.to_string()))
    }

    /// Version and alias of a qualified ARN; an alias chooses by its weights.
    async fn route(&self, target: &str) -> Result<(String, Option<String>), Answer> {
        if self.versions.lock().unwrap().contains_key(target) {
            return Ok((target.to_owned(), None));
        }
        let (status, alias) = self.as_root("DescribeStateMachineAlias", &json!({"stateMachineAliasArn": target})).await;
        if status != 200 {
            let message = format!("State Machine Does Not Exist: '{target}'");
            return Err((400, error_json("StateMachineDoesNotExist", &message)));
        }
        let mut throw = rand::random_range(0..100);
        for route in alias["routingConfiguration"].as_array().unwrap() {
            throw -= route["weight"].as_i64().unwrap();
            if throw < 0 {
                let version = route["stateMachineVersionArn"].as_str().unwrap();
                return Ok((version.to_owned(), Some(target.to_owned())));
            }
        }
        panic!("the weights of {target} do not sum to 100");
    }

    /// The machine that runs a version's definition: the machine itself while its definition is the version's.
    async fn machine_for(&self, machine: &str, version: &str) -> String {
        let (_, current) = self.as_root("DescribeStateMachine", &json!({"stateMachineArn": machine})).await;
        let wanted = self.versions.lock().unwrap()[version].clone();
        let role = wanted["roleArn"].as_str().unwrap();
        let definition = self.as_role_runs(wanted["definition"].as_str().unwrap(), role, [machine, version]).await;
        if current["definition"] == definition.as_str() {
            return machine.to_owned();
        }
        let mut hasher = std::hash::DefaultHasher::new();
        std::hash::Hash::hash(&definition, &mut hasher);
        let mark = std::hash::Hasher::finish(&hasher) % 0x1_0000;
        let name =
            format!("{}--v{}-{mark:x}", machine.rsplit(':').next().unwrap(), version.rsplit(':').next().unwrap());
        let body = json!({"name": name, "definition": definition, "roleArn": role, "type": wanted["type"]});
        let (_, created) = self.as_root("CreateStateMachine", &body).await;
        created["stateMachineArn"].as_str().unwrap().to_owned()
    }

    /// Where an execution runs in the emulator, when that is elsewhere.
    pub(super) fn runs_as(&self, execution: &str) -> Option<String> {
        if let Some(redriven) = self.redrives.lock().unwrap().get(execution) {
            return Some(redriven.runs_as().to_owned());
        }
        self.origins.lock().unwrap().get(execution)?.runs_as.clone()
    }

    /// The version that an execution was started by, as it was published.
    pub(super) fn version_of(&self, execution: &str) -> Option<Value> {
        let version = self.origins.lock().unwrap().get(execution)?.version.clone();
        self.versions.lock().unwrap().get(&version).cloned()
    }

    /// Says of a described or listed execution what it was started by.
    pub(super) fn with_origin(&self, execution: &mut Value) {
        let arn = execution["executionArn"].as_str().unwrap_or_default().to_owned();
        if let Some(origin) = self.origins.lock().unwrap().get(&arn) {
            execution["stateMachineVersionArn"] = json!(origin.version);
            if let Some(alias) = &origin.alias {
                execution["stateMachineAliasArn"] = json!(alias);
            }
        }
    }

    /// Lists by machine, version or alias: without a filter newest start first, ended ones by their end, in pages of up to
    /// 1,000 (`ListExecutions`). A token marks a place in that order, so what changes meanwhile moves nothing that follows.
    pub(super) async fn list_executions(&self, request: &Value) -> Answer {
        let target = request["stateMachineArn"].as_str().unwrap_or_default();
        let machine = machine_of(target);
        let items = match self.list_played(&machine) {
            Some(items) => items,
            None => match self.list_emulated(&machine).await {
                Ok(items) => items,
                Err(refused) => return refused,
            },
        };
        let filter = request["statusFilter"].as_str();
        let by_end = filter.is_some_and(|status| status != "RUNNING");
        let place = |item: &Value| {
            (
                item[if by_end { "stopDate" } else { "startDate" }].as_f64().unwrap_or_default(),
                text(&item["executionArn"]),
            )
        };
        let mut items: Vec<Value> = items
            .into_iter()
            .filter_map(|item| self.shown(item))
            .filter(|item| filter.is_none_or(|status| item["status"] == status))
            .collect();
        for item in &mut items {
            self.with_origin(item);
            for payload in ["input", "output", "error", "cause"] {
                item.as_object_mut().unwrap().remove(payload);
            }
        }
        if target != machine {
            items.retain(|item| item["stateMachineVersionArn"] == target || item["stateMachineAliasArn"] == target);
        }
        let newest_first = |a: &(f64, String), b: &(f64, String)| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1));
        items.sort_by(|a, b| newest_first(&place(a), &place(b)));
        if let Some(token) = request["nextToken"].as_str() {
            let after = token.split_once('|').and_then(|(time, arn)| Some((time.parse().ok()?, arn.to_owned())));
            let Some(after) = after else { return (400, error_json("InvalidToken", "Invalid Token: 'Invalid token'")) };
            items.retain(|item| newest_first(&after, &place(item)).is_lt());
        }
        let most = request["maxResults"].as_u64().filter(|most| *most > 0).unwrap_or(100);
        let most = usize::try_from(most.min(1000)).unwrap();
        let more = items.len() > most;
        items.truncate(most);
        let next_token = items.last().filter(|_| more).map(place).map(|(time, arn)| format!("{time}|{arn}"));
        (200, json!({"executions": items, "nextToken": next_token}).to_string())
    }

    /// All of a machine in the emulator.
    async fn list_emulated(&self, machine: &str) -> Result<Vec<Value>, Answer> {
        let (status, described) = self.as_root("DescribeStateMachine", &json!({"stateMachineArn": machine})).await;
        if status != 200 {
            let message = format!("State Machine Does Not Exist: '{machine}'");
            return Err((400, error_json("StateMachineDoesNotExist", &message)));
        }
        if described["type"] == "EXPRESS" {
            let message = "This operation is not supported by this type of state machine";
            return Err((400, error_json("StateMachineTypeNotSupported", message)));
        }
        let mut items = Vec::new();
        let mut token = Value::Null;
        loop {
            let body = json!({"stateMachineArn": machine, "maxResults": 1000, "nextToken": token});
            let (_, mut listed) = self.as_root("ListExecutions", &body).await;
            items.extend(listed["executions"].as_array().cloned().unwrap_or_default());
            token = listed["nextToken"].take();
            if token.is_null() {
                break;
            }
        }
        let elsewhere = self.elsewhere(machine);
        items.retain(|item| elsewhere.iter().all(|(public, _)| item["executionArn"] != *public));
        for (public, actual) in elsewhere {
            let (status, mut found) = self.as_root("DescribeExecution", &json!({"executionArn": actual})).await;
            if status == 200 {
                found["executionArn"] = json!(public);
                found["stateMachineArn"] = json!(machine);
                items.push(found);
            }
        }
        for item in &mut items {
            self.count_redrives(item);
        }
        let timed_out = self.timed_out.lock().unwrap().clone();
        for item in items.iter_mut().filter(|item| item["status"] == "ABORTED") {
            if timed_out.contains(item["executionArn"].as_str().unwrap()) {
                item["status"] = json!("TIMED_OUT");
            }
        }
        Ok(items)
    }

    fn elsewhere(&self, machine: &str) -> Vec<(String, String)> {
        let prefix = format!("{}:", machine.replace(":stateMachine:", ":execution:"));
        let origins = self.origins.lock().unwrap();
        let own = origins.iter().filter(|(public, _)| public.starts_with(&prefix));
        let redrives = self.redrives.lock().unwrap();
        let again = redrives.iter().filter(|(public, _)| public.starts_with(&prefix));
        own.filter(|(public, _)| !redrives.contains_key(*public))
            .filter_map(|(public, origin)| Some((public.clone(), origin.runs_as.clone()?)))
            .chain(again.map(|(public, redriven)| (public.clone(), redriven.runs_as().to_owned())))
            .collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
