//! Lists, cut into pages.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::athena::failure::invalid;
use crate::athena::{Answer, Call};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    next_token: Option<String>,
    max_results: Option<usize>,
}

/// The page of `items` that the request asks for, as the member `name`. Items are in the order of their keys; a page's
/// token is the key of its last item.
pub(super) fn page(call: &Call<'_>, name: &str, items: Vec<(String, Value)>, count_max: usize) -> Answer {
    let Page { next_token, max_results } = call.parse()?;
    let count = max_results.unwrap_or(count_max);
    if count == 0 || count > count_max {
        return Err(invalid(format!("MaxResults must be from 1 to {count_max}")));
    }
    let mut rest = items.into_iter().filter(|(key, _)| next_token.as_ref().is_none_or(|token| key > token));
    let page: Vec<(String, Value)> = rest.by_ref().take(count).collect();
    let mut answer = Map::new();
    if rest.next().is_some()
        && let Some((last, _)) = page.last()
    {
        answer.insert("NextToken".to_owned(), last.clone().into());
    }
    answer.insert(name.to_owned(), page.into_iter().map(|(_, value)| value).collect());
    Ok(Value::Object(answer))
}
