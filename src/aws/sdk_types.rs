//! Our types in the SDK's and back.

use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::{
    CloudWatchLogsLogGroup, EncryptionConfiguration, EncryptionType, ExecutionRedriveStatus,
    ExecutionStatus as SdkExecutionStatus, LogDestination, LogLevel as SdkLogLevel, LoggingConfiguration,
    StateMachineType as SdkType, Tag, TracingConfiguration,
};

use jiff::Timestamp;

use super::{ExecutionStatus, MachineSettings, Tags};
use crate::api::v1alpha1::{LogLevel, StateMachineType};

pub(super) fn sdk_type(machine_type: StateMachineType) -> SdkType {
    match machine_type {
        StateMachineType::Standard => SdkType::Standard,
        StateMachineType::Express => SdkType::Express,
    }
}

pub(super) fn sdk_tags(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// What to send where logging is asked for.
pub(super) fn logging_of(settings: &MachineSettings) -> Option<LoggingConfiguration> {
    let level = match settings.log_level {
        LogLevel::None => return None,
        LogLevel::All => SdkLogLevel::All,
        LogLevel::Error => SdkLogLevel::Error,
        LogLevel::Fatal => SdkLogLevel::Fatal,
    };
    let group = CloudWatchLogsLogGroup::builder().set_log_group_arn(settings.log_group_arn.clone()).build();
    let destination = LogDestination::builder().cloud_watch_logs_log_group(group).build();
    let configuration = LoggingConfiguration::builder().level(level).destinations(destination);
    Some(configuration.include_execution_data(settings.log_execution_data).build())
}

/// What turns logging off again.
pub(super) fn no_logging() -> LoggingConfiguration {
    LoggingConfiguration::builder().level(SdkLogLevel::Off).include_execution_data(false).build()
}

/// What to send where tracing is asked for.
pub(super) fn tracing_of(settings: &MachineSettings) -> Option<TracingConfiguration> {
    settings.tracing.then(|| TracingConfiguration::builder().enabled(true).build())
}

/// What to send where a key of the account's own is asked for; `or_own` also says that AWS's own key is wanted.
pub(super) fn encryption_of(settings: &MachineSettings, or_own: bool) -> Option<EncryptionConfiguration> {
    let builder = EncryptionConfiguration::builder();
    let configuration = match &settings.encryption {
        Some((key, seconds)) => builder
            .r#type(EncryptionType::CustomerManagedKmsKey)
            .kms_key_id(key)
            .kms_data_key_reuse_period_seconds(*seconds),
        None if or_own => builder.r#type(EncryptionType::AwsOwnedKey),
        None => return None,
    };
    configuration.build().ok()
}

/// What AWS describes.
pub(super) fn settings_of(
    logging: Option<LoggingConfiguration>,
    tracing: Option<TracingConfiguration>,
    encryption: Option<EncryptionConfiguration>,
) -> MachineSettings {
    let level = match logging.as_ref().and_then(|logging| logging.level.as_ref()) {
        Some(SdkLogLevel::All) => LogLevel::All,
        Some(SdkLogLevel::Error) => LogLevel::Error,
        Some(SdkLogLevel::Fatal) => LogLevel::Fatal,
        _ => LogLevel::None,
    };
    let logging = logging.filter(|_| level != LogLevel::None);
    let group =
        logging.as_ref().and_then(|logging| logging.destinations().first()?.cloud_watch_logs_log_group.as_ref());
    MachineSettings {
        log_level: level,
        log_execution_data: logging.as_ref().is_some_and(|logging| logging.include_execution_data),
        log_group_arn: group.and_then(|group| group.log_group_arn.clone()),
        tracing: tracing.is_some_and(|tracing| tracing.enabled),
        encryption: encryption
            .filter(|encryption| encryption.r#type == EncryptionType::CustomerManagedKmsKey)
            .and_then(|encryption| {
                Some((encryption.kms_key_id?, encryption.kms_data_key_reuse_period_seconds.unwrap_or(300)))
            }),
    }
}

/// Where an execution stands; a status that is not known here is not an end.
pub(super) fn execution_status(status: &SdkExecutionStatus) -> ExecutionStatus {
    match status {
        SdkExecutionStatus::Succeeded => ExecutionStatus::Succeeded,
        SdkExecutionStatus::Failed => ExecutionStatus::Failed,
        SdkExecutionStatus::TimedOut => ExecutionStatus::TimedOut,
        SdkExecutionStatus::Aborted => ExecutionStatus::Aborted,
        _ => ExecutionStatus::Running,
    }
}

/// AWS's times are within what jiff can hold; anything else is the epoch rather than a panic.
pub(super) fn timestamp(time: DateTime) -> Timestamp {
    let nanoseconds = i32::try_from(time.subsec_nanos()).unwrap_or(0);
    Timestamp::new(time.secs(), nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Whether AWS would redrive an execution.
pub(super) fn redrivable(
    status: Option<&ExecutionRedriveStatus>,
    reason: Option<String>,
) -> Option<Result<(), String>> {
    Some(match status? {
        ExecutionRedriveStatus::Redrivable => Ok(()),
        ExecutionRedriveStatus::RedrivableByMapRun => Err("It is redriven with its Map Run".to_owned()),
        _ => Err(reason.unwrap_or_else(|| "AWS gives no reason".to_owned())),
    })
}
