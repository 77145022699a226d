//! What a request says about who signed it, read but not yet believed.

use std::collections::HashMap;

use http::{header::AUTHORIZATION, request::Parts};
use percent_encoding::percent_decode_str;

/// The only algorithm that clients of the services here use; SigV4A is for multi-region S3 alone.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// `<key>/<date>/<region>/<service>/aws4_request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) access_key_id: String,
    /// `YYYYMMDD`.
    pub(crate) date: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

/// Where in the request a signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Header,
    Query,
}

/// A SigV4 signature as presented. What is missing is empty: a gateway that takes any key does not mind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Presented {
    pub(crate) place: Place,
    pub(crate) credential: Credential,
    /// Lower-case names, as listed.
    pub(crate) signed_headers: Vec<String>,
    pub(crate) signature: String,
    /// `YYYYMMDDTHHMMSSZ`.
    pub(crate) date_time: String,
    pub(crate) session_token: Option<String>,
    /// For how many seconds a presigned request is good.
    pub(crate) expires: Option<String>,
}

/// A signature that cannot even be read; the text says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

impl Presented {
    /// Finds the signature of a request, in its header or in its query.
    pub(crate) fn find(parts: &Parts) -> Result<Option<Self>, Malformed> {
        let mut authorizations = parts.headers.get_all(AUTHORIZATION).iter();
        let header = authorizations.next().and_then(|value| value.to_str().ok());
        if authorizations.next().is_some() {
            return Err(Malformed("Authorization header is given twice.".into()));
        }
        // Other schemes are none of ours: the bearer tokens of Iceberg clients, the HMAC of SigV2.
        let header = header.and_then(|value| value.strip_prefix(ALGORITHM));
        let query = query_parameters(parts.uri.query().unwrap_or_default())?;
        match (header, query.contains_key("X-Amz-Credential")) {
            (None, false) => Ok(None),
            (Some(_), true) => Err(Malformed("Credentials are given in the header and in the query.".into())),
            (Some(fields), false) => Self::in_header(fields, parts).map(Some),
            (None, true) => Self::in_query(query).map(Some),
        }
    }

    fn in_header(fields: &str, parts: &Parts) -> Result<Self, Malformed> {
        let field = |name: &str| {
            let mut all = fields.split(',').filter_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
            all.next().unwrap_or_default()
        };
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        Ok(Self {
            place: Place::Header,
            credential: Credential::parse(field("Credential"))?,
            signed_headers: header_names(field("SignedHeaders")),
            signature: field("Signature").into(),
            date_time: header("x-amz-date").unwrap_or_default().into(),
            session_token: header("x-amz-security-token").map(Into::into),
            expires: None,
        })
    }

    fn in_query(mut query: HashMap<String, String>) -> Result<Self, Malformed> {
        let mut take = |name: &str| query.remove(name);
        let algorithm = take("X-Amz-Algorithm").unwrap_or_default();
        if algorithm != ALGORITHM {
            return Err(Malformed(format!("X-Amz-Algorithm must be {ALGORITHM}, not '{algorithm}'.")));
        }
        Ok(Self {
            place: Place::Query,
            credential: Credential::parse(&take("X-Amz-Credential").unwrap_or_default())?,
            signed_headers: header_names(&take("X-Amz-SignedHeaders").unwrap_or_default()),
            signature: take("X-Amz-Signature").unwrap_or_default(),
            date_time: take("X-Amz-Date").unwrap_or_default(),
            session_token: take("X-Amz-Security-Token"),
            expires: take("X-Amz-Expires"),
        })
    }
}

impl Credential {
    fn parse(credential: &str) -> Result<Self, Malformed> {
        // From the right: AWS allows a slash in nothing but the key.
        let mut fields = credential.rsplitn(5, '/');
        let mut next = || fields.next().filter(|field| !field.is_empty());
        let (Some("aws4_request"), Some(service), Some(region), Some(date)) = (next(), next(), next(), next()) else {
            return Err(Malformed(format!(
                "Credential must be given as KEY/DATE/REGION/SERVICE/aws4_request, not '{credential}'."
            )));
        };
        if !is_region(region) {
            return Err(Malformed(format!("'{region}' is not a valid region name.")));
        }
        Ok(Self {
            access_key_id: fields.next().unwrap_or_default().into(),
            date: date.into(),
            region: region.into(),
            service: service.into(),
        })
    }
}

/// A region goes into ARNs, so it must not be able to break one.
fn is_region(name: &str) -> bool {
    name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn header_names(list: &str) -> Vec<String> {
    list.split(';').filter(|name| !name.is_empty()).map(Into::into).collect()
}

/// The parameters of a query by decoded name. Those of a signature may stand only once.
fn query_parameters(query: &str) -> Result<HashMap<String, String>, Malformed> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut parameters = HashMap::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name);
        let is_given_twice = parameters.insert(name.clone(), decoded(value)).is_some();
        if is_given_twice && name.starts_with("X-Amz-") {
            return Err(Malformed(format!("{name} is given twice.")));
        }
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(uri: &str, authorization: Option<&str>) -> Result<Option<Presented>, Malformed> {
        let mut request = http::Request::builder().uri(uri);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        Presented::find(&request.body(()).expect("the request is well-formed").into_parts().0)
    }

    #[test]
    fn a_signature_is_found_in_header_or_query() {
        let header = "AWS4-HMAC-SHA256 Credential=a/b/20260101/eu-west-1/dynamodb/aws4_request, \
                      SignedHeaders=host;x-amz-date, Signature=f00";
        let presented = find("/", Some(header)).unwrap().unwrap();
        assert_eq!(presented.credential.access_key_id, "a/b");
        assert_eq!(presented.credential.region, "eu-west-1");
        assert_eq!(presented.credential.service, "dynamodb");
        assert_eq!(presented.signed_headers, ["host", "x-amz-date"]);
        assert_eq!(presented.signature, "f00");

        let query = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=60\
                     &X-Amz-Credential=test%2F20260101%2Fus-east-1%2Fsts%2Faws4_request";
        let presented = find(query, None).unwrap().unwrap();
        assert_eq!((presented.place, presented.credential.service.as_str()), (Place::Query, "sts"));
        assert_eq!(presented.expires.as_deref(), Some("60"));
    }

    #[test]
    fn other_schemes_are_no_signature() {
        assert_eq!(find("/?a=b", None), Ok(None));
        assert_eq!(find("/", Some("Bearer token")), Ok(None));
        assert_eq!(find("/", Some("AWS test:c2ln")), Ok(None));
    }

    #[test]
    fn what_cannot_be_read_is_malformed() {
        let incomplete = ["", "test", "test/20260101/us-east-1/dynamodb", "test/20260101/us-east-1//aws4_request"];
        let arn_in_region = "test/20260101/us-east-1:0/dynamodb/aws4_request";
        for credential in incomplete.into_iter().chain([arn_in_region]) {
            let header = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0");
            assert!(find("/", Some(&header)).is_err(), "{credential}");
        }
        assert!(find("/?X-Amz-Credential=a&X-Amz-Credential=b", None).is_err());
        let both = "AWS4-HMAC-SHA256 Credential=t/1/r/s/aws4_request";
        assert!(find("/?X-Amz-Credential=t/1/r/s/aws4_request", Some(both)).is_err());
    }
}
