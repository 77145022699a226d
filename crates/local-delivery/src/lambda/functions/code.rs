//! Where a function's code comes from: the request, an object in S3, or a folder of this machine.

use std::path::PathBuf;

use aws_wire::AwsError;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::lambda::error;
use crate::lambda::package::{Code, PackageError};
use crate::lambda::service::Service;

/// In place of a bucket: the key is a folder of this machine, whose code runs where it lies. AWS has nothing like it.
const FOLDER_BUCKET: &str = "dynaberg-folder";

/// The members of `Code`, which are those of UpdateFunctionCode as well.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CodeSource {
    zip_file: Option<String>,
    s3_bucket: Option<String>,
    s3_key: Option<String>,
}

pub(super) const CODE: [&str; 3] = ["ZipFile", "S3Bucket", "S3Key"];

impl CodeSource {
    /// Fetches the code and keeps it. It is durable when this returns.
    pub(super) async fn keep(self, service: &Service) -> Result<Code, AwsError> {
        let zip = match (self.zip_file, self.s3_bucket, self.s3_key) {
            (Some(zip), None, None) => BASE64_STANDARD
                .decode(zip)
                .map_err(|error| error::invalid(format!("ZipFile is not base64: {error}")))?
                .into(),
            (None, Some(bucket), Some(key)) if bucket == FOLDER_BUCKET => return folder(key),
            (None, Some(bucket), Some(key)) => object(service, &bucket, &key).await?,
            _ => {
                return Err(error::invalid(
                    "Please provide a source for function code: ZipFile, or S3Bucket and S3Key.",
                ));
            }
        };
        let packages = service.fleet.packages.clone();
        let kept = tokio::task::spawn_blocking(move || packages.keep(&zip)).await;
        kept.map_err(|panic| error::internal(&panic))?.map_err(|error| match error {
            PackageError::Invalid(message) => error::invalid(message),
            failed @ PackageError::Io(_) => error::internal(&failed),
        })
    }
}

fn folder(key: String) -> Result<Code, AwsError> {
    // The CLI takes a leading slash off no key, but people do.
    let path = PathBuf::from(key);
    if !path.is_absolute() || !path.is_dir() {
        return Err(error::invalid(format!(
            "{} is not a folder of this machine. Try: S3Key=\"$PWD/FOLDER\"",
            path.display()
        )));
    }
    Ok(Code::Folder { path })
}

async fn object(service: &Service, bucket: &str, key: &str) -> Result<bytes::Bytes, AwsError> {
    let read = service.neighbours.objects.read(bucket, key).await;
    read.map_err(|error| error::internal(&*error))?.ok_or_else(|| {
        error::invalid(format!(
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: \
             there is no s3://{bucket}/{key}"
        ))
    })
}
