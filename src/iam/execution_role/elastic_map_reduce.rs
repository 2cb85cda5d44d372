//! EMR in its three forms.

use super::task::Task;

/// EMR on EC2.
pub(super) fn clusters(task: &mut Task<'_>, action: &str) -> bool {
    const STEPS: &str = "StepFunctionsGetEventForEMRAddJobFlowStepsRule";
    let (own, sync, rule): (&[&str], &[&str], _) = match action {
        "createCluster" => {
            create(task);
            return true;
        }
        "addStep" => (
            &["elasticmapreduce:AddJobFlowSteps"],
            &["elasticmapreduce:DescribeStep", "elasticmapreduce:CancelSteps"],
            STEPS,
        ),
        "cancelStep" => (&["elasticmapreduce:CancelSteps"], &[], ""),
        "setClusterTerminationProtection" => (&["elasticmapreduce:SetTerminationProtection"], &[], ""),
        "terminateCluster" => (
            &["elasticmapreduce:TerminateJobFlows"],
            &["elasticmapreduce:DescribeCluster"],
            "StepFunctionsGetEventForEMRTerminateJobFlowsRule",
        ),
        "modifyInstanceFleetByName" => {
            (&["elasticmapreduce:ModifyInstanceFleet", "elasticmapreduce:ListInstanceFleets"], &[], "")
        }
        "modifyInstanceGroupByName" => {
            (&["elasticmapreduce:ModifyInstanceGroups", "elasticmapreduce:ListInstanceGroups"], &[], "")
        }
        _ => return false,
    };
    let cluster = task.resource("ClusterId", "elasticmapreduce", "cluster/", "its cluster");
    task.need(own, cluster.clone());
    if task.is_sync() && !sync.is_empty() {
        task.need(sync, cluster);
    }
    if !rule.is_empty() {
        task.managed_rule(rule);
    }
    true
}

fn create(task: &mut Task<'_>) {
    task.need(&["elasticmapreduce:RunJobFlow"], ["*"]);
    task.pass_role("ServiceRole", "elasticmapreduce.amazonaws.com", "the role of the cluster");
    // A job flow role is an instance profile; its role has its name by custom (EMR management guide, "Instance profile").
    task.pass_role("JobFlowRole", "ec2.amazonaws.com", "the role of its instances");
    task.pass_role_if_named("AutoScalingRole", "application-autoscaling.amazonaws.com", "the role of its scaling");
    if !task.payload.get("Tags").is_absent() {
        let created = task.here.arn("elasticmapreduce", "cluster/*");
        task.need(&["elasticmapreduce:AddTags"], [created]);
    }
    if task.is_sync() {
        // The id of the cluster is known only after the call.
        let created = task.here.arn("elasticmapreduce", "cluster/*");
        task.need(&["elasticmapreduce:DescribeCluster", "elasticmapreduce:TerminateJobFlows"], [created]);
    }
    task.managed_rule("StepFunctionsGetEventForEMRRunJobFlowRule");
}

/// EMR on EKS.
pub(super) fn containers(task: &mut Task<'_>, action: &str) -> bool {
    match action {
        "createVirtualCluster" => {
            task.need(&["emr-containers:CreateVirtualCluster"], ["*"]);
            let role = "aws-service-role/emr-containers.amazonaws.com/AWSServiceRoleForAmazonEMRContainers";
            service_linked_role(task, role, "emr-containers.amazonaws.com");
        }
        "deleteVirtualCluster" => {
            let cluster = task.resource("Id", "emr-containers", "/virtualclusters/", "its virtual cluster");
            task.need(&["emr-containers:DeleteVirtualCluster"], cluster.clone());
            if task.is_sync() {
                task.need(&["emr-containers:DescribeVirtualCluster"], cluster);
            }
        }
        "startJobRun" => {
            let cluster =
                task.resource("VirtualClusterId", "emr-containers", "/virtualclusters/", "its virtual cluster");
            let role = task.payload.get("ExecutionRoleArn");
            let role = role.text().map_or_else(|| task.given("iam", "role/"), |arn| vec![arn]);
            if role.is_empty() {
                let field = task.payload.get("ExecutionRoleArn");
                task.open(&field, "the role of the job", "ExecutionRoleArn");
            } else {
                let key = ("emr-containers:ExecutionRoleArn".to_owned(), role);
                let conditions = [("StringEquals".to_owned(), [key].into())];
                task.need_when(&["emr-containers:StartJobRun"], cluster.clone(), conditions.into());
            }
            if task.is_sync() {
                let runs: Vec<String> = cluster.iter().map(|arn| format!("{arn}/jobruns/*")).collect();
                task.need(&["emr-containers:DescribeJobRun", "emr-containers:CancelJobRun"], runs);
            }
        }
        _ => return false,
    }
    true
}

/// The service makes its own role in an account that has none yet.
fn service_linked_role(task: &mut Task<'_>, role: &str, service: &str) {
    let arn = format!("arn:{}:iam::{}:role/{role}", task.here.partition, task.here.account);
    let conditions =
        [("StringEquals".to_owned(), [("iam:AWSServiceName".to_owned(), vec![service.to_owned()])].into())];
    task.need_when(&["iam:CreateServiceLinkedRole"], [arn], conditions.into());
}

/// EMR Serverless.
pub(super) fn serverless(task: &mut Task<'_>, action: &str) -> bool {
    const APPLICATION: &str = "StepFunctionsGetEventsForEMRServerlessApplicationRule";
    const JOB: &str = "StepFunctionsGetEventsForEMRServerlessJobRule";
    match action {
        "createApplication" => {
            task.need(&["emr-serverless:CreateApplication"], ["*"]);
            if task.is_sync() {
                let created = task.here.arn("emr-serverless", "/applications/*");
                task.need(&["emr-serverless:GetApplication", "emr-serverless:DeleteApplication"], [created]);
            }
            let role = "aws-service-role/ops.emr-serverless.amazonaws.com/AWSServiceRoleForAmazonEMRServerless";
            service_linked_role(task, role, "ops.emr-serverless.amazonaws.com");
            task.managed_rule(APPLICATION);
        }
        "startApplication" => {
            let more = ["emr-serverless:GetApplication", "emr-serverless:StopApplication"];
            application(task, "emr-serverless:StartApplication", &more);
        }
        "stopApplication" => {
            application(task, "emr-serverless:StopApplication", &["emr-serverless:GetApplication"]);
        }
        "deleteApplication" => {
            application(task, "emr-serverless:DeleteApplication", &["emr-serverless:GetApplication"]);
        }
        "startJobRun" => {
            let of = task.resource("ApplicationId", "emr-serverless", "/applications/", "its application");
            task.need(&["emr-serverless:StartJobRun"], of.clone());
            task.pass_role("ExecutionRoleArn", "emr-serverless.amazonaws.com", "the role of the job");
            if task.is_sync() {
                let runs: Vec<String> = of.iter().map(|arn| format!("{arn}/jobruns/*")).collect();
                task.need(&["emr-serverless:GetJobRun", "emr-serverless:CancelJobRun"], runs);
            }
            task.managed_rule(JOB);
        }
        "cancelJobRun" => {
            let of = task.resource("ApplicationId", "emr-serverless", "/applications/", "its application");
            let run = task.payload.get("JobRunId").text().unwrap_or_else(|| "*".into());
            let runs: Vec<String> = of.iter().map(|arn| format!("{arn}/jobruns/{run}")).collect();
            task.need(&["emr-serverless:CancelJobRun"], runs.clone());
            if task.is_sync() {
                task.need(&["emr-serverless:GetJobRun"], runs);
            }
            task.managed_rule(JOB);
        }
        _ => return false,
    }
    true
}

fn application(task: &mut Task<'_>, own: &str, when_sync: &[&str]) {
    let of = task.resource("ApplicationId", "emr-serverless", "/applications/", "its application");
    task.need(&[own], of.clone());
    if task.is_sync() {
        task.need(when_sync, of);
    }
    task.managed_rule("StepFunctionsGetEventsForEMRServerlessApplicationRule");
}
