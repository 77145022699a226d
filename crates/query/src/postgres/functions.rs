//! PostgreSQL's functions about its catalog and its server.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use crate::postgres::tables::Found;
use crate::postgres::types::{self, KNOWN};
use crate::postgres::{Connection, SCHEMA, SERVER_VERSION};

/// What has nothing to say of anything here: there are no comments, defaults, constraints or sizes.
const NULL: [&str; 23] = [
    "col_description",
    "inet_client_addr",
    "inet_server_addr",
    "obj_description",
    "pg_database_size",
    "pg_get_constraintdef",
    "pg_get_expr",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "pg_get_indexdef",
    "pg_get_partkeydef",
    "pg_get_ruledef",
    "pg_get_serial_sequence",
    "pg_get_triggerdef",
    "pg_get_viewdef",
    "pg_indexes_size",
    "pg_relation_size",
    "pg_size_pretty",
    "pg_table_size",
    "pg_tablespace_location",
    "pg_total_relation_size",
    "shobj_description",
];

/// No function of PostgreSQL's: an array of text in which there is nothing, for `rewrite`.
pub(super) const NO_TEXTS: &str = "dynaberg_no_texts";

const TRUE: [&str; 2] = ["pg_function_is_visible", "pg_type_is_visible"];
const FALSE: [&str; 2] = ["pg_is_in_recovery", "pg_relation_is_publishable"];
/// The last argument says which right is meant.
const RIGHTS: [&str; 5] = [
    "has_any_column_privilege",
    "has_column_privilege",
    "has_database_privilege",
    "has_schema_privilege",
    "has_table_privilege",
];
const CONSTANT: [&str; 9] = [
    "current_catalog",
    "current_database",
    "current_role",
    "current_schema",
    "current_user",
    "pg_backend_pid",
    "session_user",
    "user",
    "version",
];
const COMPUTED: [&str; 11] = [
    "current_schemas",
    "current_setting",
    "format_type",
    "pg_encoding_to_char",
    "pg_get_userbyid",
    "pg_table_is_visible",
    "quote_ident",
    "set_config",
    "to_regclass",
    "to_regnamespace",
    "to_regtype",
];

pub(super) fn is_known(name: &str) -> bool {
    [&NULL[..], &TRUE, &FALSE, &RIGHTS, &CONSTANT, &COMPUTED].iter().any(|names| names.contains(&name))
}

/// Adds the functions to `state`, as they answer on this connection.
pub(super) fn register(state: &mut SessionState, connection: &Connection, found: &Found) -> Result<()> {
    for function in all(connection, found) {
        state.register_udf(Arc::new(ScalarUDF::from(function)))?;
    }
    Ok(())
}

fn all(connection: &Connection, found: &Found) -> Vec<Answering> {
    let mut all = Vec::new();
    all.extend(NULL.map(|name| Answering::constant(name, ScalarValue::Utf8(None))));
    all.push(Answering::constant(NO_TEXTS, ScalarValue::List(ScalarValue::new_list_nullable(&[], &DataType::Utf8))));
    all.extend(TRUE.map(|name| Answering::constant(name, ScalarValue::from(true))));
    all.extend(FALSE.map(|name| Answering::constant(name, ScalarValue::from(false))));
    all.extend(RIGHTS.map(|name| Answering::new(name, DataType::Boolean, right)));
    let schema =
        connection.context.database.clone().or_else(|| found.namespaces.first().map(|first| first.name.clone()));
    for name in CONSTANT {
        let value = match name {
            "current_catalog" | "current_database" => ScalarValue::from(connection.database.as_str()),
            "current_schema" => ScalarValue::Utf8(schema.clone()),
            "pg_backend_pid" => ScalarValue::from(0_i32),
            "version" => ScalarValue::from(format!(
                "PostgreSQL {SERVER_VERSION} compatible: Dynaberg {}, which speaks Athena's SQL",
                env!("CARGO_PKG_VERSION")
            )),
            _ => ScalarValue::from(connection.user.as_str()),
        };
        all.push(Answering::constant(name, value));
    }

    let user = connection.user.clone();
    all.push(Answering::texts("pg_get_userbyid", move |_| Some(user.clone())));
    all.push(Answering::texts("pg_encoding_to_char", |_| Some("UTF8".to_owned())));
    all.push(Answering::texts("quote_ident", |arguments| {
        let name = arguments[0].as_ref()?;
        let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && !name.starts_with(|first: char| first.is_ascii_digit());
        Some(if is_plain { name.clone() } else { format!("\"{}\"", name.replace('"', "\"\"")) })
    }));
    all.push(Answering::texts("format_type", |arguments| {
        let number = |index: usize| arguments.get(index).cloned().flatten().and_then(|text| text.parse().ok());
        Some(types::format_type(number(0)?, number(1).unwrap_or(-1)))
    }));
    let search_path = schema.clone().unwrap_or_default();
    all.push(Answering::texts("current_setting", move |arguments| {
        Some(match arguments[0].as_deref()?.to_lowercase().as_str() {
            "server_version" => SERVER_VERSION.to_owned(),
            "server_version_num" => "150000".to_owned(),
            "search_path" => search_path.clone(),
            "timezone" => "UTC".to_owned(),
            "standard_conforming_strings" => "on".to_owned(),
            "server_encoding" | "client_encoding" => "UTF8".to_owned(),
            _ => return None,
        })
    }));
    all.push(Answering::texts("set_config", |arguments| arguments.get(1).cloned().flatten()));
    let path: Vec<Option<String>> = schema.into_iter().map(Some).chain([Some(SCHEMA.to_owned())]).collect();
    let path =
        ScalarValue::new_list_nullable(&path.into_iter().map(ScalarValue::Utf8).collect::<Vec<_>>(), &DataType::Utf8);
    all.push(Answering::constant("current_schemas", ScalarValue::List(path)));

    let hidden: Vec<i32> = found.tables.iter().filter(|table| !table.is_visible).map(|table| table.oid).collect();
    all.push(Answering::new("pg_table_is_visible", DataType::Boolean, move |arguments, _| {
        let oids = cast(&arguments[0], &DataType::Int32)?;
        let oids = oids.as_primitive::<Int32Type>();
        let visible: BooleanArray = oids.iter().map(|oid| oid.map(|oid| !hidden.contains(&oid))).collect();
        Ok(Arc::new(visible))
    }));
    let tables = found.tables.iter().flat_map(|table| {
        let full = (table.oid, format!("{}.{}", table.namespace, table.name));
        let short = table.is_visible.then(|| (table.oid, table.name.clone()));
        short.into_iter().chain([full])
    });
    all.push(Answering::names("to_regclass", tables.collect()));
    let namespaces = found.namespaces.iter().map(|namespace| (namespace.oid, namespace.name.clone()));
    all.push(Answering::names("to_regnamespace", namespaces.collect()));
    let said = KNOWN.iter().map(|known| (known.oid, types::format_type(known.oid, -1)));
    all.push(Answering::names(
        "to_regtype",
        said.chain(KNOWN.iter().map(|known| (known.oid, known.name.to_owned()))).collect(),
    ));
    all
}

/// Reading is granted where something is seen at all; of writing nothing is promised.
fn right(arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let Some(last) = arguments.last() else { return Ok(Arc::new(BooleanArray::from(vec![false; rows]))) };
    let last = cast(last, &DataType::Utf8)?;
    let is_reading = |right: &str| {
        let right = right.to_uppercase();
        ["SELECT", "USAGE", "CONNECT"].iter().any(|known| right.contains(known))
    };
    let granted: BooleanArray = last.as_string::<i32>().iter().map(|right| right.map(is_reading)).collect();
    Ok(Arc::new(granted))
}

type Gives = dyn Fn(&[DataType]) -> DataType + Send + Sync;
type Run = dyn Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync;

/// A function of any arguments.
struct Answering {
    name: &'static str,
    signature: Signature,
    gives: Arc<Gives>,
    /// Is given the arguments, and how many rows there are.
    run: Arc<Run>,
}

impl Answering {
    fn new(
        name: &'static str,
        gives: DataType,
        run: impl Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> Self {
        let any = TypeSignature::OneOf(vec![TypeSignature::Nullary, TypeSignature::VariadicAny]);
        let signature = Signature::new(any, Volatility::Stable);
        Self { name, signature, gives: Arc::new(move |_| gives.clone()), run: Arc::new(run) }
    }

    fn constant(name: &'static str, value: ScalarValue) -> Self {
        Self::new(name, value.data_type(), move |_, rows| value.to_array_of_size(rows))
    }

    /// Works on the texts of its arguments.
    fn texts(name: &'static str, of: impl Fn(&[Option<String>]) -> Option<String> + Send + Sync + 'static) -> Self {
        Self::new(name, DataType::Utf8, move |arguments, rows| {
            let texts = arguments.iter().map(|array| Ok(cast(array, &DataType::Utf8)?)).collect::<Result<Vec<_>>>()?;
            let row = |index: usize| -> Vec<Option<String>> {
                let of = |array: &ArrayRef| {
                    let array = array.as_string::<i32>();
                    array.is_valid(index).then(|| array.value(index).to_owned())
                };
                texts.iter().map(of).collect()
            };
            let answers = (0..rows).map(|index| {
                let arguments = row(index);
                if arguments.is_empty() { None } else { of(&arguments) }
            });
            Ok(Arc::new(answers.collect::<StringArray>()))
        })
    }

    /// What a number is called, and the number of what is called so: `oid::regclass` and `'name'::regclass`.
    fn names(name: &'static str, known: Vec<(i32, String)>) -> Self {
        let is_number = |types: &[DataType]| types.first().is_some_and(DataType::is_integer);
        let run = move |arguments: &[ArrayRef], rows: usize| -> Result<ArrayRef> {
            let Some(argument) = arguments.first() else { return Ok(Arc::new(StringArray::new_null(rows))) };
            if argument.data_type().is_integer() {
                let numbers = cast(argument, &DataType::Int32)?;
                let name = |number: i32| {
                    let found = known.iter().find(|(oid, _)| *oid == number);
                    found.map_or_else(|| number.to_string(), |(_, name)| name.clone())
                };
                let names = numbers.as_primitive::<Int32Type>().iter().map(|number| number.map(name));
                return Ok(Arc::new(names.collect::<StringArray>()));
            }
            let texts = cast(argument, &DataType::Utf8)?;
            let number = |text: &str| {
                let text = text.replace('"', "");
                text.parse().ok().or_else(|| known.iter().find(|(_, name)| *name == text).map(|(oid, _)| *oid))
            };
            let numbers = texts.as_string::<i32>().iter().map(|text| text.and_then(number));
            Ok(Arc::new(numbers.collect::<Int32Array>()))
        };
        let gives = move |types: &[DataType]| if is_number(types) { DataType::Utf8 } else { DataType::Int32 };
        Self { gives: Arc::new(gives), ..Self::new(name, DataType::Utf8, run) }
    }
}

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Answering").field(&self.name).finish()
    }
}

impl PartialEq for Answering {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Answering {}

impl Hash for Answering {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Answering {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok((self.gives)(types))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = args.args.into_iter().map(|arg| arg.into_array(rows)).collect::<Result<Vec<_>>>()?;
        Ok(ColumnarValue::Array((self.run)(&arrays, rows)?))
    }
}
