//! Transactions as the blog's writer makes them.

use std::collections::HashMap;

use ambient::Ambient;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

pub type Item = HashMap<String, AttributeValue>;

/// Draws transactions of the last hour. The same bits give the same transaction.
pub struct Sampler {
    ambient: Ambient,
    bits: u128,
}

impl Sampler {
    pub fn new(ambient: Ambient) -> Self {
        Self { bits: ambient.random(), ambient }
    }

    pub fn transaction(&mut self) -> Item {
        let epoch_ms = self.ambient.now_ms() - self.below(3_600_000) as i64;
        let moment = Timestamp::from_millisecond(epoch_ms).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC);
        let cents = 1_000 + self.below(99_001);
        let strings = [
            ("transaction_id", format!("TXN_{:016x}", self.next() as u64)),
            ("customer_id", format!("CUST_{:06}", self.below(1_000_000))),
            ("date", moment.date().to_string()),
            ("transaction_type", self.one_of(&["PURCHASE", "REFUND", "TRANSFER", "WITHDRAWAL"])),
            ("currency", self.one_of(&["USD", "EUR", "GBP"])),
            ("merchant_category", self.one_of(&["GROCERY", "TRAVEL", "FUEL", "ONLINE"])),
            ("payment_method", self.one_of(&["CARD", "WALLET"])),
            ("region", self.one_of(&["NA", "EU", "APAC", "LATAM"])),
            ("risk_score", self.one_of(&["LOW", "MEDIUM", "HIGH"])),
            ("status", self.one_of(&["APPROVED", "DECLINED", "PENDING_REVIEW", "FLAGGED"])),
            ("device_type", self.one_of(&["MOBILE", "DESKTOP", "POS"])),
            ("authentication_method", self.one_of(&["PIN", "BIOMETRIC", "PASSWORD"])),
            ("merchant_id", format!("MERCH_{:04}", self.below(10_000))),
            ("velocity_check", self.one_of(&["PASS", "FLAG", "REVIEW"])),
            ("amount_threshold", self.one_of(&["NORMAL", "HIGH", "VERY_HIGH"])),
            ("location_risk", self.one_of(&["LOW", "MEDIUM", "HIGH"])),
            ("pattern_match", self.one_of(&["NORMAL", "SUSPICIOUS"])),
        ];
        let numbers = [
            ("timestamp", epoch_ms.to_string()),
            ("hour", moment.hour().to_string()),
            ("minute", moment.minute().to_string()),
            ("amount", format!("{}.{:02}", cents / 100, cents % 100)),
            ("processing_timestamp", (epoch_ms + self.below(1_000) as i64).to_string()),
        ];
        let strings = strings.into_iter().map(|(name, text)| (name.to_owned(), AttributeValue::S(text)));
        let numbers = numbers.into_iter().map(|(name, text)| (name.to_owned(), AttributeValue::N(text)));
        strings.chain(numbers).collect()
    }

    fn one_of(&mut self, values: &[&str]) -> String {
        values[self.below(values.len() as u64) as usize].to_owned()
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((self.next() >> 64) as u64) % bound
    }

    /// A linear congruential step (L'Ecuyer's multiplier for 128 bits): enough for sample data.
    fn next(&mut self) -> u128 {
        self.bits =
            self.bits.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(0x5851_f42d_4c95_7f2d);
        self.bits
    }
}

/// The item's key: `transaction_id` and `timestamp`.
pub fn key(item: &Item) -> Item {
    item.iter().filter(|(name, _)| is_key(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn is_key(name: &str) -> bool {
    matches!(name, "transaction_id" | "timestamp")
}
