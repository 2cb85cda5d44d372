//! What CloudWatch's alarms say of a rollout.

use std::collections::BTreeMap;

use super::rollout::Alarms;
use crate::aws::{AlarmState, AwsError};
use crate::outcome::Classify;

/// Judges. An alarm that does not exist speaks against the new version: a gate that nobody built is not an open one.
/// `INSUFFICIENT_DATA` does not: an alarm is in that state whenever there is no traffic.
pub fn say(names: &[String], found: &Result<BTreeMap<String, AlarmState>, AwsError>) -> Alarms {
    let states = match found {
        Ok(states) => states,
        Err(error) => {
            let why = format!("its alarms cannot be read: {}", error.public());
            return Alarms::Unknown(why.trim_end_matches('.').to_owned());
        }
    };
    let against: Vec<String> = names
        .iter()
        .filter_map(|name| match states.get(name) {
            None => Some(format!("alarm \"{name}\" does not exist; create it, or take it out of rollout.alarms")),
            Some(AlarmState::Alarm) => Some(format!("alarm \"{name}\" is in alarm")),
            Some(AlarmState::Ok | AlarmState::InsufficientData) => None,
        })
        .collect();
    if against.is_empty() { Alarms::Quiet } else { Alarms::Against(against.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::AwsErrorKind;

    fn found(states: &[(&str, AlarmState)]) -> BTreeMap<String, AlarmState> {
        states.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect()
    }

    #[test]
    fn an_alarm_speaks_against_a_version_when_it_rings_or_is_missing() {
        let names = ["errors".to_owned(), "latency".to_owned()];
        let quiet = found(&[("errors", AlarmState::Ok), ("latency", AlarmState::InsufficientData)]);
        assert_eq!(say(&names, &Ok(quiet)), Alarms::Quiet);
        let rings = found(&[("errors", AlarmState::Alarm), ("latency", AlarmState::Ok)]);
        assert_eq!(say(&names, &Ok(rings)), Alarms::Against("alarm \"errors\" is in alarm".into()));
        let Alarms::Against(why) = say(&names, &Ok(found(&[("errors", AlarmState::Ok)]))) else { unreachable!() };
        assert!(why.contains("\"latency\" does not exist"), "{why}");
    }

    #[test]
    fn alarms_that_cannot_be_read_are_unknown_and_not_quiet() {
        let denied = AwsError {
            kind: AwsErrorKind::AccessDenied,
            operation: "cloudwatch:DescribeAlarms",
            code: "AccessDenied".into(),
            message: "no".into(),
        };
        let Alarms::Unknown(why) = say(&["errors".to_owned()], &Err(denied)) else { unreachable!() };
        assert!(why.contains("cloudwatch:DescribeAlarms"), "{why}");
    }
}
