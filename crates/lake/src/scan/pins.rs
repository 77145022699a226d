//! Which snapshots are being read in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iceberg::spec::SnapshotRef;
use uuid::Uuid;

/// Snapshots that readers hold on to. Files of theirs are not deleted, even when the table has let go of them.
#[derive(Default)]
pub(crate) struct Pins {
    held: Mutex<HashMap<(Uuid, i64), Held>>,
}

struct Held {
    snapshot: SnapshotRef,
    readers: usize,
}

/// Holds on to one snapshot of a table until it is dropped.
pub(crate) struct Pin {
    pins: Arc<Pins>,
    table: Uuid,
    snapshot_id: i64,
}

impl Pins {
    pub fn pin(self: &Arc<Self>, table: Uuid, snapshot: &SnapshotRef) -> Pin {
        let snapshot_id = snapshot.snapshot_id();
        let mut held = self.held();
        held.entry((table, snapshot_id)).or_insert_with(|| Held { snapshot: snapshot.clone(), readers: 0 }).readers +=
            1;
        drop(held);
        Pin { pins: self.clone(), table, snapshot_id }
    }

    /// The snapshots of `table` that are being read now.
    pub fn of(&self, table: Uuid) -> Vec<SnapshotRef> {
        let held = self.held();
        let of_table = held.iter().filter(|((of, _), _)| *of == table);
        of_table.map(|(_, held)| held.snapshot.clone()).collect()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<(Uuid, i64), Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.pins.held();
        let key = (self.table, self.snapshot_id);
        if let Some(held) = pins.get_mut(&key) {
            held.readers -= 1;
            if held.readers == 0 {
                pins.remove(&key);
            }
        }
    }
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pin({})", self.snapshot_id)
    }
}
