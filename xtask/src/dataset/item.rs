//! An item of the `financial-transactions` table, with the values that the sample's scripts make.

use std::fmt::{Display, Formatter, Result, Write};

use crate::dataset::{Random, mix};

pub struct Item {
    id: u64,
    customer: u64,
    merchant: u64,
    pub timestamp_ms: u64,
    processed_ms: u64,
    pub amount_cents: u64,
    /// One of its list each, in the order of [`WORDS`].
    words: [&'static str; 13],
}

/// The text columns of few values, with the values.
const WORDS: [(&str, &[&str]); 13] = [
    ("transaction_type", &["PURCHASE", "REFUND", "TRANSFER", "WITHDRAWAL", "DEPOSIT"]),
    ("currency", &["USD", "EUR", "GBP", "JPY", "CAD"]),
    ("merchant_category", &["RETAIL", "GROCERY", "RESTAURANT", "TRAVEL", "ENTERTAINMENT", "HEALTHCARE", "UTILITIES"]),
    ("payment_method", &["CREDIT_CARD", "DEBIT_CARD", "BANK_TRANSFER", "DIGITAL_WALLET"]),
    ("region", &["NORTH_AMERICA", "EUROPE", "ASIA_PACIFIC", "LATIN_AMERICA"]),
    ("risk_score", &["LOW", "MEDIUM", "HIGH"]),
    ("status", &["APPROVED", "DECLINED", "PENDING_REVIEW", "FLAGGED"]),
    ("device_type", &["MOBILE", "DESKTOP", "TABLET", "POS_TERMINAL"]),
    ("authentication_method", &["PIN", "BIOMETRIC", "TWO_FACTOR_AUTH", "PASSWORD"]),
    ("velocity_check", &["PASS", "FLAG", "REVIEW"]),
    ("amount_threshold", &["NORMAL", "HIGH", "VERY_HIGH"]),
    ("location_risk", &["LOW", "MEDIUM", "HIGH"]),
    ("pattern_match", &["NORMAL", "SUSPICIOUS", "ANOMALOUS"]),
];

/// What an update gives a new value: risk_score, status, velocity_check, location_risk.
const CHANGING: [usize; 4] = [5, 6, 9, 11];

/// 2025-11-20 00:00 UTC.
const FIRST_TIMESTAMP_MS: u64 = 1_763_596_800_000;
/// A million items fill some five and a half hours.
const MS_BETWEEN_ITEMS: u64 = 20;
const DAY_MS: u64 = 86_400_000;

impl Item {
    /// Item `number` of the table after `version` updates.
    pub fn of(seed: u64, number: u64, version: u32) -> Self {
        let mut fixed = Random(mix(seed) ^ number);
        let mut changing = Random(mix(mix(seed) ^ number) ^ u64::from(version));
        let timestamp_ms = FIRST_TIMESTAMP_MS + number * MS_BETWEEN_ITEMS + fixed.below(MS_BETWEEN_ITEMS);
        let pick = |(index, (_, values)): (usize, &(&str, &[&'static str]))| {
            let drawn = if CHANGING.contains(&index) { &mut changing } else { &mut fixed };
            values[drawn.below(values.len() as u64) as usize]
        };
        let picked: Vec<&str> = WORDS.iter().enumerate().map(pick).collect();
        Self {
            words: picked.try_into().expect("one word a list"),
            // Mixing maps numbers one to one, so no two items of a table share an id.
            id: mix(number.wrapping_add(mix(seed))),
            customer: fixed.below(1_000_000),
            merchant: fixed.below(10_000),
            timestamp_ms,
            processed_ms: timestamp_ms + 5 + u64::from(version) * 60_000 + changing.below(995),
            amount_cents: 1_000 + changing.below(99_001),
        }
    }

    pub fn id(&self) -> String {
        format!("TXN_{:016X}", self.id)
    }

    fn word(&self, column: &str) -> &'static str {
        let index = WORDS.iter().position(|(name, _)| *name == column).expect("a column of words");
        self.words[index]
    }

    fn day(&self) -> &'static str {
        const DAYS: [&str; 10] = [
            "2025-11-20",
            "2025-11-21",
            "2025-11-22",
            "2025-11-23",
            "2025-11-24",
            "2025-11-25",
            "2025-11-26",
            "2025-11-27",
            "2025-11-28",
            "2025-11-29",
        ];
        DAYS[((self.timestamp_ms - FIRST_TIMESTAMP_MS) / DAY_MS) as usize % DAYS.len()]
    }

    fn hour_and_minute(&self) -> (u64, u64) {
        let minute_of_day = self.timestamp_ms % DAY_MS / 60_000;
        (minute_of_day / 60, minute_of_day % 60)
    }

    /// The 22 columns in the table's order; nothing in them needs quotes.
    fn columns(&self) -> [(&'static str, char, String); 22] {
        let (hour, minute) = self.hour_and_minute();
        let text = |name: &'static str, value: String| (name, 'S', value);
        let number = |name: &'static str, value: String| (name, 'N', value);
        let word = |name: &'static str| (name, 'S', self.word(name).to_owned());
        [
            text("transaction_id", self.id()),
            number("timestamp", self.timestamp_ms.to_string()),
            text("customer_id", format!("CUST_{:06}", self.customer)),
            text("date", self.day().to_owned()),
            number("hour", hour.to_string()),
            number("minute", minute.to_string()),
            word("transaction_type"),
            number("amount", format!("{}.{:02}", self.amount_cents / 100, self.amount_cents % 100)),
            word("currency"),
            word("merchant_category"),
            word("payment_method"),
            word("region"),
            word("risk_score"),
            word("status"),
            number("processing_timestamp", self.processed_ms.to_string()),
            word("device_type"),
            word("authentication_method"),
            text("merchant_id", format!("MERCH_{:04}", self.merchant)),
            word("velocity_check"),
            word("amount_threshold"),
            word("location_risk"),
            word("pattern_match"),
        ]
    }

    /// Appends the row as a line of CSV.
    pub fn write_csv(&self, line: &mut String) {
        for (index, (_, _, value)) in self.columns().iter().enumerate() {
            if index > 0 {
                line.push(',');
            }
            line.push_str(value);
        }
    }
}

/// The image of the item in a stream record, without the braces.
impl Display for Item {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (index, (name, tag, value)) in self.columns().iter().enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            // DynamoDB gives numbers back without the zeros at their end.
            let is_fraction = *tag == 'N' && value.contains('.');
            let value = if is_fraction { value.trim_end_matches('0').trim_end_matches('.') } else { value };
            write!(f, r#""{name}":{{"{tag}":"{value}"}}"#)?;
        }
        Ok(())
    }
}
