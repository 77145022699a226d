//! Which engines can read a table as it is now. Its format version and the kinds of its deletes decide that.
//!
//! Athena and format version 3: <https://docs.aws.amazon.com/prescriptive-guidance/latest/apache-iceberg-on-aws/table-spec-v3.html>.
//! PyIceberg and equality deletes: <https://github.com/apache/iceberg-python/issues/3270>.

use crate::contents::TableContents;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader {
    pub engine: &'static str,
    pub verdict: Verdict,
    /// What of the table decides, unless every version of the engine reads it.
    pub because: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Yes,
    /// Newer versions of it.
    Recent,
    No,
}

const ENGINES: [&str; 8] = ["Dynaberg", "Athena", "Spark", "Trino", "DuckDB", "PyIceberg", "Snowflake", "Databricks"];

/// A trait of the table, and the engines that do not read it at all. The others do, or their newer versions do.
struct Obstacle {
    name: &'static str,
    refused_by: &'static [&'static str],
    others: Verdict,
}

/// The verdict on each engine: the worst that anything in the table brings about.
pub fn readers(contents: &TableContents) -> Vec<Reader> {
    let obstacles = obstacles(contents);
    let judge = |engine| {
        let verdicts = obstacles.iter().map(|obstacle| {
            let is_refused = obstacle.refused_by.contains(&engine);
            (if is_refused { Verdict::No } else { obstacle.others }, obstacle.name)
        });
        let worst = verdicts.filter(|(verdict, _)| *verdict > Verdict::Yes).max_by_key(|(verdict, _)| *verdict);
        match worst {
            Some((verdict, because)) => Reader { engine, verdict, because: Some(because) },
            None => Reader { engine, verdict: Verdict::Yes, because: None },
        }
    };
    ENGINES.into_iter().map(judge).collect()
}

fn obstacles(contents: &TableContents) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    if contents.is_v3() {
        // Ours reads a v3 table as long as it has no deletion vectors.
        obstacles.push(Obstacle { name: "format version 3", refused_by: &["Athena"], others: Verdict::Recent });
    }
    if contents.deletion_vectors > 0 {
        let refused_by = &["Dynaberg", "Athena"];
        obstacles.push(Obstacle { name: "deletion vectors", refused_by, others: Verdict::Recent });
    }
    if contents.equality_delete_files > 0 {
        let refused_by = &["Dynaberg", "PyIceberg", "Snowflake", "Databricks"];
        obstacles.push(Obstacle { name: "equality deletes", refused_by, others: Verdict::Yes });
    }
    if contents.other_formats > 0 {
        let name = "data files that are not Parquet";
        obstacles.push(Obstacle { name, refused_by: &["Dynaberg"], others: Verdict::Recent });
    }
    obstacles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(contents: TableContents) -> Vec<&'static str> {
        readers(&contents).iter().filter(|reader| reader.verdict == Verdict::No).map(|reader| reader.engine).collect()
    }

    #[test]
    fn position_deletes_of_version_two_keep_nobody_out() {
        let contents = TableContents { format_version: 2, position_delete_files: 9, ..Default::default() };
        assert!(readers(&contents).iter().all(|reader| reader.verdict == Verdict::Yes && reader.because.is_none()));
    }

    #[test]
    fn what_a_table_has_decides_who_reads_it() {
        let v2 = TableContents { format_version: 2, ..Default::default() };
        let v3 = TableContents { format_version: 3, ..Default::default() };
        let equality = TableContents { equality_delete_files: 1, ..v2.clone() };
        assert_eq!(refused(equality), ["Dynaberg", "PyIceberg", "Snowflake", "Databricks"]);
        assert_eq!(refused(v3.clone()), ["Athena"]);
        assert_eq!(refused(TableContents { deletion_vectors: 1, ..v3.clone() }), ["Dynaberg", "Athena"]);
        assert_eq!(refused(TableContents { other_formats: 1, ..v2 }), ["Dynaberg"]);
        let recent = readers(&v3).iter().filter(|reader| reader.verdict == Verdict::Recent).count();
        assert_eq!(recent, ENGINES.len() - 1);
    }
}
