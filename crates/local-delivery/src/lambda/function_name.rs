//! The forms in which callers name a function, and its ARN.

use aws_wire::AwsError;

use crate::lambda::error;

/// A place: everything of Lambda is in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub account_id: String,
    pub name: String,
}

/// The one version that functions have here.
pub(crate) const LATEST: &str = "$LATEST";

impl Region {
    /// What rows of the store have for this place.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.account_id, self.name)
    }

    /// The place of rows that have `key`.
    pub(crate) fn of_key(key: &str) -> Self {
        let (account_id, name) = key.split_once('/').unwrap_or_default();
        Self { account_id: account_id.to_owned(), name: name.to_owned() }
    }

    pub(crate) fn function_arn(&self, function: &str) -> String {
        format!("arn:aws:lambda:{}:{}:function:{function}", self.name, self.account_id)
    }

    pub(crate) fn mapping_arn(&self, uuid: &str) -> String {
        format!("arn:aws:lambda:{}:{}:event-source-mapping:{uuid}", self.name, self.account_id)
    }
}

/// Reads a name, a partial ARN (`000000000000:function:NAME`) or a whole one, with or without `:$LATEST`.
///
/// Another qualifier is `ResourceNotFoundException`, as there are no versions and no aliases here.
pub(crate) fn parse(region: &Region, text: &str, qualifier: Option<&str>) -> Result<String, AwsError> {
    let unreadable = || {
        let rule = "Member must satisfy regular expression pattern: \
                    (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?\
                    ([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?";
        error::constraint(text, "functionName", rule)
    };
    let mut parts: Vec<&str> = text.split(':').collect();
    if let ["arn", "aws", "lambda", name, account_id, ..] = parts[..] {
        if name != region.name || account_id != region.account_id {
            return Err(error::function_not_found(text));
        }
        parts.drain(..5);
    } else if parts.len() > 2 && parts[0] == region.account_id {
        parts.remove(0);
    }
    if parts.len() > 1 && parts[0] == "function" {
        parts.remove(0);
    }
    let (name, in_name) = match parts[..] {
        [name] => (name, None),
        [name, qualifier] => (name, Some(qualifier)),
        _ => return Err(unreadable()),
    };
    if !is_valid(name) {
        return Err(unreadable());
    }
    match in_name.or(qualifier) {
        None | Some(LATEST) => Ok(name.to_owned()),
        Some(other) => Err(error::function_not_found(&format!("{}:{other}", region.function_arn(name)))),
    }
}

fn is_valid(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_known_by_every_form_of_its_name() {
        let region = Region { account_id: "000000000000".to_owned(), name: "eu-west-1".to_owned() };
        let arn = region.function_arn("resize");
        for form in ["resize", "function:resize", "000000000000:function:resize", "resize:$LATEST", arn.as_str()] {
            assert_eq!(parse(&region, form, None).unwrap(), "resize", "{form}");
        }
        assert_eq!(parse(&region, "resize", Some(LATEST)).unwrap(), "resize");
    }

    #[test]
    fn what_names_no_function_of_this_place_is_refused() {
        let region = Region { account_id: "000000000000".to_owned(), name: "eu-west-1".to_owned() };
        let code = |text: &str| parse(&region, text, None).unwrap_err().code.into_owned();
        for (text, expected) in [
            ("", "ValidationException"),
            ("a b", "ValidationException"),
            ("../etc", "ValidationException"),
            ("a:b:c:d", "ValidationException"),
            ("resize:live", "ResourceNotFoundException"),
            ("arn:aws:lambda:us-east-1:000000000000:function:resize", "ResourceNotFoundException"),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }
}
