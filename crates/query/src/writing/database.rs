//! Makes and removes databases: those of `AwsDataCatalog`, and namespaces of table buckets.

use datafusion::sql::sqlparser::ast::ObjectName;

use crate::answer::Answer;
use crate::answer::Wrote;
use crate::catalogs::Context;
use crate::engine::Engine;
use crate::error::{DENIED, Error, MEANING, NO_SUCH_TABLE, REFUSED, Result};
use crate::own_tables::DatabaseDefinition;
use crate::tables::{self, Tables};
use crate::visible::{SeenCatalogs, Sight, Write};
use crate::writing::{Done, failed, told};

/// A statement about a database.
pub(crate) struct DatabaseChange {
    pub database: ObjectName,
    pub act: DatabaseAct,
}

pub(crate) enum DatabaseAct {
    Create { definition: DatabaseDefinition, if_not_exists: bool },
    Drop { if_exists: bool, with_tables: bool },
}

impl Engine {
    pub(crate) async fn change_database(
        &self,
        context: &Context,
        sight: &Sight,
        change: DatabaseChange,
    ) -> Result<Answer> {
        let parts: Option<Vec<&str>> =
            change.database.0.iter().map(|part| part.as_ident().map(|ident| ident.value.as_str())).collect();
        let (catalog, name) = match parts.as_deref() {
            Some([name]) => (self.default_catalog(context), name.to_lowercase()),
            Some([catalog, name]) => (*catalog, name.to_lowercase()),
            _ => {
                let error = Error::new(MEANING, format!("{} does not name a database", change.database));
                return Err(error.with_help("database or catalog.database"));
            }
        };
        let is_own = self.own_names.iter().any(|own| own.eq_ignore_ascii_case(catalog));
        let known_as = (!is_own).then_some(catalog);
        if !sight.allows(Write::CreateDatabase, known_as, "default", "") {
            let message = format!("not allowed to create or drop databases of {catalog}");
            return Err(Error::new(DENIED, message).with_help("ask for a grant in Lake Formation"));
        }
        let everything = Sight::everything();
        let catalogs =
            SeenCatalogs { catalogs: self.catalogs.as_ref(), own_names: &self.own_names, sight: &everything };
        let tables = tables::catalog(&catalogs, catalog, None).await?;
        match change.act {
            DatabaseAct::Create { definition, if_not_exists } => {
                let is_new = tables.create_database(&name, &definition).await.map_err(failed)?;
                if !is_new && !if_not_exists {
                    let error = Error::new(REFUSED, format!("database {name} exists already"));
                    return Err(error.with_help(format!("CREATE SCHEMA IF NOT EXISTS {name}")));
                }
            }
            DatabaseAct::Drop { if_exists, with_tables } => {
                let was_there = tables.drop_database(&name, with_tables).await.map_err(failed)?;
                if !was_there && !if_exists {
                    let error = Error::new(NO_SUCH_TABLE, format!("no database named {name}"));
                    return Err(error.with_help("SHOW DATABASES"));
                }
            }
        }
        let wrote = Wrote {
            rights: vec![Write::CreateDatabase],
            catalog: known_as.map(str::to_owned),
            database: name,
            table: String::new(),
            rows: None,
            files: None,
        };
        Ok(told(wrote, Done::default()))
    }
}
