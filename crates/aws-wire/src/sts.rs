//! STS, as far as it is about who one is.

use async_trait::async_trait;

use crate::{AwsError, Caller, Form, QueryService, xml_text};

/// Answers `GetCallerIdentity`.
pub(crate) struct Sts;

#[async_trait]
impl QueryService for Sts {
    fn version(&self) -> &'static str {
        "2011-06-15"
    }

    fn xml_namespace(&self) -> &'static str {
        "https://sts.amazonaws.com/doc/2011-06-15/"
    }

    async fn call(&self, caller: &Caller, action: &str, _form: &Form) -> Result<String, AwsError> {
        match action {
            "GetCallerIdentity" => Ok(caller_identity(caller)),
            "AssumeRole" => Err(AwsError::bad_request(
                "InvalidAction",
                "AssumeRole is not served here. Try: an access key NAME of your own, which makes you the user NAME",
            )),
            unknown => Err(AwsError::bad_request(
                "InvalidAction",
                format!("Could not find operation {unknown} for version {}", self.version()),
            )),
        }
    }
}

fn caller_identity(caller: &Caller) -> String {
    let identity = &caller.identity;
    let (arn, account_id) = (xml_text(&identity.arn), xml_text(&identity.account_id));
    let user_id = if identity.is_administrator { account_id.clone() } else { user_id(&identity.arn) };
    format!("<Arn>{arn}</Arn><UserId>{user_id}</UserId><Account>{account_id}</Account>")
}

/// A user's unique id, `AIDA…`: the same for the same ARN, on every machine.
fn user_id(arn: &str) -> String {
    let salted = |salt: u8| crc32fast::hash(&[&[salt], arn.as_bytes()].concat());
    format!("AIDA{:08X}{:08X}", salted(0), salted(1))
}
