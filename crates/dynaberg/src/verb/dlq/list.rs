//! `dynaberg dlq list`: what is held, by code.

use std::collections::BTreeMap;

use pipeline::{HeldFile, HeldLetter};
use serde::Serialize;

use crate::aws::Aws;
use crate::cli::{DlqListArgs, Format};
use crate::config::read_pipelines;
use crate::failure::Outcome;
use crate::output;
use crate::system;
use crate::verb::sql::parse_catalog;
use crate::wiring::HeldLetters;

/// The letters of one code.
#[derive(Serialize)]
struct Group {
    pipeline: String,
    code: String,
    held: u64,
    /// How many of them are older than what the table has of their item.
    superseded: u64,
    /// How often they were tried again by themselves, at the most.
    tries: u32,
    /// How many of them were given up after tries in vain.
    given_up: u64,
    /// When the first and the last of them were rejected.
    first: String,
    last: String,
    /// Why, by the first of them.
    example: String,
}

pub async fn run(arguments: DlqListArgs) -> Outcome {
    let aws = Aws::from_environment(system::ambient()).await?;
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let mut groups = Vec::new();
    for file in read_pipelines(&arguments.pipelines)? {
        let name = file.name.clone();
        let mut letters = HeldLetters::open(file, catalog.as_ref(), &aws).await?;
        let mut files: BTreeMap<String, Vec<HeldFile>> = BTreeMap::new();
        for file in letters.held.files() {
            files.entry(file.code().to_owned()).or_default().push(file.clone());
        }
        for (code, files) in files {
            groups.push(group(&name, code, &files, &mut letters).await?);
        }
    }
    match output::format_or_default(arguments.output) {
        Format::Json => output::json(&groups),
        Format::Table => show(&groups),
    }
}

async fn group(pipeline: &str, code: String, files: &[HeldFile], letters: &mut HeldLetters) -> Outcome<Group> {
    let (Some(first), Some(last)) = (files.first(), files.last()) else { unreachable!("a group has a file") };
    // Those of one file were rejected at one time.
    let (example, of_last) = (letters.first_of(first).await?, letters.first_of(last).await?);
    let time =
        |letter: &Option<HeldLetter>| letter.as_ref().map(|letter| letter.rejected_at.to_string()).unwrap_or_default();
    Ok(Group {
        pipeline: pipeline.to_owned(),
        code,
        held: files.iter().map(|file| u64::from(file.len())).sum(),
        superseded: files.iter().map(|file| u64::from(file.superseded())).sum(),
        tries: files.iter().map(HeldFile::tries).max().unwrap_or_default(),
        given_up: files.iter().filter(|file| file.is_given_up()).map(|file| u64::from(file.len())).sum(),
        first: time(&example),
        last: time(&of_last),
        example: example.map(|letter| letter.reason).unwrap_or_default(),
    })
}

fn show(groups: &[Group]) -> Outcome {
    if groups.is_empty() {
        return output::line("no letters are held");
    }
    for group in groups {
        let Group { pipeline, code, held, first, last, example, superseded, tries, given_up } = group;
        let superseded = match superseded {
            0 => String::new(),
            count => format!(" · {count} older than the table"),
        };
        let tried = match (tries, given_up) {
            (0, _) => String::new(),
            (1, 0) => " · tried again once".to_owned(),
            (tries, 0) => format!(" · tried again {tries} times"),
            (tries, given_up) => format!(" · tried again {tries} times, {given_up} given up"),
        };
        output::line(format_args!("{pipeline}  {code}  {held} held{superseded}{tried}  {first} – {last}   {example}"))?;
    }
    output::line(
        "  Try: dynaberg dlq show PIPELINE.toml, or dynaberg dlq try PIPELINE.toml once its transform is corrected",
    )
}
