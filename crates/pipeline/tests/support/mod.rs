//! Doubles: small real implementations with scripted faults.

pub mod memory_sink;
pub mod scripted_stream;
pub mod vec_source;
pub mod world;

use std::time::{Duration, UNIX_EPOCH};

use ambient::Ambient;
use pipeline::{Checkpoint, Polled, Source};

/// A clock that follows tokio's, so that paused time moves it, and random bits from a seed.
pub fn ambient(seed: u64) -> Ambient {
    let started = tokio::time::Instant::now();
    let random = std::sync::Mutex::new(Random(seed));
    Ambient::new(
        move || UNIX_EPOCH + Duration::from_secs(1_767_225_600) + started.elapsed(),
        move || {
            let mut random = random.lock().unwrap();
            u128::from(random.next()) << 64 | u128::from(random.next())
        },
    )
}

/// SplitMix64: enough randomness for a schedule, and the same for the same seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What a source gave, as a pipeline would keep it.
#[derive(Default)]
pub struct Reader {
    pub checkpoint: Checkpoint,
    /// `shard/sequence number` in the order of reading.
    pub read: Vec<String>,
    pub last: Polled,
}

impl Reader {
    pub fn take(&mut self, polled: Polled) {
        for shard in &polled.begun {
            self.checkpoint.begin(shard);
        }
        for record in &polled.records {
            self.checkpoint.advance(&record.position);
            self.read.push(record.position.to_string());
        }
        for gap in &polled.gaps {
            self.checkpoint.record_gap(gap.clone());
        }
        for shard in &polled.ended {
            self.checkpoint.end(shard);
        }
        for shard in &polled.forgotten {
            self.checkpoint.forget(shard);
        }
        self.last = polled;
    }

    /// Polls until the source says that everything written before now is read.
    pub async fn read_all(&mut self, source: &mut dyn Source, ambient: &Ambient) {
        let asked = ambient.now();
        while self.last.complete_up_to.is_none_or(|complete| complete <= asked) {
            let Some(polled) = source.poll().await.unwrap() else { return };
            self.take(polled);
        }
    }
}
