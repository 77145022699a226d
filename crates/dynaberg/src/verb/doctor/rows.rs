//! Looks at the lake's side: the table, its settings, and its rows beside the items of the source.

use iceberg::{NamespaceIdent, TableIdent};
use provision::{Service, Services};
use serde_json::{Map, Value, json};

use super::compare::compare;
use super::facts::{Facts, LakeTable};
use crate::aws::{Aws, on};
use crate::config::{Catalog, TargetName};
use crate::failure::{Exit, Failure, Outcome};
use crate::verb::sql;

const PAGES_MAX: usize = 1_000;

pub async fn look(
    aws: &Aws,
    services: &Services,
    catalog: Option<&Catalog>,
    name: &str,
    sample: usize,
    facts: &mut Facts,
) -> Outcome {
    let parsed = TargetName::parse(name);
    let target = parsed.map_err(|(message, advice)| Failure::new(Exit::Usage, message).advise(advice))?;
    let table = TableIdent::new(NamespaceIdent::new(target.namespace.clone()), target.table.clone());
    let catalog = aws.named_or_only(catalog).await?;
    let lake = aws.lake(Some(&catalog)).await?;
    let loaded = lake.load_table(&table).await?;
    let metadata = loaded.metadata();
    let fields = metadata.current_schema().as_struct().fields();
    let columns: Vec<(String, String)> =
        fields.iter().map(|field| (field.name.clone(), field.field_type.to_string())).collect();
    let is_ours = metadata.properties().keys().any(|property| property.starts_with("dynaberg."));
    let is_partitioned = !metadata.default_partition_spec().is_unpartitioned();
    let jobs_off = jobs_off(aws, &catalog, &table, facts).await;
    facts.lake = Some(LakeTable { name: name.to_owned(), is_partitioned, is_ours, jobs_off });

    let source = facts.source["TableName"].as_str().unwrap_or_default().to_owned();
    let items = items(services, &source, sample).await?;
    let rows = rows(aws, lake, &target, &columns, sample).await?;
    if items.len() > sample || rows.len() > sample {
        let faults = ["W1", "W2", "W4", "W5", "W8", "W9", "W10", "W11", "W17", "W18"];
        facts.miss(&faults, format!("there are more than {sample} items or rows. Try: --sample COUNT"));
        return Ok(());
    }
    facts.comparison = Some(compare(&facts.key_attributes(), &columns, &items, &rows));
    Ok(())
}

/// The jobs of S3 Tables that somebody switched off.
async fn jobs_off(aws: &Aws, catalog: &Catalog, table: &TableIdent, facts: &mut Facts) -> Vec<String> {
    let Catalog::TableBucket { arn, .. } = catalog else {
        facts.miss(&["W12"], "the maintenance of a catalog that is not S3 Tables");
        return Vec::new();
    };
    match aws.maintenance_policies(arn, table).await {
        Ok(policies) => {
            let jobs = [
                ("compaction", policies.compaction.is_none()),
                ("snapshot management", policies.snapshots.is_none()),
                ("unreferenced file removal", policies.unreferenced_files.is_none()),
            ];
            jobs.into_iter().filter(|(_, is_off)| *is_off).map(|(job, _)| job.to_owned()).collect()
        }
        Err(failure) => {
            facts.miss(&["W12"], format!("the maintenance of the table: {}", failure.message()));
            Vec::new()
        }
    }
}

/// All items, or a few more than `sample`.
async fn items(services: &Services, source: &str, sample: usize) -> Outcome<Vec<Map<String, Value>>> {
    let mut items = Vec::new();
    let mut body = json!({ "TableName": source, "ConsistentRead": true });
    for _ in 0..PAGES_MAX {
        let answer = services.json(on(Service::DynamoDb, "Scan"), body.clone()).await?;
        let page = answer["Items"].as_array().into_iter().flatten();
        items.extend(page.filter_map(|item| item.as_object().cloned()));
        if answer["LastEvaluatedKey"].is_null() || items.len() > sample {
            break;
        }
        body["ExclusiveStartKey"] = answer["LastEvaluatedKey"].clone();
    }
    Ok(items)
}

/// All rows, or one more than `sample`. Decimals come as text, so that no digit is lost on the way here.
async fn rows(
    aws: &Aws,
    lake: lake::Catalog,
    target: &TargetName,
    columns: &[(String, String)],
    sample: usize,
) -> Outcome<Vec<Map<String, Value>>> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let selected = columns.iter().map(|(name, kind)| match kind.starts_with("decimal") {
        true => format!("CAST({0} AS varchar) AS {0}", quoted(name)),
        false => quoted(name),
    });
    let sql = format!(
        "SELECT {} FROM {}.{} LIMIT {}",
        selected.collect::<Vec<_>>().join(", "),
        quoted(&target.namespace),
        quoted(&target.table),
        sample + 1
    );
    let answer = sql::engine(lake, &aws.ambient())?.query(&sql).await;
    let answer = answer.map_err(|error| Failure::caused_by(Exit::Service, &error))?;
    let mut text = Vec::new();
    let mut writer = arrow::json::ArrayWriter::new(&mut text);
    let unreadable = |error: arrow::error::ArrowError| Failure::caused_by(Exit::Other, &error);
    for batch in &answer.batches {
        writer.write(batch).map_err(unreadable)?;
    }
    writer.finish().map_err(unreadable)?;
    drop(writer);
    let text = if text.is_empty() { b"[]".as_slice() } else { &text };
    serde_json::from_slice(text).map_err(|error| Failure::caused_by(Exit::Other, &error))
}
