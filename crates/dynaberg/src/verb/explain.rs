//! `dynaberg explain`: what a code means, and what to do about it.

mod log_lines;
mod pipeline_file;
mod provisioning;
mod queries;
mod records;
mod surroundings;

use serde_json::json;

use crate::cli::{ExplainArgs, Format};
use crate::failure::{Exit, Failure, Outcome};
use crate::output;

/// A code, what it says, and what to do.
type Code = (&'static str, &'static str, &'static str);

/// Every code that is ever shown, in order.
const GROUPS: [&[Code]; 6] =
    [pipeline_file::CODES, queries::CODES, surroundings::CODES, records::CODES, provisioning::CODES, log_lines::CODES];

fn codes() -> impl Iterator<Item = &'static Code> {
    GROUPS.into_iter().flatten()
}

pub fn run(arguments: &ExplainArgs) -> Outcome {
    let Some(code) = &arguments.code else {
        return match output::format_or_default(arguments.output) {
            Format::Json => output::json(&codes().map(document).collect::<Vec<_>>()),
            Format::Table => codes().try_for_each(|(code, what, _)| output::line(format_args!("{code}  {what}"))),
        };
    };
    let Some(found) = codes().find(|(known, _, _)| known.eq_ignore_ascii_case(code)) else {
        let failure = Failure::new(Exit::Usage, format!("there is no code {code}"));
        return Err(failure.advise("dynaberg explain, for all of them"));
    };
    match output::format_or_default(arguments.output) {
        Format::Json => output::json(&document(found)),
        Format::Table => output::line(format_args!("{}  {}\n  Try: {}", found.0, found.1, advice(found))),
    }
}

fn document(entry: &Code) -> serde_json::Value {
    json!({ "code": entry.0, "meaning": entry.1, "try": advice(entry) })
}

fn advice((_, _, advice): &Code) -> String {
    match *advice {
        "FUNCTIONS" => format!("One of {}.", pipeline::function_names().join(", ")),
        advice => advice.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_each_is_there_once() {
        let codes: Vec<&str> = codes().map(|code| code.0).collect();
        assert!(codes.is_sorted_by(|one, next| one < next));
    }
}
