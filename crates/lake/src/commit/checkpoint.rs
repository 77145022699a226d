//! The checkpoint text, in the table's metadata as long as it is short, else in a file of its own.

use iceberg::table::Table;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};

/// Every snapshot's summary is part of the metadata that is read and written at each commit.
const INLINE_BYTES_MAX: usize = 8 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StoredCheckpoint {
    #[serde(rename = "checkpoint")]
    Text(String),
    #[serde(rename = "checkpoint-file")]
    File { uri: String, sha256: String },
}

impl StoredCheckpoint {
    /// Makes `text` ready to be committed. A file is written once per logical commit and never changed.
    pub async fn store(table: &Table, commit_id: Uuid, text: &str) -> Result<Self> {
        if text.len() <= INLINE_BYTES_MAX {
            return Ok(Self::Text(text.to_owned()));
        }
        let location = table.metadata().location().trim_end_matches('/');
        let uri = format!("{location}/metadata/{commit_id}-checkpoint.json");
        let failed = |error| Error::from_iceberg(format!("write checkpoint {uri}"), error);
        let output = table.file_io().new_output(&uri).map_err(failed)?;
        output.write(text.to_owned().into()).await.map_err(failed)?;
        Ok(Self::File { sha256: sha256(text), uri })
    }

    pub async fn read(&self, table: &Table) -> Result<String> {
        let (uri, expected) = match self {
            Self::Text(text) => return Ok(text.clone()),
            Self::File { uri, sha256 } => (uri, sha256),
        };
        let failed = |error| Error::from_iceberg(format!("read checkpoint {uri}"), error);
        let bytes = table.file_io().new_input(uri).map_err(failed)?.read().await.map_err(failed)?;
        match String::from_utf8(bytes.into()) {
            Ok(text) if sha256(&text) == *expected => Ok(text),
            _ => Err(Error::new(ErrorKind::Unexpected, format!("read checkpoint {uri}, which is damaged"))),
        }
    }

    /// Whether it is `text`, as far as SHA-256 can tell.
    pub fn is(&self, text: &str) -> bool {
        match self {
            Self::Text(stored) => stored == text,
            Self::File { sha256: stored, .. } => *stored == sha256(text),
        }
    }
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
