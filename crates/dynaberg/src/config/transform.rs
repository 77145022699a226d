//! `[transform]`: a function, or the SQL, where its key is, and what must not get out.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::datatypes::DataType;
use iceberg::arrow::type_to_arrow_type;
use pipeline::{FunctionName, Problem, SqlTransform, TokenKey};
use serde::Deserialize;
use toml::Spanned;

use super::place::Misfit;
use super::section::parsed;
use crate::failure::{Exit, Failure, Outcome};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformSection {
    sql: Option<Spanned<String>>,
    sql_file: Option<Spanned<String>>,
    lambda: Option<Spanned<String>>,
    token_key: Option<Spanned<String>>,
    #[serde(default)]
    attributes: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    sensitive: Vec<String>,
    #[serde(default)]
    allow: Vec<Spanned<String>>,
}

/// What `[transform]` declares.
pub enum Declared {
    Sql(Transform),
    Lambda(FunctionName),
}

/// A transform as declared: its SQL is known to be well formed, and nothing more.
#[derive(Clone, Debug)]
pub struct Transform {
    pub sql: SqlText,
    pub token_key: Option<SecretPlace>,
    /// The types that attributes have in `changes`, whatever items show.
    pub attributes_declared: Vec<(String, DataType)>,
    /// Attributes whose values must not get out unmasked.
    pub sensitive: Vec<String>,
    pub allow: Vec<Allowance>,
}

/// The SQL, and where it stands.
#[derive(Clone, Debug)]
pub struct SqlText {
    pub text: String,
    origin: Origin,
}

#[derive(Clone, Debug)]
enum Origin {
    /// The value in the pipeline file, and where its first character stands, unless it is written with escapes.
    Inline {
        span: Range<usize>,
        start: Option<usize>,
    },
    File(PathBuf),
}

/// Where a secret is. The file never holds one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    Environment(String),
    File(PathBuf),
}

/// `allow = ["brand <- card_pan: reason"]`: one leak that somebody answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// `(filter)` for the filter.
    pub column: String,
    pub attribute: String,
    pub reason: String,
    pub span: Range<usize>,
}

impl TransformSection {
    pub fn into_declared(self, path: &Path, text: &str) -> Result<Declared, Misfit> {
        match &self.lambda {
            Some(lambda) => {
                self.refuse_beside_function(lambda.span())?;
                Ok(Declared::Lambda(parsed(lambda, parse_function_name)?))
            }
            None => Ok(Declared::Sql(self.into_transform(path, text)?)),
        }
    }

    /// What a function does is its own: nothing can be said about it that would be kept.
    fn refuse_beside_function(&self, lambda: Range<usize>) -> Result<(), Misfit> {
        if let Some(sql) = self.sql.as_ref().or(self.sql_file.as_ref()) {
            return Err(Misfit::value(sql.span(), "there are two transforms", "one of sql, sql_file and lambda"));
        }
        let is_of_sql = [
            ("token_key", self.token_key.is_some()),
            ("attributes", !self.attributes.is_empty()),
            ("sensitive", !self.sensitive.is_empty()),
            ("allow", !self.allow.is_empty()),
        ];
        match is_of_sql.iter().find(|(_, is_set)| *is_set) {
            Some((key, _)) => {
                let message = format!("{key} is about SQL: what a function lets out cannot be proved");
                Err(Misfit::value(lambda, message, format!("remove {key}, or sql in place of lambda")))
            }
            None => Ok(()),
        }
    }

    fn into_transform(self, path: &Path, text: &str) -> Result<Transform, Misfit> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let sql = match (self.sql, self.sql_file) {
            (Some(sql), None) => SqlText::inline(sql, text),
            (None, Some(file)) => SqlText::read(&file, folder)?,
            (Some(_), Some(file)) => {
                return Err(Misfit::value(file.span(), "there are two transforms", "one of sql and sql_file"));
            }
            (None, None) => {
                let advice = "sql = \"SELECT id, amount FROM changes\", or no [transform] to copy every attribute";
                return Err(Misfit { span: None, ..Misfit::value(0..0, "[transform] has no SQL", advice) });
            }
        };
        SqlTransform::check_syntax(&sql.text).map_err(|problem| sql.misfit(problem))?;
        let attribute = |(name, data_type): (String, Spanned<String>)| Ok((name, parsed(&data_type, parse_type)?));
        let allow = |allow: &Spanned<String>| {
            parsed(allow, parse_allowance).map(|allowance| Allowance { span: allow.span(), ..allowance })
        };
        let token_key = self.token_key.map(|key| parsed(&key, |text| parse_secret_place(text, folder))).transpose()?;
        Ok(Transform {
            sql,
            token_key,
            attributes_declared: self.attributes.into_iter().map(attribute).collect::<Result<_, _>>()?,
            sensitive: self.sensitive,
            allow: self.allow.iter().map(allow).collect::<Result<_, _>>()?,
        })
    }
}

impl Transform {
    /// The same with another text, which no file has.
    pub fn with_sql(&self, text: String) -> Self {
        let sql = SqlText { text, origin: Origin::Inline { span: 0..0, start: None } };
        Self { sql, ..self.clone() }
    }
}

impl SqlText {
    fn inline(sql: Spanned<String>, file: &str) -> Self {
        let span = sql.span();
        let text = sql.into_inner();
        let written = file.get(span.clone()).unwrap_or_default();
        let start = written.find(&text).map(|start| span.start + start);
        Self { text, origin: Origin::Inline { span, start } }
    }

    fn read(file: &Spanned<String>, folder: &Path) -> Result<Self, Misfit> {
        let path = folder.join(file.get_ref());
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let message = format!("read {}: {error}", path.display());
            Misfit::value(file.span(), message, "a path from the folder of the pipeline file")
        })?;
        Ok(Self { text, origin: Origin::File(path) })
    }

    /// The problem at its place in the file that the SQL stands in.
    pub fn misfit(&self, problem: Problem) -> Misfit {
        let (span, file) = match &self.origin {
            Origin::File(path) => (problem.place, Some(Box::new((path.clone(), self.text.clone())))),
            Origin::Inline { span, start: None } => (Some(span.clone()), None),
            Origin::Inline { span, start: Some(start) } => {
                let place = problem.place.map(|place| start + place.start..start + place.end);
                (place.or(Some(span.clone())), None)
            }
        };
        let advice = problem.help.unwrap_or_else(|| format!("dynaberg explain {}", problem.code));
        Misfit { exit: Exit::Usage, code: problem.code, message: problem.message, span, advice, file }
    }
}

impl SecretPlace {
    /// Reads the secret, and makes a key of it.
    pub fn read(&self) -> Outcome<TokenKey> {
        let failure = |message: String, advice: &str| Failure::new(Exit::Configuration, message).advise(advice);
        let (secret, what) = match self {
            Self::Environment(name) => (
                std::env::var(name).ok().map(String::into_bytes).ok_or_else(|| {
                    failure(format!("token_key: there is no environment variable {name}"), &format!("export {name}=…"))
                })?,
                format!("environment variable {name}"),
            ),
            Self::File(path) => {
                let read = std::fs::read(path).map_err(|error| {
                    failure(format!("token_key: read {}: {error}", path.display()), "openssl rand -hex 32 > FILE")
                })?;
                (read, format!("file {}", path.display()))
            }
        };
        TokenKey::new(secret.trim_ascii()).ok_or_else(|| {
            failure(
                format!("token_key: {what} holds fewer than 16 bytes, which can be guessed"),
                "openssl rand -hex 32",
            )
        })
    }
}

fn parse_function_name(text: &str) -> Result<FunctionName, (String, String)> {
    FunctionName::parse(text).ok_or_else(|| {
        let advice = "lambda = \"NAME\" or lambda = \"arn:aws:lambda:REGION:ACCOUNT:function:NAME\"";
        (format!("`{text}` does not name a function"), advice.to_owned())
    })
}

fn parse_secret_place(text: &str, folder: &Path) -> Result<SecretPlace, (String, String)> {
    match text.split_once(':') {
        Some(("env", name)) if !name.is_empty() => Ok(SecretPlace::Environment(name.to_owned())),
        Some(("file", path)) if !path.is_empty() => Ok(SecretPlace::File(folder.join(path))),
        _ => Err((
            "a key is never in the file: token_key says where it is".into(),
            "token_key = \"env:NAME\" or token_key = \"file:PATH\"".into(),
        )),
    }
}

fn parse_allowance(text: &str) -> Result<Allowance, (String, String)> {
    let wrong = || {
        (
            "a leak is allowed by its column, its attribute and a reason".to_owned(),
            "allow = [\"brand <- card_pan: the first digit tells the brand, and nobody\"]".to_owned(),
        )
    };
    let (column, rest) = text.split_once("<-").ok_or_else(wrong)?;
    let (attribute, reason) = rest.split_once(':').ok_or_else(wrong)?;
    let [column, attribute, reason] = [column, attribute, reason].map(|part| part.trim().to_owned());
    if column.is_empty() || attribute.is_empty() || reason.is_empty() {
        return Err(wrong());
    }
    Ok(Allowance { column, attribute, reason, span: 0..0 })
}

/// A type as `dynaberg schema` takes it.
fn parse_type(text: &str) -> Result<DataType, (String, String)> {
    let data_type = lake::parse_type(text).and_then(|parsed| type_to_arrow_type(&parsed).ok());
    data_type.ok_or_else(|| {
        (format!("`{text}` is not a type"), "string, long, decimal(38,2), boolean, binary, list<string>, …".into())
    })
}
