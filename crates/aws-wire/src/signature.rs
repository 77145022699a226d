//! Verifies SigV4 signatures: signs the request again with the secret we hold, and compares.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use http::{header::CONTENT_ENCODING, request::Parts};
use percent_encoding::percent_decode_str;
use subtle::ConstantTimeEq as _;

use crate::{
    AccessKey,
    credential::{Place, Presented},
    denial::Denial,
};

/// How far the clocks of caller and gateway may be apart.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(15 * 60);

/// A week: the longest that a presigned request may be good for.
const EXPIRES_SECONDS_MAX: u64 = 7 * 24 * 60 * 60;

/// Succeeds if the signature covers what matters of the request, is as old as it may be, and is the one that `key` gives.
pub(crate) fn verify(
    parts: &Parts,
    presented: &Presented,
    key: &AccessKey,
    now: SystemTime,
    body: &[u8],
) -> Result<(), Denial> {
    let signed_at = signing_time(presented)?;
    check_time(presented, signed_at, now)?;
    check_coverage(parts, presented)?;
    check_path(parts.uri.path())?;
    let expected = sign_again(parts, presented, key, signed_at, body)?;
    let is_right: bool = expected.as_bytes().ct_eq(presented.signature.as_bytes()).into();
    if is_right {
        return Ok(());
    }
    Err(Denial::WrongSignature(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
         and signing method. Consult the service documentation for details."
            .into(),
    ))
}

fn signing_time(presented: &Presented) -> Result<SystemTime, Denial> {
    let date_time = &presented.date_time;
    let incomplete =
        || Denial::Incomplete(format!("X-Amz-Date must be in the form 20260131T235959Z, not '{date_time}'."));
    let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date_time).map_err(|_| incomplete())?;
    if date_time.len() != "20260131T235959Z".len() || !date_time.starts_with(&presented.credential.date) {
        return Err(incomplete());
    }
    let timestamp = jiff::tz::TimeZone::UTC.to_timestamp(civil).map_err(|_| incomplete())?;
    let seconds = u64::try_from(timestamp.as_second()).map_err(|_| incomplete())?;
    Ok(UNIX_EPOCH + Duration::from_secs(seconds))
}

fn check_time(presented: &Presented, signed_at: SystemTime, now: SystemTime) -> Result<(), Denial> {
    let valid_for = match presented.place {
        Place::Header => CLOCK_SKEW_MAX,
        Place::Query => expires_in(presented)?,
    };
    let is_early = now + CLOCK_SKEW_MAX < signed_at;
    let is_late = signed_at + valid_for < now;
    if !is_early && !is_late {
        return Ok(());
    }
    let word = if is_early { "not yet current" } else { "expired" };
    Err(Denial::WrongSignature(format!("Signature {word}: {} is too far from our clock.", presented.date_time)))
}

fn expires_in(presented: &Presented) -> Result<Duration, Denial> {
    let seconds = presented.expires.as_deref().and_then(|seconds| seconds.parse().ok());
    match seconds {
        Some(seconds @ 1..=EXPIRES_SECONDS_MAX) => Ok(Duration::from_secs(seconds)),
        _ => Err(Denial::Incomplete(format!("X-Amz-Expires must be given as 1 to {EXPIRES_SECONDS_MAX} seconds."))),
    }
}

/// Refuses signatures that leave out what changes the meaning of a request.
fn check_coverage(parts: &Parts, presented: &Presented) -> Result<(), Denial> {
    let is_signed = |name: &str| presented.signed_headers.iter().any(|signed| signed == name);
    let matters = |name: &str| name.starts_with("x-amz-") || name == CONTENT_ENCODING.as_str();
    let unsigned = parts.headers.keys().map(|name| name.as_str()).find(|name| matters(name) && !is_signed(name));
    match unsigned {
        Some(name) => Err(Denial::Incomplete(format!("Header '{name}' must be signed."))),
        None if !is_signed("host") => Err(Denial::Incomplete("Header 'host' must be signed.".into())),
        None if presented.signature.is_empty() => Err(Denial::Incomplete("Signature must be given.".into())),
        None => Ok(()),
    }
}

/// Refuses paths that SigV4 normalizes before it signs: what is verified must be what is served.
fn check_path(path: &str) -> Result<(), Denial> {
    let is_normal = !path.contains("//") && !path.split('/').any(|segment| matches!(segment, "." | ".."));
    if is_normal { Ok(()) } else { Err(Denial::Incomplete("The path must be normalized.".into())) }
}

/// The signature that the request ought to have.
fn sign_again(
    parts: &Parts,
    presented: &Presented,
    key: &AccessKey,
    signed_at: SystemTime,
    body: &[u8],
) -> Result<String, Denial> {
    let credential = &presented.credential;
    let headers = signed_headers(parts, presented)?;
    let credentials = Credentials::new(
        &credential.access_key_id,
        &key.secret_access_key,
        key.session_token.clone(),
        None,
        "known key",
    );
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&credential.region)
        .name(&credential.service)
        .time(signed_at)
        .settings(settings(parts, presented)?)
        .build()
        .expect("every part is given")
        .into();
    // A presigned request was signed without the parameters that signing added.
    let uri = match presented.place {
        Place::Header => parts.uri.path_and_query().map_or("/", |path_and_query| path_and_query.as_str()).to_owned(),
        Place::Query => without_signature(parts.uri.path(), parts.uri.query().unwrap_or_default()),
    };
    let unsignable = |_| Denial::Incomplete("The request cannot be signed.".into());
    let request = SignableRequest::new(parts.method.as_str(), uri, headers.into_iter(), SignableBody::Bytes(body));
    let (_, signature) = sign(request.map_err(unsignable)?, &params).map_err(unsignable)?.into_parts();
    Ok(signature)
}

/// Names and values of the headers that are signed.
fn signed_headers<'a>(parts: &'a Parts, presented: &'a Presented) -> Result<Vec<(&'a str, &'a str)>, Denial> {
    let mut headers = Vec::new();
    for name in &presented.signed_headers {
        let mut values = parts.headers.get_all(name).iter();
        let Some(value) = values.next() else { continue };
        // Of two dates or tokens the signer would see one and the service perhaps the other.
        if values.next().is_some() {
            return Err(Denial::Incomplete(format!("Header '{name}' is given twice.")));
        }
        let not_text = |_| Denial::Incomplete(format!("Header '{name}' must be ASCII."));
        headers.push((name.as_str(), value.to_str().map_err(not_text)?));
    }
    Ok(headers)
}

fn settings(parts: &Parts, presented: &Presented) -> Result<SigningSettings, Denial> {
    // The defaults are right for everything but S3: the path is encoded twice and normalized.
    let mut settings = SigningSettings::default();
    settings.excluded_headers = None;
    // The hash of the body is always signed; a header that repeats it is replaced by our own, and so verified.
    if let Some(hash) = parts.headers.get("x-amz-content-sha256") {
        let is_hash = hash.len() == 64 && hash.as_bytes().iter().all(u8::is_ascii_hexdigit);
        if !is_hash {
            return Err(Denial::Incomplete("X-Amz-Content-SHA256 must be the hash of the body.".into()));
        }
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    if presented.place == Place::Query {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(expires_in(presented)?);
    }
    Ok(settings)
}

fn without_signature(path: &str, query: &str) -> String {
    const ADDED: [&str; 7] = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
        "X-Amz-SignedHeaders",
    ];
    let is_added = |pair: &&str| {
        let name = percent_decode_str(pair.split('=').next().unwrap_or_default()).decode_utf8_lossy();
        ADDED.contains(&name.as_ref())
    };
    let remaining: Vec<_> = query.split('&').filter(|pair| !pair.is_empty() && !is_added(pair)).collect();
    if remaining.is_empty() { path.to_owned() } else { format!("{path}?{}", remaining.join("&")) }
}
