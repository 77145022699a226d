//! What CloudFormation or Terraform take in place of an apply, for those who make things by templates alone.
//!
//! `parts` chooses what goes in and says what no template can do; `cloudformation` and `terraform` write it down, each in
//! its language; `alarms` are those of deploy/alerts. All of them are pure.

mod alarms;
mod cloudformation;
mod parts;
mod terraform;

use serde::Serialize;
use serde_json::Value;

use crate::plan::Plan;
use crate::policy::Touched;
use crate::resource::Declaration;
use parts::Parts;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    CloudFormation,
    /// Its JSON syntax: `NAME.tf.json`.
    Terraform,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub document: Value,
    /// What no template can do, once each.
    pub by_hand: Vec<ByHand>,
    /// What is there already and not the template's: `table bucket shop-lake`.
    pub left_out: Vec<String>,
}

/// A command of the AWS CLI, and why the template cannot do it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ByHand {
    pub why: String,
    pub command: String,
}

/// Writes down what an apply of `plan` would make, with the rights to run what is declared and its alarms. What `earlier`,
/// a template of the same pipeline, holds stays in it, though it is there by now.
pub fn template(
    language: Language,
    declaration: &Declaration,
    plan: &Plan,
    touched: &Touched,
    earlier: Option<&Value>,
) -> Template {
    let parts = Parts::choose(language, declaration, plan, touched, &earlier.map(makes).unwrap_or_default());
    let (mut document, table) = match language {
        Language::CloudFormation => (cloudformation::document(&parts), "/Resources/Table"),
        Language::Terraform => (terraform::document(&parts), "/resource/aws_cloudformation_stack/table"),
    };
    // Another definition would be another table, and a pipeline adds columns to this one: what was written stays.
    let earlier = earlier.filter(|_| parts.keeps_table).and_then(|earlier| earlier.pointer(table));
    if let (Some(earlier), Some(written)) = (earlier, document.pointer_mut(table)) {
        *written = earlier.clone();
    }
    Template { document, by_hand: parts.by_hand, left_out: parts.left_out }
}

/// The owner that a template says it is of; `None` for one that we did not write.
pub fn owner_of(document: &Value) -> Option<&str> {
    about(document)["owner"].as_str()
}

/// What a template of ours says of itself, in either language.
fn about(document: &Value) -> &Value {
    match &document["Metadata"]["Dynaberg"] {
        Value::Null => &document["//"],
        of_cloudformation => of_cloudformation,
    }
}

fn makes(document: &Value) -> Vec<String> {
    let titles = about(document)["makes"].as_array().into_iter().flatten();
    titles.filter_map(|title| title.as_str().map(str::to_owned)).collect()
}
