//! Checksums that clients send, in headers or behind the body, and S3 keeps.

use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::{self, ChecksumType};
use s3s::{S3Result, s3_error};

use crate::objects::Checksums;

/// Names of algorithms, as S3 spells them.
pub(super) const ALGORITHMS: [&str; 5] = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];

/// What the client says the bytes' checksums are.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    pub values: Checksums,
    /// Algorithms that are wanted, with or without a value yet.
    pub wanted: Vec<String>,
}

impl Expected {
    /// `named` are algorithms that the request asks for without saying the value in a header.
    pub(super) fn new(values: Checksums, named: impl IntoIterator<Item = String>) -> S3Result<Self> {
        let mut wanted: Vec<String> = named.into_iter().map(|name| name.to_ascii_uppercase()).collect();
        if let Some(unknown) = wanted.iter().find(|name| !ALGORITHMS.contains(&name.as_str())) {
            return Err(s3_error!(InvalidRequest, "{unknown} is not a checksum algorithm of S3"));
        }
        wanted.extend(ALGORITHMS.into_iter().filter(|name| value(&values, name).is_some()).map(str::to_owned));
        Ok(Self { values, wanted })
    }

    pub(super) fn hasher(&self) -> ChecksumHasher {
        let wants = |name: &str| self.wanted.iter().any(|wanted| wanted == name);
        ChecksumHasher {
            crc32: wants("CRC32").then(Crc32::new),
            crc32c: wants("CRC32C").then(Crc32c::new),
            crc64nvme: wants("CRC64NVME").then(Crc64Nvme::new),
            sha1: wants("SHA1").then(Sha1::new),
            sha256: wants("SHA256").then(Sha256::new),
        }
    }

    /// Fails with `BadDigest` where a value that was sent differs from the one computed.
    pub(super) fn check(&self, computed: &Checksums) -> S3Result<()> {
        for name in ALGORITHMS {
            let (Some(sent), Some(computed)) = (value(&self.values, name), value(computed, name)) else { continue };
            if sent != computed {
                return Err(s3_error!(BadDigest, "The {name} you specified did not match the calculated checksum."));
            }
        }
        Ok(())
    }
}

/// The value of one algorithm.
pub(super) fn value<'a>(checksums: &'a Checksums, algorithm: &str) -> Option<&'a str> {
    match algorithm {
        "CRC32" => checksums.crc32.as_deref(),
        "CRC32C" => checksums.crc32c.as_deref(),
        "CRC64NVME" => checksums.crc64nvme.as_deref(),
        "SHA1" => checksums.sha1.as_deref(),
        "SHA256" => checksums.sha256.as_deref(),
        _ => None,
    }
}

/// Sets the value of one algorithm.
pub(super) fn set(checksums: &mut Checksums, algorithm: &str, value: String) {
    let member = match algorithm {
        "CRC32" => &mut checksums.crc32,
        "CRC32C" => &mut checksums.crc32c,
        "CRC64NVME" => &mut checksums.crc64nvme,
        "SHA1" => &mut checksums.sha1,
        "SHA256" => &mut checksums.sha256,
        _ => return,
    };
    *member = Some(value);
}

/// What a hasher has computed.
pub(super) fn computed(hasher: ChecksumHasher) -> Checksums {
    let dto::Checksum { checksum_crc32, checksum_crc32c, checksum_crc64nvme, checksum_sha1, checksum_sha256, .. } =
        hasher.finalize();
    Checksums {
        crc32: checksum_crc32,
        crc32c: checksum_crc32c,
        crc64nvme: checksum_crc64nvme,
        sha1: checksum_sha1,
        sha256: checksum_sha256,
        is_composite: false,
    }
}

/// How the checksums were computed, if there are any.
pub(super) fn checksum_type(checksums: &Checksums) -> Option<ChecksumType> {
    let name = if checksums.is_composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    (!checksums.is_empty()).then(|| ChecksumType::from_static(name))
}

/// Collects the five members that each request has of its own.
macro_rules! sent {
    ($input:expr) => {
        $crate::objects::Checksums {
            crc32: $input.checksum_crc32.clone(),
            crc32c: $input.checksum_crc32c.clone(),
            crc64nvme: $input.checksum_crc64nvme.clone(),
            sha1: $input.checksum_sha1.clone(),
            sha256: $input.checksum_sha256.clone(),
            is_composite: false,
        }
    };
}
pub(super) use sent;

/// Sets the five members that each answer has of its own.
macro_rules! answer {
    ($output:expr, $checksums:expr) => {{
        $output.checksum_crc32 = $checksums.crc32.clone();
        $output.checksum_crc32c = $checksums.crc32c.clone();
        $output.checksum_crc64nvme = $checksums.crc64nvme.clone();
        $output.checksum_sha1 = $checksums.sha1.clone();
        $output.checksum_sha256 = $checksums.sha256.clone();
    }};
}
pub(super) use answer;
