//! `dynaberg sql`: queries over the lake, and how fresh their answers are.

mod principal;
mod shell;

use std::io::IsTerminal;
use std::time::Duration;

use ambient::Ambient;
use miette::{LabeledSpan, MietteDiagnostic, Report, SourceOffset};
use query::{Answer, Engine, EngineOptions, Memory};
use tempfile::TempDir;

use crate::aws::Aws;
use crate::cli::{SqlArgs, TableFormat};
use crate::config::Catalog;
use crate::failure::{Exit, Failure, Outcome, with_causes};
use crate::output;
use crate::system;

pub async fn run(arguments: SqlArgs) -> Outcome {
    let ambient = system::ambient();
    let text = text(&arguments)?;
    let limited = arguments.memory.map(limited).transpose()?;
    let memory = limited.as_ref().map(|(memory, _)| memory.clone());
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let aws = Aws::from_environment(ambient.clone()).await?;
    if let Some(name) = &arguments.principal {
        let text = text.ok_or_else(|| {
            Failure::new(Exit::Usage, "--as answers a query, a file or standard input")
                .advise("dynaberg sql --as NAME 'SELECT …'")
        })?;
        let format = output::table_format_or_default(arguments.output);
        return principal::answer_all(&aws, name, &text, catalog.as_ref(), format).await;
    }
    let engine = open(&aws, catalog.as_ref(), memory, &ambient).await?;
    let format = output::table_format_or_default(arguments.output);

    match text {
        Some(text) => answer_all(&engine, &text, format, &ambient).await,
        None => shell::run(&engine, format, &ambient).await,
    }
}

/// Memory for one process, and the folder that takes what does not fit, which goes with its value.
fn limited(bytes_max: usize) -> Outcome<(Memory, TempDir)> {
    let folder = tempfile::Builder::new().prefix("dynaberg-spill-").tempdir();
    let folder = folder.map_err(|error| Failure::new(Exit::Other, format!("make a temporary folder: {error}")))?;
    let memory = Memory::limited(bytes_max, folder.path());
    Ok((memory.map_err(|error| Failure::caused_by(Exit::Other, &error))?, folder))
}

/// What the command line, a file or a pipe asks; `None` where somebody at a terminal is to be asked.
fn text(arguments: &SqlArgs) -> Outcome<Option<String>> {
    let failed = |what: String, error: std::io::Error| Failure::new(Exit::Usage, format!("{what}: {error}"));
    match (&arguments.query, &arguments.file) {
        (Some(text), _) => Ok(Some(text.clone())),
        (None, Some(file)) => std::fs::read_to_string(file)
            .map(Some)
            .map_err(|error| failed(format!("read query file {}", file.display()), error)),
        (None, None) if std::io::stdin().is_terminal() => Ok(None),
        (None, None) => std::io::read_to_string(std::io::stdin())
            .map(Some)
            .map_err(|error| failed("read queries from standard input".to_owned(), error)),
    }
}

/// Answers the statements in `text`, one after the other.
async fn answer_all(engine: &Engine, text: &str, format: TableFormat, ambient: &Ambient) -> Outcome {
    for query in query::parse(text).map_err(|error| query_failure(error, text))? {
        if query.export().is_some() {
            return Err(Failure::new(Exit::Usage, "UNLOAD is Athena's: here the answer comes to standard output")
                .advise("dynaberg sql 'SELECT …' --output csv > FILE"));
        }
        let started = system::stopwatch();
        let answer = engine.answer(query).await.map_err(|error| query_failure(error, text))?;
        if answer.schema.fields().is_empty() && format == TableFormat::Table {
            output::line("done")?;
            continue;
        }
        output::write_batches(format, answer.schema.clone(), &answer.batches)?;
        if format == TableFormat::Table {
            output::line(footer(&answer, started.elapsed(), ambient))?;
        }
    }
    Ok(())
}

/// A query engine over the lake that is named, and over the endpoint's table buckets.
async fn open(aws: &Aws, catalog: Option<&Catalog>, memory: Option<Memory>, ambient: &Ambient) -> Outcome<Engine> {
    let options = EngineOptions { memory, ..EngineOptions::default() };
    let engine = match catalog {
        Some(Catalog::Rest { .. }) => Engine::new(aws.lake(catalog).await?, ambient.clone(), options),
        _ => Engine::over(aws.catalogs(catalog).await?, ambient.clone(), options),
    };
    engine.map_err(|error| Failure::caused_by(Exit::Other, &error))
}

/// A query engine over one catalog.
pub fn engine(lake: lake::Catalog, ambient: &Ambient) -> Outcome<Engine> {
    let engine = Engine::new(lake, ambient.clone(), EngineOptions::default());
    engine.map_err(|error| Failure::caused_by(Exit::Other, &error))
}

/// A `--catalog` argument.
pub fn parse_catalog(text: &str) -> Outcome<Catalog> {
    Catalog::parse(text).map_err(|(message, advice)| {
        Failure::new(Exit::Usage, format!("--catalog {text}: {message}")).advise(format!("--catalog {advice}"))
    })
}

/// `4 rows · 6 ms · 14 KB read · complete up to 12:04:31.220 (1.4 s ago) · analytics.transactions snapshot 3`.
pub fn footer(answer: &Answer, elapsed: Duration, ambient: &Ambient) -> String {
    let (rows, ms, kb) = (answer.row_count(), elapsed.as_millis(), answer.bytes_read.div_ceil(1024));
    let mut footer = format!("{rows} rows · {ms} ms · {kb} KB read");
    let snapshots = || answer.tables.iter().filter_map(|table| Some((&table.name, table.snapshot.as_ref()?)));
    // A table that no pipeline writes says nothing of its source.
    if let Some(oldest) = snapshots().filter_map(|(_, snapshot)| snapshot.complete_up_to_ms).min() {
        let time = jiff::Timestamp::from_millisecond(oldest).unwrap_or_default().strftime("%H:%M:%S%.3f");
        let ago = (ambient.now_ms() - oldest).max(0) as f64 / 1000.0;
        footer.push_str(&format!(" · complete up to {time} UTC ({ago:.1} s ago)"));
    }
    for (name, snapshot) in snapshots() {
        footer.push_str(&format!(" · {name} snapshot {}", snapshot.sequence_number));
    }
    footer
}

/// A query's mistake, drawn at its place in the text.
pub fn query_failure(error: query::Error, sql: &str) -> Failure {
    let mut diagnostic = MietteDiagnostic::new(with_causes(&error)).with_code(error.code());
    if let Some(help) = error.help() {
        diagnostic = diagnostic.with_help(format!("Try: {help}"));
    }
    if let Some(place) = error.place() {
        let offset = |line, column| SourceOffset::from_location(sql, line as usize, column as usize).offset();
        let start = offset(place.line, place.column);
        let length = offset(place.end_line, place.end_column).saturating_sub(start);
        let label = error.label().unwrap_or("here").to_owned();
        diagnostic = diagnostic.with_label(LabeledSpan::new(Some(label), start, length));
    }
    Failure::at_place(Exit::Service, Report::new(diagnostic).with_source_code(sql.to_owned()))
}
