//! What the tools do: each is a request to the API server as whoever calls.

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use serde_json::{Value, json};

use super::arguments::{CancelRun, GetRun, ListRuns, OfRun};
use super::offers::{Offer, offers};
use super::schema::{Arguments, Given};
use super::told::{answer, facts, next, object, of_others, output, timeline};
use super::{data, key, wait};
use crate::api::v1alpha1::{Phase, Timeline, Workflow, WorkflowRef, WorkflowRun};
use crate::kubectl::await_run::phase;
use crate::kubectl::cancel::{Asked, ask};
use crate::kubectl::cluster::typed;
use crate::kubectl::describe::chain_of;
use crate::kubectl::get::followed;
use crate::kubectl::kinds::{Kind, Named, name_of};
use crate::kubectl::list::newest_first;
use crate::kubectl::run_workflow::{Wanted, check_input, check_target, kept_output};
use crate::kubectl::{Cluster, KubectlError};

/// Most characters of a Workflow's name that a run's name begins with.
const MAX_BEGINNING: usize = 200;

/// What a call gives: an answer, and whether it is bad news.
pub(super) struct Answer {
    pub value: Value,
    pub is_bad: bool,
}

impl Answer {
    fn good(value: Value) -> Self {
        Self { value, is_bad: false }
    }
}

/// The Workflows that are tools now. One that this program cannot read is of a newer version, and no tool here.
pub(super) async fn offered(cluster: &Cluster) -> Result<Vec<Offer>, KubectlError> {
    let found = crate::kubectl::cluster::all(&cluster.as_they_are::<Workflow>(), &ListParams::default()).await;
    let asked = format!("list Workflows in namespace \"{}\"", cluster.namespace);
    let found = found.map_err(|error| KubectlError::of(&asked, error))?;
    let is_tool = |object: &DynamicObject| object.data["spec"].get("tool").is_some();
    Ok(offers(found.into_iter().filter(is_tool).filter_map(|object| typed::<Workflow>(object).ok()).collect()))
}

/// Starts a run of a Workflow, or finds the one that the same key began, and waits for it.
pub(super) async fn start(
    cluster: &Cluster,
    offer: &Offer,
    given: Given,
    context: &RequestContext<RoleServer>,
) -> Result<Answer, KubectlError> {
    check_input(&given.input)?;
    let workflow = offer.name();
    let caller = match &given.key {
        Some(_) => who(cluster).await?,
        None => String::new(),
    };
    let name = given.key.as_ref().map(|key| key::name(workflow, &caller, key, MAX_BEGINNING));
    let wanted = Wanted { workflow, name: name.as_deref(), input: Some(given.input.clone()), ..Wanted::default() };
    let object: DynamicObject = serde_json::from_value(wanted.object(&cluster.namespace))
        .map_err(|error| KubectlError::Print(error.to_string()))?;
    let reference = WorkflowRef { name: workflow.to_owned(), alias: None, version: None };
    check_target(cluster, &reference, &object).await?;
    let made = cluster.as_they_are::<WorkflowRun>().create(&PostParams::default(), &object).await;
    let run = match (made, name) {
        (Ok(made), _) => typed(made)?,
        (Err(kube::Error::Api(status)), Some(name)) if status.code == 409 => {
            again(cluster, &name, (workflow, &caller), &given).await?
        }
        (Err(error), _) => return Err(KubectlError::of(&format!("run Workflow \"{workflow}\""), error)),
    };
    let run = wait::until_ended(cluster, run, wait::length(given.wait_seconds), context).await?;
    told(cluster, &run).await
}

/// The run that the same key began. A key is for one request: another input is another request.
async fn again(
    cluster: &Cluster,
    name: &str,
    (workflow, caller): (&str, &str),
    given: &Given,
) -> Result<WorkflowRun, KubectlError> {
    let run: WorkflowRun = cluster.typed(name).await?;
    let asked = run.status.as_ref().and_then(|status| status.requested_by.as_deref());
    if let Some(other) = asked.filter(|asked| *asked != caller) {
        return Err(KubectlError::Refused(format!(
            "nothing was started: WorkflowRun \"{name}\" has the name that this key would give, and {other} asked for it; give another key"
        )));
    }
    let is_same = run.spec.workflow_ref.name == workflow
        && run.spec.input.as_ref().unwrap_or(&json!({})) == &given.input
        && run.metadata.deletion_timestamp.is_none();
    if is_same {
        return Ok(run);
    }
    Err(KubectlError::Refused(format!(
        "nothing was started: this key has begun WorkflowRun \"{name}\", whose input is another; give another key"
    )))
}

/// As whom the API server knows whoever calls.
async fn who(cluster: &Cluster) -> Result<String, KubectlError> {
    let kind = GroupVersionKind::gvk("authentication.k8s.io", "v1", "SelfSubjectReview");
    let api: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &ApiResource::from_gvk(&kind));
    let review = DynamicObject {
        types: Some(kube::core::TypeMeta {
            api_version: "authentication.k8s.io/v1".into(),
            kind: "SelfSubjectReview".into(),
        }),
        metadata: kube::core::ObjectMeta::default(),
        data: json!({}),
    };
    let answer = api.create(&PostParams::default(), &review).await;
    let answer = answer.map_err(|error| KubectlError::of("ask who you are, which a key is bound to", error))?;
    let name = answer.data["status"]["userInfo"]["username"].as_str().unwrap_or_default();
    if name.is_empty() {
        return Err(KubectlError::Refused("the API server does not say who you are, so no key can be used".into()));
    }
    Ok(name.to_owned())
}

/// All that is told of a run.
async fn told(cluster: &Cluster, run: &WorkflowRun) -> Result<Answer, KubectlError> {
    let mut data = of_others(run);
    let status = run.status.clone().unwrap_or_default();
    if phase(run) == Phase::Succeeded {
        let (name, value) = output(kept_output(cluster, run).await?.as_deref(), status.output_bytes);
        data.insert(name.into(), value);
    }
    if let Some(visits) = visited(cluster, run).await {
        data.insert("timeline".into(), timeline(&visits));
    }
    let is_bad = phase(run).is_finished() && !run.wants_redrive() && !phase(run).is_good();
    let value = answer(Some(facts(run, Timestamp::now())), Value::Object(data), next(run));
    Ok(Answer { value, is_bad })
}

async fn visited(cluster: &Cluster, run: &WorkflowRun) -> Option<Timeline> {
    match run.status.as_ref().and_then(|status| status.timeline.clone()) {
        Some(timeline) => Some(timeline),
        None => followed(&run.name_any(), cluster).await,
    }
}

/// `get_run`
pub(super) async fn get(
    cluster: &Cluster,
    asked: GetRun,
    context: &RequestContext<RoleServer>,
) -> Result<Answer, KubectlError> {
    let run: WorkflowRun = cluster.typed(&name_of(Kind::Run, &asked.name)?).await?;
    let longest = wait::length(Some(asked.wait_seconds.unwrap_or_default()));
    let run = wait::until_ended(cluster, run, longest, context).await?;
    // That a run has failed is what was asked for, and no failure of this call.
    Ok(Answer::good(told(cluster, &run).await?.value))
}

/// `list_runs`
pub(super) async fn list(cluster: &Cluster, asked: ListRuns) -> Result<Answer, KubectlError> {
    let mut fields = Vec::new();
    if let Some(workflow) = &asked.workflow {
        fields.push(format!("spec.workflowRef.name={}", name_of(Kind::Workflow, workflow)?));
    }
    if let Some(phase) = &asked.phase {
        let known = Phase::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(phase));
        let names = || Phase::ALL.map(Phase::as_str).join(", ");
        let known = known.ok_or_else(|| KubectlError::Usage(format!("there are the phases {}", names())))?;
        fields.push(format!("status.phase={}", known.as_str()));
    }
    let (most, listed) = (asked.most(), ListParams::default().fields(&fields.join(",")));
    let runs = crate::kubectl::cluster::all(&cluster.as_they_are::<WorkflowRun>(), &listed).await;
    let mut runs =
        runs.map_err(|error| KubectlError::of(&format!("list runs in namespace \"{}\"", cluster.namespace), error))?;
    newest_first(&mut runs);
    let found = runs.len();
    let now = Timestamp::now();
    let one =
        |run: &WorkflowRun| object([("run", Some(facts(run, now))), ("data", Some(Value::Object(of_others(run))))]);
    let shown: Vec<Value> =
        runs.into_iter().take(most).filter_map(|run| typed::<WorkflowRun>(run).ok()).map(|run| one(&run)).collect();
    let more = found.saturating_sub(shown.len());
    let next = (more > 0)
        .then(|| format!("{more} more are not shown: narrow by workflow or phase, or raise limit up to 100."));
    Ok(Answer::good(answer(None, json!({"runs": shown, "found": found}), next)))
}

/// `explain_failure`
pub(super) async fn explain(cluster: &Cluster, asked: OfRun) -> Result<Answer, KubectlError> {
    let named = Named { kind: Kind::Run, name: name_of(Kind::Run, &asked.name)? };
    let (run, links, hint) = chain_of(cluster, &named).await?;
    let mut told = of_others(&run);
    told.insert("hangsOn".into(), data::value(&Value::Array(links)));
    if let Some(visits) = visited(cluster, &run).await {
        told.insert("timeline".into(), timeline(&visits));
    }
    let next = match hint {
        _ if phase(&run).is_good() => "The run went well; there is nothing to explain.".to_owned(),
        Some(command) => format!("A person looks further with: {}", cluster.command(&command)),
        None if phase(&run).is_finished() => "What is known of it stands in data.".to_owned(),
        None => "The run has not failed. What it hangs on and what it waits for stands in data.".to_owned(),
    };
    Ok(Answer::good(answer(Some(facts(&run, Timestamp::now())), Value::Object(told), Some(next))))
}

/// `cancel_run`
pub(super) async fn cancel(cluster: &Cluster, asked: CancelRun) -> Result<Answer, KubectlError> {
    let name = name_of(Kind::Run, &asked.name)?;
    let (name, met) = ask(cluster, &name, &asked.reason.unwrap_or_default()).await?;
    let next = match met {
        Asked::Ended(_) => "The run had ended already; nothing is changed.".to_owned(),
        Asked::Before => "It is being stopped already; nothing is changed.".to_owned(),
        Asked::Now => format!("It is being stopped. Call get_run with name {name:?} and wait_seconds to see its end."),
    };
    let run: WorkflowRun = cluster.typed(&name).await?;
    Ok(Answer::good(answer(Some(facts(&run, Timestamp::now())), Value::Object(of_others(&run)), Some(next))))
}

/// What a tool's arguments mean.
pub(super) fn read(offer: &Offer, arguments: serde_json::Map<String, Value>) -> Result<Given, KubectlError> {
    Arguments::of(&offer.workflow)
        .read(arguments)
        .map_err(|why| KubectlError::Usage(format!("nothing was started: {why}")))
}
