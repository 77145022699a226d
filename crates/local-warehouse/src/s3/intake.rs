//! A body on its way to disk, hashed as it passes.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::StreamExt;
use http::{Extensions, HeaderMap};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, TrailingHeaders, s3_error};

use crate::objects::{Checksums, ObjectFiles, StagedObject};
use crate::s3::aws_chunked::Trailers;
use crate::s3::checksums::{self, Expected};
use crate::s3::errors::error_of_files;

/// So much is gathered before a blocking thread takes it.
const GATHERED_BYTES_MAX: usize = 512 << 10;

/// A body that was received and is what the client says it is, but is not an object yet.
pub(super) struct Received {
    pub staged: StagedObject,
    pub md5_hex: String,
    pub checksums: Checksums,
}

/// What the client says about the body.
pub(super) struct Announced {
    pub content_length: Option<i64>,
    pub content_md5: Option<String>,
    pub checksums: Checksums,
    /// `x-amz-sdk-checksum-algorithm`.
    pub algorithm: Option<String>,
    trailer_names: Vec<String>,
    trailers: BodyTrailers,
}

/// Trailers of a body that `s3s` has unwrapped, or that we have.
enum BodyTrailers {
    Verified(Option<TrailingHeaders>),
    Unsigned(Trailers),
}

impl Announced {
    pub(super) fn of<T>(request: &S3Request<T>, checksums: Checksums) -> Self {
        Self {
            content_length: None,
            content_md5: None,
            checksums,
            algorithm: None,
            trailer_names: trailer_names(&request.headers),
            trailers: body_trailers(&request.extensions, request.trailing_headers.clone()),
        }
    }
}

/// Receives a body and checks it against what was announced. Nothing stays if it breaks off or does not match.
pub(super) async fn receive(
    files: &Arc<ObjectFiles>,
    body: Option<StreamingBlob>,
    announced: Announced,
) -> S3Result<Received> {
    let named = announced.trailer_names.iter().cloned().chain(announced.algorithm.clone());
    let mut expected = Expected::new(announced.checksums.clone(), named)?;
    let mut intake = Intake { staged: files.stage()?, md5: Md5::new(), hasher: expected.hasher() };
    let mut gathered = Vec::new();
    let mut gathered_bytes = 0;
    if let Some(mut body) = body {
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|error| S3Error::with_source(S3ErrorCode::IncompleteBody, error))?;
            gathered_bytes += bytes.len();
            gathered.push(bytes);
            if gathered_bytes >= GATHERED_BYTES_MAX {
                intake = intake.take(std::mem::take(&mut gathered)).await?;
                gathered_bytes = 0;
            }
        }
    }
    let intake = intake.take(gathered).await?;
    for name in &announced.trailer_names {
        let header = format!("x-amz-checksum-{}", name.to_ascii_lowercase());
        let Some(value) = announced.trailers.get(&header) else {
            return Err(s3_error!(InvalidRequest, "The trailer {header} was announced and is missing"));
        };
        checksums::set(&mut expected.values, name, value);
    }
    intake.finish(&announced, &expected)
}

struct Intake {
    staged: StagedObject,
    md5: Md5,
    hasher: ChecksumHasher,
}

impl Intake {
    async fn take(mut self, gathered: Vec<Bytes>) -> S3Result<Self> {
        let taken = tokio::task::spawn_blocking(move || {
            for bytes in gathered {
                self.md5.update(&bytes);
                self.hasher.update(&bytes);
                self.staged.write(&bytes)?;
            }
            Ok(self)
        });
        taken.await.map_err(std::io::Error::other).and_then(|taken| taken).map_err(error_of_files)
    }

    fn finish(self, announced: &Announced, expected: &Expected) -> S3Result<Received> {
        if announced.content_length.is_some_and(|length| u64::try_from(length) != Ok(self.staged.size())) {
            return Err(s3_error!(
                IncompleteBody,
                "You did not provide the number of bytes specified by the Content-Length HTTP header"
            ));
        }
        let md5 = self.md5.finalize();
        if announced.content_md5.as_ref().is_some_and(|sent| *sent != BASE64_STANDARD.encode(md5)) {
            return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
        }
        let checksums = checksums::computed(self.hasher);
        expected.check(&checksums)?;
        Ok(Received { staged: self.staged, md5_hex: hex::encode(md5), checksums })
    }
}

impl BodyTrailers {
    fn get(&self, name: &str) -> Option<String> {
        match self {
            Self::Unsigned(trailers) => trailers.get(name),
            Self::Verified(trailers) => trailers
                .as_ref()?
                .read(|headers| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned))?,
        }
    }
}

fn body_trailers(extensions: &Extensions, verified: Option<TrailingHeaders>) -> BodyTrailers {
    match extensions.get::<Trailers>() {
        Some(trailers) => BodyTrailers::Unsigned(trailers.clone()),
        None => BodyTrailers::Verified(verified),
    }
}

/// Algorithms whose value stands behind the body.
fn trailer_names(headers: &HeaderMap) -> Vec<String> {
    let announced = headers.get("x-amz-trailer").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let names = announced.split(',').filter_map(|name| name.trim().strip_prefix("x-amz-checksum-"));
    names.map(str::to_ascii_uppercase).collect()
}
