//! What reaches a column, and through what: the walk that a proof is made of.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::Expr;

use crate::sql::SqlTransform;
use crate::sql::functions::{MASK, TOKEN};

/// A mask that keeps more than this many characters hides too little.
const KEPT_MAX: i64 = 4;

/// One attribute on its way into a column, or into the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// `None` for the filter, whose answer decides which rows there are.
    pub column: Option<String>,
    pub attribute: String,
    /// The functions and operators that it goes through, the innermost first.
    pub through: Vec<String>,
    pub verdict: Verdict,
}

/// What becomes of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not said to be sensitive.
    Clean,
    /// `token` or `mask` hides it.
    Declassified,
    /// It is sensitive, and what comes out tells something of it.
    Leaks,
}

impl SqlTransform {
    /// Every attribute that reaches a column or the filter. `sensitive` are names in any case: an attribute that only
    /// differs in case from a sensitive one is taken for it.
    pub fn flows(&self, sensitive: &[String]) -> Vec<Flow> {
        let sensitive: BTreeSet<String> = sensitive.iter().map(|name| name.to_lowercase()).collect();
        let outputs = self.outputs.iter().map(|column| (Some(column.name.clone()), &column.planned.logical));
        let filter = self.filter.iter().map(|filter| (None, &filter.planned.logical));
        let mut flows = Vec::new();
        for (column, expr) in outputs.chain(filter) {
            let mut reached = BTreeMap::new();
            walk(expr, &mut Vec::new(), false, &mut reached);
            for ((attribute, is_hidden), through) in reached {
                let verdict = match (sensitive.contains(&attribute.to_lowercase()), is_hidden) {
                    (false, _) => Verdict::Clean,
                    (true, true) => Verdict::Declassified,
                    (true, false) => Verdict::Leaks,
                };
                flows.push(Flow { column: column.clone(), attribute, through, verdict });
            }
        }
        flows
    }

    /// The attributes whose values are in the table as they are, or as another type.
    pub fn plain_attributes(&self) -> BTreeSet<String> {
        let is_plain = |flow: &Flow| flow.column.is_some() && flow.through.iter().all(|step| step.ends_with("cast"));
        self.flows(&[]).into_iter().filter(is_plain).map(|flow| flow.attribute).collect()
    }

    /// The bytes of the SQL where a column, or the filter, is written.
    pub fn place_of(&self, column: Option<&str>) -> Option<std::ops::Range<usize>> {
        match column {
            Some(name) => self.outputs.iter().find(|column| column.name == name)?.place.clone(),
            None => self.filter.as_ref()?.place.clone(),
        }
    }
}

/// Notes every attribute below `expr`, by whether a declassifying function hides it, with one way that it takes.
fn walk(expr: &Expr, way: &mut Vec<String>, is_hidden: bool, reached: &mut BTreeMap<(String, bool), Vec<String>>) {
    if let Expr::Column(column) = expr {
        let through = way.iter().rev().cloned().collect();
        reached.entry((column.name.clone(), is_hidden)).or_insert(through);
        return;
    }
    way.extend(name_of(expr));
    let depth = way.len();
    let hides = is_hidden || hides(expr);
    // Children only: the walk goes down by itself, to know what lies above.
    expr.apply_children(|child| {
        walk(child, way, hides, reached);
        way.truncate(depth);
        Ok(TreeNodeRecursion::Continue)
    })
    .expect("the walk has no errors");
    way.truncate(depth - usize::from(name_of(expr).is_some()));
}

/// Whether nothing of what goes in comes out. A function of a part of a value hides too little: of one digit there are
/// ten tokens, and masks of all parts put together show the whole.
fn hides(expr: &Expr) -> bool {
    let Expr::ScalarFunction(call) = expr else { return false };
    let is_whole = call.args.first().is_some_and(is_whole);
    match (call.name(), &call.args[..]) {
        (TOKEN, [_]) => is_whole,
        (MASK, [_, kept]) => is_whole && matches!(kept, Expr::Literal(ScalarValue::Int64(Some(0..=KEPT_MAX)), _)),
        _ => false,
    }
}

fn is_whole(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::Cast(cast) => cast.data_type.is_string() && is_whole(&cast.expr),
        // A member of a map is a value of its own.
        Expr::ScalarFunction(call) if ["get_field", "json_get"].contains(&call.name()) => {
            let is_written_out = call.args[1..].iter().all(|step| matches!(step, Expr::Literal(..)));
            is_written_out && call.args.first().is_some_and(is_whole)
        }
        _ => false,
    }
}

fn name_of(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::ScalarFunction(call) => format!("{}()", call.name()),
        Expr::BinaryExpr(binary) => binary.op.to_string().to_lowercase(),
        Expr::Cast(_) => "cast".to_owned(),
        Expr::TryCast(_) => "try_cast".to_owned(),
        Expr::Case(_) => "case".to_owned(),
        Expr::Like(_) | Expr::SimilarTo(_) => "like".to_owned(),
        Expr::InList(_) => "in".to_owned(),
        Expr::Between(_) => "between".to_owned(),
        Expr::IsNull(_) => "is null".to_owned(),
        Expr::IsNotNull(_) => "is not null".to_owned(),
        Expr::Not(_) => "not".to_owned(),
        Expr::Negative(_) => "-".to_owned(),
        Expr::Literal(..) | Expr::Alias(_) => return None,
        _ => "an expression".to_owned(),
    })
}
