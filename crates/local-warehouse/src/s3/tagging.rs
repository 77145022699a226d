//! Tags of buckets: set, read and removed, and set by the call that creates the bucket.

use std::collections::BTreeMap;

use http::{Extensions, Method, Request};
use http_body_util::{BodyExt, Limited};
use s3s::dto::*;
use s3s::{Body, S3Request, S3Response, S3Result, s3_error};

use crate::objects::ObjectError;
use crate::s3::backend::Backend;

type Tags = BTreeMap<String, String>;

/// As for every AWS resource.
const TAGS_MAX: usize = 50;
/// More than fifty tags of the longest kind take.
const CONFIGURATION_BYTES_MAX: usize = 256 << 10;

pub(super) async fn put_bucket_tagging(
    backend: &Backend,
    request: S3Request<PutBucketTaggingInput>,
) -> S3Result<S3Response<PutBucketTaggingOutput>> {
    let PutBucketTaggingInput { bucket, tagging, .. } = request.input;
    let pairs = tagging.tag_set.into_iter().map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()));
    let tags = checked(pairs.collect())?;
    backend.blocking(move |files| Ok(files.buckets.change(&bucket, |bucket| bucket.tags = tags)?)).await?;
    Ok(S3Response::new(PutBucketTaggingOutput {}))
}

pub(super) async fn get_bucket_tagging(
    backend: &Backend,
    request: S3Request<GetBucketTaggingInput>,
) -> S3Result<S3Response<GetBucketTaggingOutput>> {
    let bucket = request.input.bucket;
    let found = backend.files.buckets.get(&bucket).ok_or(ObjectError::NoSuchBucket(bucket))?;
    if found.tags.is_empty() {
        return Err(s3_error!(NoSuchTagSet, "The TagSet does not exist"));
    }
    let tag_set = found.tags.into_iter().map(|(key, value)| Tag { key: Some(key), value: Some(value) });
    Ok(S3Response::new(GetBucketTaggingOutput { tag_set: tag_set.collect() }))
}

pub(super) async fn delete_bucket_tagging(
    backend: &Backend,
    request: S3Request<DeleteBucketTaggingInput>,
) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
    let bucket = request.input.bucket;
    backend.blocking(move |files| Ok(files.buckets.change(&bucket, |bucket| bucket.tags = Tags::new())?)).await?;
    Ok(S3Response::new(DeleteBucketTaggingOutput {}))
}

/// The tags of a `CreateBucketConfiguration`, which `s3s` passes over.
#[derive(Clone)]
struct Read(Vec<(String, String)>);

/// Reads the tags of a request that creates a bucket, and leaves it as it is: a signature may cover its body.
pub(super) async fn read(request: Request<Body>) -> Request<Body> {
    let is_bucket = request.uri().path().trim_matches('/').split('/').count() == 1;
    if *request.method() != Method::PUT
        || !is_bucket
        || request.uri().query().is_some_and(|query| query != "x-id=CreateBucket")
    {
        return request;
    }
    let (mut parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, CONFIGURATION_BYTES_MAX).collect().await else {
        return Request::from_parts(parts, Body::empty());
    };
    let body = body.to_bytes();
    let text = String::from_utf8_lossy(&body);
    let tags = text.split_once("<Tags>").and_then(|(_, rest)| rest.split_once("</Tags>")).map(|(tags, _)| tags);
    if let Some(tags) = tags {
        let pairs = tags.split("</Tag>").filter_map(|tag| Some((element(tag, "Key")?, element(tag, "Value")?)));
        parts.extensions.insert(Read(pairs.collect()));
    }
    Request::from_parts(parts, Body::from(body))
}

fn element(xml: &str, name: &str) -> Option<String> {
    let text = xml.split_once(&format!("<{name}>"))?.1.split_once(&format!("</{name}>"))?.0;
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(plain.iter().fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain)))
}

/// The tags that a bucket is created with.
pub(super) fn read_from(extensions: &Extensions) -> S3Result<Tags> {
    checked(extensions.get::<Read>().map(|Read(pairs)| pairs.clone()).unwrap_or_default())
}

fn checked(pairs: Vec<(String, String)>) -> S3Result<Tags> {
    let count = pairs.len();
    let tags: Tags = pairs.into_iter().collect();
    if tags.len() < count {
        return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
    }
    if count > TAGS_MAX {
        return Err(s3_error!(InvalidTag, "Bucket tag count cannot be greater than {TAGS_MAX}"));
    }
    let is_kept = |(key, value): (&String, &String)| {
        (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256 && !key.starts_with("aws:")
    };
    match tags.iter().all(is_kept) {
        true => Ok(tags),
        false => {
            Err(s3_error!(InvalidTag, "A tag key has 1 to 128 characters and no aws: before it, a value up to 256"))
        }
    }
}
