//! A table in an Iceberg REST catalog other than S3 Tables: a property carries its mark.

use async_trait::async_trait;
use lake::{Catalog, ErrorKind, TableCreation};
use pipeline::Target;
use provision::{Error, Found, Made, Mark, Resource, Result, Services};

use super::table::Wanted;
use crate::config::PipelineFile;
use crate::failure::with_causes;
use crate::wiring::pipelines::target_of;

const MADE_BY: &str = "dynaberg.made-by";

pub struct RestTable {
    lake: Catalog,
    target: Target,
    wanted: Option<Wanted>,
}

impl RestTable {
    pub fn new(lake: Catalog, file: &PipelineFile, wanted: Option<Wanted>) -> Self {
        Self { lake, target: target_of(file), wanted }
    }
}

#[async_trait]
impl Resource for RestTable {
    fn kind(&self) -> &'static str {
        "table"
    }

    fn name(&self) -> String {
        format!("{}.{}", self.target.table.namespace().to_url_string(), self.target.table.name())
    }

    fn wanted(&self) -> String {
        self.wanted.as_ref().map_or_else(String::new, |wanted| wanted.summary.clone())
    }

    async fn look(&self, _: &Services) -> Result<Found> {
        match self.lake.load_table(&self.target.table).await {
            Ok(table) => {
                let mark = table.metadata().properties().get(MADE_BY);
                Ok(Found::there(mark.and_then(|mark| Mark::parse(mark))))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Absent),
            Err(error) => Err(unanswered(&error)),
        }
    }

    async fn make(&self, services: &Services, mark: &Mark) -> Result<Made> {
        let Some(Wanted { creation, .. }) = &self.wanted else { return Ok(Made::Taken) };
        let mut properties = creation.properties.clone();
        properties.insert(MADE_BY.to_owned(), mark.value());
        let creation = TableCreation {
            name: creation.name.clone(),
            schema: creation.schema.clone(),
            partition_spec: creation.partition_spec.clone(),
            sort_order: creation.sort_order.clone(),
            properties,
        };
        let namespace = self.target.table.namespace();
        self.lake.ensure_namespace(namespace).await.map_err(|error| unanswered(&error))?;
        let created = services.count_change(self.lake.create_table(namespace, creation)).await;
        let Err(error) = created else { return Ok(Made::Done) };
        match self.look(services).await? {
            Found::There { mark: Some(made), .. } if made.run == mark.run => Ok(Made::Done),
            Found::There { .. } => Ok(Made::Taken),
            Found::Absent => Err(unanswered(&error)),
        }
    }

    async fn unmake(&self, services: &Services) -> Result<()> {
        match services.count_change(self.lake.drop_table(&self.target.table)).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(unanswered(&error)),
            _ => Ok(()),
        }
    }
}

fn unanswered(error: &lake::Error) -> Error {
    Error::Unanswered(format!("ask the catalog: {}", with_causes(error)))
}
