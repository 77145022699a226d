//! Buckets: create, delete, head, list, where they are.

use aws_wire::{Caller, DEFAULT_REGION};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::objects::{BucketKind, ObjectError};
use crate::s3::backend::Backend;
use crate::s3::preconditions::timestamp;
use crate::s3::tagging;
use crate::s3::unserved::refuse;

/// Ends of names that belong to S3 itself.
const RESERVED_SUFFIXES: [&str; 4] = ["-s3alias", "--ol-s3", "--x-s3", "--table-s3"];
const COUNT_MAX: i32 = 10_000;

pub(super) async fn create_bucket(
    backend: &Backend,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let here = region(&request);
    let tags = tagging::read_from(&request.extensions)?;
    let input = request.input;
    refuse("x-amz-bucket-object-lock-enabled", input.object_lock_enabled_for_bucket == Some(true))?;
    check_ownership(&input)?;
    let name = input.bucket;
    if RESERVED_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
        return Err(s3_error!(InvalidBucketName, "The specified bucket is not valid: its ending is reserved"));
    }
    let constraint = input.create_bucket_configuration.and_then(|configuration| configuration.location_constraint);
    let region = constraint.map_or(here, |constraint| constraint.as_str().to_owned());
    let location = format!("/{name}");
    backend
        .blocking(move |files| match files.create_tagged_bucket(&name, BucketKind::General, &region, tags) {
            // The oldest region answers as it always did: the bucket is there and yours, all is well.
            Err(ObjectError::BucketExists(_)) if region == DEFAULT_REGION => Ok(()),
            created => Ok(created?),
        })
        .await?;
    Ok(S3Response::new(CreateBucketOutput { location: Some(location) }))
}

pub(super) async fn delete_bucket(
    backend: &Backend,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    let name = request.input.bucket;
    backend
        .blocking(move |files| {
            let is_warehouse = files.buckets.get(&name).is_some_and(|bucket| bucket.kind == BucketKind::TableWarehouse);
            if is_warehouse {
                return Err(s3_error!(MethodNotAllowed, "This bucket belongs to a table: delete the table instead"));
            }
            Ok(files.delete_empty_bucket(&name)?)
        })
        .await?;
    Ok(S3Response::new(DeleteBucketOutput {}))
}

pub(super) async fn head_bucket(
    backend: &Backend,
    request: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    let bucket = existing(backend, &request.input.bucket)?;
    Ok(S3Response::new(HeadBucketOutput { bucket_region: Some(bucket.region), ..HeadBucketOutput::default() }))
}

pub(super) async fn get_bucket_location(
    backend: &Backend,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    let bucket = existing(backend, &request.input.bucket)?;
    // The oldest region has no constraint.
    let is_default = bucket.region == DEFAULT_REGION;
    let location_constraint = (!is_default).then(|| BucketLocationConstraint::from(bucket.region));
    Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
}

pub(super) async fn list_buckets(
    backend: &Backend,
    request: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let input = request.input;
    let count_max = input.max_buckets.unwrap_or(COUNT_MAX);
    if !(1..=COUNT_MAX).contains(&count_max) {
        return Err(s3_error!(InvalidArgument, "max-buckets must be between 1 and {COUNT_MAX}"));
    }
    let after = input.continuation_token.as_deref().map(position).transpose()?.unwrap_or_default();
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let mut buckets = backend.files.buckets.list(BucketKind::General);
    buckets.retain(|(name, bucket)| {
        let is_in_region = input.bucket_region.as_ref().is_none_or(|region| *region == bucket.region);
        name.starts_with(prefix) && *name > after && is_in_region
    });
    let has_more = buckets.len() > count_max as usize;
    buckets.truncate(count_max as usize);
    let last = buckets.last().map(|(name, _)| BASE64_URL_SAFE_NO_PAD.encode(name));
    let buckets = buckets
        .into_iter()
        .map(|(name, bucket)| Bucket {
            name: Some(name),
            creation_date: Some(timestamp(bucket.created_ms)),
            bucket_region: Some(bucket.region),
        })
        .collect();
    let output = ListBucketsOutput {
        buckets: Some(buckets),
        continuation_token: last.filter(|_| has_more),
        owner: None,
        prefix: input.prefix,
    };
    Ok(S3Response::new(output))
}

fn existing(backend: &Backend, name: &str) -> S3Result<crate::objects::Bucket> {
    let bucket = backend.files.buckets.get(name);
    bucket.ok_or_else(|| ObjectError::NoSuchBucket(name.to_owned()).into())
}

fn position(token: &str) -> S3Result<String> {
    let name = BASE64_URL_SAFE_NO_PAD.decode(token).ok().and_then(|name| String::from_utf8(name).ok());
    name.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

/// The region that the request is for.
fn region<T>(request: &S3Request<T>) -> String {
    let verified = request.region.as_ref().map(|region| region.as_str());
    let claimed = request.extensions.get::<Caller>().map(|caller| caller.region.as_str());
    verified.or(claimed).unwrap_or(DEFAULT_REGION).to_owned()
}

fn check_ownership(input: &CreateBucketInput) -> S3Result<()> {
    let is_private = input.acl.as_ref().is_none_or(|acl| acl.as_str() == "private");
    let is_enforced =
        input.object_ownership.as_ref().is_none_or(|ownership| ownership.as_str() == "BucketOwnerEnforced");
    let has_grants = input.grant_full_control.is_some()
        || input.grant_read.is_some()
        || input.grant_read_acp.is_some()
        || input.grant_write.is_some()
        || input.grant_write_acp.is_some();
    if is_private && is_enforced && !has_grants {
        return Ok(());
    }
    Err(s3_error!(
        InvalidBucketAclWithObjectOwnership,
        "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
    ))
}
