//! Bedrock: models, and inference profiles that lead to them.
//!
//! Sources: Bedrock user guide, "Prerequisites for inference profiles", "Geographic cross-Region inference", "Global
//! cross-Region inference" and "Supported Regions and models for inference profiles".

use super::data::Location;
use super::task::Task;
use crate::asl::model::Arn;
use crate::iam::document::Conditions;

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

/// A model that is invoked by its id or ARN, or by an inference profile.
pub(super) fn invoke(task: &mut Task<'_>, field: &str, action: &str) {
    let named = task.payload.get(field).text();
    if let Some(profile) = named.and_then(|text| Profile::read(task, &text)) {
        return by_profile(task, &profile, action);
    }
    let model = model(task, field);
    task.need(&[action], model);
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
        let (geography, model) = id.split_once('.')?;
        let known = geography == GLOBAL || GEOGRAPHIES.iter().any(|(name, _)| *name == geography);
        known.then(|| Self { arn, system: Some((geography.to_owned(), model.to_owned())) })
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
                "calls a model by the inference profile {}, whose model and regions the definition does not say; give the model in each region of the profile with --resource {}=arn:{}:bedrock:REGION::foundation-model/MODEL",
                profile.arn, task.name, task.here.partition
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
    let mut there = task.here.clone();
    there.account.clear();
    let mut models = Vec::new();
    for region in &regions {
        (*region).clone_into(&mut there.region);
        models.push(there.arn("bedrock", &format!("foundation-model/{model}")));
    }
    if !listed.is_empty() {
        task.note(format!(
            "calls a model by the inference profile {geography}.{model}, which may lead to {}; which of them it has, GetInferenceProfile tells. To name others give the model in each with --resource {}=arn:{}:bedrock:REGION::foundation-model/{model}",
            regions.join(", "), task.name, task.here.partition
        ));
    }
    models
}

/// Foundation models belong to no account.
fn model(task: &mut Task<'_>, name: &str) -> Vec<String> {
    let field = task.payload.get(name);
    match field.text() {
        Some(arn) if arn.starts_with("arn:") => vec![arn],
        Some(id) => {
            let mut nobody = task.here.clone();
            nobody.account.clear();
            vec![nobody.arn("bedrock", &format!("foundation-model/{id}"))]
        }
        None => {
            let given = task.given("bedrock", "");
            if given.is_empty() {
                task.open(&field, "its model", name);
            }
            given
        }
    }
}
