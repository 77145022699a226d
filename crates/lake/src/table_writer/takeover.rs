//! The empty snapshot that ends the time of every older writer.
//!
//! A property alone would not do: a request of an older writer asks for the head it knew, and would still pass.

use async_trait::async_trait;
use iceberg::table::Table;
use uuid::Uuid;

use crate::commit::{Change, RowDelta, Stamp};
use crate::error::{Error, ErrorKind, Result};

pub(crate) struct Takeover<'a> {
    pub commit_id: Uuid,
    pub pipeline: &'a str,
}

#[async_trait]
impl Change for Takeover<'_> {
    fn commit_id(&self) -> Uuid {
        self.commit_id
    }

    async fn prepare(&mut self, head: &Table, found: Option<Stamp>) -> Result<RowDelta> {
        let stamp = match found {
            None => Stamp {
                pipeline: self.pipeline.to_owned(),
                epoch: 1,
                commit_id: self.commit_id,
                checkpoint: None,
                complete_up_to_ms: None,
            },
            Some(found) if found.pipeline == self.pipeline => {
                Stamp { epoch: found.epoch + 1, commit_id: self.commit_id, ..found }
            }
            Some(found) => {
                let message =
                    format!("take over table {}, which pipeline {} writes", head.identifier(), found.pipeline);
                return Err(Error::new(ErrorKind::Refused, message));
            }
        };
        Ok(RowDelta {
            commit_id: self.commit_id,
            data_files: Vec::new(),
            delete_files: Vec::new(),
            replaced: None,
            stamp: Some(stamp),
        })
    }
}
