//! Sets, which come in any order: equal sets become equal lists.

use crate::decode::misfit::Misfit;
use crate::decode::number::Number;
use crate::decode::scalar;
use crate::decode::tape::Elements;
use crate::decode::value::{SetOf, Value};

/// The values of a set in their order: text and bytes by bytes, numbers by value.
pub(crate) fn sorted_set(of: SetOf, elements: Elements<'_>) -> Result<Vec<Value<'_>>, Misfit> {
    let texts = elements.map(|element| element.as_str().ok_or(Misfit::NotAValue)).collect::<Result<Vec<_>, _>>()?;
    Ok(match of {
        SetOf::Strings => distinct_by(texts, |text| Ok(*text))?.into_iter().map(Value::S).collect(),
        SetOf::Numbers => distinct_by(texts, |text| Ok(Number::parse(text)?))?.into_iter().map(Value::N).collect(),
        SetOf::Binaries => distinct_by(texts, |text| {
            let mut bytes = Vec::new();
            scalar::base64(text, &mut bytes)?;
            Ok(bytes)
        })?
        .into_iter()
        .map(Value::B)
        .collect(),
    })
}

fn distinct_by<'t, K: Ord>(
    texts: Vec<&'t str>,
    key: impl Fn(&&'t str) -> Result<K, Misfit>,
) -> Result<Vec<&'t str>, Misfit> {
    let mut keyed = texts.into_iter().map(|text| Ok((key(&text)?, text))).collect::<Result<Vec<_>, Misfit>>()?;
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    keyed.dedup_by(|a, b| a.0 == b.0);
    Ok(keyed.into_iter().map(|(_, text)| text).collect())
}
