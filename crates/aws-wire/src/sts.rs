//! STS: who one is, and roles to be instead.

use async_trait::async_trait;

use ambient::Ambient;

use crate::{AwsError, Caller, Form, Identity, QueryService, identity::is_user_name, xml_text};

/// Answers `GetCallerIdentity` and `AssumeRole`.
pub(crate) struct Sts {
    pub ambient: Ambient,
    /// Any key is taken at its word, and so is any role.
    pub takes_any_key: bool,
}

const SESSION_SECONDS: std::ops::RangeInclusive<i64> = 900..=43_200;
const SESSION_SECONDS_DEFAULT: i64 = 3_600;

#[async_trait]
impl QueryService for Sts {
    fn version(&self) -> &'static str {
        "2011-06-15"
    }

    fn xml_namespace(&self) -> &'static str {
        "https://sts.amazonaws.com/doc/2011-06-15/"
    }

    async fn call(&self, caller: &Caller, action: &str, form: &Form) -> Result<String, AwsError> {
        match action {
            "GetCallerIdentity" => Ok(caller_identity(caller)),
            "AssumeRole" if self.takes_any_key => self.assume_role(caller, form),
            "AssumeRole" => Err(AwsError::new(
                http::StatusCode::FORBIDDEN,
                "AccessDenied",
                "Roles cannot be assumed where signatures are verified: no role is known there. Try: a key of your own",
            )),
            unknown => Err(AwsError::bad_request(
                "InvalidAction",
                format!("Could not find operation {unknown} for version {}", self.version()),
            )),
        }
    }
}

impl Sts {
    /// Gives credentials of a role's session. A role is a name here: there is nobody whom it would have to trust.
    fn assume_role(&self, caller: &Caller, form: &Form) -> Result<String, AwsError> {
        let invalid = |message: String| AwsError::bad_request("ValidationError", message);
        let required = |name: &str| form.get(name).ok_or_else(|| invalid(format!("{name} is missing")));
        let (role_arn, session) = (required("RoleArn")?, required("RoleSessionName")?);
        let account_id = &caller.identity.account_id;
        let role = role_arn.strip_prefix(&format!("arn:aws:iam::{account_id}:role/")).filter(|role| is_user_name(role));
        let Some(role) = role else {
            return Err(invalid(format!("{role_arn} is no role of yours. Try: arn:aws:iam::{account_id}:role/NAME")));
        };
        if !is_user_name(session) {
            return Err(invalid("RoleSessionName must be a name of letters, digits and _+=,.@-".into()));
        }
        let seconds = form.get("DurationSeconds").map_or(Some(SESSION_SECONDS_DEFAULT), |text| text.parse().ok());
        let Some(seconds) = seconds.filter(|seconds| SESSION_SECONDS.contains(seconds)) else {
            return Err(invalid("DurationSeconds must be from 900 to 43200".into()));
        };
        let identity = Identity::role_session(account_id, role, session);
        let arn = xml_text(&identity.arn);
        let access_key_id = Identity::session_access_key(account_id, role, session);
        let (secret, token) = (self.ambient.uuid().simple(), self.ambient.uuid().simple());
        let expiration = jiff::Timestamp::from_millisecond(self.ambient.now_ms() / 1_000 * 1_000 + seconds * 1_000);
        let expiration = expiration.unwrap_or_default();
        let role_id = xml_text(&identity.user_id());
        Ok(format!(
            "<Credentials><AccessKeyId>{access_key_id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
             <SessionToken>{token}</SessionToken><Expiration>{expiration}</Expiration></Credentials>\
             <AssumedRoleUser><AssumedRoleId>{role_id}</AssumedRoleId><Arn>{arn}</Arn></AssumedRoleUser>"
        ))
    }
}

fn caller_identity(caller: &Caller) -> String {
    let identity = &caller.identity;
    let (arn, account_id) = (xml_text(&identity.arn), xml_text(&identity.account_id));
    let user_id = xml_text(&identity.user_id());
    format!("<Arn>{arn}</Arn><UserId>{user_id}</UserId><Account>{account_id}</Account>")
}
