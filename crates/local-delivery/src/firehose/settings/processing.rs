//! What is done to records on their way: a function, JQ over their content, a delimiter behind them.

use serde::{Deserialize, Serialize};

use crate::firehose::error::{self, Result};
use crate::firehose::processing::Query;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ProcessingConfiguration {
    #[serde(default)]
    pub enabled: bool,
    #[serde(default)]
    pub processors: Vec<Processor>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Processor {
    #[serde(rename = "Type")]
    pub kind: String,
    #[serde(default)]
    pub parameters: Vec<Parameter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Parameter {
    pub parameter_name: String,
    pub parameter_value: String,
}

/// The processors that are on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Processing {
    pub lambda: Option<LambdaProcessor>,
    /// A JQ filter over each record.
    pub metadata_extraction: Option<String>,
    /// What is put behind each record.
    pub delimiter: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LambdaProcessor {
    pub arn: String,
    pub retries: u32,
    pub buffer_bytes: u64,
    pub buffer_interval_ms: i64,
}

impl Processing {
    pub fn of(configuration: Option<&ProcessingConfiguration>) -> Result<Self> {
        let mut processing = Self::default();
        let Some(configuration) = configuration else { return Ok(processing) };
        for processor in &configuration.processors {
            match processor.kind.as_str() {
                "Lambda" => processing.lambda = Some(LambdaProcessor::of(processor)?),
                "MetadataExtraction" => processing.metadata_extraction = Some(query_of(processor)?),
                "AppendDelimiterToRecord" => {
                    processor.check_names(&["Delimiter"])?;
                    processing.delimiter = Some(processor.get("Delimiter").map_or("\n".to_owned(), unescaped));
                }
                known @ ("RecordDeAggregation" | "Decompression" | "CloudWatchLogProcessing") => {
                    return Err(error::not_served(&format!("Processor {known}"), "a Lambda processor"));
                }
                other => return Err(error::invalid(format!("Processor.Type `{other}` is not a type of processor"))),
            }
        }
        Ok(if configuration.enabled { processing } else { Self::default() })
    }
}

impl Processor {
    fn get(&self, name: &str) -> Option<&str> {
        let parameter = self.parameters.iter().find(|parameter| parameter.parameter_name == name);
        parameter.map(|parameter| parameter.parameter_value.as_str())
    }

    fn check_names(&self, known: &[&str]) -> Result<()> {
        match self.parameters.iter().find(|parameter| !known.contains(&parameter.parameter_name.as_str())) {
            None => Ok(()),
            Some(parameter) => Err(error::invalid(format!(
                "ParameterName `{}` is not a parameter of a {} processor. Try: {}",
                parameter.parameter_name,
                self.kind,
                known.join(", ")
            ))),
        }
    }

    /// A number within limits; `default` where the parameter is not given.
    fn number(&self, name: &str, default: f64, limits: std::ops::RangeInclusive<f64>) -> Result<f64> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let number = text.trim().parse().ok().filter(|number| limits.contains(number));
        number.ok_or_else(|| {
            let message = format!("{name} `{text}` must be a number between {} and {}", limits.start(), limits.end());
            error::invalid(message)
        })
    }
}

impl LambdaProcessor {
    fn of(processor: &Processor) -> Result<Self> {
        processor.check_names(&[
            "LambdaArn",
            "NumberOfRetries",
            "RoleArn",
            "BufferSizeInMBs",
            "BufferIntervalInSeconds",
        ])?;
        let arn = processor.get("LambdaArn").unwrap_or_default();
        let parts: Vec<&str> = arn.split(':').collect();
        if !matches!(
            parts[..],
            ["arn", _, "lambda", _, _, "function", _] | ["arn", _, "lambda", _, _, "function", _, _]
        ) {
            return Err(error::invalid(format!("LambdaArn `{arn}` must be the ARN of a function")));
        }
        Ok(Self {
            arn: arn.to_owned(),
            retries: processor.number("NumberOfRetries", 3.0, 0.0..=300.0)? as u32,
            buffer_bytes: (processor.number("BufferSizeInMBs", 1.0, 0.2..=3.0)? * f64::from(1 << 20)) as u64,
            buffer_interval_ms: (processor.number("BufferIntervalInSeconds", 60.0, 0.0..=900.0)? * 1_000.0) as i64,
        })
    }
}

fn query_of(processor: &Processor) -> Result<String> {
    processor.check_names(&["MetadataExtractionQuery", "JsonParsingEngine"])?;
    if let Some(engine) = processor.get("JsonParsingEngine").filter(|engine| *engine != "JQ-1.6") {
        return Err(error::invalid(format!("JsonParsingEngine `{engine}` must be JQ-1.6")));
    }
    let query = processor.get("MetadataExtractionQuery").filter(|query| !query.trim().is_empty());
    let query = query.ok_or_else(|| error::invalid("MetadataExtraction needs a MetadataExtractionQuery"))?;
    Query::compile(query).map_err(error::invalid)?;
    Ok(query.to_owned())
}

/// As AWS writes it: a backslash and an `n` for a new line.
fn unescaped(delimiter: &str) -> String {
    delimiter.replace("\\n", "\n").replace("\\t", "\t")
}
