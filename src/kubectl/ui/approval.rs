//! What a run waits for somebody to approve, and deciding it from the page: with what was shown alone, and never one's own.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use kube::{Api, ResourceExt};

use super::problem;
use super::site::{Asked, Site};
use super::told::When;
use crate::api::v1alpha1::{Approval, RunApproval, Verdict, WorkflowRun};
use crate::kubectl::KubectlError;
use crate::kubectl::approvals::{Input, awaited, barred, decide, decision, input, refused, whoami};
use crate::kubectl::pretty::pretty;
use crate::printable::json;

/// What a run's page shows of what is asked.
pub(super) struct Waits {
    pub name: String,
    pub requester: String,
    pub until: When,
    /// What would start: names and values.
    pub facts: Vec<(&'static str, String)>,
    /// All of the input, where the page shows it nowhere else.
    pub input: Option<String>,
    /// Why nobody decides it from here.
    pub note: Option<String>,
    /// What a decision has to be of; nothing where none can be made.
    pub form: Option<Form>,
}

/// By which a form knows again what was shown with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub uid: String,
    pub digest: String,
}

/// What is asked for the sake of a run, as far as the user may see it.
pub(super) async fn of(site: &Site, namespace: &str, run: &WorkflowRun, now: Timestamp) -> Option<Waits> {
    let asked = awaited(run)?;
    let approvals: Api<Approval> = Api::namespaced(site.cluster.client.clone(), namespace);
    let seen = approvals.get(&asked.name).await;
    let seen = seen.map_err(|error| KubectlError::of(&format!("get Approval \"{}\"", asked.name), error).to_string());
    let approval = match seen {
        Ok(approval) => approval,
        Err(why) => return Some(unseen(asked, run, why, now)),
    };
    let (mut waits, acts) = (shown(&approval, now), site.door.form_token().is_some());
    match decidable(site, namespace, &approval, run, now).await {
        Ok(text) => {
            // What stands elsewhere is shown just as it is held against its digest.
            waits.input = Some(text);
            waits.form = acts.then(|| form(&approval));
            if !acts {
                let name = &approval.spec.request.run_name;
                waits.note = Some(format!(
                    "Decide it with kubectl sfn approve {name} --namespace {namespace}, or deny; or from here, with kubectl sfn ui --allow-actions."
                ));
            }
        }
        Err(why) => waits.note = Some(why),
    }
    Some(waits)
}

fn form(approval: &Approval) -> Form {
    Form { uid: approval.uid().unwrap_or_default(), digest: approval.spec.request.digest.clone() }
}

/// What the run itself tells.
fn unseen(asked: &RunApproval, run: &WorkflowRun, why: String, now: Timestamp) -> Waits {
    let requester = run.status.as_ref().and_then(|status| status.requested_by.clone());
    Waits {
        name: asked.name.clone(),
        requester: requester.unwrap_or_else(|| "–".to_owned()),
        until: When::of(asked.expires_at.0, now),
        facts: Vec::new(),
        input: None,
        note: Some(why),
        form: None,
    }
}

fn shown(approval: &Approval, now: Timestamp) -> Waits {
    let request = &approval.spec.request;
    let mut facts = vec![("Would run", request.target_arn.clone())];
    facts.extend(request.execution_arn.clone().map(|arn| ("Redrives", arn)));
    facts.push(("As", request.execution_role_arn.clone()));
    facts.extend(request.step_role_arns.iter().map(|arn| ("Steps as", arn.clone())));
    facts.push(("Definition", format!("SHA-256 {}", request.definition_hash)));
    facts.push(("Binding", format!("UID {}", request.binding_uid)));
    facts.push(("Digest", request.digest.clone()));
    Waits {
        name: approval.name_any(),
        requester: request.requester.clone(),
        until: When::of(request.expires_at.0, now),
        facts,
        input: None,
        note: None,
        form: None,
    }
}

/// The input, where this user can decide just what is shown.
async fn decidable(
    site: &Site,
    namespace: &str,
    approval: &Approval,
    run: &WorkflowRun,
    now: Timestamp,
) -> Result<String, String> {
    let user = whoami(&site.cluster.client).await.map_err(|error| error.to_string())?;
    if let Some(against) = barred(approval, Some(run), &user, now) {
        return Err(sentence(&against.why));
    }
    let found = input(&site.cluster.client, namespace, &approval.spec.request, Some(run)).await;
    match found.map_err(|error| KubectlError::of("read the input", error).to_string())? {
        Input::Is(text) => Ok(json(&pretty(&text))),
        Input::Unseen(why) => Err(format!("Its input cannot be shown to you: {why}.")),
        Input::Differs(why) => Err(format!("It cannot be decided. Of its input, {why}.")),
    }
}

/// As it stands alone.
fn sentence(why: &str) -> String {
    let mut sentence = why.trim_end_matches('.').to_owned() + ".";
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence
}

/// Decides what a form was shown with.
pub(super) async fn act(site: &Site, namespace: &str, run: &str, verdict: Verdict, asked: &Asked) -> Response {
    match acted(site, namespace, run, verdict, asked).await {
        Ok(()) => Redirect::to(&format!("/runs/{namespace}/{run}")).into_response(),
        Err(why) => problem::problem(site, "runs", StatusCode::CONFLICT, "Nothing was decided", &why),
    }
}

async fn acted(site: &Site, namespace: &str, run: &str, verdict: Verdict, asked: &Asked) -> Result<(), String> {
    const OTHER: &str = "What was shown is not what waits now, or nothing waits any more. Load the page of the run again and look at it.";
    let client = &site.cluster.client;
    let (runs, approvals): (Api<WorkflowRun>, Api<Approval>) =
        (Api::namespaced(client.clone(), namespace), Api::namespaced(client.clone(), namespace));
    let said = |asked: &str, error| KubectlError::of(asked, error).to_string();
    let object = runs.get(run).await.map_err(|error| said(&format!("get run \"{run}\""), error))?;
    let name = awaited(&object).map(|asked| asked.name.clone()).ok_or(OTHER)?;
    let approval = approvals.get(&name).await.map_err(|error| said(&format!("get Approval \"{name}\""), error))?;
    let Form { uid, digest } = form(&approval);
    if asked.get("uid") != Some(&uid) || asked.get("digest") != Some(&digest) {
        return Err(OTHER.to_owned());
    }
    decidable(site, namespace, &approval, &object, Timestamp::now()).await?;
    let user = whoami(client).await.map_err(|error| error.to_string())?;
    let patch = decision(&approval, verdict, &user);
    match decide(client, namespace, &approval, &patch, false).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Err(OTHER.to_owned()),
        Err(error) => Err(refused(&format!("decide Approval \"{name}\""), error).to_string()),
    }
}
