//! Finds the service that a request is meant for.
//!
//! The credential scope decides first, since paths of different services collide: a bucket may be called `tables`.

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderMap, Method, header::CONTENT_TYPE, request::Parts};

use crate::{
    AwsError, Form, JsonService, JsonVersion, QueryService, RestService, StreamingService, health, json::JsonShape,
    protocol::Protocol,
};

/// Everything that is served, by scope.
#[derive(Default)]
pub(crate) struct Services {
    pub(crate) json: BTreeMap<&'static str, Vec<Arc<dyn JsonService>>>,
    pub(crate) rest: BTreeMap<&'static str, Arc<dyn RestService>>,
    pub(crate) query: BTreeMap<&'static str, Arc<dyn QueryService>>,
    pub(crate) streaming: BTreeMap<&'static str, Arc<dyn StreamingService>>,
    pub(crate) iceberg: Option<Arc<dyn RestService>>,
}

/// Who answers.
pub(crate) enum Target {
    Health,
    Streaming(Arc<dyn StreamingService>),
    Buffered(Buffered),
}

/// A service that gets its body whole, and its caller known.
pub(crate) enum Buffered {
    Json { service: Arc<dyn JsonService>, shape: JsonShape, operation: String },
    Rest(Arc<dyn RestService>),
    Query(Arc<dyn QueryService>),
}

/// Where a request goes, and how its caller wants to hear of errors, this one included.
pub(crate) struct Dispatched {
    pub(crate) protocol: Protocol,
    pub(crate) target: Result<Target, AwsError>,
}

/// Scopes that Iceberg clients sign for.
const ICEBERG_SCOPES: [&str; 2] = ["s3tables", "glue"];

/// Services of AWS that are not served here and whose clients read nothing but XML.
const FOREIGN_XML_SCOPES: [&str; 5] = ["cloudfront", "route53", "s3", "s3express", "s3-outposts"];

impl Services {
    /// `scope` is the service of the credential scope; `None` for unsigned requests.
    pub(crate) fn dispatch(&self, parts: &Parts, scope: Option<&str>) -> Dispatched {
        if let Some(iceberg) = &self.iceberg
            && is_iceberg_path(parts.uri.path())
            && scope.is_none_or(|scope| ICEBERG_SCOPES.contains(&scope))
        {
            return rest(Protocol::Iceberg, iceberg);
        }
        match scope {
            Some(scope) => self.dispatch_signed(parts, scope),
            None => self.dispatch_unsigned(parts),
        }
    }

    /// The names of all services, in alphabetical order.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.json.keys().chain(self.rest.keys()).chain(self.query.keys()).copied().collect();
        names.extend(self.streaming.keys());
        names.extend(self.iceberg.is_some().then_some("iceberg"));
        names.sort_unstable();
        names.dedup();
        names
    }

    fn dispatch_signed(&self, parts: &Parts, scope: &str) -> Dispatched {
        if let Some(service) = self.streaming.get(scope) {
            return streaming(service);
        }
        // SQS speaks both.
        let names_target = parts.headers.contains_key("x-amz-target");
        if let Some(service) = self.query.get(scope).filter(|_| !names_target || !self.json.contains_key(scope)) {
            return query(service);
        }
        if let Some((scope, services)) = self.json.get_key_value(scope) {
            return json(parts, services.iter().map(|service| (*scope, service)));
        }
        match self.rest.get(scope) {
            Some(service) => rest(Protocol::RestJson, service),
            None => self.unknown_service(parts, scope),
        }
    }

    fn dispatch_unsigned(&self, parts: &Parts) -> Dispatched {
        if health::is_health_path(parts.uri.path()) {
            return Dispatched { protocol: Protocol::RestJson, target: Ok(Target::Health) };
        }
        if parts.headers.contains_key("x-amz-target") {
            let with_scope = |(scope, services)| std::iter::repeat(scope).zip(services);
            return json(parts, self.json.iter().map(|(scope, services)| (*scope, services)).flat_map(with_scope));
        }
        if is_query_request(parts) {
            let version = Form::of(parts, b"").get("Version").map(ToOwned::to_owned);
            let of_version = self.query.values().find(|service| version.as_deref() == Some(service.version()));
            // Without a version in the query the body has it; it is unsigned in any case, and STS says so as well as IAM.
            if let Some(service) = of_version.or_else(|| self.query.values().next()) {
                return query(service);
            }
        }
        match self.streaming.get("s3") {
            Some(service) => streaming(service),
            None => self.unknown_service(parts, "s3"),
        }
    }

    fn unknown_service(&self, parts: &Parts, scope: &str) -> Dispatched {
        let (protocol, code) = if parts.headers.contains_key("x-amz-target") {
            (Protocol::Json(JsonShape::unknown(JsonVersion::V1_1, &parts.headers)), "UnknownServiceException")
        } else if is_query_request(parts) {
            (Protocol::Query { xml_namespace: None }, "UnknownService")
        } else if FOREIGN_XML_SCOPES.contains(&scope) {
            (Protocol::RestXml, "UnknownService")
        } else {
            (Protocol::RestJson, "UnknownServiceException")
        };
        let served = self.names().join(", ");
        let message = format!("The service '{scope}' is not served here. Try: {served}");
        Dispatched { protocol, target: Err(AwsError::bad_request(code, message)) }
    }
}

fn streaming(service: &Arc<dyn StreamingService>) -> Dispatched {
    Dispatched { protocol: Protocol::RestXml, target: Ok(Target::Streaming(service.clone())) }
}

fn rest(protocol: Protocol, service: &Arc<dyn RestService>) -> Dispatched {
    Dispatched { protocol, target: Ok(Target::Buffered(Buffered::Rest(service.clone()))) }
}

fn query(service: &Arc<dyn QueryService>) -> Dispatched {
    let protocol = Protocol::Query { xml_namespace: Some(service.xml_namespace()) };
    Dispatched { protocol, target: Ok(Target::Buffered(Buffered::Query(service.clone()))) }
}

/// Picks the JSON service whose prefix the target has.
fn json<'a>(
    parts: &Parts,
    mut services: impl Iterator<Item = (&'static str, &'a Arc<dyn JsonService>)> + Clone,
) -> Dispatched {
    let target = x_amz_target(&parts.headers);
    let (prefix, operation) = target.rsplit_once('.').unwrap_or((target, ""));
    let Some((scope, service)) = services.clone().find(|(_, service)| service.target_prefix() == prefix) else {
        let shape = match services.next() {
            Some((scope, sibling)) => JsonShape::of(sibling.as_ref(), scope, &parts.headers),
            None => JsonShape::unknown(JsonVersion::V1_1, &parts.headers),
        };
        return Dispatched { protocol: Protocol::Json(shape), target: Err(unknown_operation(target)) };
    };
    let shape = JsonShape::of(service.as_ref(), scope, &parts.headers);
    let is_call = parts.method == Method::POST && !operation.is_empty();
    let target = match is_call {
        true => {
            let (service, operation) = (service.clone(), operation.to_owned());
            Ok(Target::Buffered(Buffered::Json { service, shape, operation }))
        }
        false => Err(unknown_operation(target)),
    };
    Dispatched { protocol: Protocol::Json(shape), target }
}

fn unknown_operation(target: &str) -> AwsError {
    let message = match target {
        "" => "The request names no operation. Try: POST with X-Amz-Target".to_owned(),
        target => format!("The operation '{target}' is not served here."),
    };
    AwsError::bad_request("UnknownOperationException", message)
}

fn x_amz_target(headers: &HeaderMap) -> &str {
    headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default()
}

fn is_iceberg_path(path: &str) -> bool {
    path.starts_with("/iceberg/")
}

/// Tells whether a request at the root is a form or has its `Action` in the query.
fn is_query_request(parts: &Parts) -> bool {
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_form = parts.method == Method::POST && content_type.starts_with("application/x-www-form-urlencoded");
    let has_action = || Form::of(parts, b"").get("Action").is_some();
    parts.uri.path() == "/" && (is_form || has_action())
}
