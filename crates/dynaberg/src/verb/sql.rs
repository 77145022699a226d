//! `dynaberg sql`: a query over the lake, and how fresh its answer is.

use std::time::UNIX_EPOCH;

use ambient::Ambient;
use query::{Answer, Engine, EngineOptions};

use crate::aws::Aws;
use crate::cli::{SqlArgs, TableFormat};
use crate::config::Catalog;
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::system;

pub async fn run(arguments: SqlArgs) -> Outcome {
    let ambient = system::ambient();
    let text = match (&arguments.query, &arguments.file) {
        (Some(text), _) => text.clone(),
        (None, Some(file)) => std::fs::read_to_string(file).map_err(|error| {
            Failure::new(Exit::Usage, format!("read query file {}: {error}", file.display()))
        })?,
        (None, None) => unreachable!("clap asks for one of them"),
    };
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let lake = Aws::from_environment(ambient.clone()).await?.lake(catalog.as_ref()).await?;
    let engine = Engine::new(lake, EngineOptions::default(), ambient.clone());

    let started = system::stopwatch();
    let answer = engine.query(&text).await.map_err(query_failure)?;
    let format = output::table_format_or_default(arguments.output);
    output::write_batches(format, &answer.batches)?;
    if format == TableFormat::Table {
        output::line(footer(&answer, started.elapsed(), &ambient))?;
    }
    Ok(())
}

/// A `--catalog` argument.
pub fn parse_catalog(text: &str) -> Outcome<Catalog> {
    Catalog::parse(text).map_err(|(message, advice)| {
        Failure::new(Exit::Usage, format!("--catalog {text}: {message}")).advise(format!("--catalog {advice}"))
    })
}

/// `4 rows · 6 ms · 14 KB read · complete up to 12:04:31.220 (1.4 s ago) · snapshot 3`.
pub fn footer(answer: &Answer, elapsed: std::time::Duration, ambient: &Ambient) -> String {
    let rows: usize = answer.batches.iter().map(|batch| batch.num_rows()).sum();
    let mut footer = format!("{rows} rows · {} ms · {} KB read", elapsed.as_millis(), answer.bytes_read.div_ceil(1024));
    if let Some(oldest) = answer.tables.iter().filter_map(|table| table.complete_up_to_ms).min() {
        let moment = UNIX_EPOCH + std::time::Duration::from_millis(oldest.max(0) as u64);
        let time = jiff::Timestamp::try_from(moment).map(|moment| moment.strftime("%H:%M:%S%.3f").to_string());
        let ago = (ambient.now_ms() - oldest).max(0) as f64 / 1000.0;
        footer.push_str(&format!(" · complete up to {} ({ago:.1} s ago)", time.unwrap_or_default()));
    }
    for table in &answer.tables {
        if let Some(sequence_number) = table.sequence_number {
            footer.push_str(&format!(" · {} snapshot {sequence_number}", table.name));
        }
    }
    footer
}

pub fn query_failure(error: query::Error) -> Failure {
    Failure::caused_by(Exit::Usage, &error)
}
