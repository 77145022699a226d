//! The services that plans look at and applies change.

use std::sync::Arc;

use provision::{About, Connection, FailPoint, Service, Services};

use super::Aws;
use crate::failure::{Exit, Failure, Outcome};

/// Has tests kill an apply or a destroy beside one of its changes: `before:3`, `after:3`.
const FAIL_POINT: &str = "DYNABERG_FAIL_POINT";

impl Aws {
    /// Connects to them, and finds out who calls.
    pub async fn services(&self) -> Outcome<Services> {
        let fail_point = match std::env::var(FAIL_POINT) {
            Err(_) => FailPoint::none(),
            Ok(text) => FailPoint::parse(&text).ok_or_else(|| {
                Failure::new(Exit::Configuration, format!("{FAIL_POINT}={text} is no place to fail"))
                    .advise(format!("unset {FAIL_POINT}: it is for tests"))
            })?,
        };
        Ok(Services::connect(self.connection(fail_point)?).await?)
    }

    /// The same for calls that are rare and need no ARN of the caller's account.
    pub fn calls(&self) -> Outcome<Services> {
        Ok(Services::unidentified(self.connection(FailPoint::none())?))
    }

    fn connection(&self, fail_point: FailPoint) -> Outcome<Connection> {
        let (aws, region) = (self.clone(), self.region());
        Ok(Connection {
            region: region.clone(),
            credentials: self.credentials()?,
            endpoint: Arc::new(move |service| aws.endpoint(service, &region)),
            ambient: self.ambient(),
            fail_point,
        })
    }
}

/// A call that names no resource.
pub fn on(service: Service, action: &str) -> About<'_> {
    About { service, action, resource: "*" }
}

/// The codes that `dynaberg explain` knows.
const WORLD_CHANGED: &str = "DYN601";
const OVERTAKEN: &str = "DYN602";
const CLASH: &str = "DYN603";
const DENIED: &str = "DYN604";

impl From<provision::Error> for Failure {
    fn from(error: provision::Error) -> Self {
        use provision::Error;

        let (exit, code) = match &error {
            Error::WorldChanged { .. } => (Exit::Findings, Some(WORLD_CHANGED)),
            Error::Overtaken { .. } => (Exit::Findings, Some(OVERTAKEN)),
            Error::Clash { .. } => (Exit::Configuration, Some(CLASH)),
            Error::Refused(refusal) if refusal.is_denied() => (Exit::Service, Some(DENIED)),
            Error::Refused(_) | Error::Unanswered(_) | Error::TooSlow { .. } => (Exit::Service, None),
        };
        let message = match code {
            Some(code) => format!("{code} {error}"),
            None => error.to_string(),
        };
        let failure = Failure::new(exit, message);
        match error.advice() {
            Some(advice) => failure.advise(advice),
            None => failure,
        }
    }
}
