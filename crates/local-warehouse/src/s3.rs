//! Amazon S3 on the warehouse's objects, path style, through the `s3s` protocol crate.
//!
//! `backend` lists the operations, each theme has its file. `unsigned` prepares requests where any key is taken at its
//! word, since `s3s` refuses a signature that it has no secret for; `aws_chunked` is the body of such a request.

mod access;
mod aws_chunked;
mod backend;
mod buckets;
mod checksums;
mod copy;
mod delete;
mod errors;
mod governed;
mod intake;
mod listing;
mod multipart;
mod policy;
mod preconditions;
mod read;
mod tagging;
mod unserved;
mod unsigned;
mod uploads;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use aws_wire::{Authentication, Body, Caller, StreamingService};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use s3s::S3Result;
use s3s::service::{S3Service, S3ServiceBuilder};

use crate::objects::ObjectFiles;

pub(crate) use governed::Rights;

/// The S3 endpoint.
pub(crate) struct S3 {
    service: S3Service,
    rights: Rights,
    is_signed: bool,
}

impl S3 {
    pub(crate) fn new(files: Arc<ObjectFiles>, authentication: Authentication, rights: Rights) -> Self {
        let mut builder = S3ServiceBuilder::new(backend::Backend { files });
        let is_signed = match authentication {
            Authentication::Dev => false,
            Authentication::Strict(keys) => {
                builder.set_auth(access::Keys(keys.clone()));
                builder.set_access(access::Access { keys, rights: rights.clone() });
                true
            }
        };
        Self { service: builder.build(), rights, is_signed }
    }
}

impl S3 {
    /// Where any key is taken at its word, the gateway has left who calls.
    fn check_at_word(&self, request: &Request<Incoming>) -> S3Result<()> {
        let identity = request.extensions().get::<Caller>().map(|caller| &caller.identity);
        self.rights.check(identity, request.method(), request.uri().path(), request.headers())
    }
}

#[async_trait]
impl StreamingService for S3 {
    async fn call(&self, request: Request<Incoming>) -> Response<Body> {
        if !self.is_signed
            && let Err(denied) = self.check_at_word(&request)
            && let Ok(denied) = denied.to_http_response()
        {
            return denied.map(|body| body.map_err(std::io::Error::other).boxed_unsync());
        }
        let request = match self.is_signed {
            true => request.map(s3s::Body::from),
            false => unsigned::prepare(request),
        };
        match self.service.call(tagging::read(request).await).await {
            Ok(response) => response.map(|body| body.map_err(std::io::Error::other).boxed_unsync()),
            Err(error) => {
                tracing::error!(error = %s3s::StdError::from(error), "an S3 request failed");
                let mut response =
                    Response::new(Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }
}
