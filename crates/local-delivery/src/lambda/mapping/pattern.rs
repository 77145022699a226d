//! Filter patterns: which records a mapping hands on.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html#filtering-syntax>

use serde_json::{Map, Value};

/// AWS's limit of a pattern.
const PATTERN_CHARACTERS_MAX: usize = 4096;

/// A pattern that can be matched.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pattern(Fields);

/// What must hold of an object: every field, and one of each `$or`.
#[derive(Clone, Debug, Default, PartialEq)]
struct Fields {
    fields: Vec<(String, Field)>,
    alternatives: Vec<Vec<Fields>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Field {
    Object(Fields),
    /// One of them must hold.
    AnyOf(Vec<Condition>),
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Equals(Value),
    EqualsIgnoreCase(String),
    Prefix(String),
    Suffix(String),
    Exists(bool),
    Not(Vec<Condition>),
    /// Comparisons that must all hold.
    Numeric(Vec<(Comparison, f64)>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Pattern {
    /// Reads a pattern; says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > PATTERN_CHARACTERS_MAX {
            return Err(format!("a pattern has at most {PATTERN_CHARACTERS_MAX} characters"));
        }
        let pattern: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))?;
        fields(&pattern).map(Self)
    }

    /// The same, for records of Kinesis: their data alone can be filtered by, as JSON.
    pub(crate) fn parse_for_data(text: &str) -> Result<Self, String> {
        let pattern = Self::parse(text)?;
        match pattern.0.is_about("data") {
            true => Ok(pattern),
            false => Err("records of Kinesis are filtered by members of `data`, which is JSON".to_owned()),
        }
    }

    pub(crate) fn matches(&self, record: &Value) -> bool {
        self.0.hold(Some(record))
    }
}

fn fields(pattern: &Map<String, Value>) -> Result<Fields, String> {
    let mut read = Fields::default();
    if pattern.is_empty() {
        return Err("an object of a pattern is empty".to_owned());
    }
    for (name, value) in pattern {
        match value {
            Value::Array(alternatives) if name == "$or" => {
                let objects = alternatives.iter().map(|alternative| match alternative {
                    Value::Object(pattern) => fields(pattern),
                    _ => Err("$or takes objects".to_owned()),
                });
                read.alternatives.push(objects.collect::<Result<_, _>>()?);
            }
            Value::Array(conditions) => {
                if conditions.is_empty() {
                    return Err(format!("the list of {name} is empty"));
                }
                let conditions = conditions.iter().map(condition).collect::<Result<_, _>>()?;
                read.fields.push((name.clone(), Field::AnyOf(conditions)));
            }
            Value::Object(pattern) => read.fields.push((name.clone(), Field::Object(fields(pattern)?))),
            _ => return Err(format!("the value of {name} is neither an object nor a list")),
        }
    }
    Ok(read)
}

fn condition(value: &Value) -> Result<Condition, String> {
    let members = match value {
        Value::Object(members) => members,
        Value::Array(_) => return Err("a list stands within a list".to_owned()),
        literal => return Ok(Condition::Equals(literal.clone())),
    };
    let Some((name, operand)) = members.iter().next().filter(|_| members.len() == 1) else {
        return Err("a condition has one operator".to_owned());
    };
    let text = || operand.as_str().map(str::to_owned).ok_or_else(|| format!("{name} takes a string"));
    match name.as_str() {
        "prefix" => Ok(Condition::Prefix(text()?)),
        "suffix" => Ok(Condition::Suffix(text()?)),
        "equals-ignore-case" => Ok(Condition::EqualsIgnoreCase(text()?.to_lowercase())),
        "exists" => operand.as_bool().map(Condition::Exists).ok_or_else(|| "exists takes true or false".to_owned()),
        "anything-but" => {
            let refused = match operand {
                Value::Array(values) => values.iter().map(condition).collect::<Result<_, _>>()?,
                one => vec![condition(one)?],
            };
            Ok(Condition::Not(refused))
        }
        "numeric" => numeric(operand).map(Condition::Numeric),
        other => Err(format!("{other} is not an operator of filter patterns")),
    }
}

fn numeric(operand: &Value) -> Result<Vec<(Comparison, f64)>, String> {
    let refused = || "numeric takes operators and numbers, as in [\">\", 0, \"<=\", 5]".to_owned();
    let parts = operand.as_array().filter(|parts| [2, 4].contains(&parts.len())).ok_or_else(refused)?;
    let comparison = |pair: &[Value]| {
        let comparison = match pair[0].as_str()? {
            "=" => Comparison::Equal,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            _ => return None,
        };
        Some((comparison, pair[1].as_f64()?))
    };
    parts.chunks(2).map(|pair| comparison(pair).ok_or_else(refused)).collect()
}

impl Fields {
    /// Whether all of it is about members of one object.
    fn is_about(&self, object: &str) -> bool {
        let is_member = |(name, field): &(String, Field)| name == object && matches!(field, Field::Object(_));
        self.fields.iter().all(is_member) && self.alternatives.iter().flatten().all(|fields| fields.is_about(object))
    }

    fn hold(&self, value: Option<&Value>) -> bool {
        // As in EventBridge: a list of objects matches where one of them does.
        if let Some(Value::Array(values)) = value {
            return values.iter().any(|value| self.hold(Some(value)));
        }
        let member = |name: &str| value.and_then(|value| value.get(name));
        self.fields.iter().all(|(name, field)| match field {
            Field::Object(fields) => fields.hold(member(name)),
            Field::AnyOf(conditions) => conditions.iter().any(|condition| condition.holds(member(name))),
        }) && self.alternatives.iter().all(|objects| objects.iter().any(|fields| fields.hold(value)))
    }
}

impl Condition {
    fn holds(&self, value: Option<&Value>) -> bool {
        let Some(value) = value else { return *self == Self::Exists(false) };
        // As in EventBridge: a list matches where one of its values does.
        match value {
            Value::Array(values) if !matches!(self, Self::Exists(_) | Self::Not(_)) => {
                values.iter().any(|value| self.holds_of(value))
            }
            _ => self.holds_of(value),
        }
    }

    fn holds_of(&self, value: &Value) -> bool {
        match self {
            Self::Equals(Value::Number(expected)) => {
                value.as_f64().is_some_and(|found| Some(found) == expected.as_f64())
            }
            Self::Equals(expected) => value == expected,
            Self::EqualsIgnoreCase(expected) => value.as_str().is_some_and(|found| found.to_lowercase() == *expected),
            Self::Prefix(prefix) => value.as_str().is_some_and(|found| found.starts_with(prefix)),
            Self::Suffix(suffix) => value.as_str().is_some_and(|found| found.ends_with(suffix)),
            // Objects are no values: only leaves exist.
            Self::Exists(exists) => *exists != value.is_object(),
            Self::Not(refused) => !refused.iter().any(|condition| condition.holds(Some(value))),
            Self::Numeric(comparisons) => value.as_f64().is_some_and(|found| {
                comparisons.iter().all(|(comparison, bound)| match comparison {
                    Comparison::Equal => found == *bound,
                    Comparison::Less => found < *bound,
                    Comparison::LessOrEqual => found <= *bound,
                    Comparison::Greater => found > *bound,
                    Comparison::GreaterOrEqual => found >= *bound,
                })
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pattern_takes_what_it_describes() {
        let record = json!({
            "eventName": "INSERT",
            "dynamodb": {"Keys": {"id": {"S": "Order#7"}}, "SizeBytes": 26, "tags": ["a", "b"], "none": null},
        });
        for (pattern, expected) in [
            (json!({"eventName": ["INSERT", "MODIFY"]}), true),
            (json!({"eventName": ["REMOVE"]}), false),
            (json!({"eventName": ["INSERT"], "dynamodb": {"SizeBytes": [{"numeric": [">", 20, "<=", 26]}]}}), true),
            (json!({"dynamodb": {"SizeBytes": [{"numeric": ["=", 27]}]}}), false),
            (json!({"dynamodb": {"SizeBytes": [26.0]}}), true),
            (json!({"dynamodb": {"Keys": {"id": {"S": [{"prefix": "Order#"}]}}}}), true),
            (json!({"dynamodb": {"Keys": {"id": {"S": [{"suffix": "#8"}]}}}}), false),
            (json!({"dynamodb": {"Keys": {"id": {"S": [{"equals-ignore-case": "order#7"}]}}}}), true),
            (json!({"dynamodb": {"Keys": {"id": {"S": [{"anything-but": ["x", "y"]}]}}}}), true),
            (json!({"dynamodb": {"Keys": {"id": {"S": [{"anything-but": {"prefix": "Ord"}}]}}}}), false),
            (json!({"dynamodb": {"NewImage": {"total": {"N": [{"exists": false}]}}}}), true),
            (json!({"dynamodb": {"NewImage": {"total": {"N": [{"exists": true}]}}}}), false),
            (json!({"dynamodb": {"tags": ["b"]}}), true),
            (json!({"dynamodb": {"none": [null]}}), true),
            (json!({"dynamodb": {"absent": [null]}}), false),
            (json!({"$or": [{"eventName": ["REMOVE"]}, {"dynamodb": {"SizeBytes": [26]}}]}), true),
            (json!({"$or": [{"eventName": ["REMOVE"]}, {"dynamodb": {"SizeBytes": [27]}}]}), false),
        ] {
            assert_eq!(Pattern::parse(&pattern.to_string()).unwrap().matches(&record), expected, "{pattern}");
        }
    }

    #[test]
    fn records_of_kinesis_are_filtered_by_their_data() {
        for (pattern, is_one) in [
            (json!({"data": {"order": {"type": ["buy"]}}}), true),
            (json!({"$or": [{"data": {"a": [1]}}, {"data": {"b": [2]}}]}), true),
            (json!({"data": ["text"]}), false),
            (json!({"partitionKey": ["1"]}), false),
            (json!({"$or": [{"data": {"a": [1]}}, {"partitionKey": ["1"]}]}), false),
        ] {
            assert_eq!(Pattern::parse_for_data(&pattern.to_string()).is_ok(), is_one, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"a": "b"}"#,
            r#"{"a": []}"#,
            r#"{"a": [{"prefix": 1}]}"#,
            r#"{"a": [{"wildcard": "*"}]}"#,
            r#"{"a": [{"numeric": [">"]}]}"#,
            r#"{"a": [{"numeric": ["~", 1]}]}"#,
            r#"{"a": [{"prefix": "x", "suffix": "y"}]}"#,
            r#"{"$or": ["a"]}"#,
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}
