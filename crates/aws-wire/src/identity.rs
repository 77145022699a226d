//! Who calls, and from where.

/// The principal behind an access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Twelve digits.
    pub account_id: String,
    /// `arn:aws:iam::000000000000:user/NAME`, or `…:root` for the administrator.
    pub arn: String,
    pub is_administrator: bool,
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
