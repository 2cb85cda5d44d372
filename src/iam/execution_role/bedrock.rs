//! Bedrock: models, and inference profiles that lead to them.
//!
//! Sources: Bedrock user guide, "Prerequisites for inference profiles", "Geographic cross-Region inference", "Global
//! cross-Region inference" and "Supported Regions and models for inference profiles".

use super::data::Location;
use super::payload::Field;
use super::task::Task;
use crate::asl::model::Arn;
use crate::iam::document::Conditions;
use crate::integrations::sdk::Operation;

/// The geographies of AWS's own inference profiles, and the regions that one of them may route to. Which of these a profile has
/// differs between models, and is not in a definition.
const GEOGRAPHIES: [(&str, &[&str]); 7] = [
    (
        "apac",
        &[
            "ap-northeast-1",
            "ap-northeast-2",
            "ap-northeast-3",
            "ap-south-1",
            "ap-south-2",
            "ap-southeast-1",
            "ap-southeast-2",
            "ap-southeast-4",
        ],
    ),
    ("au", &["ap-southeast-2", "ap-southeast-4"]),
    ("ca", &["ca-central-1", "ca-west-1"]),
    ("eu", &["eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3"]),
    ("jp", &["ap-northeast-1", "ap-northeast-3"]),
    ("us", &["us-east-1", "us-east-2", "us-west-1", "us-west-2"]),
    ("us-gov", &["us-gov-east-1", "us-gov-west-1"]),
];
const GLOBAL: &str = "global";

pub(super) fn derive(task: &mut Task<'_>, action: &str) -> bool {
    match action {
        "invokeModel" => {
            invoke(task, "ModelId", "bedrock:InvokeModel");
            guardrail(task);
            let partition = task.here.partition.clone();
            for (field, action) in [("Input.S3Uri", "s3:GetObject"), ("Output.S3Uri", "s3:PutObject")] {
                let value = task.payload.get(field);
                match value.text().and_then(|url| Location::parse(&url)) {
                    Some(location) => task.need(&[action], [location.object(&partition)]),
                    None if value.is_absent() => {}
                    None => {
                        let given = task.given("s3", "");
                        if given.is_empty() {
                            task.open(&value, "an object in S3", field);
                        }
                        task.need(&[action], given);
                    }
                }
            }
        }
        "createModelCustomizationJob" => {
            let mut resources = model(task, "BaseModelIdentifier");
            // The new model's ARN has an id that is made with it.
            resources.push(task.here.arn("bedrock", "custom-model/*"));
            task.need(&["bedrock:CreateModelCustomizationJob"], resources);
            task.pass_role("RoleArn", "bedrock.amazonaws.com", "the role of the job");
            if task.is_sync() {
                let jobs = task.here.arn("bedrock", "model-customization-job/*");
                task.need(&["bedrock:GetModelCustomizationJob", "bedrock:StopModelCustomizationJob"], [jobs]);
            }
        }
        _ => return false,
    }
    true
}

/// A batch is allowed on its model and on the job that it makes (service authorization reference, Bedrock).
pub(super) fn batch(task: &mut Task<'_>, action: &str) {
    invoke(task, "ModelId", action);
    let jobs = task.here.arn("bedrock", "model-invocation-job/*");
    task.need(&[action], [jobs]);
}

/// What calls ask for beside their own action.
pub(super) fn besides(task: &mut Task<'_>, operation: &Operation) {
    match (operation.service, operation.name) {
        // The guardrail is what it asks for itself.
        (_, "ApplyGuardrail") => return,
        ("bedrockagentruntime", "RetrieveAndGenerate" | "RetrieveAndGenerateStream") => {
            let of = "RetrieveAndGenerateConfiguration.";
            knowledge_base(task, &format!("{of}KnowledgeBaseConfiguration.KnowledgeBaseId"));
            for kind in ["KnowledgeBaseConfiguration", "ExternalSourcesConfiguration"] {
                invoke_if_named(task, &format!("{of}{kind}.ModelArn"));
            }
        }
        ("bedrockagentruntime", "Rerank") => {
            let of = "RerankingConfiguration.BedrockRerankingConfiguration.ModelConfiguration";
            invoke_if_named(task, &format!("{of}.ModelArn"));
        }
        ("bedrockagentruntime", "InvokeInlineAgent") => invoke_if_named(task, "FoundationModel"),
        ("bedrockruntime" | "bedrockagentruntime", _) => {}
        _ => return,
    }
    guardrail(task);
}

fn invoke_if_named(task: &mut Task<'_>, field: &str) {
    if !task.payload.get(field).is_absent() {
        invoke(task, field, "bedrock:InvokeModel");
    }
}

/// Answers out of a knowledge base are retrieved with the rights of the caller (Bedrock user guide, "Set up permissions for a user
/// or role to create and manage knowledge bases").
fn knowledge_base(task: &mut Task<'_>, field: &str) {
    if !task.payload.get(field).is_absent() {
        let base = task.resource(field, "bedrock", "knowledge-base/", "its knowledge base");
        task.need(&["bedrock:Retrieve"], base);
    }
}

/// A call by a guardrail applies it (Bedrock user guide, "Set up permissions to use Amazon Bedrock Guardrails").
fn guardrail(task: &mut Task<'_>) {
    if task.payload.whole_from_input().is_some() {
        return;
    }
    let mut guardrails = Vec::new();
    for field in task.payload.values(".GuardrailIdentifier+.GuardrailId") {
        match (field.text(), &field) {
            (Some(arn), _) if arn.starts_with("arn:") => guardrails.push(arn),
            (Some(id), _) => guardrails.push(task.here.arn("bedrock", &format!("guardrail/{id}"))),
            (None, Field::FromInput(_)) => {
                let given = task.given("bedrock", "guardrail/");
                if given.is_empty() {
                    task.open(&field, "its guardrail", "GuardrailIdentifier");
                }
                guardrails.extend(given);
            }
            (None, _) => {}
        }
    }
    task.need(&["bedrock:ApplyGuardrail"], guardrails);
}

/// A model that is invoked by its id or ARN, by an inference profile, or by a prompt or router that leads to models.
pub(super) fn invoke(task: &mut Task<'_>, field: &str, action: &str) {
    let named = task.payload.get(field).text();
    if let Some(arn) = named.as_ref().filter(|text| leads_to_others(text)) {
        let is_prompt = Arn::parse(arn).is_some_and(|arn| arn.resource.starts_with("prompt/"));
        task.need(&[if is_prompt { "bedrock:RenderPrompt" } else { action }], [arn]);
        let models = task.given("bedrock", "foundation-model/");
        if models.is_empty() {
            task.missing(format!(
                "calls a model by {arn}, which leads to models that the definition does not say; give each with {}",
                task.flag("ARN")
            ));
        }
        return task.need(&[action], models);
    }
    if let Some(profile) = named.and_then(|text| Profile::read(task, &text)) {
        return by_profile(task, &profile, action);
    }
    let model = model(task, field);
    task.need(&[action], model);
}

/// Prompts and routers have ARNs in the place of a model's id (Bedrock API reference, `Converse`).
fn leads_to_others(text: &str) -> bool {
    let kinds = ["prompt/", "prompt-router/", "default-prompt-router/"];
    Arn::parse(text).is_some_and(|arn| kinds.iter().any(|kind| arn.resource.starts_with(kind)))
}

/// An inference profile.
struct Profile {
    arn: String,
    /// Geography and model of one of AWS's own; nothing for one that an account has made.
    system: Option<(String, String)>,
}

impl Profile {
    fn read(task: &Task<'_>, text: &str) -> Option<Self> {
        let (arn, id) = match Arn::parse(text) {
            Some(arn) if arn.resource.starts_with("application-inference-profile/") => {
                return Some(Self { arn: text.to_owned(), system: None });
            }
            Some(arn) => (text.to_owned(), arn.resource.strip_prefix("inference-profile/")?.to_owned()),
            None => (task.here.arn("bedrock", &format!("inference-profile/{text}")), text.to_owned()),
        };
        let (geography, model) = id.split_once('.').filter(|_| is_system_profile(&id))?;
        Some(Self { arn, system: Some((geography.to_owned(), model.to_owned())) })
    }
}

/// The profile, and the models that it leads to, these through this profile alone.
fn by_profile(task: &mut Task<'_>, profile: &Profile, action: &str) {
    task.need(&[action], [profile.arn.clone()]);
    let mut models: Vec<String> = task.given("bedrock", "foundation-model/");
    let is_given = !models.is_empty();
    match &profile.system {
        _ if is_given => {}
        Some((geography, model)) => models = models_of(task, profile, geography, model),
        None => {
            task.missing(format!(
                "calls a model by the inference profile {}, whose model and regions the definition does not say; give the model in each region of the profile with {}",
                profile.arn,
                task.flag(&format!("arn:{}:bedrock:REGION::foundation-model/MODEL", task.here.partition))
            ));
        }
    }
    let key = ("bedrock:InferenceProfileArn".to_owned(), vec![profile.arn.clone()]);
    task.need_when(&[action], models, Conditions::from([("StringEquals".to_owned(), [key].into())]));
}

fn models_of(task: &mut Task<'_>, profile: &Profile, geography: &str, model: &str) -> Vec<String> {
    let own = Arn::parse(&profile.arn).map_or_else(|| task.here.region.clone(), |arn| arn.region.to_owned());
    let mut regions: Vec<&str> = vec![&own];
    if geography == GLOBAL {
        // The model without a region is what AWS asks for wherever in the world it runs.
        regions.push("");
    }
    let listed = GEOGRAPHIES.iter().find(|(name, _)| *name == geography).map_or(&[][..], |(_, regions)| *regions);
    regions.extend(listed.iter().filter(|region| **region != own));
    if !listed.is_empty() && !listed.contains(&own.as_str()) {
        task.note(format!(
            "calls the inference profile {geography}.{model} in {own}, which is not of its geography: it is offered in {} as far as is known here; where AWS does not have it in {own}, the call fails",
            listed.join(", ")
        ));
    }
    let mut there = task.here.clone();
    there.account.clear();
    let mut models = Vec::new();
    for region in &regions {
        (*region).clone_into(&mut there.region);
        models.push(there.arn("bedrock", &format!("foundation-model/{model}")));
    }
    if !listed.is_empty() {
        task.note(format!(
            "calls a model by the inference profile {geography}.{model}, which may lead to {}; which of them it has, GetInferenceProfile tells. To name others give the model in each with {}",
            regions.join(", "),
            task.flag(&format!("arn:{}:bedrock:REGION::foundation-model/{model}", task.here.partition))
        ));
    }
    models
}

/// True where a model's id could stand in an ARN of this format: AWS's own have their vendor before a dot (Bedrock API reference,
/// pattern of `modelId`).
pub(super) fn fits(format: &str, id: &str) -> bool {
    let of_account = [
        "application-inference-profile",
        "custom-model",
        "custom-model-deployment",
        "imported-model",
        "provisioned-model",
    ];
    if format.contains(":foundation-model/") {
        return id.contains('.') && !is_system_profile(id);
    }
    !id.contains('.') || !of_account.iter().any(|kind| format.contains(&format!(":{kind}/")))
}

fn is_system_profile(id: &str) -> bool {
    id.split_once('.').is_some_and(|(head, _)| head == GLOBAL || GEOGRAPHIES.iter().any(|(name, _)| *name == head))
}

/// Foundation models belong to no account; what has no vendor is the account's own.
fn model(task: &mut Task<'_>, name: &str) -> Vec<String> {
    let field = task.payload.get(name);
    match field.text() {
        Some(arn) if arn.starts_with("arn:") => vec![arn],
        Some(id) if id.contains('.') || id.contains("${") => {
            let mut nobody = task.here.clone();
            nobody.account.clear();
            vec![nobody.arn("bedrock", &format!("foundation-model/{id}"))]
        }
        Some(id) => own_model(task, &id),
        None => {
            let given = task.given("bedrock", "");
            if given.is_empty() {
                task.open(&field, "its model", name);
            }
            given
        }
    }
}

/// The ARN of a model of the account has an id, and a call may have its name instead.
fn own_model(task: &mut Task<'_>, id: &str) -> Vec<String> {
    let given = task.given("bedrock", "");
    if given.is_empty() {
        task.missing(format!(
            "names its model as \"{id}\", which is one of the account's own, and what that is in its ARN is not known here; give it with {}",
            task.flag("ARN")
        ));
    }
    given
}
