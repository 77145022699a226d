//! What is measured: a series of data, known by its namespace, name and dimensions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a process has measured of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub name: String,
    pub dimensions: BTreeMap<String, String>,
    pub value: f64,
    /// As CloudWatch spells it: `Seconds`.
    pub unit: String,
}

/// A dimension as CloudWatch writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Dimension {
    pub name: String,
    pub value: String,
}

pub(crate) fn to_map(dimensions: &[Dimension]) -> BTreeMap<String, String> {
    dimensions.iter().map(|dimension| (dimension.name.clone(), dimension.value.clone())).collect()
}

pub(crate) fn to_list(dimensions: &BTreeMap<String, String>) -> Vec<Dimension> {
    let one = |(name, value): (&String, &String)| Dimension { name: name.clone(), value: value.clone() };
    dimensions.iter().map(one).collect()
}

/// One value, or the summary of several, at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Datum {
    pub time_ms: i64,
    pub count: f64,
    pub sum: f64,
    pub minimum: f64,
    pub maximum: f64,
}

impl Datum {
    pub fn of_value(time_ms: i64, value: f64, count: f64) -> Self {
        Self { time_ms, count, sum: value * count, minimum: value, maximum: value }
    }
}

/// The units that CloudWatch knows.
pub(crate) const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];
