//! Parameters of a statement: values as the client sent them, as literals of Athena's SQL.
//!
//! A literal goes into the statement's tree, never into its text, so that no value is ever taken for SQL.

use bytes::{Buf, Bytes};
use query::PgType;

use crate::postgres::binary;
use crate::postgres::failure::{BAD_TEXT, Failure, PROTOCOL, UNSUPPORTED};
use crate::postgres::frontend::Bind;

/// What a client says of a parameter of which it knows no type.
pub(super) const UNKNOWN: i32 = 0;
const VARCHAR: i32 = 1043;
const BPCHAR: i32 = 1042;
const NAME: i32 = 19;
const OID: i32 = 26;
const UNKNOWN_TEXT: i32 = 705;

/// The literals of what was bound to a statement whose parameters have these types.
pub(super) fn literals(bind: &Bind, types: &[i32]) -> Result<Vec<String>, Failure> {
    let is_binary = |index: usize| match bind.formats.as_slice() {
        [] => false,
        [all] => *all == 1,
        each => each.get(index).is_some_and(|format| *format == 1),
    };
    let known = |index: usize| types.get(index).copied().unwrap_or(UNKNOWN);
    let values = bind.values.iter().enumerate();
    values
        .map(|(index, value)| match value {
            None => Ok("NULL".to_owned()),
            Some(value) if is_binary(index) => of_binary(value, known(index)),
            Some(value) => {
                let text =
                    std::str::from_utf8(value).map_err(|_| Failure::new(BAD_TEXT, "a parameter is not UTF-8"))?;
                of_text(text, known(index))
            }
        })
        .collect()
}

/// A value that was sent as text.
fn of_text(text: &str, oid: i32) -> Result<String, Failure> {
    let malformed = |what: &str| Failure::new(BAD_TEXT, format!("invalid input for type {what}: \"{text}\""));
    let trimmed = text.trim();
    Ok(match known(oid) {
        Some(PgType::BOOL) => match trimmed.to_lowercase().as_str() {
            "t" | "true" | "on" | "yes" | "1" => "true".to_owned(),
            "f" | "false" | "off" | "no" | "0" => "false".to_owned(),
            _ => return Err(malformed("boolean")),
        },
        Some(PgType::INT2 | PgType::INT4 | PgType::INT8) => {
            trimmed.parse::<i64>().map_err(|_| malformed("integer"))?.to_string()
        }
        Some(PgType::NUMERIC) if is_decimal(trimmed) => trimmed.trim_start_matches('+').to_owned(),
        Some(PgType::FLOAT4 | PgType::FLOAT8 | PgType::NUMERIC) => {
            float(trimmed.parse().map_err(|_| malformed("number"))?)
        }
        Some(PgType::DATE) => format!("DATE {}", quoted(trimmed)),
        Some(PgType::TIMESTAMP | PgType::TIMESTAMPTZ) => format!("TIMESTAMP {}", quoted(trimmed)),
        Some(PgType::BYTEA) => {
            let digits = trimmed.strip_prefix("\\x").ok_or_else(|| malformed("bytea"))?;
            let is_hex = digits.len() % 2 == 0 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !is_hex {
                return Err(malformed("bytea"));
            }
            format!("X'{digits}'")
        }
        _ => quoted(text),
    })
}

fn of_binary(value: &Bytes, oid: i32) -> Result<String, Failure> {
    let malformed = || Failure::new(PROTOCOL, "a binary parameter is of the wrong length");
    let sized = |size: usize| if value.len() == size { Ok(value.clone()) } else { Err(malformed()) };
    Ok(match known(oid) {
        Some(PgType::BOOL) => (sized(1)?[0] != 0).to_string(),
        Some(PgType::INT2) => sized(2)?.get_i16().to_string(),
        Some(PgType::INT4) => sized(4)?.get_i32().to_string(),
        Some(PgType::INT8) => sized(8)?.get_i64().to_string(),
        Some(PgType::FLOAT4) => float(f64::from(sized(4)?.get_f32())),
        Some(PgType::FLOAT8) => float(sized(8)?.get_f64()),
        Some(PgType::NUMERIC) => binary::numeric_text(value).ok_or_else(malformed)?,
        Some(PgType::DATE) => format!("DATE '{}'", binary::date_text(sized(4)?.get_i32()).ok_or_else(malformed)?),
        Some(PgType::TIMESTAMP) => {
            format!("TIMESTAMP '{}'", binary::timestamp_text(sized(8)?.get_i64()).ok_or_else(malformed)?)
        }
        Some(PgType::TIMESTAMPTZ) => {
            format!("TIMESTAMP '{} UTC'", binary::timestamp_text(sized(8)?.get_i64()).ok_or_else(malformed)?)
        }
        Some(PgType::BYTEA) => {
            let digits: Vec<String> = value.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("X'{}'", digits.concat())
        }
        Some(_) => quoted(std::str::from_utf8(value).map_err(|_| Failure::new(BAD_TEXT, "a parameter is not UTF-8"))?),
        None => {
            let message = format!("binary parameters of the type with OID {oid} are not served here");
            return Err(Failure::new(UNSUPPORTED, message).try_instead("sending it as text"));
        }
    })
}

/// The type of a number, where it is one that we read; texts are all one.
fn known(oid: i32) -> Option<PgType> {
    let all = [
        PgType::BOOL,
        PgType::BYTEA,
        PgType::INT8,
        PgType::INT2,
        PgType::INT4,
        PgType::TEXT,
        PgType::JSON,
        PgType::FLOAT4,
        PgType::FLOAT8,
        PgType::DATE,
        PgType::TIMESTAMP,
        PgType::TIMESTAMPTZ,
        PgType::NUMERIC,
    ];
    match oid {
        UNKNOWN | VARCHAR | BPCHAR | NAME | UNKNOWN_TEXT => Some(PgType::TEXT),
        OID => Some(PgType::INT4),
        oid => all.into_iter().find(|known| known.oid == oid),
    }
}

fn is_decimal(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.bytes().any(|byte| byte.is_ascii_digit())
        && digits.matches('.').count() <= 1
}

fn float(value: f64) -> String {
    if value.is_finite() { format!("{value:e}") } else { quoted(&value.to_string()) }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_literals_of_their_type() {
        let text = |text: &str, known: PgType| of_text(text, known.oid).unwrap();
        assert_eq!(text("-5", PgType::INT4), "-5");
        assert_eq!(text("1.50", PgType::NUMERIC), "1.50");
        assert_eq!(text("1.5", PgType::FLOAT8), "1.5e0");
        assert_eq!(text("x' OR 1=1", PgType::TEXT), "'x'' OR 1=1'");
        assert_eq!(text("2026-01-01", PgType::DATE), "DATE '2026-01-01'");
        assert_eq!(of_text("5; DROP TABLE t", PgType::INT8.oid).unwrap_err().code, BAD_TEXT);
        assert_eq!(of_text("\\x0", PgType::BYTEA.oid).unwrap_err().code, BAD_TEXT);
        let binary = |bytes: &'static [u8], known: PgType| of_binary(&Bytes::from_static(bytes), known.oid);
        assert_eq!(binary(&[0xff, 0xff], PgType::INT2).unwrap(), "-1");
        assert_eq!(binary(&[0, 0, 0, 1], PgType::DATE).unwrap(), "DATE '2000-01-02'");
        assert_eq!(binary(&[0], PgType::INT4).unwrap_err().code, PROTOCOL);
        assert_eq!(of_binary(&Bytes::new(), 600).unwrap_err().code, UNSUPPORTED);
    }
}
