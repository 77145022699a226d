//! For which tables point-in-time recovery is on. There is nothing to recover from here: the setting is kept and told.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// The setting of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PointInTimeRecovery {
    /// A table that is made anew under the name starts without it.
    pub table_id: Option<String>,
    pub since_ms: i64,
    pub days: u32,
}

/// The settings of a region, by table name: in memory and in one file.
pub(crate) struct Backups {
    path: PathBuf,
    known: Mutex<BTreeMap<String, PointInTimeRecovery>>,
}

impl Backups {
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("point-in-time-recovery.json");
        let known = match std::fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json)?,
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, known: Mutex::new(known) })
    }

    /// The setting of the table with this id, where it is on.
    pub(crate) fn of(&self, table: &str, table_id: Option<&str>) -> Option<PointInTimeRecovery> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(table).filter(|setting| setting.table_id.as_deref() == table_id).cloned()
    }

    /// Switches it on or off, durably.
    pub(crate) fn set(&self, table: &str, setting: Option<PointInTimeRecovery>) -> io::Result<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = known.clone();
        match setting {
            Some(setting) => drop(changed.insert(table.to_owned(), setting)),
            None => drop(changed.remove(table)),
        }
        if changed != *known {
            self.write(&changed)?;
            *known = changed;
        }
        Ok(())
    }

    fn write(&self, known: &BTreeMap<String, PointInTimeRecovery>) -> io::Result<()> {
        let staged = self.path.with_extension("staged");
        let mut file = File::create(&staged)?;
        file.write_all(&serde_json::to_vec(known)?)?;
        file.sync_all()?;
        std::fs::rename(&staged, &self.path)?;
        let Some(folder) = self.path.parent() else { return Ok(()) };
        File::open(folder)?.sync_all()
    }
}
