//! Scripts of calls through the ports with what AWS answers. They are played to AWS in memory, which reconciles are tested with,
//! and to the emulator behind the front, which the whole operator is tested with: so that neither comes to differ from the other.
//!
//! A line is a call and, after `->`, its answer; a refusal is answered by its code. Names are given without a machine's ARN:
//! `m`, `m:1`, `m:live`. A word for a definition says how its executions end: `waits…`, `fails…`, and any other succeeds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::time::Duration;

use crate::api::v1alpha1::StateMachineType;
use crate::aws::{
    Activities, Aliases, AwsError, Caller, CreateStateMachine, ExecutionStatus, Executions, MachineSettings, Routes,
    StartExecution, StateMachines, Tagging, Tags, UpdateStateMachine,
};

/// Each with what it is about.
pub const SCRIPTS: [(&str, &str); 9] = [
    (
        "a creation is repeated, and another under its name refused",
        "create a one -> :1
         create a one -> :1
         create a two -> StateMachineAlreadyExists
         describe a -> one
         describe other -> none
         tags a -> team=a",
    ),
    (
        "an update is a new version, and a revision has one",
        "create b one -> :1
         update b two -> :2
         publish b -> :2
         update-plain b three -> none
         publish b -> :3
         publish b -> :3
         describe b -> three
         describe b:1 -> one
         update other one -> StateMachineDoesNotExist
         publish other -> StateMachineDoesNotExist",
    ),
    (
        "a version stays while an alias routes to it",
        "create c one -> :1
         update c two -> :2
         alias c live 1=100 -> ok
         alias c live 1=100 -> ok
         alias c live 2=100 -> ConflictException
         routes c live -> 1=100
         delete-version c 1 -> ConflictException
         route c live 1=10,2=90 -> ok
         routes c live -> 1=10,2=90
         route c live 2=100 -> ok
         delete-version c 1 -> ok
         delete-version c 1 -> ok
         route c other 2=100 -> ResourceNotFound
         routes c other -> none
         drop c live -> ok
         routes c live -> none
         drop c live -> ok",
    ),
    (
        "a start is repeated while it runs with the same input, and refused otherwise",
        "create d waits -> :1
         start d e {} -> ok
         start d e {} -> ok
         start d e [] -> ExecutionAlreadyExists
         execution d e -> Running
         execution d other -> none
         running d -> yes
         list d -> e=Running
         stop d e -> ok
         execution d e -> Aborted
         stop d e -> ok
         start d e {} -> ExecutionAlreadyExists
         running d -> no
         list d -> e=Aborted
         stop d other -> ExecutionDoesNotExist
         start other e {} -> StateMachineDoesNotExist
         list other -> StateMachineDoesNotExist
         running other -> no",
    ),
    (
        "an execution is described with the version and the alias that it was started by",
        "create e waits -> :1
         update e waits-too -> :2
         alias e live 2=100 -> ok
         start e:1 by-version {} -> ok
         start e:live by-alias {} -> ok
         start e:7 none {} -> StateMachineDoesNotExist
         start e:none none {} -> StateMachineDoesNotExist
         by e by-version -> :1
         by e by-alias -> :2 live
         list e:1 -> by-version=Running
         list e:live -> by-alias=Running
         list e:2 -> by-alias=Running",
    ),
    (
        "a redrive is made once for a token, and only of what failed",
        "create f fails -> :1
         start f e {} -> ok
         ends f e -> Failed
         redrive f e t -> ok
         redrive f e t -> ok
         redriven f e -> 1
         ends f e -> Failed
         redrive f other t -> ExecutionDoesNotExist
         create g waits -> :1
         start g e {} -> ok
         redrive g e t -> ExecutionNotRedrivable
         stop g e -> ok
         create h one -> :1
         start h e {} -> ok
         ends h e -> Succeeded
         redrive h e t -> ExecutionNotRedrivable",
    ),
    (
        "a machine that is being deleted takes nothing more, and is gone later",
        "create i waits -> :1
         start i e {} -> ok
         delete i -> ok
         execution i e -> Aborted
         describe i -> deleting
         delete i -> ok
         gone i -> yes
         delete i -> ok
         start i e {} -> StateMachineDoesNotExist
         create i one -> :1",
    ),
    (
        "tags are set, changed and taken away",
        "create j one -> :1
         tag j team=b -> ok
         tag j stage=test -> ok
         tags j -> stage=test,team=b
         untag j team -> ok
         untag j team -> ok
         tags j -> stage=test",
    ),
    (
        "an activity of a name that exists is answered, and its tags stay",
        "activity k team=a -> ok
         activity k team=b -> ok
         has-activity k -> yes
         activity-tags k -> team=a
         drop-activity k -> ok
         drop-activity k -> ok
         has-activity k -> no",
    ),
];

/// What a script is played to.
pub struct Stage<'a, T> {
    pub aws: &'a T,
    pub caller: &'a Caller,
    /// Before every name, so that the scripts of two tests do not meet.
    pub prefix: &'a str,
    /// Role of every execution.
    pub execution_role: &'a str,
    /// Ends an execution, where AWS does not by itself.
    pub end: &'a (dyn Fn(&str, ExecutionStatus) + Sync),
}

/// Plays a script and tells each line whose answer is another.
pub async fn play<T>(stage: &Stage<'_, T>, script: &str) -> Vec<String>
where
    T: StateMachines + Aliases + Executions + Tagging + Activities,
{
    let mut wrong = Vec::new();
    for line in script.lines() {
        let (call, expected) = line.trim().split_once(" -> ").unwrap();
        let words: Vec<&str> = call.split(' ').collect();
        let answer = match stage.ask(words[0], &words[1..]).await {
            Ok(answer) => answer,
            Err(error) => error.code,
        };
        if answer != expected {
            wrong.push(format!("{call}: {answer} instead of {expected}"));
        }
    }
    wrong
}

fn definition(word: &str) -> String {
    let state = match word {
        waits if waits.starts_with("waits") => r#"{"Type":"Wait","Seconds":3600,"End":true}"#,
        fails if fails.starts_with("fails") => r#"{"Type":"Fail","Error":"E","Cause":"C"}"#,
        _ => r#"{"Type":"Succeed"}"#,
    };
    format!(r#"{{"StartAt":"A","Comment":"{word}","States":{{"A":{state}}}}}"#)
}

fn word_of(definition: &str) -> String {
    let start = definition.find("\"Comment\":\"").unwrap() + "\"Comment\":\"".len();
    definition[start..].split('"').next().unwrap().to_owned()
}

fn tags_of(text: &str) -> Tags {
    text.split(',').map(|pair| pair.split_once('=').unwrap()).map(|(key, value)| (key.into(), value.into())).collect()
}

fn told(tags: &Tags) -> String {
    tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn done(answer: Result<(), AwsError>) -> Result<String, AwsError> {
    answer.map(|()| "ok".to_owned())
}

fn yes(answer: bool) -> String {
    if answer { "yes" } else { "no" }.to_owned()
}

/// What a version's ARN adds to the machine's.
fn version(arn: Option<String>) -> String {
    arn.map_or_else(|| "none".to_owned(), |arn| format!(":{}", arn.rsplit(':').next().unwrap()))
}

impl<T> Stage<'_, T>
where
    T: StateMachines + Aliases + Executions + Tagging + Activities,
{
    fn arn(&self, kind: &str, name: &str) -> String {
        let (region, account) = (&self.caller.region, &self.caller.account_id);
        format!("arn:aws:states:{region}:{account}:{kind}:{}{name}", self.prefix)
    }

    fn routes(&self, machine: &str, text: &str) -> Routes {
        let route = |pair: &str| {
            let (version, weight) = pair.split_once('=').unwrap();
            (format!("{}:{version}", self.arn("stateMachine", machine)), weight.parse().unwrap())
        };
        text.split(',').map(route).collect()
    }

    async fn ask(&self, call: &str, words: &[&str]) -> Result<String, AwsError> {
        let name = words[0];
        let machine = self.arn("stateMachine", name);
        match call {
            "create" | "update" | "update-plain" | "describe" | "publish" | "delete" | "gone" | "delete-version" => {
                self.about_machine(call, &machine, words).await
            }
            "alias" | "route" | "routes" | "drop" => self.about_alias(call, &machine, words).await,
            "tags" | "activity-tags" => {
                let arn = if call == "tags" { machine } else { self.arn("activity", name) };
                self.aws.list_tags(self.caller, &arn).await.map(|tags| told(&tags))
            }
            "tag" => done(self.aws.tag(self.caller, &machine, &tags_of(words[1])).await),
            "untag" => done(self.aws.untag(self.caller, &machine, &[words[1].to_owned()]).await),
            "activity" => {
                let (name, settings) = (format!("{}{name}", self.prefix), MachineSettings::default());
                done(self.aws.create_activity(self.caller, &name, &settings, &tags_of(words[1])).await)
            }
            "has-activity" => self.aws.has_activity(self.caller, &self.arn("activity", name)).await.map(yes),
            "drop-activity" => done(self.aws.delete_activity(self.caller, &self.arn("activity", name)).await),
            _ => self.about_execution(call, &machine, words).await,
        }
    }

    async fn about_machine(&self, call: &str, machine: &str, words: &[&str]) -> Result<String, AwsError> {
        let (aws, caller) = (self.aws, self.caller);
        match call {
            "create" => {
                let request = CreateStateMachine {
                    name: format!("{}{}", self.prefix, words[0]),
                    definition: definition(words[1]),
                    role_arn: self.execution_role.to_owned(),
                    machine_type: StateMachineType::Standard,
                    settings: MachineSettings::default(),
                    version_description: Some(format!("first {}", words[1])),
                    tags: tags_of("team=a"),
                };
                aws.create_state_machine(caller, &request).await.map(|created| version(created.version_arn))
            }
            "update" | "update-plain" => {
                let request = UpdateStateMachine {
                    arn: machine.to_owned(),
                    definition: definition(words[1]),
                    role_arn: self.execution_role.to_owned(),
                    settings: MachineSettings::default(),
                    version_description: (call == "update").then(|| format!("then {}", words[1])),
                };
                aws.update_state_machine(caller, &request).await.map(|updated| version(updated.version_arn))
            }
            "describe" => Ok(match aws.describe_state_machine(caller, machine).await? {
                None => "none".to_owned(),
                Some(found) if found.deleting => "deleting".to_owned(),
                Some(found) => word_of(&found.definition),
            }),
            "gone" => {
                for _ in 0..100 {
                    if aws.describe_state_machine(caller, machine).await?.is_none() {
                        return Ok(yes(true));
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Ok(yes(false))
            }
            "publish" => aws.publish_version(caller, machine, None, "").await.map(|arn| version(Some(arn))),
            "delete-version" => done(aws.delete_version(caller, &format!("{machine}:{}", words[1])).await),
            _ => done(aws.delete_state_machine(caller, machine).await),
        }
    }

    async fn about_alias(&self, call: &str, machine: &str, words: &[&str]) -> Result<String, AwsError> {
        let (aws, caller, arn) = (self.aws, self.caller, format!("{machine}:{}", words[1]));
        match call {
            "alias" => done(aws.create_alias(caller, words[1], &self.routes(words[0], words[2])).await),
            "route" => done(aws.update_alias(caller, &arn, &self.routes(words[0], words[2])).await),
            "drop" => done(aws.delete_alias(caller, &arn).await),
            _ => {
                let Some(routes) = aws.alias_routes(caller, &arn).await? else { return Ok("none".to_owned()) };
                let route = |(arn, weight): &(String, i64)| format!("{}={weight}", arn.rsplit(':').next().unwrap());
                Ok(routes.iter().map(route).collect::<Vec<_>>().join(","))
            }
        }
    }

    async fn about_execution(&self, call: &str, target: &str, words: &[&str]) -> Result<String, AwsError> {
        let (aws, caller) = (self.aws, self.caller);
        let of = |name: &str| format!("{}:{name}", target.replace(":stateMachine:", ":execution:"));
        match call {
            "running" => aws.has_running_executions(caller, target).await.map(yes),
            "list" => {
                let mut found = aws.list_executions(caller, target, false).await?;
                found.sort_by(|a, b| a.arn.cmp(&b.arn));
                let one = |arn: &str| arn.rsplit(':').next().unwrap().to_owned();
                let items = found.iter().map(|item| format!("{}={:?}", one(&item.arn), item.status));
                Ok(items.collect::<Vec<_>>().join(","))
            }
            "start" => {
                let request = StartExecution {
                    target_arn: target.to_owned(),
                    name: words[1].to_owned(),
                    input: words[2].to_owned(),
                    trace_root: "1-5759e988-bd862e3fe1be46a994272793".to_owned(),
                };
                done(aws.start_execution(caller, &request).await.map(drop))
            }
            "stop" => done(aws.stop_execution(caller, &of(words[1]), Some(("E", "C"))).await),
            "redrive" => done(aws.redrive_execution(caller, &of(words[1]), words[2]).await),
            _ => self.look_at(call, &of(words[1])).await,
        }
    }

    async fn look_at(&self, call: &str, arn: &str) -> Result<String, AwsError> {
        let described = async || self.aws.describe_execution(self.caller, arn).await;
        if call == "ends" {
            for _ in 0..100 {
                if described().await?.is_some_and(|found| found.status != ExecutionStatus::Running) {
                    break;
                }
                let fails = arn.contains(&format!(":{}f:", self.prefix));
                (self.end)(arn, if fails { ExecutionStatus::Failed } else { ExecutionStatus::Succeeded });
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let Some(found) = described().await? else { return Ok("none".to_owned()) };
        Ok(match call {
            "by" => {
                let alias = found.alias_arn.map(|arn| format!(" {}", arn.rsplit(':').next().unwrap()));
                format!("{}{}", version(found.version_arn), alias.unwrap_or_default())
            }
            "redriven" => found.redrive_count.to_string(),
            _ => format!("{:?}", found.status),
        })
    }
}
