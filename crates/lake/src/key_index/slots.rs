//! The hash table: slots of 24 bytes in a memory-mapped file.
//!
//! A key's home is its hash scaled to the number of slots, so the slots lie in hash order, but for what a collision
//! pushed to the next free slot behind. A removal moves what was pushed back up, so there are no tombstones.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use memmap2::{MmapMut, MmapOptions};

use crate::key_index::header::{HEADER_BYTES, Header};

/// Hash, file number + 1 (0: the slot is empty), row.
const SLOT_BYTES: usize = 24;

const SLOTS_MIN: u64 = 4_096;

/// Below this many slots the table doubles; above, it grows by half, as memory counts for more than time there.
const SLOTS_DOUBLING_MAX: u64 = 1 << 20;

const FILE_NAME: &str = "slots";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) file: u32,
    pub(crate) row: u32,
}

pub(crate) struct SlotTable {
    file: File,
    slots: MmapMut,
    capacity: u64,
    len: u64,
}

impl SlotTable {
    /// Replaces the table in `dir`, if there is one, by an empty one.
    pub(crate) fn create_empty(dir: &Path) -> io::Result<Self> {
        Self::create(dir, SLOTS_MIN, |_| {})
    }

    /// Opens the table in `dir` with its header; `None` where there is none, or its form is not ours.
    pub(crate) fn open(dir: &Path) -> io::Result<Option<(Self, Header)>> {
        let file = match File::options().read(true).write(true).open(dir.join(FILE_NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut page = [0; HEADER_BYTES];
        if file.metadata()?.len() < HEADER_BYTES as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut page, 0)?;
        let Some(header) = Header::from_bytes(&page) else { return Ok(None) };
        let bytes = header.capacity.checked_mul(SLOT_BYTES as u64).and_then(|b| b.checked_add(HEADER_BYTES as u64));
        let has_room = header.capacity >= SLOTS_MIN && header.key_count < header.capacity;
        if bytes != Some(file.metadata()?.len()) || !has_room {
            return Ok(None);
        }
        let slots = map_slots(&file, header.capacity)?;
        Ok(Some((Self { file, slots, capacity: header.capacity, len: header.key_count }, header)))
    }

    /// Builds a table beside the one in `dir`, then puts it in its place. The page of the header stays blank, so it
    /// does not open before its state is written.
    ///
    /// It is filled in memory and written as a whole: that costs less than storing into a mapped file page by page, and
    /// takes the room on the disk now, where it can fail. A hole in the file would be filled when a slot is stored, and
    /// a full disk would then kill the process.
    fn create(dir: &Path, capacity: u64, fill: impl FnOnce(&mut Self)) -> io::Result<Self> {
        let path = dir.join("slots.new");
        let mut file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        let slots = MmapMut::map_anon(capacity as usize * SLOT_BYTES)?;
        file.write_all(&[0; HEADER_BYTES])?;
        let mut table = Self { file, slots, capacity, len: 0 };
        fill(&mut table);
        table.file.write_all(&table.slots)?;
        table.slots = map_slots(&table.file, capacity)?;
        fs::rename(path, dir.join(FILE_NAME))?;
        Ok(table)
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Slot> {
        self.slots.chunks_exact(SLOT_BYTES).filter_map(slot_of)
    }

    /// Calls `found` with the index of each key that is in the table, and its slot.
    pub(crate) fn find_each(&self, keys: &[u128], mut found: impl FnMut(usize, Slot)) {
        for index in slot_order(keys.iter().copied()) {
            let (at, is_there) = self.seek(keys[index]);
            if is_there && let Some(slot) = slot_of(self.slot(at)) {
                found(index, slot);
            }
        }
    }

    /// Grows the table where it has no room for `additional` keys.
    pub(crate) fn make_room(&mut self, additional: u64, dir: &Path) -> io::Result<()> {
        // At three quarters, a search for a key that is not there still sees about eight slots, three cache lines.
        let has_room = |capacity: u64| (self.len + additional) * 4 <= capacity * 3;
        let mut capacity = self.capacity;
        while !has_room(capacity) {
            capacity = if capacity < SLOTS_DOUBLING_MAX { capacity * 2 } else { capacity / 2 * 3 };
        }
        if capacity == self.capacity {
            return Ok(());
        }
        let grown = Self::create(dir, capacity, |grown| {
            for bytes in self.slots.chunks_exact(SLOT_BYTES) {
                if let Some(slot) = slot_of(bytes) {
                    grown.put(hash_of(bytes), slot);
                }
            }
        })?;
        *self = grown;
        Ok(())
    }

    /// Puts the key's place and gives the one it had. There must be room.
    pub(crate) fn put(&mut self, hash: u128, new: Slot) -> Option<Slot> {
        let (at, _) = self.seek(hash);
        let bytes = self.slot_mut(at);
        let old = slot_of(bytes);
        bytes[..16].copy_from_slice(&hash.to_le_bytes());
        bytes[16..20].copy_from_slice(&(new.file + 1).to_le_bytes());
        bytes[20..].copy_from_slice(&new.row.to_le_bytes());
        self.len += u64::from(old.is_none());
        old
    }

    /// Takes the key out and gives the place it had.
    pub(crate) fn remove(&mut self, hash: u128) -> Option<Slot> {
        let (mut hole, is_there) = self.seek(hash);
        if !is_there {
            return None;
        }
        let removed = slot_of(self.slot(hole));
        let mut at = hole;
        loop {
            at = self.after(at);
            if slot_of(self.slot(at)).is_none() {
                break;
            }
            // What lies behind the hole may move into it, unless its home lies behind the hole as well.
            let home = self.home(hash_of(self.slot(at)));
            let distance_to_home = (at + self.capacity - home) % self.capacity;
            let distance_to_hole = (at + self.capacity - hole) % self.capacity;
            if distance_to_home >= distance_to_hole {
                let moved: [u8; SLOT_BYTES] = self.slot(at).try_into().expect("a slot has its own length");
                self.slot_mut(hole).copy_from_slice(&moved);
                hole = at;
            }
        }
        self.slot_mut(hole).fill(0);
        self.len -= 1;
        removed
    }

    /// The slot that holds the key, or else the empty one where it would go.
    fn seek(&self, hash: u128) -> (u64, bool) {
        let mut at = self.home(hash);
        loop {
            let bytes = self.slot(at);
            if slot_of(bytes).is_none() {
                return (at, false);
            }
            if hash_of(bytes) == hash {
                return (at, true);
            }
            at = self.after(at);
        }
    }

    fn home(&self, hash: u128) -> u64 {
        (((hash >> 64) * u128::from(self.capacity)) >> 64) as u64
    }

    fn after(&self, at: u64) -> u64 {
        if at + 1 == self.capacity { 0 } else { at + 1 }
    }

    fn slot(&self, at: u64) -> &[u8] {
        let start = at as usize * SLOT_BYTES;
        &self.slots[start..start + SLOT_BYTES]
    }

    fn slot_mut(&mut self, at: u64) -> &mut [u8] {
        let start = at as usize * SLOT_BYTES;
        &mut self.slots[start..start + SLOT_BYTES]
    }

    /// Written with a system call: what was stored in the map before is in the file before.
    pub(crate) fn write_header(&self, header: &Header) -> io::Result<()> {
        std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
        self.file.write_all_at(&header.to_bytes(), 0)?;
        std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
        Ok(())
    }

    pub(crate) fn sync_header(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.slots.flush()?;
        self.file.sync_all()
    }
}

/// Indices of `hashes` roughly in the order of their slots, so that neighbours share pages: a counting sort by the
/// leading bits, as a full sort would cost more than it saves.
pub(crate) fn slot_order(hashes: impl ExactSizeIterator<Item = u128> + Clone) -> Vec<usize> {
    const BITS: u32 = 12;
    let bucket = |hash: u128| (hash >> (u128::BITS - BITS)) as usize;
    let mut next = vec![0; (1 << BITS) + 1];
    hashes.clone().for_each(|hash| next[bucket(hash) + 1] += 1);
    for bucket in 1..next.len() {
        next[bucket] += next[bucket - 1];
    }
    let mut order = vec![0; hashes.len()];
    for (index, hash) in hashes.enumerate() {
        let place = &mut next[bucket(hash)];
        order[*place] = index;
        *place += 1;
    }
    order
}

fn slot_of(bytes: &[u8]) -> Option<Slot> {
    let file = u32::from_le_bytes(bytes[16..20].try_into().expect("four bytes"));
    let row = u32::from_le_bytes(bytes[20..24].try_into().expect("four bytes"));
    file.checked_sub(1).map(|file| Slot { file, row })
}

fn hash_of(bytes: &[u8]) -> u128 {
    u128::from_le_bytes(bytes[..16].try_into().expect("sixteen bytes"))
}

#[expect(unsafe_code, reason = "a memory map is the point of this file")]
fn map_slots(file: &File, capacity: u64) -> io::Result<MmapMut> {
    // SAFETY: the file is ours alone (the index holds the lock of its folder) and is never made shorter.
    unsafe { MmapOptions::new().offset(HEADER_BYTES as u64).len(capacity as usize * SLOT_BYTES).map_mut(file) }
}
