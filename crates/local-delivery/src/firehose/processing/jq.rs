//! JQ over the content of a record, as the MetadataExtraction processor asks for it.
//!
//! The language is that of jq 1.6 as `jaq` has it, without what needs more of `jaq` than we build: regular expressions,
//! formats such as `@base64`, dates and logarithms. A query that names one is refused.

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::{Val, read};
use serde_json::Value;

/// Definitions of the standard library over functions that are not built, and `halt`, which would end this process.
const NOT_BUILT: [&str; 27] = [
    "@base64",
    "@base64d",
    "@html",
    "@htmld",
    "@uri",
    "@urid",
    "capture",
    "debug",
    "drem",
    "fromdate",
    "gamma",
    "gsub",
    "halt",
    "halt_error",
    "logb",
    "match",
    "nexttoward",
    "pow10",
    "scalb",
    "scan",
    "scan_",
    "significand",
    "splits",
    "stderr",
    "sub",
    "test",
    "todate",
];

type Filter = jaq_core::Filter<data::JustLut<Val>>;

/// A filter that was checked.
pub(crate) struct Query(Filter);

impl Query {
    /// Fails with the reason where the text is not a filter.
    pub fn compile(text: &str) -> Result<Self, String> {
        let refused = |what: &str| format!("MetadataExtractionQuery `{text}` {what}");
        let arena = Arena::default();
        let is_built = |name: &str, arity: usize| !NOT_BUILT.contains(&name) && (name, arity) != ("split", 2);
        let defs = jaq_std::defs().chain(jaq_json::defs()).filter(|def| is_built(def.name, def.args.len()));
        let loader = Loader::new(jaq_core::defs().chain(defs));
        let modules = loader.load(&arena, File { code: text, path: () });
        let modules = modules.map_err(|_| refused("is not a JQ filter. Try: it with `jq` on the command line"))?;
        let funs = jaq_core::funs().chain(jaq_std::base_funs()).chain(jaq_json::funs());
        let funs = funs.filter(|(name, _, _)| *name != "halt");
        let compiled = Compiler::default().with_funs(funs).compile(modules);
        compiled.map(Self).map_err(|_| refused("names a function or a variable that is not served"))
    }

    /// The filter's first output on a record. Fails with the reason.
    pub fn apply(&self, data: &[u8]) -> Result<Value, String> {
        // It refuses what is nested too deep for a parser that calls itself.
        serde_json::from_slice::<Value>(data).map_err(|_| "the record is not JSON".to_owned())?;
        let input = read::parse_single(data).map_err(|_| "the record is not JSON".to_owned())?;
        let context = Ctx::<data::JustLut<Val>>::new(&self.0.lut, Vars::new([]));
        let output = self.0.id.run((context, input)).map(unwrap_valr).next();
        let output = output.ok_or_else(|| "the query gives nothing".to_owned())?;
        // The error may hold values of the record.
        let output = output.map_err(|_| "the query fails on the record".to_owned())?;
        serde_json::from_str(&output.to_string()).map_err(|_| "the query gives what is not JSON".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_query_takes_names_and_operations_from_a_record() {
        let query = r#"{destinationTableName: .table, operation: (if .op == "D" then "delete" else "insert" end)}"#;
        let query = Query::compile(query).unwrap();
        let found = query.apply(br#"{"table":"t","op":"D"}"#).unwrap();
        assert_eq!(found, json!({ "destinationTableName": "t", "operation": "delete" }));
        assert!(query.apply(b"1").is_err());
        assert!(query.apply(b"{").is_err());
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(query.apply(deep.as_bytes()).is_err());
    }

    #[test]
    fn what_is_not_a_filter_is_refused() {
        for text in ["{a: ", ".a |", "nonsense(1)", "$x", "halt", ".a | test(\"x\")"] {
            assert!(Query::compile(text).is_err(), "{text}");
        }
    }
}
