//! The first page of the slot file: what the index is, and whether it can be believed.

use std::fs;

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

/// Written before the slots, one page long so that they can be mapped on their own.
pub(crate) const HEADER_BYTES: usize = 4096;

const MAGIC: [u8; 8] = *b"DYNBKEYS";

/// Raised with every change of the files' form or of the key hash: an index of another version opens as empty.
const VERSION: u32 = 1;

const BODY_BYTES: usize = 8 + 4 + 16 + 1 + 8 + 8 + 8 + 8 + 16 + 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Dirty,
    Clean { marker: i64 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) table_uuid: Uuid,
    pub(crate) state: State,
    pub(crate) capacity: u64,
    pub(crate) key_count: u64,
    pub(crate) file_list_bytes: u64,
    /// The machine's boot during which this was written.
    pub(crate) boot_id: Option<Uuid>,
    /// Whether everything the header speaks of was on disk before the header was.
    pub(crate) is_synced: bool,
}

impl Header {
    /// Tells whether all that was written before this header is still there. A process that dies loses nothing that it
    /// gave to the kernel; a machine that stops does, and so only counts on what was synced.
    pub(crate) fn survived_since_written(&self) -> bool {
        self.is_synced || (self.boot_id.is_some() && self.boot_id == boot_id())
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let (is_clean, marker) = match self.state {
            State::Dirty => (0, 0),
            State::Clean { marker } => (1, marker),
        };
        let mut bytes = Vec::with_capacity(BODY_BYTES + 8);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.table_uuid.as_bytes());
        bytes.push(is_clean);
        bytes.extend(marker.to_le_bytes());
        bytes.extend(self.capacity.to_le_bytes());
        bytes.extend(self.key_count.to_le_bytes());
        bytes.extend(self.file_list_bytes.to_le_bytes());
        bytes.extend(self.boot_id.unwrap_or_default().as_bytes());
        bytes.push(u8::from(self.is_synced));
        bytes.extend(xxh3_64(&bytes).to_le_bytes());
        bytes
    }

    /// `None` where the bytes are not a header of this version.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (body, rest) = bytes.split_at_checked(BODY_BYTES)?;
        if xxh3_64(body).to_le_bytes() != *rest.first_chunk::<8>()? {
            return None;
        }
        let mut body = Reader(body);
        if body.take::<8>()? != MAGIC || body.take()? != VERSION.to_le_bytes() {
            return None;
        }
        let table_uuid = Uuid::from_bytes(body.take()?);
        let [is_clean] = body.take()?;
        let marker = i64::from_le_bytes(body.take()?);
        Some(Self {
            table_uuid,
            state: if is_clean == 1 { State::Clean { marker } } else { State::Dirty },
            capacity: u64::from_le_bytes(body.take()?),
            key_count: u64::from_le_bytes(body.take()?),
            file_list_bytes: u64::from_le_bytes(body.take()?),
            boot_id: Some(Uuid::from_bytes(body.take()?)).filter(|id| !id.is_nil()),
            is_synced: body.take()? == [1],
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }
}

/// Differs from one boot of the machine to the next; `None` where the system does not tell.
pub(crate) fn boot_id() -> Option<Uuid> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Uuid::parse_str(text.trim()).ok()
}
