//! A bucket of Amazon S3, for dead letters.

use async_trait::async_trait;
use http::Method;

use super::bucket_policy::{is_tls_only, make_tls_only};
use super::{Blueprint, Fit, Found, Made, Resource, found, gone};
use crate::call::{About, Service, Services, encode, escape, xml_elements};
use crate::error::Result;
use crate::mark::{Mark, TAG};

pub struct Bucket {
    pub name: String,
}

#[async_trait]
impl Resource for Bucket {
    fn kind(&self) -> &'static str {
        "bucket"
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn wanted(&self) -> String {
        "private, encrypted, by TLS only".to_owned()
    }

    fn blueprint(&self) -> Blueprint {
        Blueprint::Bucket { name: self.name.clone() }
    }

    async fn look(&self, services: &Services) -> Result<Found> {
        let arn = self.arn();
        let head = services.s3(about("HeadBucket", &arn), Method::HEAD, &self.path(""), String::new()).await;
        if let Err(crate::Error::Refused(refusal)) = &head
            && refusal.status == 400
        {
            // A HEAD has no body that could say it: nothing else is wrong with this request.
            let advice = "3 to 63 lower-case letters, digits, dots and hyphens".to_owned();
            return Ok(Found::There { mark: None, fit: Fit::Clashes("S3 takes no such name".to_owned(), advice) });
        }
        if found(head, &["NotFound", "NoSuchBucket"])?.is_none() {
            return Ok(Found::Absent);
        }
        let tagging = self.path("?tagging=");
        let tags = services.s3(about("GetBucketTagging", &arn), Method::GET, &tagging, String::new()).await;
        let tags = found(tags, &["NoSuchTagSet", "NoSuchBucket"])?.unwrap_or_default();
        let (keys, values) = (xml_elements(&tags, "Key"), xml_elements(&tags, "Value"));
        let value = keys.iter().zip(&values).find(|(key, _)| *key == TAG).map(|(_, value)| value);
        let mark = value.and_then(|value| Mark::parse(value));
        // A foreign bucket stays as its owner wants it.
        let fit = match mark.is_none() || is_tls_only(services, &self.name).await? {
            true => Fit::Fits,
            false => Fit::Lacks("by TLS only".to_owned()),
        };
        Ok(Found::There { mark, fit })
    }

    /// In `us-east-1`, creating a bucket that one has is no error: whose tag it carries tells who made it.
    async fn make(&self, services: &Services, mark: &Mark) -> Result<Made> {
        let constraint = match services.region() {
            "us-east-1" => String::new(),
            region => format!("<LocationConstraint>{region}</LocationConstraint>"),
        };
        let body = format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{constraint}<Tags><Tag>\
             <Key>{TAG}</Key><Value>{}</Value></Tag></Tags></CreateBucketConfiguration>",
            escape(&mark.value())
        );
        let created = services.s3(about("CreateBucket", &self.arn()), Method::PUT, &self.path(""), body).await;
        if Made::unless(created, &["BucketAlreadyOwnedByYou"])? == Made::Taken {
            return Ok(Made::Taken);
        }
        match self.look(services).await?.mark() {
            Some(made) if made.run == mark.run => make_tls_only(services, &self.name).await.map(|()| Made::Done),
            _ => Ok(Made::Taken),
        }
    }

    async fn change(&self, services: &Services, _: &Mark) -> Result<()> {
        make_tls_only(services, &self.name).await
    }

    /// Empties it first. What a bucket with versions keeps of deleted objects is not touched.
    async fn unmake(&self, services: &Services) -> Result<()> {
        let arn = self.arn();
        let list = self.path("?encoding-type=url&list-type=2");
        loop {
            let page = services.s3(about("ListObjectsV2", &arn), Method::GET, &list, String::new()).await;
            let Some(page) = found(page, &["NoSuchBucket"])? else { return Ok(()) };
            let keys = xml_elements(&page, "Key");
            if keys.is_empty() {
                break;
            }
            for key in keys {
                // The key arrives encoded, its slashes and all, and a slash may stay one in a path.
                let object = format!("{arn}/*");
                let path = self.path(&format!("/{}", key.replace('+', "%20").replace("%2F", "/")));
                services.s3(about("DeleteObject", &object), Method::DELETE, &path, String::new()).await?;
            }
        }
        let deleted = services.s3(about("DeleteBucket", &arn), Method::DELETE, &self.path(""), String::new()).await;
        gone(deleted, &["NoSuchBucket"])
    }
}

impl Bucket {
    fn arn(&self) -> String {
        format!("arn:aws:s3:::{}", self.name)
    }

    fn path(&self, rest: &str) -> String {
        path(&self.name, rest)
    }
}

/// Path style.
pub(super) fn path(bucket: &str, rest: &str) -> String {
    format!("/{}{rest}", encode(bucket))
}

pub(super) fn about<'a>(action: &'a str, resource: &'a str) -> About<'a> {
    About { service: Service::S3, action, resource }
}
