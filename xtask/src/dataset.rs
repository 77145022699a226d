//! Files of stream records to measure with: changes of a `financial-transactions` table, the same for the same seed.
//!
//! An item is a function of its number and version, so old images are right without keeping any item, and the table's
//! final state is known.

mod item;

use std::fs::File;
use std::io::{BufRead, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::dataset::item::Item;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dataset {
    /// Inserts only.
    A,
    /// 70 % inserts, 25 % modifications (few items get most of them), 5 % removals.
    B,
}

/// What the table holds after all changes. Equal to [`Expected::of_csv`] of the table as CSV, in any order of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub rows: u64,
    pub amount_cents: u64,
    /// The sum of the CRC-32 of each row as a line of CSV.
    pub checksum: u64,
}

/// Writes `events` stream records, one JSON object a line, and gives what the table must hold after them.
pub fn write(dataset: Dataset, events: u64, seed: u64, path: &Path) -> Result<Expected> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut table = Table { seed, random: Random(seed), live: Vec::new(), inserted: 0 };
    let mut line = String::new();
    for event in 0..events {
        line.clear();
        match dataset {
            Dataset::A => table.insert(event, &mut line),
            Dataset::B => table.change(event, &mut line),
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    out.flush()?;
    Ok(table.expected())
}

impl Expected {
    /// Reads a table of the 22 columns in their order, with a header.
    pub fn of_csv(csv: impl BufRead) -> Result<Self> {
        const AMOUNT: usize = 7;
        let mut expected = Self::default();
        for line in csv.lines().skip(1) {
            let line = line?;
            let amount = line.split(',').nth(AMOUNT).and_then(|amount| amount.replace('.', "").parse().ok());
            let Some(amount_cents) = amount else { bail!("not a row of the table: {line}") };
            expected.add(amount_cents, &line);
        }
        Ok(expected)
    }

    fn add(&mut self, amount_cents: u64, csv_line: &str) {
        self.rows += 1;
        self.amount_cents += amount_cents;
        self.checksum += u64::from(crc32fast::hash(csv_line.as_bytes()));
    }
}

/// The DynamoDB table that is changed.
struct Table {
    seed: u64,
    random: Random,
    live: Vec<Live>,
    inserted: u64,
}

#[derive(Clone, Copy)]
struct Live {
    number: u64,
    version: u32,
}

impl Table {
    fn change(&mut self, event: u64, line: &mut String) {
        match self.random.below(100) {
            _ if self.live.is_empty() => self.insert(event, line),
            0..70 => self.insert(event, line),
            70..95 => self.modify(event, line),
            _ => self.remove(event, line),
        }
    }

    fn insert(&mut self, event: u64, line: &mut String) {
        let live = Live { number: self.inserted, version: 0 };
        self.inserted += 1;
        self.live.push(live);
        record(line, event, "INSERT", Some(&self.item(live)), None);
    }

    fn modify(&mut self, event: u64, line: &mut String) {
        let index = self.random.zipf_below(self.live.len() as u64) as usize;
        let before = self.live[index];
        let after = Live { version: before.version + 1, ..before };
        self.live[index] = after;
        record(line, event, "MODIFY", Some(&self.item(after)), Some(&self.item(before)));
    }

    fn remove(&mut self, event: u64, line: &mut String) {
        let index = self.random.below(self.live.len() as u64) as usize;
        let removed = self.live.swap_remove(index);
        record(line, event, "REMOVE", None, Some(&self.item(removed)));
    }

    fn item(&self, live: Live) -> Item {
        Item::of(self.seed, live.number, live.version)
    }

    fn expected(&self) -> Expected {
        let mut expected = Expected::default();
        let mut line = String::new();
        for &live in &self.live {
            let item = self.item(live);
            line.clear();
            item.write_csv(&mut line);
            expected.add(item.amount_cents, &line);
        }
        expected
    }
}

/// Appends a record as DynamoDB Streams gives it for NEW_AND_OLD_IMAGES.
fn record(line: &mut String, event: u64, name: &str, new: Option<&Item>, old: Option<&Item>) {
    use std::fmt::Write;
    let keys = new.or(old).expect("a change has an image");
    let created_s = keys.timestamp_ms / 1000;
    let mut add = |part: std::fmt::Arguments<'_>| line.write_fmt(part).expect("a string takes everything");
    add(format_args!(
        r#"{{"eventID":"{:032x}","eventName":"{name}","#,
        (u128::from(mix(event)) << 64) | u128::from(event)
    ));
    add(format_args!(r#""eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{{"#));
    add(format_args!(r#""ApproximateCreationDateTime":{created_s}.0,"Keys":{{"#));
    add(format_args!(r#""transaction_id":{{"S":"{}"}},"timestamp":{{"N":"{}"}}}}"#, keys.id(), keys.timestamp_ms));
    for (image, item) in [("NewImage", new), ("OldImage", old)] {
        if let Some(item) = item {
            add(format_args!(r#","{image}":{{{item}}}"#));
        }
    }
    add(format_args!(
        r#","SequenceNumber":"{}","SizeBytes":{},"#,
        100_000_000_000_000_000_000 + u128::from(event),
        640
    ));
    add(format_args!(r#""StreamViewType":"NEW_AND_OLD_IMAGES"}},"eventSourceARN":"#));
    add(format_args!(
        r#""arn:aws:dynamodb:us-east-1:000000000000:table/financial-transactions/stream/2025-11-22T00:00:00.000"}}"#
    ));
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `bound`, all alike likely.
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number below `bound`, where `n` is about `n` times less likely than 1 (Zipf's law with exponent 1): any power of two is
    /// as likely as any other. In integers, so that every machine draws the same.
    fn zipf_below(&mut self, bound: u64) -> u64 {
        loop {
            let power = self.below(u64::from(u64::BITS - bound.leading_zeros()));
            let drawn = (1 << power) + self.below(1 << power) - 1;
            if drawn < bound {
                return drawn;
            }
        }
    }
}

/// SplitMix64's last step: nearby numbers become far apart.
fn mix(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
