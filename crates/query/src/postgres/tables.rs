//! The tables of `pg_catalog`, filled with what a principal may see.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Int16Array, Int32Array, ListArray, RecordBatch, StringArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::error::Result as PlanResult;
use futures::future::try_join_all;
use iceberg::TableIdent;
use lake::ErrorKind;

use crate::engine::Engine;
use crate::error::Result;
use crate::postgres::types::{self, KNOWN, PgType};
use crate::postgres::{Connection, SCHEMA, SERVER_VERSION};
use crate::tables::{self, Tables};
use crate::visible::Sight;

/// The numbers that PostgreSQL itself gives to these.
const CATALOG_NAMESPACE: i32 = 11;
const OWNER: i32 = 10;
const HEAP: i32 = 2;
const TABLESPACE: i32 = 1663;
/// The first number that PostgreSQL gives to what users make.
const FIRST_OID: i32 = 16384;
const UTF8: i32 = 6;

/// Tables in which there is something.
const FILLED: [&str; 11] = [
    "pg_am",
    "pg_attribute",
    "pg_class",
    "pg_database",
    "pg_namespace",
    "pg_roles",
    "pg_settings",
    "pg_tables",
    "pg_tablespace",
    "pg_type",
    "pg_user",
];

/// Tables in which there never is anything: the lake has no indexes, constraints or triggers. Each with those of its columns
/// that clients join by: `i` is a number, `t` text.
const EMPTY: &[(&str, &str)] = &[
    ("pg_attrdef", "oid:i adrelid:i adnum:i adbin:t"),
    ("pg_auth_members", "roleid:i member:i"),
    ("pg_cast", "oid:i castsource:i casttarget:i"),
    ("pg_collation", "oid:i collname:t collnamespace:i"),
    ("pg_constraint", "oid:i conname:t connamespace:i contype:t conrelid:i confrelid:i conindid:i"),
    ("pg_cursors", "name:t"),
    ("pg_default_acl", "oid:i"),
    ("pg_depend", "classid:i objid:i objsubid:i refclassid:i refobjid:i refobjsubid:i deptype:t"),
    ("pg_description", "objoid:i classoid:i objsubid:i description:t"),
    ("pg_enum", "oid:i enumtypid:i enumsortorder:i enumlabel:t"),
    ("pg_event_trigger", "oid:i evtname:t"),
    ("pg_extension", "oid:i extname:t extnamespace:i extversion:t"),
    ("pg_foreign_data_wrapper", "oid:i fdwname:t"),
    ("pg_foreign_server", "oid:i srvname:t"),
    ("pg_foreign_table", "ftrelid:i ftserver:i"),
    ("pg_index", "indexrelid:i indrelid:i indnatts:i indisunique:i indisprimary:i indkey:t"),
    ("pg_indexes", "schemaname:t tablename:t indexname:t"),
    ("pg_inherits", "inhrelid:i inhparent:i inhseqno:i"),
    ("pg_language", "oid:i lanname:t"),
    ("pg_locks", "pid:i"),
    ("pg_matviews", "schemaname:t matviewname:t matviewowner:t definition:t"),
    ("pg_opclass", "oid:i opcname:t"),
    ("pg_operator", "oid:i oprname:t"),
    ("pg_partitioned_table", "partrelid:i partstrat:t"),
    ("pg_policy", "oid:i polname:t polrelid:i"),
    ("pg_prepared_statements", "name:t statement:t"),
    ("pg_proc", "oid:i proname:t pronamespace:i prokind:t"),
    ("pg_publication", "oid:i pubname:t"),
    ("pg_publication_namespace", "oid:i pnpubid:i pnnspid:i"),
    ("pg_publication_rel", "oid:i prpubid:i prrelid:i"),
    ("pg_range", "rngtypid:i rngsubtype:i"),
    ("pg_rewrite", "oid:i rulename:t ev_class:i"),
    ("pg_sequence", "seqrelid:i"),
    ("pg_sequences", "schemaname:t sequencename:t"),
    ("pg_shdescription", "objoid:i classoid:i description:t"),
    ("pg_stat_activity", "pid:i datname:t usename:t query:t"),
    ("pg_statistic_ext", "oid:i stxrelid:i stxname:t"),
    ("pg_subscription", "oid:i subname:t"),
    ("pg_trigger", "oid:i tgrelid:i tgname:t"),
    ("pg_views", "schemaname:t viewname:t viewowner:t definition:t"),
];

pub(super) fn is_known(name: &str) -> bool {
    FILLED.contains(&name) || is_empty(name)
}

pub(super) fn is_empty(name: &str) -> bool {
    EMPTY.iter().any(|(known, _)| *known == name)
}

/// What of a catalog a principal sees.
pub(super) struct Found {
    pub namespaces: Vec<Namespace>,
    pub tables: Vec<Table>,
}

pub(super) struct Namespace {
    pub oid: i32,
    pub name: String,
}

pub(super) struct Table {
    pub oid: i32,
    pub namespace_oid: i32,
    pub namespace: String,
    pub name: String,
    /// It is found by its name alone.
    pub is_visible: bool,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    known: PgType,
    is_nullable: bool,
}

impl Found {
    /// Reads what a statement that names `wanted` can ask for. Columns cost a look into every table.
    pub(super) async fn read(
        engine: &Engine,
        connection: &Connection,
        sight: &Sight,
        wanted: &BTreeSet<String>,
    ) -> Result<Self> {
        let seen = engine.tables(&connection.context, sight, None, None).await?;
        let mut namespaces: Vec<String> = Vec::new();
        for namespace in seen.list_namespaces().await.map_err(tables::unreadable)? {
            namespaces.push(namespace.to_url_string());
        }
        namespaces.sort();
        let mut all = tables::list_all(&seen).await?;
        all.sort_by(|one, other| (one.namespace(), one.name()).cmp(&(other.namespace(), other.name())));
        let columns = if wanted.contains("pg_attribute") {
            try_join_all(all.iter().map(|table| columns(engine, &seen, table))).await?
        } else {
            all.iter().map(|_| Vec::new()).collect()
        };
        let same_name = |table: &TableIdent| all.iter().filter(|other| other.name() == table.name()).count();
        let default = connection.context.database.as_deref();
        let tables = all.iter().zip(columns).map(|(table, columns)| {
            let namespace = table.namespace().to_url_string();
            Table {
                oid: oid(&[&connection.database, &namespace, table.name()]),
                namespace_oid: oid(&[&connection.database, &namespace]),
                name: table.name().to_owned(),
                is_visible: same_name(table) == 1 || default == Some(namespace.as_str()),
                namespace,
                columns,
            }
        });
        let tables = tables.collect();
        let numbered = |name: String| Namespace { oid: oid(&[&connection.database, &name]), name };
        Ok(Self { namespaces: namespaces.into_iter().map(numbered).collect(), tables })
    }
}

/// A number for what a principal sees. It goes by the name, so that it is the same in the next statement and connection.
fn oid(name: &[&str]) -> i32 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let range = (i32::MAX - FIRST_OID) as u64;
    FIRST_OID + (hasher.finish() % range) as i32
}

/// None of a table that went away since it was listed.
async fn columns(engine: &Engine, seen: &crate::visible::SeenTables, table: &TableIdent) -> Result<Vec<Column>> {
    let loaded = match seen.load(table, &engine.cache).await {
        Ok(loaded) => loaded,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(tables::unreadable(error)),
    };
    let schema = seen.see(&loaded).schema();
    let column = |field: &Arc<Field>| Column {
        name: field.name().clone(),
        known: types::pg_type(field.data_type()),
        is_nullable: field.is_nullable(),
    };
    Ok(schema.fields().iter().map(column).collect())
}

/// Every table of the catalog.
pub(super) fn all(connection: &Connection, found: &Found) -> PlanResult<Vec<(&'static str, Arc<dyn TableProvider>)>> {
    let filled = [
        ("pg_am", Rows::of(1).all("oid", HEAP).all_text("amname", "heap").all_text("amtype", "t")),
        ("pg_attribute", attributes(found)),
        ("pg_class", classes(found)),
        ("pg_database", databases(connection)),
        ("pg_namespace", namespaces(found)),
        ("pg_roles", roles(connection)),
        ("pg_settings", settings()),
        ("pg_tables", plain_tables(connection, found)),
        ("pg_tablespace", Rows::of(1).all("oid", TABLESPACE).all_text("spcname", "pg_default").all("spcowner", OWNER)),
        ("pg_type", known_types()),
        ("pg_user", users(connection)),
    ];
    let filled = filled.into_iter().map(|(name, rows)| Ok((name, rows.table()?)));
    let empty = EMPTY.iter().map(|(name, columns)| Ok((*name, nothing(columns)?)));
    filled.chain(empty).collect()
}

fn namespaces(found: &Found) -> Rows {
    let own = [(CATALOG_NAMESPACE, SCHEMA.to_owned())];
    let all = own.into_iter().chain(found.namespaces.iter().map(|namespace| (namespace.oid, namespace.name.clone())));
    let (oids, names): (Vec<i32>, Vec<String>) = all.unzip();
    Rows::of(oids.len())
        .numbers("oid", oids)
        .texts("nspname", names)
        .all("nspowner", OWNER)
        .nothing("nspacl", text_list())
}

fn classes(found: &Found) -> Rows {
    let tables = &found.tables;
    Rows::of(tables.len())
        .numbers("oid", tables.iter().map(|table| table.oid).collect())
        .texts("relname", tables.iter().map(|table| table.name.clone()).collect())
        .numbers("relnamespace", tables.iter().map(|table| table.namespace_oid).collect())
        .all("reltype", 0)
        .all("reloftype", 0)
        .all("relowner", OWNER)
        .all("relam", HEAP)
        .all("relfilenode", 0)
        .all("reltablespace", 0)
        .all("relpages", 0)
        .column("reltuples", Arc::new(Float32Array::from(vec![-1.0; tables.len()])))
        .all("relallvisible", 0)
        .all("reltoastrelid", 0)
        .all_flags("relhasindex", false)
        .all_flags("relisshared", false)
        .all_text("relpersistence", "p")
        .all_text("relkind", "r")
        .all("relchecks", 0)
        .all_flags("relhasrules", false)
        .all_flags("relhastriggers", false)
        .all_flags("relhassubclass", false)
        .all_flags("relrowsecurity", false)
        .all_flags("relforcerowsecurity", false)
        .all_flags("relispopulated", true)
        .all_text("relreplident", "d")
        .all_flags("relispartition", false)
        .nothing("relacl", text_list())
        .nothing("reloptions", text_list())
        .nothing("relpartbound", DataType::Utf8)
}

fn attributes(found: &Found) -> Rows {
    let all = found.tables.iter().flat_map(|table| {
        let numbered = table.columns.iter().zip(1_i16..);
        numbered.map(|(column, number)| (table.oid, number, column))
    });
    let all: Vec<(i32, i16, &Column)> = all.collect();
    let number_of = |of: fn(&Column) -> i32| all.iter().map(|(_, _, column)| of(column)).collect::<Vec<i32>>();
    Rows::of(all.len())
        .numbers("attrelid", all.iter().map(|(oid, _, _)| *oid).collect())
        .texts("attname", all.iter().map(|(_, _, column)| column.name.clone()).collect())
        .numbers("atttypid", number_of(|column| column.known.oid))
        .all("attstattarget", -1)
        .numbers("attlen", number_of(|column| i32::from(column.known.size)))
        .column("attnum", Arc::new(all.iter().map(|(_, number, _)| *number).collect::<Int16Array>()))
        .all("attndims", 0)
        .numbers("atttypmod", number_of(|column| column.known.modifier))
        .all_text("attstorage", "x")
        .all_text("attcompression", "")
        .column(
            "attnotnull",
            Arc::new(all.iter().map(|(_, _, column)| Some(!column.is_nullable)).collect::<BooleanArray>()),
        )
        .all_flags("atthasdef", false)
        .all_flags("atthasmissing", false)
        .all_text("attidentity", "")
        .all_text("attgenerated", "")
        .all_flags("attisdropped", false)
        .all_flags("attislocal", true)
        .all("attinhcount", 0)
        .all("attcollation", 0)
        .nothing("attacl", text_list())
        .nothing("attoptions", text_list())
        .nothing("attfdwoptions", text_list())
}

fn known_types() -> Rows {
    // Of every type its array.
    let arrays = KNOWN.iter().map(|known| (known.array_oid, format!("_{}", known.name), 0, -1, "A", known.oid));
    let scalars =
        KNOWN.iter().map(|known| (known.oid, known.name.to_owned(), known.array_oid, known.size, known.category, 0));
    let all: Vec<(i32, String, i32, i16, &str, i32)> = scalars.chain(arrays).collect();
    Rows::of(all.len())
        .numbers("oid", all.iter().map(|known| known.0).collect())
        .texts("typname", all.iter().map(|known| known.1.clone()).collect())
        .all("typnamespace", CATALOG_NAMESPACE)
        .all("typowner", OWNER)
        .column("typlen", Arc::new(all.iter().map(|known| known.3).collect::<Int16Array>()))
        .all_text("typtype", "b")
        .texts("typcategory", all.iter().map(|known| known.4.to_owned()).collect())
        .all_flags("typisdefined", true)
        .all_text("typdelim", ",")
        .all("typrelid", 0)
        .numbers("typelem", all.iter().map(|known| known.5).collect())
        .numbers("typarray", all.iter().map(|known| known.2).collect())
        .all_flags("typnotnull", false)
        .all("typbasetype", 0)
        .all("typtypmod", -1)
        .all("typndims", 0)
        .all("typcollation", 0)
        .all_text("typinput", "")
        .nothing("typdefault", DataType::Utf8)
        .nothing("typacl", text_list())
}

fn databases(connection: &Connection) -> Rows {
    let names = &connection.databases;
    Rows::of(names.len())
        .numbers("oid", names.iter().map(|name| oid(&[name])).collect())
        .texts("datname", names.clone())
        .all("datdba", OWNER)
        .all("encoding", UTF8)
        .all_text("datlocprovider", "c")
        .all_flags("datistemplate", false)
        .all_flags("datallowconn", true)
        .all("datconnlimit", -1)
        .all("dattablespace", TABLESPACE)
        .all_text("datcollate", "C")
        .all_text("datctype", "C")
        .nothing("daticulocale", DataType::Utf8)
        .nothing("datacl", text_list())
}

fn roles(connection: &Connection) -> Rows {
    Rows::of(1)
        .all("oid", OWNER)
        .all_text("rolname", &connection.user)
        .all_flags("rolsuper", false)
        .all_flags("rolinherit", true)
        .all_flags("rolcreaterole", false)
        .all_flags("rolcreatedb", false)
        .all_flags("rolcanlogin", true)
        .all_flags("rolreplication", false)
        .all("rolconnlimit", -1)
        .nothing("rolpassword", DataType::Utf8)
        .nothing("rolvaliduntil", DataType::Utf8)
        .all_flags("rolbypassrls", false)
        .nothing("rolconfig", text_list())
}

fn users(connection: &Connection) -> Rows {
    Rows::of(1)
        .all_text("usename", &connection.user)
        .all("usesysid", OWNER)
        .all_flags("usecreatedb", false)
        .all_flags("usesuper", false)
}

fn settings() -> Rows {
    let all = [
        ("server_version", SERVER_VERSION),
        ("server_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
        ("max_index_keys", "32"),
        ("TimeZone", "UTC"),
    ];
    Rows::of(all.len())
        .texts("name", all.iter().map(|(name, _)| (*name).to_owned()).collect())
        .texts("setting", all.iter().map(|(_, setting)| (*setting).to_owned()).collect())
}

fn plain_tables(connection: &Connection, found: &Found) -> Rows {
    Rows::of(found.tables.len())
        .texts("schemaname", found.tables.iter().map(|table| table.namespace.clone()).collect())
        .texts("tablename", found.tables.iter().map(|table| table.name.clone()).collect())
        .all_text("tableowner", &connection.user)
        .nothing("tablespace", DataType::Utf8)
        .all_flags("hasindexes", false)
        .all_flags("hasrules", false)
        .all_flags("hastriggers", false)
        .all_flags("rowsecurity", false)
}

fn nothing(columns: &str) -> PlanResult<Arc<dyn TableProvider>> {
    let columns = columns.split(' ').filter_map(|column| column.split_once(':'));
    let rows = columns.fold(Rows::of(0), |rows, (name, kind)| match kind {
        "i" => rows.numbers(name, Vec::new()),
        _ => rows.texts(name, Vec::new()),
    });
    rows.table()
}

fn text_list() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

/// Columns of a table, one after the other.
struct Rows {
    count: usize,
    columns: Vec<(String, ArrayRef)>,
}

impl Rows {
    fn of(count: usize) -> Self {
        Self { count, columns: Vec::new() }
    }

    fn column(mut self, name: &str, values: ArrayRef) -> Self {
        self.columns.push((name.to_owned(), values));
        self
    }

    fn numbers(self, name: &str, values: Vec<i32>) -> Self {
        self.column(name, Arc::new(Int32Array::from(values)))
    }

    fn texts(self, name: &str, values: Vec<String>) -> Self {
        self.column(name, Arc::new(StringArray::from(values)))
    }

    /// The same number in every row.
    fn all(self, name: &str, value: i32) -> Self {
        let values = vec![value; self.count];
        self.numbers(name, values)
    }

    fn all_text(self, name: &str, value: &str) -> Self {
        let values = vec![value.to_owned(); self.count];
        self.texts(name, values)
    }

    fn all_flags(self, name: &str, value: bool) -> Self {
        let values = BooleanArray::from(vec![value; self.count]);
        self.column(name, Arc::new(values))
    }

    fn nothing(self, name: &str, data_type: DataType) -> Self {
        let values = match &data_type {
            DataType::List(element) => Arc::new(ListArray::new_null(element.clone(), self.count)),
            other => new_null_array(other, self.count),
        };
        self.column(name, values)
    }

    fn table(self) -> PlanResult<Arc<dyn TableProvider>> {
        let field = |(name, column): &(String, ArrayRef)| Field::new(name, column.data_type().clone(), true);
        let schema = Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()));
        let columns = self.columns.into_iter().map(|(_, column)| column).collect();
        let batch = RecordBatch::try_new(schema.clone(), columns)?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }
}
