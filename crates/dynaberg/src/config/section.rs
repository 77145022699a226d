//! The sections of the file as TOML has them, before their values mean anything.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::case::CaseSection;
use super::place::{self, Misfit};
use super::transform::{Declared, TransformSection};
use super::value::{
    Catalog, S3Prefix, TargetName, parse_consumer, parse_duration, parse_partition_field, parse_queue, parse_size,
    parse_source_table,
};
use super::{PipelineFile, SourceStream};
use crate::failure::Exit;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sections {
    source: Source,
    target: Target,
    #[serde(default)]
    delivery: Delivery,
    #[serde(default)]
    dead_letters: DeadLetters,
    transform: Option<TransformSection>,
    #[serde(default)]
    test: Vec<CaseSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    table: Spanned<String>,
    stream: Option<Spanned<String>>,
    kinesis_stream: Option<Spanned<String>>,
    fan_out: Option<Spanned<String>>,
    start: Option<Spanned<String>>,
    backfill: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    catalog: Option<Spanned<String>>,
    table: Spanned<String>,
    mode: Option<Spanned<String>>,
    #[serde(default)]
    partition: Vec<Spanned<String>>,
    sort: Option<Spanned<toml::Value>>,
    evolve: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Delivery {
    interval: Option<Spanned<String>>,
    size: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct DeadLetters {
    errors: Option<Spanned<String>>,
    queue: Option<Spanned<String>>,
    redrive: Option<Spanned<u32>>,
    redrive_after: Option<Spanned<String>>,
}

impl Sections {
    pub fn parse(text: &str) -> Result<Self, Misfit> {
        toml::from_str(text).map_err(|error: toml::de::Error| Misfit {
            exit: Exit::Usage,
            code: place::SYNTAX,
            message: error.message().to_owned(),
            span: error.span(),
            advice: advice_for(error.message()),
            file: None,
        })
    }

    pub fn into_pipeline(self, path: &Path, text: &str, name: String) -> Result<PipelineFile, Misfit> {
        self.refuse_unsupported()?;
        let start = match spanned(&self.source.start) {
            None | Some((_, "trim_horizon")) => pipeline::StartPosition::TrimHorizon,
            Some((_, "latest")) => pipeline::StartPosition::Latest,
            Some((span, _)) => return Err(one_of(span, "start", &["trim_horizon", "latest"])),
        };
        let mode = match spanned(&self.target.mode) {
            None | Some((_, "mirror")) => pipeline::Mode::Mirror,
            Some((_, "changelog")) => pipeline::Mode::Changelog,
            Some((span, _)) => return Err(one_of(span, "mode", &["mirror", "changelog"])),
        };
        let stream = self.source.stream()?;
        let cases = self.test.into_iter().zip(1..).map(|(case, number)| case.into_case(number));
        let cases = cases.collect::<Result<Vec<_>, _>>()?;
        let declared = self.transform.map(|transform| transform.into_declared(path, text)).transpose()?;
        let (transform, lambda) = match declared {
            None => (None, None),
            Some(Declared::Sql(transform)) => (Some(transform), None),
            Some(Declared::Lambda(function)) => (None, Some(function)),
        };
        if let (Some(_), Some(case)) = (&lambda, cases.first()) {
            let message = "a [[test]] tries SQL; a function is tested where it is written";
            return Err(Misfit::value(case.span.clone(), message, "remove the tests, or sql in place of lambda"));
        }
        let retries = self.dead_letters.retries()?;
        let partition = self.target.partition.iter().map(|field| parsed(field, parse_partition_field));
        Ok(PipelineFile {
            name,
            path: path.to_owned(),
            source_table: parsed(&self.source.table, parse_source_table)?,
            stream,
            start,
            catalog: self.target.catalog.as_ref().map(|catalog| parsed(catalog, Catalog::parse)).transpose()?,
            target: parsed(&self.target.table, TargetName::parse)?,
            mode,
            partition: partition.collect::<Result<_, _>>()?,
            evolve: self.target.evolve.unwrap_or(true),
            delivery: self.delivery.into_delivery()?,
            transform,
            lambda,
            cases,
            retries,
            dead_letters: self.dead_letters.errors.map(|errors| parsed(&errors, S3Prefix::parse)).transpose()?,
            dead_letter_queue: self.dead_letters.queue.map(|queue| parsed(&queue, parse_queue)).transpose()?,
        })
    }

    /// Keys of the file format that this version cannot honour are refused, never passed over.
    fn refuse_unsupported(&self) -> Result<(), Misfit> {
        let unsupported = |span, what: &str, advice: &str| {
            Err(Misfit::value(span, format!("{what} is not supported by this version"), advice))
        };
        if let Some((span, backfill)) = spanned(&self.source.backfill)
            && backfill != "none"
        {
            return match backfill {
                "scan" | "export" => unsupported(span, "backfill of older items", "backfill = \"none\""),
                _ => Err(one_of(span, "backfill", &["none", "scan", "export"])),
            };
        }
        if let Some(sort) = &self.target.sort {
            return unsupported(sort.span(), "sort", "remove the key: rows are kept in the order of their changes");
        }
        if let (Some(queue), None) = (&self.dead_letters.queue, &self.dead_letters.errors) {
            let message = "a queue is told of dead letters, and does not keep them";
            return Err(Misfit::value(queue.span(), message, "errors = \"s3://BUCKET/PREFIX/\" beside it"));
        }
        Ok(())
    }
}

impl Source {
    fn stream(&self) -> Result<SourceStream, Misfit> {
        match spanned(&self.stream) {
            Some((_, "kinesis")) => Ok(SourceStream::Kinesis {
                named: self.kinesis_stream.as_ref().map(|named| named.get_ref().clone()),
                fan_out: self.fan_out.as_ref().map(|consumer| parsed(consumer, parse_consumer)).transpose()?,
            }),
            None | Some((_, "dynamodb")) => {
                for (key, value) in [("kinesis_stream", &self.kinesis_stream), ("fan_out", &self.fan_out)] {
                    if let Some(value) = value {
                        let message = format!("{key} without stream = \"kinesis\"");
                        return Err(Misfit::value(value.span(), message, "stream = \"kinesis\""));
                    }
                }
                Ok(SourceStream::DynamoDb)
            }
            Some((span, _)) => Err(one_of(span, "stream", &["dynamodb", "kinesis"])),
        }
    }
}

impl DeadLetters {
    fn retries(&self) -> Result<Option<pipeline::Retries>, Misfit> {
        let Some(tries) = &self.redrive else {
            return match &self.redrive_after {
                None => Ok(None),
                Some(after) => Err(Misfit::value(after.span(), "redrive_after without redrive", "redrive = 5")),
            };
        };
        if self.errors.is_none() {
            let message = "there is nothing to redrive where no letters are kept";
            return Err(Misfit::value(tries.span(), message, "errors = \"s3://BUCKET/PREFIX/\" beside it"));
        }
        if *tries.get_ref() > REDRIVES_MAX {
            let message = format!("letters are tried again at most {REDRIVES_MAX} times");
            return Err(Misfit::value(tries.span(), message, "redrive = 5"));
        }
        let first_pause =
            self.redrive_after.as_ref().map_or(Ok(DEFAULT_REDRIVE_AFTER), |after| parsed(after, parse_duration))?;
        let retries = pipeline::Retries { tries_max: *tries.get_ref(), first_pause };
        Ok((retries.tries_max > 0).then_some(retries))
    }
}

impl Delivery {
    fn into_delivery(self) -> Result<pipeline::Delivery, Misfit> {
        Ok(pipeline::Delivery {
            interval: self.interval.map_or(Ok(DEFAULT_INTERVAL), |interval| parsed(&interval, parse_duration))?,
            size_bytes: self.size.map_or(Ok(DEFAULT_SIZE_BYTES), |size| parsed(&size, parse_size))?,
            records_max: usize::MAX,
        })
    }
}

const DEFAULT_INTERVAL: std::time::Duration = std::time::Duration::from_secs(10);
const REDRIVES_MAX: u32 = 20;
const DEFAULT_REDRIVE_AFTER: std::time::Duration = std::time::Duration::from_secs(30);
const DEFAULT_SIZE_BYTES: usize = 64 << 20;

fn spanned(value: &Option<Spanned<String>>) -> Option<(std::ops::Range<usize>, &str)> {
    value.as_ref().map(|value| (value.span(), value.get_ref().as_str()))
}

/// Parses a value; `parse` gives what is wrong and what to try.
pub(super) fn parsed<T>(
    value: &Spanned<String>,
    parse: impl Fn(&str) -> Result<T, (String, String)>,
) -> Result<T, Misfit> {
    parse(value.get_ref()).map_err(|(message, advice)| Misfit::value(value.span(), message, advice))
}

fn one_of(span: std::ops::Range<usize>, key: &str, values: &[&str]) -> Misfit {
    let listed: Vec<_> = values.iter().map(|value| format!("{key} = \"{value}\"")).collect();
    Misfit::value(span, format!("unknown value of `{key}`"), listed.join(" or "))
}

/// What to try after an error of the TOML reader.
fn advice_for(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    match (message.starts_with("unknown field"), quoted.next()) {
        (true, Some(unknown)) => {
            let known: Vec<&str> = quoted.collect();
            match known.iter().min_by_key(|known| distance(unknown, known)) {
                Some(nearest) if distance(unknown, nearest) <= 2 => format!("`{nearest}`"),
                _ => format!("one of {}", known.join(", ")),
            }
        }
        (false, Some(missing)) if message.starts_with("missing field") => format!("add the key `{missing}`"),
        _ => "compare with the keys in docs/src/pipeline-file.md".to_owned(),
    }
}

/// Levenshtein distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let changed = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
