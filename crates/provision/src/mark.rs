//! What tells a resource that we made from all others.

use std::collections::BTreeMap;

/// The tag that carries a mark.
pub const TAG: &str = "dynaberg:made-by";

/// Who made a resource. It is set in the call that makes the resource, so that there is never one without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// `pipeline/orders`, `stack/PipelineStack`.
    pub owner: String,
    /// The plan that asked for it.
    pub plan: String,
    /// The process that made it: two applies of one plan differ in it.
    pub run: String,
}

impl Mark {
    /// The value of the tag: three words. All services take its characters.
    pub fn value(&self) -> String {
        format!("{} {} {}", self.owner, self.plan, self.run)
    }

    /// Reads a value; `None` for one that we did not write.
    pub fn parse(value: &str) -> Option<Self> {
        let [owner, plan, run] = value.split(' ').collect::<Vec<_>>().try_into().ok()?;
        Some(Self { owner: owner.to_owned(), plan: plan.to_owned(), run: run.to_owned() })
    }

    /// The mark among tags that a service lists as an object.
    pub fn among(tags: &serde_json::Value) -> Option<Self> {
        Self::parse(tags[TAG].as_str()?)
    }

    /// The same where the tags are a list of `Key` and `Value`.
    pub fn among_pairs(tags: &serde_json::Value) -> Option<Self> {
        Self::named_among_pairs(TAG, tags)
    }

    /// A mark under another name, for what has no tags itself and is marked on the resource that it belongs to.
    pub fn named_among_pairs(name: &str, tags: &serde_json::Value) -> Option<Self> {
        let pairs = tags.as_array()?;
        let tag = pairs.iter().find(|tag| tag["Key"] == name)?;
        Self::parse(tag["Value"].as_str()?)
    }

    pub fn tags(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([(TAG, self.value())])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mark_is_read_back_and_foreign_tags_are_none() {
        let mark = Mark { owner: "pipeline/orders".into(), plan: "7f3a0102".into(), run: "a-b".into() };
        assert_eq!(Mark::parse(&mark.value()), Some(mark.clone()));
        assert_eq!(Mark::among(&json!({ TAG: mark.value() })), Some(mark.clone()));
        assert_eq!(Mark::among_pairs(&json!([{ "Key": TAG, "Value": mark.value() }])), Some(mark));
        assert_eq!(Mark::parse("somebody"), None);
        assert_eq!(Mark::among(&json!({ "team": "a" })), None);
    }
}
