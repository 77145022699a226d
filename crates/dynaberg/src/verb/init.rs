//! `dynaberg init`: a pipeline file from a sample of items, without what looks sensitive.

mod attribute;

use std::path::PathBuf;

use crate::aws::Aws;
use crate::cli::InitArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::system;
use crate::wiring::SAMPLE_ITEMS;
use attribute::{Proposal, propose};

pub async fn run(arguments: InitArgs) -> Outcome {
    let Some(table) = arguments.from.strip_prefix("dynamodb:").filter(|table| !table.is_empty()) else {
        return Err(Failure::new(Exit::Usage, format!("--from {}: not a source", arguments.from))
            .advise("--from dynamodb:TABLE"));
    };
    let aws = Aws::from_environment(system::ambient()).await?;
    let source = pipeline::find_table(&aws.config, table).await?;
    let items = pipeline::sample_items(&aws.config, &source.name, SAMPLE_ITEMS).await?;
    let proposals = propose(&source.keys, &items);
    let target = arguments.target.clone().unwrap_or_else(|| format!("analytics.{}", lower_snake(&source.name)));
    let text = pipeline_file(&source.name, &target, &proposals);

    if arguments.file.as_deref().is_some_and(|file| file.as_os_str() == "-") {
        return output::line(text.trim_end());
    }
    let file = arguments.file.unwrap_or_else(|| PathBuf::from(format!("{}.toml", source.name)));
    write_new(&file, &text)?;
    write_new(&file.with_file_name("dynaberg.schema.json"), crate::config::JSON_SCHEMA).or_else(|failure| {
        // Another pipeline has brought it already.
        if file.with_file_name("dynaberg.schema.json").exists() { Ok(()) } else { Err(failure) }
    })?;
    output::line(format_args!("read {} items · {} attributes", items.len(), proposals.len()))?;
    let rows: Vec<Vec<String>> = proposals
        .iter()
        .map(|proposal| {
            let column = if proposal.is_left_out() { "— not selected".to_owned() } else { proposal.shown_type() };
            vec![proposal.name.clone(), format!("{} %", proposal.share_percent), column, proposal.note.clone()]
        })
        .collect();
    output::columns(&["attribute", "here", "proposed column", "note"], &rows)?;
    output::line(format_args!("wrote {}   next: dynaberg check {0}", file.display()))
}

/// Never writes over a file.
fn write_new(path: &std::path::Path, text: &str) -> Outcome {
    use std::io::Write;

    let created = std::fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    created.map_err(|error| {
        Failure::new(Exit::Configuration, format!("write {}: {error}", path.display())).advise("--file ANOTHER.toml")
    })
}

fn pipeline_file(source: &str, target: &str, proposals: &[Proposal]) -> String {
    let selected: Vec<String> =
        proposals.iter().filter(|proposal| !proposal.is_left_out()).map(Proposal::select_item).collect();
    let left_out: Vec<&str> = proposals.iter().filter(|p| p.sensitive).map(|p| p.name.as_str()).collect();
    let sensitive = match left_out.is_empty() {
        true => String::new(),
        false => {
            let names: Vec<String> = left_out.iter().map(|name| format!("{name:?}")).collect();
            format!(
                "# Left out below; select them through token(x) or mask(x, 4).\nsensitive = [{}]\n",
                names.join(", ")
            )
        }
    };
    format!(
        "#:schema ./dynaberg.schema.json\n[source]\ntable = {source:?}\n\n[target]\ntable = {target:?}\nmode  = \"mirror\"\n\n\
         [transform]\n{sensitive}sql = '''\nSELECT {}\nFROM   changes\n'''\n\n[delivery]\ninterval = \"10s\"\n",
        selected.join(",\n       ")
    )
}

fn lower_snake(name: &str) -> String {
    let snake: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    snake.trim_matches('_').to_owned()
}
