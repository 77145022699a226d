//! What continuous integration and developers run: `cargo xtask COMMAND`.

mod dataset;

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::dataset::{Dataset, Expected};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["dataset", kind, events, seed, path] => {
            let kind = match kind {
                "A" => Dataset::A,
                "B" => Dataset::B,
                other => bail!("dataset `{other}` is not A or B"),
            };
            let events = events.parse().context("EVENTS is not a number")?;
            let seed = seed.parse().context("SEED is not a number")?;
            println!("{:?}", dataset::write(kind, events, seed, Path::new(path))?);
            Ok(())
        }
        ["dataset", "of-csv"] => {
            println!("{:?}", Expected::of_csv(std::io::stdin().lock())?);
            Ok(())
        }
        _ => bail!("usage: cargo xtask dataset A|B EVENTS SEED PATH, or: cargo xtask dataset of-csv < TABLE.csv"),
    }
}
