//! Multipart uploads: parts lie aside as objects of their own until the upload is completed.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::objects::attributes::{Attributes, ObjectHeaders};
use crate::objects::error::{ObjectError, Result};
use crate::objects::{Condition, ObjectFiles, SealedObject, durable, is_absent, open};

/// All parts but the last must be this large.
const PART_BYTES_MIN: u64 = 5 << 20;

/// An upload that was begun. This is `upload.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Upload {
    #[serde(skip)]
    pub id: String,
    pub bucket: String,
    pub key: String,
    pub initiated_ms: i64,
    pub headers: ObjectHeaders,
    /// As S3 spells it: `CRC32`, …
    pub checksum_algorithm: Option<String>,
    /// `COMPOSITE` or `FULL_OBJECT`.
    pub checksum_type: Option<String>,
}

/// A part that was uploaded.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub number: i32,
    pub attributes: Attributes,
}

/// A part as the client names it when it completes the upload.
#[derive(Clone, Debug)]
pub(crate) struct CompletedPart {
    pub number: i32,
    pub etag: String,
}

impl ObjectFiles {
    pub(crate) fn create_upload(&self, mut upload: Upload) -> Result<Upload> {
        let _held = self.buckets.hold(&upload.bucket)?;
        super::object_path(&self.uploads, &upload.key)?;
        upload.id = format!("{:032x}", self.ambient.random());
        upload.initiated_ms = self.ambient.now_ms();
        let folder = self.uploads.join(&upload.id);
        durable::create_directories(&folder)?;
        let path = folder.join("upload.json");
        let mut file = durable::create_file(&path)?;
        io::Write::write_all(&mut file, &serde_json::to_vec(&upload).map_err(io::Error::from)?)?;
        file.sync_all()?;
        durable::sync_parent(&path)?;
        Ok(upload)
    }

    /// The upload with this id, if it is for this key.
    pub(crate) fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<Upload> {
        self.buckets.hold(bucket)?;
        let json = match fs::read(self.upload_folder(id)?.join("upload.json")) {
            Err(error) if is_absent(&error) => return Err(ObjectError::NoSuchUpload),
            read => read?,
        };
        let upload: Upload = serde_json::from_slice(&json).map_err(io::Error::from)?;
        let is_for_this_key = upload.bucket == bucket && upload.key == key;
        if is_for_this_key { Ok(Upload { id: id.to_owned(), ..upload }) } else { Err(ObjectError::NoSuchUpload) }
    }

    /// Uploads into `bucket` that are still going on, by key and age.
    pub(crate) fn uploads(&self, bucket: &str) -> Result<Vec<Upload>> {
        self.buckets.hold(bucket)?;
        let mut uploads = Vec::new();
        for entry in fs::read_dir(&self.uploads)? {
            let entry = entry?;
            let Ok(id) = entry.file_name().into_string() else { continue };
            let Ok(json) = fs::read(entry.path().join("upload.json")) else { continue };
            let upload: Upload = serde_json::from_slice(&json).map_err(io::Error::from)?;
            if upload.bucket == bucket {
                uploads.push(Upload { id, ..upload });
            }
        }
        uploads.sort_by(|a, b| (&a.key, a.initiated_ms, &a.id).cmp(&(&b.key, b.initiated_ms, &b.id)));
        Ok(uploads)
    }

    /// Adds a part, in place of one with the same number.
    pub(crate) fn put_part(&self, upload: &Upload, number: i32, part: &SealedObject) -> Result<()> {
        let path = self.part_path(&upload.id, number)?;
        match part.rename(&path) {
            Err(error) if is_absent(&error) => return Err(ObjectError::NoSuchUpload),
            renamed => renamed?,
        }
        Ok(durable::sync_parent(&path)?)
    }

    /// The parts of an upload, by number.
    pub(crate) fn parts(&self, upload: &Upload) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for entry in fs::read_dir(self.upload_folder(&upload.id)?)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Some(number) = name.strip_suffix(".part").and_then(|number| number.parse().ok()) else { continue };
            parts.push(Part { number, attributes: open(&entry.path())?.attributes });
        }
        parts.sort_by_key(|part| part.number);
        Ok(parts)
    }

    /// The named parts, checked as S3 checks them.
    pub(crate) fn check_parts(&self, upload: &Upload, named: &[CompletedPart]) -> Result<Vec<Part>> {
        if named.windows(2).any(|pair| pair[0].number >= pair[1].number) {
            return Err(ObjectError::InvalidPartOrder);
        }
        let mut parts = Vec::with_capacity(named.len());
        for (index, name) in named.iter().enumerate() {
            let part = match open(&self.part_path(&upload.id, name.number)?) {
                Err(error) if is_absent(&error) => return Err(ObjectError::InvalidPart(name.number)),
                part => part?,
            };
            if part.attributes.etag != name.etag {
                return Err(ObjectError::InvalidPart(name.number));
            }
            if index + 1 < named.len() && part.attributes.size < PART_BYTES_MIN {
                return Err(ObjectError::PartTooSmall(name.number));
            }
            parts.push(Part { number: name.number, attributes: part.attributes });
        }
        Ok(parts)
    }

    /// Shows the bytes of all parts, in order.
    pub(crate) fn read_parts(&self, upload: &Upload, parts: &[Part], mut show: impl FnMut(&[u8])) -> Result<()> {
        for part in parts {
            let object = open(&self.part_path(&upload.id, part.number)?)?;
            let mut offset = 0;
            while offset < object.attributes.size {
                let count = (object.attributes.size - offset).min(1 << 20);
                show(&object.read(offset, count as usize)?);
                offset += count;
            }
        }
        Ok(())
    }

    /// Joins `parts` into the object and ends the upload.
    pub(crate) fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[Part],
        mut attributes: Attributes,
        condition: &Condition,
    ) -> Result<Attributes> {
        let mut staged = self.stage()?;
        for part in parts {
            let file = fs::File::open(self.part_path(&upload.id, part.number)?)?;
            staged.append(&file, 0, part.attributes.size)?;
        }
        attributes.part_sizes = parts.iter().map(|part| part.attributes.size).collect();
        let sealed = staged.seal(attributes)?;
        self.publish(&upload.bucket, &upload.key, &sealed, condition)?;
        self.remove_upload(&upload.id)?;
        Ok(sealed.attributes.clone())
    }

    /// Forgets the upload and its parts.
    pub(crate) fn remove_upload(&self, id: &str) -> Result<()> {
        let folder = self.upload_folder(id)?;
        let trash = self.staging_path();
        match fs::rename(&folder, &trash) {
            Err(error) if is_absent(&error) => return Err(ObjectError::NoSuchUpload),
            renamed => renamed?,
        }
        durable::sync_parent(&folder)?;
        Ok(fs::remove_dir_all(trash)?)
    }

    fn part_path(&self, id: &str, number: i32) -> Result<PathBuf> {
        Ok(self.upload_folder(id)?.join(format!("{number}.part")))
    }

    /// Ids are ours; what does not look like one names no folder.
    fn upload_folder(&self, id: &str) -> Result<PathBuf> {
        let is_ours = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if is_ours { Ok(self.uploads.join(id)) } else { Err(ObjectError::NoSuchUpload) }
    }
}
