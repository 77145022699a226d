//! The way of a request: from its head to the service it is meant for, and back.

use std::sync::Arc;

use ambient::Ambient;
use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, warn};

use crate::{
    Authentication, AwsError, Body, Caller, DEFAULT_REGION, Form, Identity, JsonService, QueryService, RestService,
    StreamingService, body,
    credential::{Malformed, Presented},
    denial::Denial,
    dispatch::{Buffered, Dispatched, Services, Target},
    front, health,
    iam::{Asked, Guard},
    json,
    protocol::Protocol,
    query,
    sts::Sts,
};

/// One port for all services. Build it with the services it is to serve, then call [`Gateway::serve`].
pub struct Gateway {
    ambient: Ambient,
    authentication: Authentication,
    services: Services,
    /// Holds some callers to policies.
    guard: Option<Arc<Guard>>,
    /// Calls run to their end even if the client hangs up, so that no operation stops halfway.
    pub(crate) calls: TaskTracker,
}

impl Gateway {
    /// A gateway that knows who its callers are: it serves STS and nothing else yet.
    pub fn new(ambient: Ambient, authentication: Authentication) -> Self {
        let sts = Sts { ambient: ambient.clone(), takes_any_key: matches!(authentication, Authentication::Dev) };
        let services = Services::default();
        let gateway = Self { ambient, authentication, services, guard: None, calls: TaskTracker::new() };
        gateway.query_service("sts", Arc::new(sts))
    }

    /// Holds callers to policies.
    pub fn guarded_by(self, guard: Guard) -> Self {
        Self { guard: Some(Arc::new(guard)), ..self }
    }

    /// Adds a service of a JSON protocol; several may share a scope and differ in their target prefix.
    pub fn json_service(mut self, scope: &'static str, service: Arc<dyn JsonService>) -> Self {
        self.services.json.entry(scope).or_default().push(service);
        self
    }

    /// Adds a restJson1 service.
    pub fn rest_service(mut self, scope: &'static str, service: Arc<dyn RestService>) -> Self {
        self.services.rest.insert(scope, service);
        self
    }

    /// Adds a service of the query protocol.
    pub fn query_service(mut self, scope: &'static str, service: Arc<dyn QueryService>) -> Self {
        self.services.query.insert(scope, service);
        self
    }

    /// Serves an Iceberg REST catalog under `/iceberg/`, for clients that sign for `s3tables`, for `glue` or not at all.
    pub fn iceberg(mut self, catalog: Arc<dyn RestService>) -> Self {
        self.services.iceberg = Some(catalog);
        self
    }

    /// Adds a service that reads its own streams; `s3` also gets whatever is unsigned and meant for nobody else.
    pub fn streaming_service(mut self, scope: &'static str, service: Arc<dyn StreamingService>) -> Self {
        self.services.streaming.insert(scope, service);
        self
    }

    /// Answers one request. Whatever goes wrong becomes an error in the caller's protocol, a panic included.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let (parts, incoming) = request.into_parts();
        let presented = Presented::find(&parts);
        let scope = presented.as_ref().ok().and_then(Option::as_ref).map(|presented| &*presented.credential.service);
        let Dispatched { protocol, target } = self.services.dispatch(&parts, scope);
        let request_id = protocol.request_id(&self.ambient);

        let gateway = self.clone();
        let arrived = Arrived { parts, incoming, protocol, request_id: request_id.clone() };
        let call = self.calls.spawn(async move { gateway.call(arrived, presented, target).await });
        let outcome = call.await.unwrap_or_else(|stopped| {
            error!(request_id, error = %stopped, "call did not end");
            Err(protocol.internal_failure())
        });

        let mut response = outcome.unwrap_or_else(|error| {
            match error.status.is_server_error() {
                true => warn!(request_id, code = %error.code, "failed"),
                false => debug!(request_id, code = %error.code, "refused"),
            }
            protocol.error(&error, &request_id).map(whole)
        });
        protocol.stamp(response.headers_mut(), &request_id);
        response
    }

    async fn call(
        &self,
        arrived: Arrived,
        presented: Result<Option<Presented>, Malformed>,
        target: Result<Target, AwsError>,
    ) -> Result<Response<Body>, AwsError> {
        let Arrived { mut parts, incoming, protocol, request_id } = arrived;
        let denied = |denial: Denial| denial.spelled_for(&protocol);
        front::check_size(&parts)?;
        front::check_origin(&parts).map_err(denied)?;
        let presented = presented.map_err(|Malformed(reason)| denied(Denial::Incomplete(reason)))?;
        let caller = |identity: Identity, parts: &Parts| Caller {
            identity,
            region: presented.as_ref().map_or(DEFAULT_REGION, |presented| &presented.credential.region).to_owned(),
            host: front::host(&parts.headers).unwrap_or_default().to_owned(),
            request_id: request_id.clone(),
        };

        let service = match target? {
            Target::Buffered(service) => service,
            Target::Health => return Ok(health::health(&self.services.names()).map(whole)),
            Target::Streaming(service) => {
                let at_word = self.authentication.take_at_word(presented.as_ref()).map_err(denied)?;
                // Where the service verifies the signature, a claim is enough to be refused by a policy, and never enough to
                // be let in.
                let claimed = self.guard.as_ref().zip(self.authentication.claimed(presented.as_ref()));
                if let Some((guard, identity)) = claimed {
                    let caller = caller(identity, &parts);
                    let checked = guard.check(&caller.identity.arn, &asked("s3", "", &caller), &parts, b"");
                    checked.map_err(|message| denied(Denial::Forbidden(message)))?;
                }
                if let Some(identity) = at_word {
                    parts.extensions.insert(caller(identity, &parts));
                }
                return Ok(service.call(Request::from_parts(parts, incoming)).await);
            }
        };

        let sent = body::read(incoming).await?;
        let is_iceberg = protocol == Protocol::Iceberg;
        let now = self.ambient.now();
        let identity = self.authentication.identify(&parts, presented.as_ref(), is_iceberg, now, &sent);
        let caller = caller(identity.map_err(denied)?, &parts);
        let body = body::inflate(&mut parts.headers, sent).await?;
        let Some(guard) = &self.guard else { return service.call(&caller, parts, body).await };
        let scope = presented.as_ref().map_or("", |presented| &presented.credential.service);
        let operation = service.operation(&parts, &body);
        let asked = asked(if is_iceberg { "iceberg" } else { scope }, &operation, &caller);
        let checked = guard.check(&caller.identity.arn, &asked, &parts, &body);
        checked.map_err(|message| denied(Denial::Forbidden(message)))?;
        let response = service.call(&caller, parts, body.clone()).await?;
        if !matches!(&*operation, "GetShardIterator" | "GetRecords") {
            return Ok(response);
        }
        // Iterators say nothing of the stream that they belong to.
        let (head, answer) = response.into_parts();
        let answer = answer.collect().await.map(|answer| answer.to_bytes()).unwrap_or_default();
        guard.learn(&asked, &body, &answer);
        Ok(Response::from_parts(head, whole(answer)))
    }
}

/// A request whose meaning is known.
struct Arrived {
    parts: Parts,
    incoming: Incoming,
    protocol: Protocol,
    request_id: String,
}

fn asked<'a>(service: &'a str, operation: &'a str, caller: &'a Caller) -> Asked<'a> {
    Asked { service, operation, region: &caller.region, account: &caller.identity.account_id }
}

impl Buffered {
    /// The name of the operation, where the protocol has one.
    fn operation(&self, parts: &Parts, body: &Bytes) -> String {
        match self {
            Self::Json { operation, .. } => operation.clone(),
            Self::Query(_) => Form::of(parts, body).get("Action").unwrap_or_default().to_owned(),
            Self::Rest(_) => String::new(),
        }
    }

    async fn call(self, caller: &Caller, parts: Parts, body: Bytes) -> Result<Response<Body>, AwsError> {
        let answer = match self {
            Self::Json { service, shape, operation } => {
                json::check_content_type(&parts.headers)?;
                if let Some(events) = service.subscribe(caller, &operation, &body).await? {
                    return Ok(shape.events(events));
                }
                shape.success(service.call(caller, &operation, body).await?)
            }
            Self::Query(service) => query::call(service.as_ref(), caller, &Form::of(&parts, &body)).await?,
            Self::Rest(service) => service.call(caller, Request::from_parts(parts, body)).await,
        };
        Ok(answer.map(whole))
    }
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}
