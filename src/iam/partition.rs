//! AWS's partitions: which regions are of which, and what differs between them. One table for everything that is derived from
//! a region or an ARN.
//!
//! Sources: the partitions that AWS's SDKs resolve endpoints with (`partitions.json` of botocore, the same in `endpoint_lib` of the
//! crate `aws-sdk-sts`): ids, patterns of regions, DNS suffixes. Consoles: the "Endpoints" pages of the partitions' user guides and,
//! for the isolated ones, the domains of AWS's sign-in endpoints in the SDKs' rule sets. Issuers of Cognito identity pools: the
//! user guides of `GovCloud` and China, "Amazon Cognito".
//!
//! The same everywhere, and so not in the table: service principals (`states.amazonaws.com`; no `.cn` or other form of it is
//! known), and the audience `sts.amazonaws.com`, which is a name that cluster and OIDC provider agree on and no address (Amazon EKS
//! uses it in China too).

use crate::asl::model::Arn;

/// A partition.
#[derive(Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its id, as ARNs have it.
    pub id: &'static str,
    /// What its regions' names begin with: all before direction and number. A dash at the end leaves the rest open.
    regions: &'static [&'static str],
    /// What the names of its endpoints end in.
    pub dns_suffix: &'static str,
    /// Domain of its console, behind the region.
    console: &'static str,
    /// Issuer of the tokens of Cognito identity pools, where it has them.
    cognito_issuer: Option<&'static str>,
}

/// All partitions.
pub const PARTITIONS: [Partition; 8] = [
    Partition {
        id: "aws",
        regions: &["us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx"],
        dns_suffix: "amazonaws.com",
        console: "console.aws.amazon.com",
        cognito_issuer: Some("https://cognito-identity.amazonaws.com"),
    },
    Partition {
        id: "aws-cn",
        regions: &["cn"],
        dns_suffix: "amazonaws.com.cn",
        console: "console.amazonaws.cn",
        cognito_issuer: Some("https://cognito-identity.amazonaws.com.cn"),
    },
    Partition {
        id: "aws-us-gov",
        regions: &["us-gov"],
        dns_suffix: "amazonaws.com",
        console: "console.amazonaws-us-gov.com",
        cognito_issuer: Some("https://cognito-identity-us-gov.amazonaws.com"),
    },
    Partition {
        id: "aws-iso",
        regions: &["us-iso"],
        dns_suffix: "c2s.ic.gov",
        console: "console.c2shome.ic.gov",
        cognito_issuer: None,
    },
    Partition {
        id: "aws-iso-b",
        regions: &["us-isob"],
        dns_suffix: "sc2s.sgov.gov",
        console: "console.sc2shome.sgov.gov",
        cognito_issuer: None,
    },
    Partition {
        id: "aws-iso-e",
        regions: &["eu-isoe"],
        dns_suffix: "cloud.adc-e.uk",
        console: "console.csphome.adc-e.uk",
        cognito_issuer: None,
    },
    Partition {
        id: "aws-iso-f",
        regions: &["us-isof"],
        dns_suffix: "csp.hci.ic.gov",
        console: "console.csphome.hci.ic.gov",
        cognito_issuer: None,
    },
    Partition {
        id: "aws-eusc",
        regions: &["eusc-"],
        dns_suffix: "amazonaws.eu",
        console: "console.amazonaws-eusc.eu",
        cognito_issuer: None,
    },
];

/// The partition of that id.
pub fn by_id(id: &str) -> Option<&'static Partition> {
    PARTITIONS.iter().find(|partition| partition.id == id)
}

/// Id of the partition of an ARN, where it is a known one.
pub fn of_arn(arn: &str) -> Option<&'static str> {
    by_id(Arn::parse(arn)?.partition).map(|partition| partition.id)
}

/// The partition that a region is of; `None` for a name that follows none of their patterns, which may be one that AWS adds later.
pub fn of_region(region: &str) -> Option<&'static Partition> {
    // Direction and number.
    let (before, number) = region.rsplit_once('-')?;
    let (start, direction) = before.rsplit_once('-')?;
    let is_name = !direction.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let begins = |known: &&str| match known.strip_suffix('-') {
        Some(open) => start.strip_prefix(open).is_some_and(|rest| rest.starts_with('-')),
        None => start == *known,
    };
    PARTITIONS.iter().find(|partition| is_name && partition.regions.iter().any(begins))
}

/// A host of AWS's endpoints without its partition's suffix, `sqs.eu-west-1` for example; `None` where it is no such host.
pub fn endpoint_labels(host: &str) -> Option<&str> {
    let rest = |partition: &Partition| host.strip_suffix(partition.dns_suffix)?.strip_suffix('.');
    PARTITIONS.iter().find_map(rest)
}

/// A page of Step Functions' console in the partition of the ARN.
pub fn console(arn: &Arn<'_>, page: &str) -> String {
    let host = by_id(arn.partition).unwrap_or(&PARTITIONS[0]).console;
    let region = arn.region;
    format!("https://{region}.{host}/states/home?region={region}#/v2/{page}")
}

/// True of the issuer of Cognito identity pools, of whichever partition.
pub fn is_cognito(issuer: &str) -> bool {
    PARTITIONS.iter().any(|partition| partition.cognito_issuer == Some(issuer))
}

/// The issuer of the pools of a region.
pub fn cognito_issuer(region: &str) -> Option<&'static str> {
    of_region(region).unwrap_or(&PARTITIONS[0]).cognito_issuer
}

/// Whether role and region are of one partition, as far as both are known: credentials of one are good for nothing in another.
///
/// # Errors
/// What does not fit, as a sentence.
pub fn agree(role_arn: &str, region: &str) -> Result<(), String> {
    match differing(role_arn, region) {
        Some((of_region, of_role)) => Err(format!(
            "spec.region {region} is of partition {of_region}, but spec.roleARN {role_arn} is of partition {of_role}"
        )),
        None => Ok(()),
    }
}

/// The partitions of region and role where both are known and they are not the same.
pub fn differing(role_arn: &str, region: &str) -> Option<(&'static str, &'static str)> {
    let (of_region, of_role) = (of_region(region)?.id, of_arn(role_arn)?);
    (of_region != of_role).then_some((of_region, of_role))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every region that AWS's SDKs know.
    const REGIONS: [(&str, &str); 8] = [
        (
            "aws",
            "af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1 eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2",
        ),
        ("aws-cn", "cn-north-1 cn-northwest-1"),
        ("aws-eusc", "eusc-de-east-1"),
        ("aws-iso", "us-iso-east-1 us-iso-west-1"),
        ("aws-iso-b", "us-isob-east-1 us-isob-west-1"),
        ("aws-iso-e", "eu-isoe-west-1"),
        ("aws-iso-f", "us-isof-east-1 us-isof-south-1"),
        ("aws-us-gov", "us-gov-east-1 us-gov-west-1"),
    ];

    #[test]
    fn every_region_is_of_its_partition_and_no_other() {
        for (id, regions) in REGIONS {
            for region in regions.split(' ') {
                assert_eq!(of_region(region).map(|partition| partition.id), Some(id), "{region}");
            }
        }
        assert_eq!(of_region("eusc-fr-west-12").map(|partition| partition.id), Some("aws-eusc"), "one of tomorrow");
        for unknown in ["", "eu", "eu-west", "eu-west-", "eu-west-x", "zz-north-1", "eusc-east-1", "us-new-east-1"] {
            assert_eq!(of_region(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn role_and_region_are_of_one_partition() {
        let role = |partition: &str| format!("arn:{partition}:iam::111122223333:role/r");
        for (id, regions) in REGIONS {
            for region in regions.split(' ') {
                for partition in &PARTITIONS {
                    let fits = agree(&role(partition.id), region);
                    assert_eq!(fits.is_ok(), partition.id == id, "{region} {} {fits:?}", partition.id);
                }
            }
        }
        assert_eq!(agree(&role("aws"), "zz-north-1"), Ok(()), "a region that AWS adds later");
        assert_eq!(agree(&role("aws-new"), "eu-west-1"), Ok(()), "a partition that AWS adds later");
        assert_eq!(
            agree(&role("aws"), "eusc-de-east-1").unwrap_err(),
            "spec.region eusc-de-east-1 is of partition aws-eusc, but spec.roleARN arn:aws:iam::111122223333:role/r is of partition aws"
        );
    }

    #[test]
    fn hosts_of_endpoints_are_known_in_every_partition() {
        for partition in &PARTITIONS {
            let host = format!("sqs.somewhere-1.{}", partition.dns_suffix);
            assert_eq!(endpoint_labels(&host), Some("sqs.somewhere-1"), "{host}");
        }
        for other in ["localhost", "amazonaws.com.evil.example", "sqs.eu-west-1.notamazonaws.com", "amazonaws.com"] {
            assert_eq!(endpoint_labels(other), None, "{other}");
        }
    }

    #[test]
    fn each_partition_has_its_console_and_its_issuer_of_pools() {
        let page = |text: &str| console(&Arn::parse(text).unwrap(), "p");
        for (partition, region, host) in [
            ("aws", "eu-west-1", "console.aws.amazon.com"),
            ("aws-cn", "cn-north-1", "console.amazonaws.cn"),
            ("aws-us-gov", "us-gov-west-1", "console.amazonaws-us-gov.com"),
            ("aws-eusc", "eusc-de-east-1", "console.amazonaws-eusc.eu"),
            ("aws-iso", "us-iso-east-1", "console.c2shome.ic.gov"),
            ("aws-iso-b", "us-isob-east-1", "console.sc2shome.sgov.gov"),
            ("aws-iso-e", "eu-isoe-west-1", "console.csphome.adc-e.uk"),
            ("aws-iso-f", "us-isof-south-1", "console.csphome.hci.ic.gov"),
            ("aws-new", "xx-north-1", "console.aws.amazon.com"),
        ] {
            let url = page(&format!("arn:{partition}:states:{region}:1:execution:m:n"));
            assert_eq!(url, format!("https://{region}.{host}/states/home?region={region}#/v2/p"));
        }
        assert_eq!(cognito_issuer("cn-north-1"), Some("https://cognito-identity.amazonaws.com.cn"));
        assert_eq!(cognito_issuer("eusc-de-east-1"), None);
        assert!(is_cognito("https://cognito-identity-us-gov.amazonaws.com") && !is_cognito("https://issuer.example"));
    }
}
