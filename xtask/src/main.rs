//! `cargo xtask`: everything that is done to this workspace besides writing it.

mod bench;
mod check;
mod dataset;
mod dist;
mod dynamodb_local;
mod kinesalite;
mod python;
mod sbom;
mod test;
mod workspace;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask COMMAND

  test  [PATTERN]          Rust tests, then the cross-engine tests in Python. Sets up what it needs.
  check                    What a change must pass: format, clippy, walls, licences, tests.
  walls                    The arrows between crates, and one copy of what must be one.
  dist                     The release archive, the list of what it is made of (CycloneDX), and checksums.
  bench ingest             CPU, memory and size of `replay` on datasets A and B.
  bench firehose           From PutRecordBatch to visible, with an interval of a second.
  bench freshness          Write to visible by either stream, at 500 items a second with commits every second.
  bench kinesis            Records into a stream, out of it, onto the disk, and a pipeline that is far behind.
  bench maintain           A table after 1,000 commits: read as it is, maintained, and beside a fresh one.
  bench processing [PART]  A transform, a function, a queue, held letters: what each of them costs.
  bench query              The two analytics queries on 1 M and 10 M rows, beside DuckDB on the same files.
  bench analysts           From a query to its rows through Athena's API and psql's, and 16 heavy queries at once.
  dataset A|B EVENTS FILE  Writes a benchmark dataset.
";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test"] => test::run_all(None),
        ["test", pattern] => test::run_all(Some(pattern)),
        ["check"] => check::run(),
        ["walls"] => check::walls(),
        ["dist"] => dist::run_dist(),
        ["bench", "ingest"] => bench::ingest::run(),
        ["bench", "firehose"] => bench::firehose::run_bench(),
        ["bench", "freshness"] => bench::freshness::run_bench(),
        ["bench", "kinesis"] => bench::kinesis::run_bench(),
        ["bench", "maintain"] => bench::maintain::run_bench(),
        ["bench", "processing"] => bench::processing::run(None),
        ["bench", "processing", part @ ("transform" | "function" | "queue" | "letters")] => {
            bench::processing::run(Some(part))
        }
        ["bench", "analysts"] => bench::analysts::run_bench(),
        ["bench", "query"] => bench::query::run_bench(),
        ["dataset", kind @ ("A" | "B"), events, file] => {
            let kind = if *kind == "A" { dataset::Dataset::A } else { dataset::Dataset::B };
            println!("{:?}", dataset::write(kind, events.parse()?, 7, file.as_ref())?);
            Ok(())
        }
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => bail!("unknown command: {}\n\n{USAGE}", words.join(" ")),
    }
}
