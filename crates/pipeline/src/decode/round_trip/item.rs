//! Attribute values of every type, and what must become of them, computed another way than the decoder does.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    S(String),
    N(Number),
    B(Vec<u8>),
    Bool(bool),
    Null,
    M(BTreeMap<String, Attribute>),
    L(Vec<Attribute>),
    Ss(BTreeSet<String>),
    Ns(Vec<Number>),
    Bs(BTreeSet<Vec<u8>>),
}

/// `0.digits × 10^magnitude`, with neither leading nor trailing zeros in the digits; no digits are zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    negative: bool,
    digits: String,
    magnitude: i32,
    is_scientific: bool,
}

impl Number {
    pub fn plain(&self) -> String {
        if self.digits.is_empty() {
            return "0".into();
        }
        let sign = if self.negative { "-" } else { "" };
        let length = self.digits.len() as i32;
        match self.magnitude {
            magnitude @ ..=0 => format!("{sign}0.{}{}", "0".repeat(-magnitude as usize), self.digits),
            magnitude if magnitude >= length => {
                format!("{sign}{}{}", self.digits, "0".repeat((magnitude - length) as usize))
            }
            magnitude => {
                let (whole, fraction) = self.digits.split_at(magnitude as usize);
                format!("{sign}{whole}.{fraction}")
            }
        }
    }

    /// One of the ways to write it.
    fn written(&self) -> String {
        match (self.is_scientific, self.digits.is_empty()) {
            (true, false) => {
                let sign = if self.negative { "-" } else { "" };
                format!("{sign}{}.{}0E{}", &self.digits[..1], &self.digits[1..], self.magnitude - 1)
            }
            _ => self.plain(),
        }
    }

    fn sort_key(&self) -> (i32, i32, String) {
        let sign = match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        };
        // The smaller a negative number, the larger its parts.
        let digit = |digit: char| if sign < 0 { char::from(b'0' + b'9' - digit as u8) } else { digit };
        let padded = format!("{:0<38}", self.digits);
        (sign, sign * self.magnitude, padded.chars().map(digit).collect())
    }
}

impl Attribute {
    pub fn to_json(&self) -> Value {
        match self {
            Self::S(text) => json!({"S": text}),
            Self::N(number) => json!({"N": number.written()}),
            Self::B(bytes) => json!({"B": STANDARD.encode(bytes)}),
            Self::Bool(value) => json!({"BOOL": value}),
            Self::Null => json!({"NULL": true}),
            Self::M(members) => {
                let members = members.iter().map(|(name, value)| (name.clone(), value.to_json()));
                json!({"M": members.collect::<serde_json::Map<_, _>>()})
            }
            Self::L(elements) => json!({"L": elements.iter().map(Self::to_json).collect::<Vec<_>>()}),
            // Sets come in any order.
            Self::Ss(set) => json!({"SS": set.iter().rev().collect::<Vec<_>>()}),
            Self::Ns(set) => json!({"NS": set.iter().map(Number::written).collect::<Vec<_>>()}),
            Self::Bs(set) => json!({"BS": set.iter().rev().map(|bytes| STANDARD.encode(bytes)).collect::<Vec<_>>()}),
        }
    }

    /// The elements of a list, or of a set in its order.
    pub fn elements(&self) -> Vec<Self> {
        match self {
            Self::L(elements) => elements.clone(),
            Self::Ss(set) => set.iter().cloned().map(Self::S).collect(),
            Self::Bs(set) => set.iter().cloned().map(Self::B).collect(),
            Self::Ns(set) => {
                let mut numbers = set.clone();
                numbers.sort_by_key(Number::sort_key);
                numbers.dedup_by_key(|number| number.plain());
                numbers.into_iter().map(Self::N).collect()
            }
            other => panic!("{other:?} has no elements"),
        }
    }

    /// What a text column holds of anything but a string.
    pub fn to_text(&self) -> String {
        match self {
            Self::B(bytes) => STANDARD.encode(bytes),
            other => other.to_json_text(),
        }
    }

    fn to_json_text(&self) -> String {
        match self {
            Self::S(text) => json!(text).to_string(),
            Self::N(number) => number.plain(),
            Self::B(bytes) => json!(STANDARD.encode(bytes)).to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Null => "null".into(),
            Self::M(members) => {
                let member = |(name, value): (&String, &Self)| format!("{}:{}", json!(name), value.to_json_text());
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
            }
            list => {
                let elements: Vec<_> = list.elements().iter().map(Self::to_json_text).collect();
                format!("[{}]", elements.join(","))
            }
        }
    }
}

/// `inner` inside of so many maps and lists.
pub fn deepened(inner: Attribute, levels: usize) -> Attribute {
    (0..levels).fold(inner, |inner, level| match level % 2 {
        0 => Attribute::M(BTreeMap::from([("m".to_owned(), inner)])),
        _ => Attribute::L(vec![inner]),
    })
}

pub fn any_attribute() -> impl Strategy<Value = Attribute> {
    const LEVELS: u32 = 4;
    let nested = any_scalar().prop_recursive(LEVELS, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Attribute::L),
            prop::collection::btree_map("[abC]|x\"y", inner, 0..4).prop_map(Attribute::M),
        ]
    });
    (nested, prop_oneof![9 => Just(0), 1 => 0..=(32 - LEVELS as usize)])
        .prop_map(|(attribute, levels)| deepened(attribute, levels))
}

fn any_scalar() -> impl Strategy<Value = Attribute> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..6);
    prop_oneof![
        "\\PC{0,8}|[\u{0}-\u{7f}]{0,4}".prop_map(Attribute::S),
        any_number().prop_map(Attribute::N),
        bytes().prop_map(Attribute::B),
        any::<bool>().prop_map(Attribute::Bool),
        Just(Attribute::Null),
        prop::collection::btree_set("[a-c]{0,2}", 1..4).prop_map(Attribute::Ss),
        prop::collection::vec(any_number(), 1..5).prop_map(Attribute::Ns),
        prop::collection::btree_set(bytes(), 1..4).prop_map(Attribute::Bs),
    ]
}

/// Mostly numbers as people have them, and also all that DynamoDB allows.
fn any_number() -> impl Strategy<Value = Number> {
    let common = ("[1-9][0-9]{0,8}", -3..12);
    let extreme = ("[1-9][0-9]{0,37}", -129..=126);
    (prop_oneof![4 => common, 1 => extreme, 1 => ("", Just(0))], any::<bool>(), any::<bool>()).prop_map(
        |((digits, magnitude), negative, is_scientific)| {
            let digits = digits.trim_end_matches('0').to_owned();
            Number { negative, digits, magnitude, is_scientific }
        },
    )
}
