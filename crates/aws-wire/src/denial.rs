//! Why a request is turned away before any service sees it.

use http::StatusCode;

use crate::{AwsError, protocol::Protocol};

/// One refusal; each family of protocols has its own word and status for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// Nothing is signed, and the service wants to know who calls.
    Unsigned,
    /// The signature lacks a part or breaks a rule; the text says which.
    Incomplete(String),
    /// The access key or its session token is not one of ours.
    UnknownKey,
    /// The signature is not the one that the secret gives, or it has expired; the text says more.
    WrongSignature(String),
    /// Not from here: a browser's page, or a foreign host name.
    Forbidden(String),
}

impl Denial {
    pub(crate) fn spelled_for(self, protocol: &Protocol) -> AwsError {
        // The JSON protocols' common errors are 400 throughout; the others tell a wrong signature (403) from a broken one.
        let (is_xml, forbidden) = match protocol {
            Protocol::Json(_) => (false, StatusCode::BAD_REQUEST),
            Protocol::RestJson | Protocol::Iceberg => (false, StatusCode::FORBIDDEN),
            Protocol::Query { .. } | Protocol::RestXml => (true, StatusCode::FORBIDDEN),
        };
        let spell = |json, xml| if is_xml { xml } else { json };
        let (status, code, message) = match self {
            Self::Unsigned => (
                forbidden,
                spell("MissingAuthenticationTokenException", "MissingAuthenticationToken"),
                "Request is missing Authentication Token".into(),
            ),
            Self::Incomplete(reason) => {
                (StatusCode::BAD_REQUEST, spell("IncompleteSignatureException", "IncompleteSignature"), reason)
            }
            Self::UnknownKey => (
                forbidden,
                spell("UnrecognizedClientException", "InvalidClientTokenId"),
                "The security token included in the request is invalid.".into(),
            ),
            Self::WrongSignature(reason) => {
                (forbidden, spell("InvalidSignatureException", "SignatureDoesNotMatch"), reason)
            }
            Self::Forbidden(reason) => (StatusCode::FORBIDDEN, spell("AccessDeniedException", "AccessDenied"), reason),
        };
        AwsError::new(status, code, message)
    }
}
