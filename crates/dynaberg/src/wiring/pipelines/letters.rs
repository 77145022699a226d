//! The held letters of a pipeline, for those who only look.

use std::sync::Arc;

use iceberg::table::Table;
use pipeline::{
    Attributes, Checkpoint, DeadLetterQueue, Differences, Held, HeldFile, HeldLetter, Intake, Mode, Preview, Selection,
    SqlTransform, TableShape, preview, recorded_sql, sample_items,
};

use super::assembly::SAMPLE_ITEMS;
use super::parts::{dead_letters, function_of, target_of};
use crate::aws::Aws;
use crate::config::{Catalog, PipelineFile, Transform};
use crate::failure::Outcome;

/// What a table's checkpoint holds, and where it is kept.
pub struct HeldLetters {
    pub held: Held,
    /// The transform that the table's rows come by.
    in_force: Option<String>,
    file: PipelineFile,
    table: Table,
    letters: Box<dyn DeadLetterQueue>,
}

impl HeldLetters {
    pub async fn open(file: PipelineFile, catalog: Option<&Catalog>, aws: &Aws) -> Outcome<Self> {
        let lake = aws.lake(file.catalog.as_ref().or(catalog)).await?;
        let table = lake.load_table(&target_of(&file).table).await?;
        let checkpoint = lake::stored_checkpoint(&table).await?;
        let checkpoint = checkpoint.map(|text| Checkpoint::from_text(&text)).transpose()?.unwrap_or_default();
        // Nobody is told of anything, so the queue need not be there.
        let silent = PipelineFile { dead_letter_queue: None, ..file.clone() };
        let letters = dead_letters(&silent, &lake, table.metadata().location(), aws).await?;
        let in_force = checkpoint.transform().map(|transform| transform.id.clone());
        Ok(Self { held: checkpoint.held, in_force, file, table, letters })
    }

    /// The letters of one of the files that are held.
    pub async fn read(&mut self, path: &str) -> Outcome<Vec<HeldLetter>> {
        Ok(self.letters.read(path).await?)
    }

    /// The first letter of a file that is held; `None` where somebody deleted the file.
    pub async fn first_of(&mut self, file: &HeldFile) -> Outcome<Option<HeldLetter>> {
        let Some(line) = file.first_line() else { return Ok(None) };
        Ok(self.letters.letter(&file.path, line).await?)
    }

    /// What a redrive through the transform of the pipeline's file would do; and what that transform would make of the
    /// source's items, beside the one in force, where both are SQL.
    pub async fn preview(&mut self, selection: Selection, aws: &Aws) -> Outcome<(Preview, Option<Differences>)> {
        let source = pipeline::find_table(&aws.config, &self.file.source_table).await?;
        let schema = lake::arrow_schema(&self.table)?;
        let (mode, evolve) = (self.file.mode, self.file.evolve);
        let keys: Vec<String> = source.keys.iter().map(|key| key.name.clone()).collect();
        let (shape, sql, differences) = match &self.file.transform {
            None => (TableShape::from_table(schema, keys, mode, evolve && mode == Mode::Mirror), None, None),
            Some(transform) => {
                let items = sample_items(&aws.config, &source.name, SAMPLE_ITEMS).await?;
                let attributes = transform.attributes(&source.keys, &items, Some(&self.table))?;
                let sql = transform.compile(&attributes, mode, Some(&self.table))?;
                let differences = match self.transform_in_force(transform, &attributes)? {
                    Some(before) => Some(Differences::between(&before.try_items(&items)?, &sql.try_items(&items)?)),
                    None => None,
                };
                (TableShape::of_transformed(schema, sql.key_columns().to_vec(), mode), Some(sql), differences)
            }
        };
        let mut intake = Intake::new(sql.as_ref(), &shape)?;
        let lambda = function_of(&self.file, aws, &source.stream)?;
        let letters = self.letters.as_mut();
        let preview = preview(selection, &self.held, letters, &shape, &mut intake, lambda.as_ref()).await?;
        Ok((preview, differences))
    }

    /// As the table has it on record, with the settings of the file.
    fn transform_in_force(&self, declared: &Transform, attributes: &Attributes) -> Outcome<Option<Arc<SqlTransform>>> {
        let properties = self.table.metadata().properties();
        let Some(sql) = self.in_force.as_ref().and_then(|id| recorded_sql(properties, id)) else { return Ok(None) };
        // What is wrong with it now was perhaps right then: it only serves to compare with.
        Ok(declared.with_sql(sql).compile_leaky(attributes, self.file.mode, Some(&self.table))?.ok())
    }
}
