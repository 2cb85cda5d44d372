//! Values of flags, held to the patterns that the kinds have for the same values.

use regex::Regex;

use crate::api::v1alpha1::{ACCOUNT_PATTERN, Form, REGION_PATTERN, ROLE_ARN_PATTERN, form};

/// An account's id.
pub(crate) fn account(text: &str) -> Result<String, String> {
    of_form(text, ACCOUNT_PATTERN)
}

/// A region, whichever AWS adds.
pub(crate) fn region(text: &str) -> Result<String, String> {
    of_form(text, REGION_PATTERN)
}

/// The ARN of a role.
pub(crate) fn role_arn(text: &str) -> Result<String, String> {
    of_form(text, ROLE_ARN_PATTERN)
}

/// A partition, whichever AWS adds.
pub(crate) fn partition(text: &str) -> Result<String, String> {
    fits(text, "^aws(-[a-z]+)*$", "a partition is written as aws, aws-cn or aws-us-gov")
}

/// Told in the words of the kinds.
fn of_form(text: &str, pattern: &str) -> Result<String, String> {
    fits(text, pattern, &form(pattern).map(Form::broken).unwrap_or_default())
}

fn fits(text: &str, pattern: &str, form: &str) -> Result<String, String> {
    let pattern = Regex::new(pattern).map_err(|error| error.to_string())?;
    if pattern.is_match(text) { Ok(text.to_owned()) } else { Err(form.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kinds_take_is_taken_and_nothing_else() {
        for (check, right, wrong) in [
            (
                account as fn(&str) -> Result<String, String>,
                vec!["111122223333"],
                vec!["", "1", "11112222333a", "1111222233334", " 111122223333", "111122223333\n"],
            ),
            (
                region,
                vec!["eu-west-1", "us-gov-east-1", "eusc-de-east-1", "zz-north-12"],
                vec!["", "eu-west1", "EU-WEST-1", "eu", "eu-west-1a", "eu_west_1"],
            ),
            (
                role_arn,
                vec!["arn:aws:iam::111122223333:role/a/b", "arn:aws-cn:iam::111122223333:role/a"],
                vec![
                    "a",
                    "arn:aws:iam::1:role/a",
                    "arn:aws:iam::111122223333:user/a",
                    "arn:aws:iam::111122223333:role/",
                ],
            ),
            (
                partition,
                vec!["aws", "aws-cn", "aws-us-gov", "aws-iso-b", "aws-new"],
                vec!["", "AWS", "cn", "aws-", "aws_cn"],
            ),
        ] {
            assert!(right.iter().all(|text| check(text).is_ok()), "{right:?}");
            assert!(wrong.iter().all(|text| check(text).is_err()), "{wrong:?}");
        }
    }
}
