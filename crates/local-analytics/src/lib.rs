//! Amazon Athena, the Glue Data Catalog and Lake Formation, over the tables of the warehouse; and PostgreSQL's wire
//! protocol, to Athena's engine.
//!
//! `athena`, `glue` and `lake_formation` speak AWS's protocols, `postgres` its own; `store` keeps what they must remember, `policy` decides who
//! may see what, `grants` asks it for everybody, `view` is the catalogs as one caller sees them, `audit` keeps what was
//! decided; `own` holds what the default catalog keeps beside the lake. What these services need of the warehouse is the trait [`Lakehouse`]; somebody else plugs it in.

mod analytics;
mod athena;
mod audit;
mod catalogs;
mod glue;
mod grants;
mod json;
mod lake_formation;
mod lakehouse;
mod own;
mod policy;
mod postgres;
mod store;
mod view;

pub use analytics::{Analytics, AnalyticsError};
pub use lakehouse::{Column, Lakehouse, LakehouseError, Region, TableDescription};
pub use postgres::Postgres;
