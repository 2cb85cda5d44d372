//! CloudWatch behind its port.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{AlarmType, StateValue};

use super::gate::config;
use super::sdk::{CALL_TIMEOUT, SdkStepFunctions};
use super::{AlarmState, AwsError, Caller, Session};

/// CloudWatch's alarms, read as the session's role.
#[async_trait]
pub trait Alarms: Send + Sync {
    /// The states of the alarms of these names, at most 100; one that does not exist is left out.
    async fn alarm_states(&self, caller: &Caller, names: &[String]) -> Result<BTreeMap<String, AlarmState>, AwsError>;
}

#[async_trait]
impl Alarms for SdkStepFunctions {
    async fn alarm_states(&self, caller: &Caller, names: &[String]) -> Result<BTreeMap<String, AlarmState>, AwsError> {
        let request = self.cloudwatch(caller).describe_alarms().set_alarm_names(Some(names.to_vec()));
        // Without types AWS leaves composite alarms out.
        let call = request.alarm_types(AlarmType::MetricAlarm).alarm_types(AlarmType::CompositeAlarm).send();
        let found = self.call(caller, "cloudwatch:DescribeAlarms", &names.join(" "), call).await?;
        let metric = found.metric_alarms.unwrap_or_default().into_iter();
        let composite = found.composite_alarms.unwrap_or_default().into_iter();
        let all = metric
            .map(|alarm| (alarm.alarm_name, alarm.state_value))
            .chain(composite.map(|alarm| (alarm.alarm_name, alarm.state_value)));
        Ok(all.filter_map(|(name, state)| Some((name?, state_of(state.as_ref())))).collect())
    }
}

impl SdkStepFunctions {
    /// Alarms are read only while a rollout is under way, so a client is built for each look.
    fn cloudwatch(&self, session: &Session) -> Client {
        let config = config!(aws_sdk_cloudwatch, self.http, session, &self.cloudwatch_endpoint, CALL_TIMEOUT);
        Client::from_conf(config.build())
    }
}

/// A state that AWS may add later says nothing against a version, as too little data does.
fn state_of(value: Option<&StateValue>) -> AlarmState {
    match value {
        Some(StateValue::Alarm) => AlarmState::Alarm,
        Some(StateValue::Ok) => AlarmState::Ok,
        _ => AlarmState::InsufficientData,
    }
}
