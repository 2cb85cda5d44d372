//! The controls that evidence supports, and what of them each part shows.

/// A control of a standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// As it is cited.
    pub id: &'static str,
    /// What it is about, in a few words.
    pub about: &'static str,
}

pub(super) const CC6_1: &str = "SOC 2 CC6.1";
pub(super) const CC6_2: &str = "SOC 2 CC6.2";
pub(super) const CC6_3: &str = "SOC 2 CC6.3";
pub(super) const CC6_6: &str = "SOC 2 CC6.6";
pub(super) const CC7_2: &str = "SOC 2 CC7.2";
pub(super) const CC8_1: &str = "SOC 2 CC8.1";
pub(super) const A5_3: &str = "ISO 27001 A.5.3";
pub(super) const A5_15: &str = "ISO 27001 A.5.15";
pub(super) const A5_16: &str = "ISO 27001 A.5.16";
pub(super) const A5_17: &str = "ISO 27001 A.5.17";
pub(super) const A5_18: &str = "ISO 27001 A.5.18";
pub(super) const A8_2: &str = "ISO 27001 A.8.2";
pub(super) const A8_3: &str = "ISO 27001 A.8.3";
pub(super) const A8_5: &str = "ISO 27001 A.8.5";
pub(super) const A8_15: &str = "ISO 27001 A.8.15";
pub(super) const A8_16: &str = "ISO 27001 A.8.16";
pub(super) const A8_32: &str = "ISO 27001 A.8.32";

const fn control(id: &'static str, about: &'static str) -> Control {
    Control { id, about }
}

/// All of them: the trust services criteria of SOC 2, and Annex A of ISO/IEC 27001:2022.
pub const CONTROLS: [Control; 17] = [
    control(CC6_1, "logical access is protected"),
    control(CC6_2, "users are registered and authorised before they get access"),
    control(CC6_3, "access follows roles, least privilege and segregation of duties"),
    control(CC6_6, "access from outside is bounded"),
    control(CC7_2, "what happens is watched for anomalies"),
    control(CC8_1, "changes are authorised and recorded"),
    control(A5_3, "segregation of duties"),
    control(A5_15, "access control"),
    control(A5_16, "identity management"),
    control(A5_17, "authentication information"),
    control(A5_18, "access rights"),
    control(A8_2, "privileged access rights"),
    control(A8_3, "restriction of access to information"),
    control(A8_5, "secure authentication"),
    control(A8_15, "logging"),
    control(A8_16, "monitoring"),
    control(A8_32, "change management"),
];
