//! What leaves the source: the columns of the table, and what they come from.

use pipeline::{Attributes, SqlTransform, Verdict};
use serde::Serialize;

use crate::config::Transform;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Egress {
    /// `total`, `customer=token(email)`; `*` where everything leaves.
    pub columns: Vec<String>,
    /// Attributes that the transform does not read.
    pub stays: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

impl Egress {
    pub fn everything() -> Self {
        let note = Some("every attribute is copied: there is no [transform]");
        Self { columns: vec!["*".to_owned()], stays: Vec::new(), note }
    }

    pub fn opaque() -> Self {
        let note = Some("opaque: what a function lets out cannot be proved");
        Self { columns: vec!["*".to_owned()], stays: Vec::new(), note }
    }

    pub fn unknown() -> Self {
        Self { columns: Vec::new(), stays: Vec::new(), note: Some("unknown: the source is not there") }
    }

    pub fn of(sql: &SqlTransform, transform: &Transform, attributes: &Attributes) -> Self {
        let flows = sql.flows(&transform.sensitive);
        let mut columns: Vec<String> = Vec::new();
        for flow in &flows {
            let Some(column) = &flow.column else { continue };
            let shown = match (flow.verdict, flow.through.as_slice()) {
                (Verdict::Declassified, [function, ..]) => {
                    format!("{column}={}({})", function.trim_end_matches("()"), flow.attribute)
                }
                _ if flow.attribute == *column => column.clone(),
                _ => format!("{column}={}", flow.attribute),
            };
            if !columns.contains(&shown) {
                columns.push(shown);
            }
        }
        let is_read = |name: &str| flows.iter().any(|flow| flow.attribute == name);
        let named = transform.sensitive.iter().map(String::as_str);
        let unread = attributes.names().chain(named).filter(|name| !is_read(name) && !name.starts_with('_'));
        let mut stays: Vec<String> = unread.map(str::to_owned).collect();
        stays.sort_unstable();
        stays.dedup();
        Self { columns, stays, note: None }
    }
}

impl std::fmt::Display for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(note) = self.note {
            return f.write_str(note);
        }
        f.write_str(&self.columns.join(", "))?;
        match self.stays.as_slice() {
            [] => Ok(()),
            [only] => write!(f, " · {only}: never leaves"),
            several => write!(f, " · {}: never leave", several.join(", ")),
        }
    }
}
