//! Functions, containers, builds, other state machines.

use super::derived::Surroundings;
use super::task::{Task, is_account};
use crate::iam::partition;

/// A function, as a call names it.
pub(super) struct Function {
    arn: String,
    qualifier: Option<String>,
}

impl Function {
    /// Reads every form that Lambda takes: a name, or an ARN of which all before the name may be left out from the left, with
    /// or without a qualifier (Lambda API reference, pattern of `FunctionName`).
    pub(super) fn read(text: &str, here: &Surroundings) -> Option<Self> {
        let mut there = here.clone();
        let mut rest = text;
        if let Some(whole) = text.strip_prefix("arn:") {
            let (partition, after) = whole.split_once(":lambda:")?;
            partition.clone_into(&mut there.partition);
            rest = after;
        }
        if let Some((region, after)) = rest.split_once(':').filter(|(one, _)| partition::of_region(one).is_some()) {
            region.clone_into(&mut there.region);
            rest = after;
        }
        if let Some((account, after)) = rest.split_once(':').filter(|(one, _)| is_account(one)) {
            account.clone_into(&mut there.account);
            rest = after;
        }
        let rest = rest.strip_prefix("function:").unwrap_or(rest);
        let (name, qualifier) = rest.split_once(':').map_or((rest, None), |(name, qualifier)| (name, Some(qualifier)));
        let is_name = !name.is_empty() && !name.contains([':', '/']);
        is_name.then(|| Self {
            arn: there.arn("lambda", &format!("function:{name}")),
            qualifier: qualifier.map(str::to_owned),
        })
    }

    /// Its ARN without qualifier.
    pub(super) fn unqualified(self) -> String {
        self.arn
    }

    /// What its invocation is allowed on. Without a qualifier it may be invoked by any of its versions and aliases too
    /// (developer guide, "IAM policies for calling Lambda").
    fn invokable(self) -> Vec<String> {
        match self.qualifier {
            Some(qualifier) => vec![format!("{}:{qualifier}", self.arn)],
            None => vec![self.arn.clone(), format!("{}:*", self.arn)],
        }
    }
}

/// A function named by its ARN as the Resource itself.
pub(super) fn function(task: &mut Task<'_>, arn: &str) {
    let resources = Function::read(arn, &task.here).map_or_else(|| vec![arn.to_owned()], Function::invokable);
    task.need(&["lambda:InvokeFunction"], resources);
}

pub(super) fn lambda(task: &mut Task<'_>, action: &str) -> bool {
    if action != "invoke" {
        return false;
    }
    let field = task.payload.get("FunctionName");
    let named = field.text().map_or_else(|| task.given("lambda", "function:"), |text| vec![text]);
    if named.is_empty() {
        task.open(&field, "its function", "FunctionName");
    }
    let qualifier = task.payload.get("Qualifier").text();
    for text in named {
        match Function::read(&text, &task.here) {
            Some(mut function) => {
                function.qualifier = function.qualifier.or_else(|| qualifier.clone());
                task.need(&["lambda:InvokeFunction"], function.invokable());
            }
            None => task
                .missing(format!("names its function as \"{text}\", which is no function's name or ARN; correct it")),
        }
    }
    true
}

pub(super) fn nested(task: &mut Task<'_>, action: &str) -> bool {
    if action != "startExecution" {
        return false;
    }
    for arn in task.resource("StateMachineArn", "states", "stateMachine:", "its state machine") {
        // A start by version or alias is allowed on the machine itself (service authorization reference, Step Functions).
        let machine = arn.split(':').take(7).collect::<Vec<_>>().join(":");
        let executions = format!("{}:*", machine.replacen(":stateMachine:", ":execution:", 1));
        task.need(&["states:StartExecution"], [machine]);
        if task.is_sync() {
            task.need(&["states:DescribeExecution", "states:StopExecution"], [executions]);
        }
    }
    task.managed_rule("StepFunctionsGetEventsForStepFunctionsExecutionRule");
    true
}

pub(super) fn ecs(task: &mut Task<'_>, action: &str) -> bool {
    const TASKS: &str = "ecs-tasks.amazonaws.com";
    if action != "runTask" {
        return false;
    }
    let definitions = task.resource("TaskDefinition", "ecs", "task-definition/", "its task definition");
    let revisions: Vec<String> = definitions.into_iter().map(|arn| any_revision(arn, 6)).collect();
    task.need(&["ecs:RunTask"], revisions);
    let tags = !task.payload.get("Tags").is_absent() || !task.payload.get("PropagateTags").is_absent();
    if task.is_sync() || tags {
        let tasks = tasks_of_cluster(task);
        if task.is_sync() {
            task.need(&["ecs:StopTask", "ecs:DescribeTasks"], tasks.clone());
        }
        if tags {
            task.need(&["ecs:TagResource"], tasks);
        }
    }
    task.managed_rule("StepFunctionsGetEventsForECSTaskRule");
    let given = task.given("iam", "role/");
    let named = ["Overrides.TaskRoleArn", "Overrides.ExecutionRoleArn"];
    let overridden = named.iter().filter(|field| !task.payload.get(field).is_absent()).count();
    for field in named {
        task.pass_role_if_named(field, TASKS, "the role of its tasks");
    }
    if overridden < named.len() && given.is_empty() {
        task.missing(format!("runs tasks whose roles stand in the task definition, and they have to be passed on; give them with {}, once each", task.flag("ARN")));
    } else if overridden < named.len() {
        let conditions =
            [("StringEquals".to_owned(), [("iam:PassedToService".to_owned(), vec![TASKS.to_owned()])].into())];
        task.need_when(&["iam:PassRole"], given, conditions.into());
    }
    true
}

/// A definition without a revision means the newest, whichever that is.
fn any_revision(arn: String, colons: usize) -> String {
    if arn.matches(':').count() < colons { format!("{arn}:*") } else { arn }
}

fn tasks_of_cluster(task: &mut Task<'_>) -> Vec<String> {
    let cluster = match task.payload.get("Cluster") {
        field if field.is_absent() => vec![task.here.arn("ecs", "cluster/default")],
        _ => task.resource("Cluster", "ecs", "cluster/", "its cluster"),
    };
    cluster.iter().map(|arn| format!("{}/*", arn.replacen(":cluster/", ":task/", 1))).collect()
}

pub(super) fn batch(task: &mut Task<'_>, action: &str) -> bool {
    if action != "submitJob" {
        return false;
    }
    let mut resources = task.resource("JobQueue", "batch", "job-queue/", "its job queue");
    let definitions = task.resource("JobDefinition", "batch", "job-definition/", "its job definition");
    resources.extend(definitions.into_iter().map(|arn| any_revision(arn, 6)));
    // The job that the call creates (service authorization reference, Batch).
    let jobs = task.here.arn("batch", "job/*");
    resources.push(jobs.clone());
    task.need(&["batch:SubmitJob"], resources);
    if task.is_sync() {
        task.need(&["batch:DescribeJobs"], ["*"]);
        task.need(&["batch:TerminateJob"], [jobs]);
    }
    task.managed_rule("StepFunctionsGetEventsForBatchJobsRule");
    true
}

pub(super) fn codebuild(task: &mut Task<'_>, action: &str) -> bool {
    let (own, sync, rule): (&str, &[&str], _) = match action {
        "startBuild" => (
            "codebuild:StartBuild",
            &["codebuild:StopBuild", "codebuild:BatchGetBuilds"],
            "StepFunctionsGetEventForCodeBuildStartBuildRule",
        ),
        "startBuildBatch" => (
            "codebuild:StartBuildBatch",
            &["codebuild:StopBuildBatch", "codebuild:BatchGetBuildBatches"],
            "StepFunctionsGetEventForCodeBuildStartBuildBatchRule",
        ),
        "stopBuild" => return of_build(task, "codebuild:StopBuild", &["Id"]),
        "batchDeleteBuilds" => return of_build(task, "codebuild:BatchDeleteBuilds", &["Ids"]),
        "stopBuildBatch" => return of_build(task, "codebuild:StopBuildBatch", &["Id"]),
        "retryBuildBatch" => return of_build(task, "codebuild:RetryBuildBatch", &["Id"]),
        "deleteBuildBatch" => return of_build(task, "codebuild:DeleteBuildBatch", &["Id"]),
        "batchGetBuildBatches" => return of_build(task, "codebuild:BatchGetBuildBatches", &["Ids"]),
        "batchGetReports" => {
            let given = task.given("codebuild", "report-group/");
            if given.is_empty() {
                task.missing(format!(
                    "reads reports, whose report group the definition does not name; give it with {}",
                    task.flag("ARN")
                ));
            }
            task.need(&["codebuild:BatchGetReports"], given);
            return true;
        }
        _ => return false,
    };
    let project = task.resource("ProjectName", "codebuild", "project/", "its project");
    task.need(&[own], project.clone());
    if task.is_sync() {
        task.need(sync, project);
    }
    task.managed_rule(rule);
    true
}

/// Builds are allowed by their project, which stands before the colon of a build's id.
fn of_build(task: &mut Task<'_>, action: &str, fields: &[&str]) -> bool {
    let known = fields.iter().find_map(|field| task.payload.get(field).text());
    let project = known.and_then(|id| {
        let id = id.rsplit('/').next().unwrap_or_default().to_owned();
        id.split_once(':').map(|(project, _)| task.here.arn("codebuild", &format!("project/{project}")))
    });
    let resources = project.map_or_else(|| task.given("codebuild", "project/"), |arn| vec![arn]);
    if resources.is_empty() {
        task.missing(format!(
            "names a build of the input, and builds are allowed by their project; give the project with {}",
            task.flag("ARN")
        ));
    }
    task.need(&[action], resources);
    true
}

pub(super) fn eks(task: &mut Task<'_>, action: &str) -> bool {
    const EKS: &str = "eks.amazonaws.com";
    match action {
        // Both speak to the cluster itself (developer guide, "Create and manage Amazon EKS clusters with Step Functions").
        "call" | "runJob" => task.note(
            "speaks to the cluster itself, which asks nothing of IAM: let the role in with an access entry of EKS (or aws-auth), and allow it what it does by RBAC",
        ),
        "createCluster" => {
            task.need(&["eks:CreateCluster"], ["*"]);
            task.pass_role("RoleArn", EKS, "the role of the cluster");
            if task.is_sync() {
                let cluster = task.resource("Name", "eks", "cluster/", "its cluster");
                task.need(&["eks:DescribeCluster", "eks:DeleteCluster"], cluster);
            }
        }
        "deleteCluster" => {
            let cluster = task.resource("Name", "eks", "cluster/", "its cluster");
            task.need(&["eks:DeleteCluster"], cluster.clone());
            if task.is_sync() {
                task.need(&["eks:DescribeCluster"], cluster);
            }
        }
        "createNodegroup" => {
            let cluster = task.resource("ClusterName", "eks", "cluster/", "its cluster");
            task.need(&["eks:CreateNodegroup"], cluster);
            task.need(&["ec2:DescribeSubnets"], ["*"]);
            task.pass_role("NodeRole", EKS, "the role of the nodes");
            let role = task.payload.get("NodeRole").text();
            let role = role.map_or_else(|| task.given("iam", "role/"), |arn| vec![arn]);
            task.need(&["iam:GetRole", "iam:ListAttachedRolePolicies"], role);
            of_cluster(task, "nodegroup", "NodegroupName", &["eks:DescribeNodegroup", "eks:DeleteNodegroup"]);
        }
        "deleteNodegroup" => {
            let sync = task.is_sync();
            let actions: &[&str] =
                if sync { &["eks:DeleteNodegroup", "eks:DescribeNodegroup"] } else { &["eks:DeleteNodegroup"] };
            part_of_cluster(task, "nodegroup", "NodegroupName", actions);
        }
        "createFargateProfile" => {
            let cluster = task.resource("ClusterName", "eks", "cluster/", "its cluster");
            task.need(&["eks:CreateFargateProfile"], cluster);
            task.pass_role("PodExecutionRoleArn", "eks-fargate-pods.amazonaws.com", "the role of the pods");
            let actions = ["eks:DescribeFargateProfile", "eks:DeleteFargateProfile"];
            of_cluster(task, "fargateprofile", "FargateProfileName", &actions);
        }
        "deleteFargateProfile" => {
            let sync = task.is_sync();
            let actions: &[&str] = if sync {
                &["eks:DeleteFargateProfile", "eks:DescribeFargateProfile"]
            } else {
                &["eks:DeleteFargateProfile"]
            };
            part_of_cluster(task, "fargateprofile", "FargateProfileName", actions);
        }
        _ => return false,
    }
    true
}

fn of_cluster(task: &mut Task<'_>, kind: &str, name: &str, when_sync: &[&str]) {
    if task.is_sync() {
        part_of_cluster(task, kind, name, when_sync);
    }
}

/// ARNs of node groups and profiles end in an id that is given when they are created.
fn part_of_cluster(task: &mut Task<'_>, kind: &str, name: &str, actions: &[&str]) {
    let (cluster, part) = (task.payload.get("ClusterName").text(), task.payload.get(name).text());
    let resources = match (cluster, part) {
        (Some(cluster), Some(part)) => vec![task.here.arn("eks", &format!("{kind}/{cluster}/{part}/*"))],
        _ => task.given("eks", &format!("{kind}/")),
    };
    if resources.is_empty() {
        let field = task.payload.get(name);
        task.open(&field, &format!("its {kind}"), name);
    }
    task.need(actions, resources);
}
