//! Who calls, and from where.

/// The account of everyone whose access key does not name another one.
pub const DEFAULT_ACCOUNT_ID: &str = "000000000000";

/// The region of requests that name none, because they are unsigned.
pub const DEFAULT_REGION: &str = "us-east-1";

/// What temporary access keys begin with.
const SESSION_KEY: &str = "ASIA";

/// The principal behind an access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Twelve digits.
    pub account_id: String,
    /// `arn:aws:iam::000000000000:user/NAME`, `…:root` for the administrator, or the ARN of a role's session.
    pub arn: String,
    pub is_administrator: bool,
}

impl Identity {
    /// The administrator of an account.
    pub fn administrator(account_id: &str) -> Self {
        Self { account_id: account_id.into(), arn: format!("arn:aws:iam::{account_id}:root"), is_administrator: true }
    }

    /// The user `name` of the default account.
    pub fn user(name: &str) -> Self {
        Self {
            account_id: DEFAULT_ACCOUNT_ID.into(),
            arn: format!("arn:aws:iam::{DEFAULT_ACCOUNT_ID}:user/{name}"),
            is_administrator: false,
        }
    }

    /// The session `session` of the role `role`.
    pub(crate) fn role_session(account_id: &str, role: &str, session: &str) -> Self {
        Self {
            account_id: account_id.into(),
            arn: format!("arn:aws:sts::{account_id}:assumed-role/{role}/{session}"),
            is_administrator: false,
        }
    }

    /// The account's number for its administrator, else a unique id, `AIDA…` for a user and `AROA…:SESSION` for a role:
    /// the same for the same ARN, on every machine.
    pub fn user_id(&self) -> String {
        if self.is_administrator {
            return self.account_id.clone();
        }
        let (prefix, arn, session) = match self.arn.rsplit_once('/') {
            Some((role, session)) if role.contains(":assumed-role/") => ("AROA", role, format!(":{session}")),
            _ => ("AIDA", self.arn.as_str(), String::new()),
        };
        let salted = |salt: u8| crc32fast::hash(&[&[salt], arn.as_bytes()].concat());
        format!("{prefix}{:08X}{:08X}{session}", salted(0), salted(1))
    }

    /// The access key of a role's session, which [`Identity::of_access_key`] reads: where any key is accepted, nothing
    /// has to be remembered of a session.
    pub fn session_access_key(account_id: &str, role: &str, session: &str) -> String {
        format!("{SESSION_KEY}{}", hex::encode(format!("{account_id}/{role}/{session}")).to_uppercase())
    }

    /// Whom an access key stands for where any key is accepted: twelve digits are the administrator of that account,
    /// `test` and `dev` the administrator of the default one, everything else is the user of that name.
    ///
    /// `None` where the key cannot be a user's name and so would make a broken ARN.
    pub fn of_access_key(access_key_id: &str) -> Option<Self> {
        let is_account_id = access_key_id.len() == 12 && access_key_id.bytes().all(|byte| byte.is_ascii_digit());
        match access_key_id {
            "test" | "dev" => Some(Self::administrator(DEFAULT_ACCOUNT_ID)),
            account_id if is_account_id => Some(Self::administrator(account_id)),
            key if key.starts_with(SESSION_KEY) => {
                of_session_key(key).or_else(|| is_user_name(key).then(|| Self::user(key)))
            }
            name if is_user_name(name) => Some(Self::user(name)),
            _ => None,
        }
    }
}

/// What every operation knows of the request besides its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub identity: Identity,
    /// The region of the credential scope; it goes into ARNs. `us-east-1` for unsigned requests.
    pub region: String,
    /// Host and port as the client wrote them, for URLs in answers.
    pub host: String,
    pub request_id: String,
}

fn of_session_key(key: &str) -> Option<Identity> {
    let text = String::from_utf8(hex::decode(key.strip_prefix(SESSION_KEY)?).ok()?).ok()?;
    let [account_id, role, session] = text.split('/').collect::<Vec<_>>().try_into().ok()?;
    let is_account_id = account_id.len() == 12 && account_id.bytes().all(|byte| byte.is_ascii_digit());
    let is_valid = is_account_id && is_user_name(role) && is_user_name(session);
    is_valid.then(|| Identity::role_session(account_id, role, session))
}

/// Tells whether IAM would take `name` for a user, a length of up to an access key's 128 aside.
pub(crate) fn is_user_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_session_is_read_back() {
        let key = Identity::session_access_key("000000000000", "Reader", "me@example.com");
        let session = Identity::role_session("000000000000", "Reader", "me@example.com");
        assert_eq!(Identity::of_access_key(&key), Some(session));
        for other in ["ASIA", "ASIA00", "ASIAZZ"] {
            assert_eq!(Identity::of_access_key(other), Some(Identity::user(other)));
        }
    }

    #[test]
    fn an_access_key_names_its_principal() {
        let arn = |key| Identity::of_access_key(key).map(|identity| (identity.arn, identity.is_administrator));
        let root = ("arn:aws:iam::000000000000:root".to_owned(), true);
        assert_eq!(arn("test"), Some(root.clone()));
        assert_eq!(arn("dev"), Some(root));
        assert_eq!(arn("111122223333"), Some(("arn:aws:iam::111122223333:root".to_owned(), true)));
        assert_eq!(arn("analyst"), Some(("arn:aws:iam::000000000000:user/analyst".to_owned(), false)));
        assert_eq!(arn("11112222333"), Some(("arn:aws:iam::000000000000:user/11112222333".to_owned(), false)));
        for broken in ["", "a/b", "a:b", "ключ", "a b", &"a".repeat(129)] {
            assert_eq!(arn(broken), None, "{broken}");
        }
    }
}
