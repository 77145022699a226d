//! A signed request to a REST service of AWS that this binary calls too rarely to carry an SDK for.

use ambient::Ambient;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use lake::Signing;

use crate::failure::{Exit, Failure, Outcome};

/// Sends `body` to `url`, signed; gives the response whatever its status.
pub async fn send(
    signing: &Signing,
    ambient: &Ambient,
    method: http::Method,
    url: &str,
    body: Vec<u8>,
) -> Outcome<reqwest::Response> {
    let request = http::Request::builder().method(method).uri(url).body(body);
    send_request(signing, ambient, request.map_err(|error| Failure::caused_by(Exit::Configuration, &error))?).await
}

/// Sends a request, signed with the headers that it has; gives the response whatever its status.
pub async fn send_request(
    signing: &Signing,
    ambient: &Ambient,
    mut request: http::Request<Vec<u8>>,
) -> Outcome<reqwest::Response> {
    let refused = |error: &(dyn std::error::Error + 'static)| Failure::caused_by(Exit::Configuration, error);
    let identity = signing.credentials.provide_credentials().await.map_err(|error| refused(&error))?.into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&signing.region)
        .name(&signing.service)
        .time(ambient.now())
        .settings(settings)
        .build()
        .map_err(|error| refused(&error))?
        .into();
    let url = request.uri().to_string();
    let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let body = SignableBody::Bytes(request.body());
    let signable =
        SignableRequest::new(request.method().as_str(), &url, headers, body).map_err(|error| refused(&error))?;
    let (instructions, _) = sign(signable, &parameters).map_err(|error| refused(&error))?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    let request = request.try_into().map_err(|error: reqwest::Error| refused(&error))?;
    reqwest::Client::new().execute(request).await.map_err(|error| {
        Failure::new(Exit::Service, format!("reach {url}: {}", crate::failure::with_causes(&error)))
            .advise("start `dynaberg dev`, or set AWS_ENDPOINT_URL")
    })
}
