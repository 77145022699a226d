//! Parameters of S3 that would change what an object is, and that we do not serve: refused, never ignored.

use s3s::{S3Result, s3_error};

/// Collects the members that requests which make an object share.
macro_rules! check_new_object {
    ($input:expr) => {{
        use $crate::s3::unserved::{check_acl, check_encryption, check_storage_class, refuse};
        let input = &$input;
        check_acl(input.acl.as_ref().map(|acl| acl.as_str()))?;
        check_encryption(input.server_side_encryption.as_ref().map(|encryption| encryption.as_str()))?;
        check_storage_class(input.storage_class.as_ref().map(|class| class.as_str()))?;
        refuse("x-amz-grant-full-control", input.grant_full_control.is_some())?;
        refuse("x-amz-grant-read", input.grant_read.is_some())?;
        refuse("x-amz-grant-read-acp", input.grant_read_acp.is_some())?;
        refuse("x-amz-grant-write-acp", input.grant_write_acp.is_some())?;
        refuse("x-amz-object-lock-legal-hold", input.object_lock_legal_hold_status.is_some())?;
        refuse("x-amz-object-lock-mode", input.object_lock_mode.is_some())?;
        refuse("x-amz-server-side-encryption-customer-algorithm", input.sse_customer_algorithm.is_some())?;
        refuse("x-amz-server-side-encryption-aws-kms-key-id", input.ssekms_key_id.is_some())?;
        refuse("x-amz-tagging", input.tagging.is_some())?;
        refuse("x-amz-website-redirect-location", input.website_redirect_location.is_some())?;
    }};
}
pub(super) use check_new_object;

/// Refuses a parameter by its header's name.
pub(super) fn refuse(header: &str, is_given: bool) -> S3Result<()> {
    if is_given {
        return Err(s3_error!(NotImplemented, "{header} implies functionality that is not implemented"));
    }
    Ok(())
}

/// Objects belong to the bucket's owner, as is the default of S3.
pub(super) fn check_acl(acl: Option<&str>) -> S3Result<()> {
    match acl {
        None | Some("private" | "bucket-owner-full-control") => Ok(()),
        Some(_) => Err(s3_error!(AccessControlListNotSupported, "The bucket does not allow ACLs")),
    }
}

/// The default encryption of S3 may be named; nothing is promised of others.
pub(super) fn check_encryption(encryption: Option<&str>) -> S3Result<()> {
    match encryption {
        None | Some("AES256") => Ok(()),
        Some(other) => Err(s3_error!(NotImplemented, "The encryption {other} is not implemented")),
    }
}

pub(super) fn check_storage_class(class: Option<&str>) -> S3Result<()> {
    match class {
        None | Some("STANDARD") => Ok(()),
        Some(_) => Err(s3_error!(InvalidStorageClass, "The only storage class here is STANDARD")),
    }
}

/// Buckets keep no versions: the only one is `null`.
pub(super) fn check_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(s3_error!(NoSuchVersion, "The specified version does not exist.")),
    }
}
