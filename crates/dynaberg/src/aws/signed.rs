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
    let signable = SignableRequest::new(method.as_str(), url, std::iter::empty(), SignableBody::Bytes(&body))
        .map_err(|error| refused(&error))?;
    let (instructions, _) = sign(signable, &parameters).map_err(|error| refused(&error))?.into_parts();
    let mut request = http::Request::builder().method(method).uri(url).body(body).map_err(|error| refused(&error))?;
    instructions.apply_to_request_http1x(&mut request);
    let request = request.try_into().map_err(|error: reqwest::Error| refused(&error))?;
    reqwest::Client::new().execute(request).await.map_err(|error| {
        Failure::new(Exit::Service, format!("reach {url}: {}", crate::failure::with_causes(&error)))
            .advise("start `dynaberg dev`, or set AWS_ENDPOINT_URL")
    })
}
